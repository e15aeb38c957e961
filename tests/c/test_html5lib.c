/*
 * The search for the place of the tag, on the tree-construction cases of html5lib-tests: however
 * a document is cut, it ends the same, and no byte is let go before which the tag still goes.
 * Whether the place is right is for tests/browser/placement.test.mjs, which has a parser.
 *
 *     test_html5lib DIRECTORY      of the test data; HOT_RELOAD_TEST_DATA names another
 */
#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "feeder.h"
#include "hotreload.h"

/* How far into a document it is cut. */
enum { SPLIT_MAX = 2048 };

static glob_t files;
static struct guard guard;

static struct outcome search_whole(hr_bytes document, bool certain)
{
    struct feeder feeder;
    feeder_begin(&feeder, &guard, certain);
    feeder_feed(&feeder, document.data, document.size);
    return feeder_finish(&feeder);
}

static struct outcome search_in_two(hr_bytes document, size_t split, bool certain)
{
    struct feeder feeder;
    feeder_begin(&feeder, &guard, certain);
    feeder_feed(&feeder, document.data, split);
    feeder_feed(&feeder, document.data + split, document.size - split);
    return feeder_finish(&feeder);
}

static struct outcome search_by_bytes(hr_bytes document, bool certain)
{
    struct feeder feeder;
    feeder_begin(&feeder, &guard, certain);
    for (size_t i = 0; i < document.size; i++)
        feeder_feed(&feeder, document.data + i, 1);
    return feeder_finish(&feeder);
}

static void assert_same(struct outcome found, struct outcome whole, hr_bytes document, size_t split)
{
    if (found.ended == whole.ended && found.offset == whole.offset)
        return;
    fail_msg("verdict %d at %ju, cut at %zu %d at %ju: %.*s", whole.ended, (uintmax_t)whole.offset,
             split, found.ended, (uintmax_t)found.offset, (int)document.size, document.data);
}

static void cut_everywhere(hr_bytes document, bool certain)
{
    const struct outcome whole = search_whole(document, certain);

    assert_same(search_by_bytes(document, certain), whole, document, 1);
    for (size_t split = 0; split <= document.size && split <= SPLIT_MAX; split++)
        assert_same(search_in_two(document, split, certain), whole, document, split);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    assert_true(length >= 0);
    rewind(file);
    char *data = malloc((size_t)length + 1);
    assert_non_null(data);
    *size = fread(data, 1, (size_t)length, file);
    assert_int_equal(*size, length);
    fclose(file);
    return data;
}

/* The end of the first `text` in the bytes from `at`, or NULL. */
static const char *after(const char *at, const char *end, const char *text)
{
    const char *found = memmem(at, (size_t)(end - at), text, strlen(text));
    return found ? found + strlen(text) : NULL;
}

/* Takes one document after the other out of a file: what lies between `#data` and `#errors`. */
static bool next_document(const char **at, const char *end, hr_bytes *document)
{
    static const char errors[] = "\n#errors\n";
    const char *begin = after(*at, end, "#data\n");
    /* The line break before `#errors` is that of `#data` where the document is empty. */
    const char *rest = begin ? after(begin - 1, end, errors) : NULL;

    if (!rest)
        return false;
    const char *last = rest - strlen(errors);
    *document = (hr_bytes){begin, last > begin ? (size_t)(last - begin) : 0};
    *at = rest;
    return true;
}

static size_t cut_file(const char *path)
{
    size_t size, count = 0;
    char *data = read_file(path, &size);
    const char *at = data;
    hr_bytes document;

    while (next_document(&at, data + size, &document)) {
        cut_everywhere(document, true);
        cut_everywhere(document, false);
        count++;
    }
    free(data);
    return count;
}

static void test_cuts_change_nothing(void **state)
{
    size_t count = 0;

    for (size_t i = 0; i < files.gl_pathc; i++)
        count += cut_file(files.gl_pathv[i]);
    assert_true(count > 800);
}

static bool find_files(const char *directory)
{
    char pattern[PATH_MAX];
    const char *named = getenv("HOT_RELOAD_TEST_DATA");

    snprintf(pattern, sizeof pattern, "%s/html5lib-tests/tree-construction/*.dat",
             named ? named : directory);
    if (glob(pattern, 0, NULL, &files) == 0)
        return true;
    printf("1..0 # SKIP no %s (HOT_RELOAD_TEST_DATA names another directory)\n", pattern);
    return false;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_change_nothing),
    };

    if (!find_files(argc > 1 ? argv[1] : "../shared/data"))
        return 0;
    guard_init(&guard, HR_INJECT_LIMIT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_fini(&guard);
    globfree(&files);
    return failed;
}
