/* What is framed is read back the same by a reader written from the standard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "guard.h"
#include "hotreload.h"
#include "stream.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static struct guard guard;

static hr_bytes text(const char *text)
{
    return (hr_bytes){text, strlen(text)};
}

static hr_bytes guarded(const char *data, size_t size)
{
    return (hr_bytes){guard_put(&guard, data, size), size};
}

/* Line breaks of each kind come back as LF. */
static size_t normalise(const char *data, size_t size, char *out)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\r' && i + 1 < size && data[i + 1] == '\n')
            continue;
        out[count++] = data[i] == '\r' ? '\n' : data[i];
    }
    return count;
}

static void assert_read_back(const char *data, size_t size)
{
    char expected[256];
    hr_buffer out = {0};
    assert_int_equal(hr_sse_event(text("name"), text("id.1"), guarded(data, size), &out), HR_OK);
    struct event event = event_read(out.data, out.size);
    assert_int_equal(event.size, out.size);
    assert_string_equal(event.event, "name");
    assert_string_equal(event.id, "id.1");
    assert_int_equal(event.data_size, normalise(data, size, expected));
    assert_memory_equal(event.data, expected, event.data_size);
    hr_buffer_fini(&out);
}

static void test_data_comes_back_whatever_its_lines_are(void **state)
{
    static const char *const rows[] = {
        "",         "a",
        "a\nb",     "a\rb",
        "a\r\nb",   "\n",
        "\r",       "\r\n",
        "\n\n",     "\r\r",
        "\n\r",     "a\n",
        "a\r",      "a\r\n",
        "\na",      "\r\n\r\n",
        " a",       "  a",
        ":a",       "data:a",
        "a\n\nb",   " \n ",
        "a\n\r\nb", "id: 7\nevent: x",
        "\xff\0",   "\xef\xbb\xbf",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_read_back(rows[i], strlen(rows[i]));
    assert_read_back("a\0b", 3);
}

static void test_any_data_comes_back(void **state)
{
    static const char letters[] = {'\r', '\n', ' ', ':', 'a', '\0'};
    char data[24];
    srand(1);
    for (int i = 0; i < 20000; i++) {
        size_t size = (size_t)rand() % sizeof data;
        for (size_t k = 0; k < size; k++)
            data[k] = letters[(size_t)rand() % sizeof letters];
        assert_read_back(data, size);
    }
}

static void test_bytes_are_these(void **state)
{
    static const struct {
        const char *event, *id, *data, *expected;
    } rows[] = {
        {"", "", "a", "data: a\n\n"},
        {"", "", "", "data: \n\n"},
        {"e", "", "a", "event: e\ndata: a\n\n"},
        {"", "1", "a\nb", "id: 1\ndata: a\ndata: b\n\n"},
        {"e", "1", "a\r\n", "event: e\nid: 1\ndata: a\ndata: \n\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_buffer out = {0};
        hr_sse_event(text(rows[i].event), text(rows[i].id), text(rows[i].data), &out);
        assert_int_equal(out.size, strlen(rows[i].expected));
        assert_memory_equal(out.data, rows[i].expected, out.size);
        hr_buffer_fini(&out);
    }
}

static void test_events_follow_each_other(void **state)
{
    hr_buffer out = {0};
    hr_sse_event(text("one"), text(""), text("1\n2"), &out);
    hr_sse_event(text("two"), text(""), text("3"), &out);
    struct event one = event_read(out.data, out.size);
    struct event two = event_read(out.data + one.size, out.size - one.size);
    assert_string_equal(one.event, "one");
    assert_string_equal(one.data, "1\n2");
    assert_string_equal(two.event, "two");
    assert_string_equal(two.data, "3");
    assert_int_equal(one.size + two.size, out.size);
    hr_buffer_fini(&out);
}

static void test_field_that_would_break_the_frame_is_refused(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {{"\n", 1}, {"a\nb", 3}, {"a\r", 2}, {"\0", 1}, {"a\0b", 3}, {"\r\n", 2}};
    hr_buffer out = {0};
    hr_buffer_append(&out, "before", 6);
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_bytes bad = guarded(rows[i].data, rows[i].size);
        assert_int_equal(hr_sse_event(bad, text(""), text("a"), &out), HR_INVALID);
        assert_int_equal(hr_sse_event(text(""), bad, text("a"), &out), HR_INVALID);
    }
    assert_int_equal(out.size, 6);
    assert_memory_equal(out.data, "before", 6);
    hr_buffer_fini(&out);
}

static void test_without_memory_the_buffer_is_as_it_was(void **state)
{
    static char large[2000];
    memset(large, 'x', sizeof large);
    for (size_t i = 0;; i++) {
        hr_buffer out = {0};
        hr_buffer_append(&out, "before", 6);
        failing_at(i, false);
        hr_status status =
            hr_sse_event(text("e"), text("i"), (hr_bytes){large, sizeof large}, &out);
        bool failed = failing_happened();
        failing_never();
        assert_int_equal(status, failed ? HR_NOMEM : HR_OK);
        assert_memory_equal(out.data, "before", 6);
        if (failed)
            assert_int_equal(out.size, 6);
        hr_buffer_fini(&out);
        if (!failed)
            break;
    }
}

static void test_buffer_grows_and_empties(void **state)
{
    hr_buffer out = {0};
    assert_int_equal(hr_buffer_append(&out, NULL, 0), HR_OK);
    assert_null(out.data);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(hr_buffer_append(&out, "abc", 3), HR_OK);
    assert_int_equal(out.size, 30000);
    assert_memory_equal(out.data + 29997, "abc", 3);
    assert_int_equal(hr_buffer_append(&out, "x", SIZE_MAX - 5), HR_NOMEM);
    assert_int_equal(out.size, 30000);
    hr_buffer_fini(&out);
    assert_null(out.data);
    hr_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_comes_back_whatever_its_lines_are),
        cmocka_unit_test(test_any_data_comes_back),
        cmocka_unit_test(test_bytes_are_these),
        cmocka_unit_test(test_events_follow_each_other),
        cmocka_unit_test(test_field_that_would_break_the_frame_is_refused),
        cmocka_unit_test(test_without_memory_the_buffer_is_as_it_was),
        cmocka_unit_test(test_buffer_grows_and_empties),
    };
    guard_init(&guard, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_fini(&guard);
    return failed;
}
