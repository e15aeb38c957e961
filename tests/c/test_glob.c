/* gitignore(5), pattern by pattern. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "glob.h"

struct row {
    const char *pattern;
    const char *path;
    bool directory;
    bool matches;
};

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hr_glob glob;
        assert_int_equal(hr_glob_parse(rows[i].pattern, &glob), HR_OK);
        if (hr_glob_matches(&glob, rows[i].path, rows[i].directory) != rows[i].matches)
            fail_msg("%s %s %s", rows[i].pattern, rows[i].matches ? "misses" : "matches",
                     rows[i].path);
        hr_glob_fini(&glob);
    }
}

#define ASSERT_ROWS(rows) assert_rows(rows, sizeof(rows) / sizeof *(rows))

static void test_name_matches_at_any_depth(void **state)
{
    static const struct row rows[] = {
        {"*.bak", "a.bak", false, true},    {"*.bak", "x/y/a.bak", false, true},
        {"*.bak", "a.bak/b", false, false}, {"*.bak", "a.baker", false, false},
        {"build", "build", true, true},     {"build", "x/build", false, true},
        {"build", "builds", false, false},  {"a?c", "abc", false, true},
        {"a?c", "ac", false, false},        {"*", "anything", false, true},
        {"a*b*c", "aXbYbZc", false, true},  {"a*b*c", "aXbYbZ", false, false},
    };
    ASSERT_ROWS(rows);
}

static void test_slash_anchors_to_the_root(void **state)
{
    static const struct row rows[] = {
        {"/a.css", "a.css", false, true},           {"/a.css", "x/a.css", false, false},
        {"doc/*.txt", "doc/a.txt", false, true},    {"doc/*.txt", "doc/x/a.txt", false, false},
        {"doc/*.txt", "x/doc/a.txt", false, false},
    };
    ASSERT_ROWS(rows);
}

static void test_trailing_slash_means_directories(void **state)
{
    static const struct row rows[] = {
        {"out/", "out", true, true},
        {"out/", "out", false, false},
        {"out/", "x/out", true, true},
        {"/out/", "x/out", true, false},
    };
    ASSERT_ROWS(rows);
}

static void test_two_stars_are_any_number_of_directories(void **state)
{
    static const struct row rows[] = {
        {"**/foo", "foo", false, true},
        {"**/foo", "a/b/foo", false, true},
        {"**/foo", "a/b/foot", false, false},
        {"abc/**", "abc/x/y", false, true},
        {"abc/**", "abc", true, false},
        {"abc/**", "x/abc/y", false, false},
        {"a/**/b", "a/b", false, true},
        {"a/**/b", "a/x/b", false, true},
        {"a/**/b", "a/x/y/b", false, true},
        {"a/**/b", "a/x/y/c", false, false},
        {"a/**/b/**/c", "a/b/x/b/y/c", false, true},
        {"a**b", "axxb", false, true},
        {"x/a**b", "x/a/b", false, false},
    };
    ASSERT_ROWS(rows);
}

static void test_brackets_and_escapes(void **state)
{
    static const struct row rows[] = {
        {"[abc].c", "b.c", false, true},  {"[a-c].c", "d.c", false, false},
        {"[!a-c].c", "d.c", false, true}, {"[^a].c", "a.c", false, false},
        {"[]].c", "].c", false, true},    {"[a", "[a", false, true},
        {"\\*.c", "*.c", false, true},    {"\\*.c", "a.c", false, false},
        {"\\!a", "!a", false, true},      {"\\#a", "#a", false, true},
        {"#*#", "#a#", false, true},      {"a\\ ", "a ", false, true},
        {"a  ", "a", false, true},        {"x/[/]y", "x//y", false, false},
        {"[a-", "[a-", false, true},      {"\\", "\\", false, true},
        {"[\\]]", "]", false, true},      {"[\\]]", "\\", false, false},
        {"[[-\\]]", "]", false, true},    {"[[-\\]]", "^", false, false},
        {"[[-\\]]", "[", false, true},    {"[a-]", "-", false, true},
    };
    ASSERT_ROWS(rows);
}

static void test_negation_is_told(void **state)
{
    hr_glob glob;
    assert_int_equal(hr_glob_parse("!keep.log", &glob), HR_OK);
    assert_true(glob.negated);
    assert_true(hr_glob_matches(&glob, "a/keep.log", false));
    hr_glob_fini(&glob);
}

static void test_nothing_is_refused(void **state)
{
    hr_glob glob;
    static const char *const empty[] = {"", "/", "!", "  ", "!/"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        assert_int_equal(hr_glob_parse(empty[i], &glob), HR_INVALID);
}

/* Exponential matchers never end here. */
static void test_many_stars_end(void **state)
{
    hr_glob glob;
    assert_int_equal(hr_glob_parse("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", &glob), HR_OK);
    assert_false(hr_glob_matches(
        &glob, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        false));
    hr_glob_fini(&glob);

    assert_int_equal(hr_glob_parse("**/**/**/**/**/**/**/**/**/**/**/**/**/**/b", &glob), HR_OK);
    assert_false(hr_glob_matches(
        &glob, "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", false));
    hr_glob_fini(&glob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_matches_at_any_depth),
        cmocka_unit_test(test_slash_anchors_to_the_root),
        cmocka_unit_test(test_trailing_slash_means_directories),
        cmocka_unit_test(test_two_stars_are_any_number_of_directories),
        cmocka_unit_test(test_brackets_and_escapes),
        cmocka_unit_test(test_negation_is_told),
        cmocka_unit_test(test_nothing_is_refused),
        cmocka_unit_test(test_many_stars_end),
    };
    return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
