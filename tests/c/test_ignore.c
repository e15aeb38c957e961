/* Which names are junk, and which only look like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ignore.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static const hr_ignore no_globs;

static void assert_each(const char *const *names, size_t count, bool directory, bool expected)
{
    for (size_t i = 0; i < count; i++)
        if (hr_ignore_matches(&no_globs, names[i], directory) != expected)
            fail_msg("%s", names[i]);
}

static void test_directories_of_tools_are_junk(void **state)
{
    static const char *const names[] = {
        ".git",        ".hg",         ".svn",          ".jj",           "CVS",
        ".venv",       "venv",        "node_modules",  "__pycache__",   ".mypy_cache",
        ".ruff_cache", ".tox",        ".nox",          ".pytest_cache", ".idea",
        ".vscode",     "x.egg-info",  ".parcel-cache", ".sass-cache",   ".ipynb_checkpoints",
        ".cache",      ".hypothesis", "_darcs",        ".bzr",          ".eggs",
    };
    assert_each(names, COUNT(names), true, true);
}

static void test_directories_of_people_are_none(void **state)
{
    static const char *const names[] = {
        "git",           "environment", "vendor",      "static",   "build", "dist",  "logs",
        "cache",         "node",        ".well-known", ".github",  "env",   "venv2", "app.log",
        "node_modules2", "a.db",        "templates~",  "egg-info", "4913",  ".swp",  "tmp",
    };
    assert_each(names, COUNT(names), true, false);
}

static void test_files_of_a_moment_are_junk(void **state)
{
    static const char *const names[] = {
        "4913", /* vim asks whether it may write */
        ".index.html.swp",
        ".index.html.swo",
        ".index.html.swx",
        "index.html~", /* vim, emacs, others */
        ".#index.html",
        "#index.html#", /* emacs */
        "index.html___jb_tmp___",
        "index.html___jb_old___", /* JetBrains */
        ".goutputstream-AB12CD",  /* gedit */
        "index.html.kate-swp",
        ".~lock.table.ods#", /* Kate, LibreOffice */
        "sedAbCd12",
        ".index.html.q7RtY2", /* sed -i, rsync */
        ".nfs000000000123",
        "index.html.tmp",
        "index.html.crdownload",
        "film.part",
    };
    assert_each(names, COUNT(names), false, true);
}

static void test_files_of_programs_are_junk(void **state)
{
    static const char *const names[] = {
        "a.pyc",       "a.pyo",     "app.log",   "data.db",       "data.db-journal",
        "data.db-wal", "d.sqlite",  "d.sqlite3", "d.sqlite3-wal", "d.sqlite-shm",
        ".DS_Store",   "Thumbs.db", ".git",
    };
    assert_each(names, COUNT(names), false, true);
}

static void test_files_of_people_are_none(void **state)
{
    static const char *const names[] = {
        "index.html",
        "site.css",
        "a.py",
        "~",
        "a~b",
        ".env",
        ".env.local",
        "env.local",
        ".eslintrc.config",
        ".babelrc.backup",
        ".env.GITHUB",
        ".notes.202401",
        ".a.b",
        "sedation",
        "sediments",
        "sed",
        "sed.html",

        "sed-Ab12.",
        "build.part1",
        "partial",
        "tmp",
        "tmp.html",
        "a.tmp.html",
        "log",
        "catalog",
        "changelog",
        "log.html",
        "adb",
        "db",
        "db.json",
        "a.sql",
        "a.dbx",
        "sqlite",
        "a.swf",
        "swap.swift",
        ".hidden",
        ".swift",
        "#",
        "#hash",
        "hash#",
        "49130",
        "4913.css",
        "DS_Store",
        ".gitignore",
        ".git-blame-ignore-revs",
        "Makefile",
        "pyc",
        ".log",
        "jb_tmp",
        "a.pyx",
        "\xff\xfe",
        "a b.css",
        ".htaccess",
        ".config.josaaa",
        "node_modules",
        "venv",
        "__pycache__",
        "x.egg-info",
    };
    assert_each(names, COUNT(names), false, false);
}

static void test_globs_match_files_and_directories(void **state)
{
    hr_ignore ignore = {0};
    assert_int_equal(hr_ignore_add(&ignore, "*.min.css"), HR_OK);
    assert_int_equal(hr_ignore_add(&ignore, "build"), HR_OK);
    assert_int_equal(hr_ignore_add(&ignore, "[a-c]?.txt"), HR_OK);
    assert_true(hr_ignore_matches(&ignore, "site.min.css", false));
    assert_true(hr_ignore_matches(&ignore, ".min.css", false));
    assert_true(hr_ignore_matches(&ignore, "build", false));
    assert_true(hr_ignore_matches(&ignore, "build", true));
    assert_true(hr_ignore_matches(&ignore, "b1.txt", false));
    assert_true(hr_ignore_matches(&ignore, ".git", true));
    assert_false(hr_ignore_matches(&ignore, "site.css", false));
    assert_false(hr_ignore_matches(&ignore, "builds", true));
    assert_false(hr_ignore_matches(&ignore, "d1.txt", false));
    assert_false(ignore.anchored);
    hr_ignore_fini(&ignore);
    assert_false(hr_ignore_matches(&ignore, "build", true));
}

static void test_last_pattern_decides_over_junk_too(void **state)
{
    hr_ignore ignore = {0};
    assert_int_equal(hr_ignore_add(&ignore, "docs/*.html"), HR_OK);
    assert_int_equal(hr_ignore_add(&ignore, "!docs/index.html"), HR_OK);
    assert_int_equal(hr_ignore_add(&ignore, "!*.log"), HR_OK);
    assert_int_equal(hr_ignore_add(&ignore, "!.git/"), HR_OK);
    assert_int_equal(hr_ignore_add(&ignore, "/"), HR_INVALID);
    assert_true(ignore.anchored);
    assert_true(hr_ignore_matches(&ignore, "docs/a.html", false));
    assert_false(hr_ignore_matches(&ignore, "docs/index.html", false));
    assert_false(hr_ignore_matches(&ignore, "x/docs/a.html", false));
    assert_false(hr_ignore_matches(&ignore, "x/app.log", false));
    assert_false(hr_ignore_matches(&ignore, "x/.git", true));
    assert_true(hr_ignore_matches(&ignore, "x/.git", false));
    assert_true(hr_ignore_matches(&ignore, "x/y/.hg", true));
    hr_ignore_fini(&ignore);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directories_of_tools_are_junk),
        cmocka_unit_test(test_directories_of_people_are_none),
        cmocka_unit_test(test_files_of_a_moment_are_junk),
        cmocka_unit_test(test_files_of_programs_are_junk),
        cmocka_unit_test(test_files_of_people_are_none),
        cmocka_unit_test(test_globs_match_files_and_directories),
        cmocka_unit_test(test_last_pattern_decides_over_junk_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
