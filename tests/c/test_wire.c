/* The events as a browser reads them: whole, valid, and with the right names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "guard.h"
#include "hotreload.h"
#include "json.h"
#include "stream.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static const hr_cursor cursor = {0x0123456789abcdef, 0x42};
static const char cursor_text[] = "0123456789abcdef.0000000000000042";

static struct guard guard;

static hr_bytes text(const char *text)
{
    return (hr_bytes){text, strlen(text)};
}

static hr_wire *new_wire(const char *base)
{
    hr_wire *wire = NULL;
    assert_int_equal(hr_wire_new(text(base), &wire), HR_OK);
    return wire;
}

/* Shortest forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_utf8(const char *text)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = *at < 0x80         ? 1
                        : *at >> 5 == 0x06 ? 2
                        : *at >> 4 == 0x0E ? 3
                        : *at >> 3 == 0x1E ? 4
                                           : 0;
        if (!length)
            return false;
        unsigned code = length == 1 ? *at : *at & (0x7Fu >> length);
        for (size_t i = 1; i < length; i++) {
            if (at[i] >> 6 != 2)
                return false;
            code = code << 6 | (at[i] & 0x3F);
        }
        if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        at += length;
    }
    return true;
}

static struct event changes_event(const hr_wire *wire, const hr_change *changes, size_t count,
                                  int64_t unix_us)
{
    hr_buffer out = {0};
    const hr_delta delta = {.kind = HR_SINCE_CHANGES,
                            .cursor = cursor,
                            .batch = {.changes = changes, .count = count, .unix_us = unix_us}};
    assert_int_equal(hr_wire_changes(wire, &delta, &out), HR_OK);
    struct event event = event_read(out.data, out.size);
    assert_int_equal(event.size, out.size); /* one event, and nothing after it */
    assert_int_equal(event.data_lines, 1);
    assert_true(json_valid(event.data));
    assert_true(is_utf8(event.data));
    hr_buffer_fini(&out);
    return event;
}

static struct event one_change(const hr_wire *wire, uint32_t root, const char *path, hr_op op)
{
    const hr_change change = {
        {guard_put(&guard, path, strlen(path)), strlen(path)}, .root = root, .op = op};
    return changes_event(wire, &change, 1, 0);
}

static void assert_text(const char *json, const char *expected)
{
    char bytes[4096];
    assert_non_null(json);
    if (!expected) {
        assert_memory_equal(json, "null", 4);
        return;
    }
    assert_non_null(json_string(json, bytes, NULL));
    assert_string_equal(bytes, expected);
}

static const char *first_change(const struct event *event)
{
    return json_item(json_member(event->data, "changes"), 0);
}

/* ---- names ---- */

static void test_names_are_relative_to_the_base(void **state)
{
    static const struct {
        const char *base, *root, *path, *expected;
    } rows[] = {
        {"/srv/site", "/srv/site", "a.css", "a.css"},
        {"/srv/site/", "/srv/site/", "a.css", "a.css"},
        {"/srv/site", "/srv/site/static", "css/a.css", "static/css/a.css"},
        {"/srv/site", "/srv", "site/a.css", "a.css"},
        {"/srv/site", "/srv", "other/a.css", "other/a.css"},
        {"/srv/site", "/srv", "site2/a.css", "site2/a.css"},
        {"/srv/site", "/srv", "site", "site"},
        {"/srv/site", "/usr/share/theme", "a.css", "a.css"},
        {"/", "/srv/site", "a.css", "srv/site/a.css"},
        {"/srv/site", "/", "srv/site/b/a.css", "b/a.css"},
        {"/srv/site", "/", "etc/a.css", "etc/a.css"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_wire *wire = new_wire(rows[i].base);
        assert_int_equal(hr_wire_add_root(wire, text(rows[i].root)), HR_OK);
        struct event event = one_change(wire, 0, rows[i].path, HR_OP_MODIFIED);
        assert_text(json_item(json_member(event.data, "files"), 0), rows[i].expected);
        assert_text(json_member(first_change(&event), "path"), rows[i].expected);
        hr_wire_free(wire);
    }
}

static void test_root_of_a_change_is_its_number(void **state)
{
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv/one"));
    hr_wire_add_root(wire, text("/srv/two"));
    struct event event = one_change(wire, 1, "a", HR_OP_MODIFIED);
    assert_text(json_member(first_change(&event), "path"), "two/a");
    event = one_change(wire, 9, "a", HR_OP_MODIFIED); /* a root that it was not told of */
    assert_text(json_member(first_change(&event), "path"), "a");
    hr_wire_free(wire);
}

static void test_any_name_comes_back_byte_for_byte(void **state)
{
    static const char *const rows[] = {
        "a b.css",
        "\"quoted\".css",
        "back\\slash",
        "new\nline\r\nand return\r",
        "\x01\x02\x1f\x7f\t\b\f",
        "\xc3\xa9t\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80",
        "latin1 \xe9t\xe9",
        "\xff\xfe\x80\xbf",
        "\xc0\xaf overlong",
        "\xe0\x80\xaf overlong",
        "\xf0\x80\x80\xaf overlong",
        "\xed\xa0\x80 surrogate",
        "\xed\xb2\x80 surrogate",
        "\xf4\x90\x80\x80 beyond",
        "cut \xe2\x98",
        "cut \xf0\x9f\x98",
        "cut \xc3",
        "\xe2\x80\xa8 line separator",
        "data: x\n\nevent: y",
        "</script>",
        "\\u0041",
    };
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    hr_wire_add_served(wire, text("/srv"), text(""));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct event event = one_change(wire, 0, rows[i], HR_OP_ADDED);
        assert_text(json_item(json_member(event.data, "files"), 0), rows[i]);
        assert_text(json_member(first_change(&event), "path"), rows[i]);
    }
    hr_wire_free(wire);
}

static void test_any_bytes_make_valid_json(void **state)
{
    char name[40];
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    hr_wire_add_served(wire, text("/srv"), text("/\xc3\xa9"));
    srand(3);
    for (int i = 0; i < 5000; i++) {
        size_t size = 1 + (size_t)rand() % (sizeof name - 2);
        for (size_t k = 0; k < size; k++)
            name[k] = (char)(1 + rand() % 255);
        name[size] = '\0';
        struct event event = one_change(wire, 0, name, HR_OP_MODIFIED);
        assert_text(json_member(first_change(&event), "path"), name);
        const char *url = json_member(first_change(&event), "url");
        assert_int_equal(strcspn(url + 1, "\\ <>?#{}^`\""), strcspn(url + 1, "\""));
    }
    hr_wire_free(wire);
}

/* ---- addresses ---- */

static void test_address_is_that_of_the_longest_directory(void **state)
{
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/"));
    hr_wire_add_served(wire, text("/srv/static"), text("/static"));
    hr_wire_add_served(wire, text("/srv/static/fonts/"), text("/f/"));
    hr_wire_add_served(wire, text("/srv/static"), text("/second"));
    hr_wire_add_served(wire, text("/srv/public"), text(""));
    hr_wire_add_served(wire, text("/srv/slash"), text("/"));
    static const struct {
        const char *path, *url;
    } rows[] = {
        {"srv/static/a.css", "/static/a.css"},
        {"srv/static/css/a.css", "/static/css/a.css"},
        {"srv/static/fonts/a.woff2", "/f/a.woff2"},
        {"srv/static/fontsy/a.woff2", "/static/fontsy/a.woff2"},
        {"srv/public/a.css", "/a.css"},
        {"srv/slash/a.css", "/a.css"},
        {"srv/static", NULL},
        {"srv/statics/a.css", NULL},
        {"srv/a.css", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct event event = one_change(wire, 0, rows[i].path, HR_OP_MODIFIED);
        assert_text(json_member(first_change(&event), "url"), rows[i].url);
    }
    hr_wire_free(wire);
}

/* The addresses of each entry of `changes`, in order, with their paths: "path=address". */
static void assert_entries(const struct event *event, const char *const expected[])
{
    const char *changes = json_member(event->data, "changes");
    size_t count = 0;
    for (; expected[count]; count++) {
        const char *entry = json_item(changes, count);
        const char *equals = strchr(expected[count], '=');
        char path[128];
        snprintf(path, sizeof path, "%.*s", (int)(equals - expected[count]), expected[count]);
        assert_text(json_member(entry, "path"), path);
        assert_text(json_member(entry, "url"), equals[1] ? equals + 1 : NULL);
    }
    assert_null(json_item(changes, count));
}

static void test_other_addresses_come_after_the_files(void **state)
{
    const hr_change changes[] = {
        {{"static/css/a.css", 16}, 0, HR_OP_MODIFIED},
        {{"b.txt", 5}, 0, HR_OP_ADDED},
        {{"static/c.css", 12}, 0, HR_OP_REMOVED},
    };
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    hr_wire_add_served(wire, text("/srv/static"), text("/static"));
    hr_wire_add_served(wire, text("/srv/static"), text("/assets"));
    hr_wire_add_served(wire, text("/srv/static/css"), text("/static-css"));
    struct event event = changes_event(wire, changes, COUNT(changes), 0);
    assert_entries(&event, (const char *const[]){"static/css/a.css=/static-css/a.css",
                                                 "b.txt=", "static/c.css=/static/c.css",
                                                 "static/css/a.css=/static/css/a.css",
                                                 "static/css/a.css=/assets/css/a.css",
                                                 "static/c.css=/assets/c.css", NULL});
    static const struct {
        const char *kind, *op;
    } rows[] = {{"css", "modified"}, {"other", "added"},  {"css", "removed"},
                {"css", "modified"}, {"css", "modified"}, {"css", "removed"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *entry = json_item(json_member(event.data, "changes"), i);
        assert_text(json_member(entry, "kind"), rows[i].kind);
        assert_text(json_member(entry, "op"), rows[i].op);
    }
    for (size_t i = 0; i < COUNT(changes); i++)
        assert_text(json_item(json_member(event.data, "files"), i), changes[i].path.data);
    assert_null(json_item(json_member(event.data, "files"), COUNT(changes)));
    hr_wire_free(wire);
}

static void test_an_address_is_told_once(void **state)
{
    static const struct {
        const char *directory, *url;
    } served[] = {
        {"/srv", ""},
        {"/srv/static", "/static"},
        {"/srv/static/css", "/static/css"},
        {"/srv/static/css", "/static/css/"},
        {"/srv/static", "/other"},
        {"/srv/static/css", "/other/css"},
        {"/srv/static/css", "/other/cs"},
        {"/srv", "/other"},
        {"/", "/static/css"},
    };
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    for (size_t i = 0; i < COUNT(served); i++)
        assert_int_equal(hr_wire_add_served(wire, text(served[i].directory), text(served[i].url)),
                         HR_OK);
    struct event event = one_change(wire, 0, "static/css/a", HR_OP_MODIFIED);
    assert_entries(&event, (const char *const[]){
                               "static/css/a=/static/css/a", "static/css/a=/other/css/a",
                               "static/css/a=/other/cs/a", "static/css/a=/other/static/css/a",
                               "static/css/a=/static/css/srv/static/css/a", NULL});
    hr_wire_free(wire);
}

static void test_of_too_many_addresses_the_best_are_told(void **state)
{
    hr_wire *wire = new_wire("/srv");
    char url[16];
    hr_wire_add_root(wire, text("/srv"));
    for (int i = 0; i < 3 * HR_WIRE_ADDRESSES; i++) {
        snprintf(url, sizeof url, "/%d", i);
        hr_wire_add_served(wire, text("/srv"), text(url));
    }
    hr_wire_add_served(wire, text("/srv/sub"), text("/best"));
    struct event event = one_change(wire, 0, "sub/a", HR_OP_MODIFIED);
    const char *changes = json_member(event.data, "changes");
    assert_text(json_member(json_item(changes, 0), "url"), "/best/a");
    for (int i = 1; i < HR_WIRE_ADDRESSES; i++) {
        snprintf(url, sizeof url, "/%d/sub/a", i - 1);
        assert_text(json_member(json_item(changes, (size_t)i), "url"), url);
    }
    assert_null(json_item(changes, HR_WIRE_ADDRESSES));
    hr_wire_free(wire);
}

static void test_address_is_percent_encoded(void **state)
{
    static const struct {
        const char *path, *url;
    } rows[] = {
        {"a b.css", "/s/a%20b.css"},
        {"100%.css", "/s/100%25.css"},
        {"a?b#c.css", "/s/a%3Fb%23c.css"},
        {"\xc3\xa9.css", "/s/%C3%A9.css"},
        {"\xff.css", "/s/%FF.css"},
        {"a\nb", "/s/a%0Ab"},
        {"q\"<>`{}^\\", "/s/q%22%3C%3E%60%7B%7D%5E%5C"},
        {"-._~!$&'()*+,;=:@", "/s/-._~!$&'()*+,;=:@"},
        {"%2e%2e/a", "/s/%252e%252e/a"},
        {"\x7f", "/s/%7F"},
    };
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    hr_wire_add_served(wire, text("/srv"), text("/s"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct event event = one_change(wire, 0, rows[i].path, HR_OP_MODIFIED);
        assert_text(json_member(first_change(&event), "url"), rows[i].url);
    }
    hr_wire_free(wire);
}

/* ---- kinds and types ---- */

static void test_kind_is_that_of_the_extension(void **state)
{
    static const struct {
        const char *path, *kind;
    } rows[] = {
        {"a.css", "css"},     {"A.CSS", "css"},          {"d/a.css", "css"},
        {"a.js", "script"},   {"a.mjs", "script"},       {"a.png", "image"},
        {"a.jpg", "image"},   {"a.jpeg", "image"},       {"a.gif", "image"},
        {"a.svg", "image"},   {"a.webp", "image"},       {"a.avif", "image"},
        {"a.ico", "image"},   {"a.woff2", "font"},       {"a.ttf", "font"},
        {"a.html", "other"},  {"a.py", "other"},         {"css", "other"},
        {"a.css/b", "other"}, {"a.css.map", "other"},    {"a.scss", "other"},
        {"a.", "other"},      {".css", "css"},           {"a.cs", "other"},
        {"a.csss", "other"},  {"a.png/readme", "other"},
    };
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct event event = one_change(wire, 0, rows[i].path, HR_OP_MODIFIED);
        assert_text(json_member(first_change(&event), "kind"), rows[i].kind);
        assert_text(json_member(event.data, "type"),
                    strcmp(rows[i].kind, "css") == 0 ? "css" : "reload");
    }
    hr_wire_free(wire);
}

static void test_one_other_file_makes_it_a_reload(void **state)
{
    const hr_change changes[] = {
        {{"a.css", 5}, 0, HR_OP_MODIFIED},
        {{"b.css", 5}, 0, HR_OP_ADDED},
        {{"c.html", 6}, 0, HR_OP_REMOVED},
    };
    hr_wire *wire = new_wire("/srv");
    hr_wire_add_root(wire, text("/srv"));
    struct event event = changes_event(wire, changes, 2, 0);
    assert_text(json_member(event.data, "type"), "css");
    event = changes_event(wire, changes, 3, 0);
    assert_text(json_member(event.data, "type"), "reload");
    static const char *const ops[] = {"modified", "added", "removed"};
    for (size_t i = 0; i < 3; i++) {
        const char *change = json_item(json_member(event.data, "changes"), i);
        assert_text(json_member(change, "op"), ops[i]);
        assert_text(json_member(change, "path"), changes[i].path.data);
        assert_text(json_item(json_member(event.data, "files"), i), changes[i].path.data);
    }
    assert_null(json_item(json_member(event.data, "changes"), 3));
    assert_null(json_item(json_member(event.data, "files"), 3));
    hr_wire_free(wire);
}

static void test_time_is_utc_in_iso_8601(void **state)
{
    static const struct {
        int64_t unix_us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951827696789000, "2000-02-29T12:34:56.789Z"},
        {1767225599999999, "2025-12-31T23:59:59.999Z"},
        {4102444800000000, "2100-01-01T00:00:00.000Z"},
    };
    const hr_change change = {{"a", 1}, 0, HR_OP_MODIFIED};
    hr_wire *wire = new_wire("/srv");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct event event = changes_event(wire, &change, 1, rows[i].unix_us);
        assert_text(json_member(event.data, "timestamp"), rows[i].text);
    }
    hr_wire_free(wire);
}

/* ---- events ---- */

static void test_changes_are_unnamed_and_numbered(void **state)
{
    hr_wire *wire = new_wire("/srv");
    struct event event = one_change(wire, 0, "a", HR_OP_MODIFIED);
    assert_string_equal(event.event, "");
    assert_string_equal(event.id, cursor_text);
    hr_wire_free(wire);
}

static void test_hello_says_that_pages_morph(void **state)
{
    hr_wire *wire = new_wire("/srv");
    hr_buffer out = {0};
    hr_wire_set_morph(wire, true);
    assert_int_equal(hr_wire_hello(wire, cursor, false, &out), HR_OK);
    struct event event = event_read(out.data, out.size);
    assert_true(json_valid(event.data));
    assert_memory_equal(json_member(event.data, "morph"), "true", 4);
    hr_buffer_fini(&out);
    hr_wire_free(wire);
}

static void test_hello_says_boot_and_cursor(void **state)
{
    hr_wire *wire = new_wire("/srv");
    for (int reload = 0; reload <= 1; reload++) {
        hr_buffer out = {0};
        assert_int_equal(hr_wire_hello(wire, cursor, reload, &out), HR_OK);
        struct event event = event_read(out.data, out.size);
        assert_int_equal(event.size, out.size);
        assert_string_equal(event.event, "hello");
        assert_string_equal(event.id, cursor_text);
        assert_true(json_valid(event.data));
        assert_text(json_member(event.data, "boot"), "0123456789abcdef");
        assert_text(json_member(event.data, "cursor"), cursor_text);
        assert_memory_equal(json_member(event.data, "reload"), reload ? "true" : "false",
                            reload ? 4 : 5);
        assert_null(json_member(event.data, "morph"));
        hr_buffer_fini(&out);
    }
    hr_wire_free(wire);
}

static void test_shutdown_has_the_form_of_changes(void **state)
{
    hr_wire *wire = new_wire("/srv");
    hr_buffer out = {0};
    assert_int_equal(hr_wire_shutdown(wire, 951827696789000, &out), HR_OK);
    struct event event = event_read(out.data, out.size);
    assert_int_equal(event.size, out.size);
    assert_string_equal(event.event, "");
    assert_string_equal(event.id, ""); /* a cursor stays what it was */
    assert_true(json_valid(event.data));
    assert_text(json_member(event.data, "type"), "shutdown");
    assert_text(json_member(event.data, "timestamp"), "2000-02-29T12:34:56.789Z");
    assert_memory_equal(json_member(event.data, "files"), "[]", 2);
    assert_memory_equal(json_member(event.data, "changes"), "[]", 2);
    hr_buffer_fini(&out);
    hr_wire_free(wire);
}

static void test_heartbeat_and_retry_are_no_messages(void **state)
{
    hr_buffer out = {0};
    assert_int_equal(hr_wire_heartbeat(&out), HR_OK);
    struct event event = event_read(out.data, out.size);
    assert_int_equal(event.size, out.size);
    assert_int_equal(event.comments, 1);
    assert_int_equal(event.data_lines, 0);
    out.size = 0;
    assert_int_equal(hr_wire_retry(UINT32_MAX, &out), HR_OK);
    event = event_read(out.data, out.size);
    assert_int_equal(event.size, out.size);
    assert_true(event.retry == UINT32_MAX);
    assert_int_equal(event.data_lines, 0);
    hr_buffer_fini(&out);
}

/* ---- errors ---- */

static void test_relative_directories_are_refused(void **state)
{
    hr_wire *wire = NULL;
    assert_int_equal(hr_wire_new(text("a"), &wire), HR_INVALID);
    assert_int_equal(hr_wire_new(text(""), &wire), HR_INVALID);
    assert_int_equal(hr_wire_new((hr_bytes){"/a\0b", 4}, &wire), HR_INVALID);
    assert_null(wire);
    wire = new_wire("/srv");
    assert_int_equal(hr_wire_add_root(wire, text("a")), HR_INVALID);
    assert_int_equal(hr_wire_add_served(wire, text("a"), text("/")), HR_INVALID);
    hr_wire_free(wire);
    hr_wire_free(NULL);
}

static hr_status write_all(const hr_change *change, hr_buffer *out)
{
    hr_wire *wire = NULL;
    hr_status status = hr_wire_new(text("/srv"), &wire);
    if (status == HR_OK)
        status = hr_wire_add_root(wire, text("/srv"));
    if (status == HR_OK)
        status = hr_wire_add_served(wire, text("/srv"), text("/s"));
    if (status == HR_OK)
        status = hr_wire_add_served(wire, text("/srv"), text("/t"));
    const hr_delta delta = {
        .kind = HR_SINCE_CHANGES, .cursor = cursor, .batch = {.changes = change, .count = 1}};
    if (status == HR_OK)
        status = hr_wire_changes(wire, &delta, out);
    if (status == HR_OK)
        status = hr_wire_hello(wire, cursor, true, out);
    if (status == HR_OK)
        status = hr_wire_shutdown(wire, 0, out);
    if (status == HR_OK)
        status = hr_wire_heartbeat(out);
    if (status == HR_OK)
        status = hr_wire_retry(1, out);
    hr_wire_free(wire);
    return status;
}

/* Whatever fails, the buffer holds whole events. */
static void test_without_memory_no_event_is_cut(void **state)
{
    static char name[3000];
    memset(name, 'n', sizeof name);
    const hr_change change = {{name, sizeof name}, 0, HR_OP_MODIFIED};
    for (size_t i = 0;; i++) {
        hr_buffer out = {0};
        failing_at(i, false);
        hr_status status = write_all(&change, &out);
        bool failed = failing_happened();
        failing_never();
        assert_int_equal(status, failed ? HR_NOMEM : HR_OK);
        for (size_t at = 0; at < out.size;) {
            struct event event = event_read(out.data + at, out.size - at);
            assert_true(event.size > 0);
            assert_true(!event.data_lines || json_valid(event.data));
            at += event.size;
        }
        hr_buffer_fini(&out);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_relative_to_the_base),
        cmocka_unit_test(test_root_of_a_change_is_its_number),
        cmocka_unit_test(test_any_name_comes_back_byte_for_byte),
        cmocka_unit_test(test_any_bytes_make_valid_json),
        cmocka_unit_test(test_address_is_that_of_the_longest_directory),
        cmocka_unit_test(test_other_addresses_come_after_the_files),
        cmocka_unit_test(test_an_address_is_told_once),
        cmocka_unit_test(test_of_too_many_addresses_the_best_are_told),
        cmocka_unit_test(test_address_is_percent_encoded),
        cmocka_unit_test(test_kind_is_that_of_the_extension),
        cmocka_unit_test(test_one_other_file_makes_it_a_reload),
        cmocka_unit_test(test_time_is_utc_in_iso_8601),
        cmocka_unit_test(test_changes_are_unnamed_and_numbered),
        cmocka_unit_test(test_hello_says_boot_and_cursor),
        cmocka_unit_test(test_hello_says_that_pages_morph),
        cmocka_unit_test(test_shutdown_has_the_form_of_changes),
        cmocka_unit_test(test_heartbeat_and_retry_are_no_messages),
        cmocka_unit_test(test_relative_directories_are_refused),
        cmocka_unit_test(test_without_memory_no_event_is_cut),
    };
    guard_init(&guard, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_fini(&guard);
    return failed;
}
