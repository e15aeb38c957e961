/* The tag. Linked with --wrap=realloc, so that memory can run out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "guard.h"
#include "hotreload.h"

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool memory_is_out;
static unsigned refused;

void *__wrap_realloc(void *memory, size_t size)
{
    if (!memory_is_out)
        return __real_realloc(memory, size);
    refused++;
    return NULL;
}

#define CURSOR      ((hr_cursor){0x0123456789abcdef, 0x42})
#define CURSOR_TEXT "0123456789abcdef.0000000000000042"

static void assert_tag(const char *url, const char *nonce, const char *expected)
{
    struct guard url_guard, nonce_guard;
    hr_buffer out = {0};
    guard_init(&url_guard, 64);
    guard_init(&nonce_guard, 64);
    assert_int_equal(hr_buffer_append(&out, "before", 6), HR_OK);
    hr_bytes url_bytes = {guard_put(&url_guard, url, strlen(url)), strlen(url)};
    hr_bytes nonce_bytes = {0};
    if (nonce)
        nonce_bytes = (hr_bytes){guard_put(&nonce_guard, nonce, strlen(nonce)), strlen(nonce)};
    const hr_tag tag = {url_bytes, CURSOR, nonce_bytes, false, false};
    assert_int_equal(hr_tag_format(&tag, &out), HR_OK);
    assert_int_equal(hr_buffer_append(&out, "", 1), HR_OK);
    assert_string_equal(out.data + 6, expected);
    assert_memory_equal(out.data, "before", 6);
    assert_memory_equal(out.data + 6, hr_tag_prefix().data, hr_tag_prefix().size);
    hr_buffer_fini(&out);
    guard_fini(&url_guard);
    guard_fini(&nonce_guard);
}

static void test_tag_carries_address_cursor_and_nonce(void **state)
{
    assert_tag("/__hot/client.js", NULL,
               "<script data-cursor=\"" CURSOR_TEXT
               "\" async=\"\" src=\"/__hot/client.js\"></script>");
    assert_tag("/__hot/client.js", "r4nd0m+/=",
               "<script data-cursor=\"" CURSOR_TEXT
               "\" async=\"\" src=\"/__hot/client.js\" nonce=\"r4nd0m+/=\"></script>");
    assert_tag("", "", "<script data-cursor=\"" CURSOR_TEXT "\" async=\"\" src=\"\"></script>");
}

static void test_tag_blocks_and_does_without_a_worker_where_it_must(void **state)
{
    const hr_tag tag = {{"/c.js", 5}, CURSOR, {"n", 1}, true, true};
    hr_buffer out = {0};
    assert_int_equal(hr_tag_format(&tag, &out), HR_OK);
    assert_int_equal(hr_buffer_append(&out, "", 1), HR_OK);
    assert_string_equal(out.data, "<script data-cursor=\"" CURSOR_TEXT
                                  "\" src=\"/c.js\" data-share=\"\" nonce=\"n\"></script>");
    hr_buffer_fini(&out);
}

static void test_tag_escapes_values(void **state)
{
    assert_tag("/a?b&c=\"<d>'\r\n", "&\"",
               "<script data-cursor=\"" CURSOR_TEXT
               "\" async=\"\" src=\"/a?b&amp;c=&quot;&lt;d&gt;'&#13;&#10;\" "
               "nonce=\"&amp;&quot;\"></script>");
}

static void test_no_memory_leaves_the_buffer_as_it_was(void **state)
{
    const hr_bytes url = {"/a?b&c", 6};
    const hr_tag tag = {url, CURSOR, {"1&2", 3}, true, false};
    hr_buffer whole = {0};
    size_t room = 0;

    assert_int_equal(hr_tag_format(&tag, &whole), HR_OK);
    /* With ever more room in the buffer, so that each of its appends fails in turn. */
    for (hr_status status = HR_NOMEM; status != HR_OK; room++) {
        hr_buffer out = {.data = malloc(room + 3), .size = 3, .capacity = room + 3};
        assert_non_null(out.data);
        memcpy(out.data, "abc", 3);
        refused = 0;
        memory_is_out = true;
        status = hr_tag_format(&tag, &out);
        memory_is_out = false;
        assert_memory_equal(out.data, "abc", 3);
        assert_int_equal(status, refused ? HR_NOMEM : HR_OK);
        assert_int_equal(out.size, refused ? 3 : 3 + whole.size);
        hr_buffer_fini(&out);
    }
    assert_int_equal(room, whole.size + 1);
    hr_buffer_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tag_carries_address_cursor_and_nonce),
        cmocka_unit_test(test_tag_blocks_and_does_without_a_worker_where_it_must),
        cmocka_unit_test(test_tag_escapes_values),
        cmocka_unit_test(test_no_memory_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
