/* What changed since a cursor: exact, bounded, from many threads. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing.h"
#include "guard.h"
#include "hotreload.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

enum { BOOT = 0xB007, CHANGES = 8 };

static hr_op op_of(char sign)
{
    return sign == '+' ? HR_OP_ADDED : sign == '~' ? HR_OP_MODIFIED : HR_OP_REMOVED;
}

/* "+a ~b -1:c": a word a change, with the number of its root if that is not 0. */
static void push_at(hr_journal *journal, const char *words, uint64_t first_us, int64_t unix_us)
{
    hr_change changes[CHANGES];
    hr_batch batch = {
        .changes = changes, .first_us = first_us, .settled_us = first_us + 1, .unix_us = unix_us};
    char text[512];
    char *rest = NULL;
    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *colon = strchr(word, ':');
        char *path = colon ? colon + 1 : word + 1;
        assert_true(batch.count < CHANGES);
        changes[batch.count++] = (hr_change){.path = {path, strlen(path)},
                                             .root = colon ? (uint32_t)atoi(word + 1) : 0,
                                             .op = op_of(*word)};
    }
    hr_journal_push(journal, &batch);
    memset(text, '?', sizeof text); /* it has made a copy */
}

static void push(hr_journal *journal, const char *words)
{
    push_at(journal, words, 1, 1);
}

static int compare_changes(const void *left, const void *right)
{
    const hr_change *a = left, *b = right;
    size_t size = a->path.size < b->path.size ? a->path.size : b->path.size;
    int order = memcmp(a->path.data, b->path.data, size);
    if (!order)
        order = (a->path.size > b->path.size) - (a->path.size < b->path.size);
    return order ? order : (a->root > b->root) - (a->root < b->root);
}

/* As it was pushed, sorted by name. */
static void write_words(const hr_batch *batch, char *out, size_t size)
{
    hr_change *sorted = reallocarray(NULL, batch->count + 1, sizeof *sorted);
    size_t end = 0;
    assert_non_null(sorted);
    *out = '\0';
    memcpy(sorted, batch->changes, batch->count * sizeof *sorted);
    qsort(sorted, batch->count, sizeof *sorted, compare_changes);
    for (size_t i = 0; i < batch->count && end < size; i++) {
        char root[16] = "";
        if (sorted[i].root)
            snprintf(root, sizeof root, "%u:", sorted[i].root);
        end += (size_t)snprintf(out + end, size - end, "%s%c%s%.*s", i ? " " : "",
                                "?+~-"[sorted[i].op], root, (int)sorted[i].path.size,
                                sorted[i].path.data);
    }
    free(sorted);
}

/* `expected`: words, or NULL: nothing. The cursor moves on. */
static void assert_since(hr_journal *journal, hr_cursor *cursor, const char *expected)
{
    char words[1024];
    hr_delta delta;
    assert_int_equal(hr_journal_since(journal, *cursor, &delta), HR_OK);
    assert_int_equal(delta.kind, expected ? HR_SINCE_CHANGES : HR_SINCE_NOTHING);
    if (expected) {
        write_words(&delta.batch, words, sizeof words);
        assert_string_equal(words, expected);
    }
    *cursor = delta.cursor;
    hr_delta_fini(&delta);
}

static void assert_lost(hr_journal *journal, hr_cursor cursor)
{
    hr_delta delta;
    assert_int_equal(hr_journal_since(journal, cursor, &delta), HR_OK);
    assert_int_equal(delta.kind, HR_SINCE_LOST);
    hr_cursor next = delta.cursor;
    hr_delta_fini(&delta);
    assert_since(journal, &next, NULL); /* the cursor that comes with it is good */
}

static hr_journal *new_journal(size_t batches, size_t bytes)
{
    hr_journal *journal = NULL;
    const hr_journal_limits limits = {batches, bytes};
    assert_int_equal(hr_journal_new(BOOT, &limits, &journal), HR_OK);
    return journal;
}

/* `expected`: words, or NULL: nothing waits. Returns the cursor to tell it by. */
static hr_cursor assert_waiting_after(hr_journal *journal, hr_cursor after, const char *expected)
{
    char words[1024];
    hr_delta delta;
    assert_int_equal(hr_journal_waiting(journal, after, &delta), HR_OK);
    assert_int_equal(delta.kind, expected ? HR_SINCE_CHANGES : HR_SINCE_NOTHING);
    if (expected) {
        write_words(&delta.batch, words, sizeof words);
        assert_string_equal(words, expected);
    }
    hr_cursor cursor = delta.cursor;
    hr_delta_fini(&delta);
    return cursor;
}

static hr_cursor assert_waiting(hr_journal *journal, const char *expected)
{
    return assert_waiting_after(journal, (hr_cursor){BOOT, 0}, expected);
}

/* ---- cursors ---- */

static void test_cursor_is_written_and_read(void **state)
{
    static const hr_cursor rows[] = {
        {0, 0}, {1, 2}, {UINT64_MAX, UINT64_MAX}, {0x0123456789abcdef, 0xfedcba9876543210}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char written[HR_CURSOR_SIZE];
        hr_cursor read;
        hr_cursor_format(rows[i], written);
        assert_int_equal(hr_cursor_parse((hr_bytes){written, sizeof written}, &read), HR_OK);
        assert_int_equal(read.boot, rows[i].boot);
        assert_int_equal(read.sequence, rows[i].sequence);
    }
    char written[HR_CURSOR_SIZE];
    hr_cursor_format(rows[3], written);
    assert_memory_equal(written, "0123456789abcdef.fedcba9876543210", HR_CURSOR_SIZE);
}

static void test_what_is_no_cursor_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "0123456789abcdef.fedcba987654321",
        "0123456789abcdef.fedcba98765432100",
        "0123456789abcdef-fedcba9876543210",
        "0123456789ABCDEF.fedcba9876543210",
        "0123456789abcdeg.fedcba9876543210",
        " 123456789abcdef.fedcba9876543210",
        "0123456789abcdef.fedcba98765432-1",
        "0123456789abcdef.0xdcba9876543210",
    };
    struct guard guard;
    guard_init(&guard, 4096);
    hr_cursor cursor = {7, 7};
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i]);
        hr_bytes text = {guard_put(&guard, rows[i], size), size};
        if (hr_cursor_parse(text, &cursor) != HR_INVALID)
            fail_msg("%s", rows[i]);
    }
    const char zero[HR_CURSOR_SIZE + 1] = "0123456789abcde\0.fedcba9876543210";
    assert_int_equal(hr_cursor_parse((hr_bytes){zero, HR_CURSOR_SIZE}, &cursor), HR_INVALID);
    assert_int_equal(hr_cursor_parse((hr_bytes){NULL, 0}, &cursor), HR_INVALID);
    assert_int_equal(cursor.boot, 7);
    guard_fini(&guard);
}

static void test_boot_of_zero_is_refused(void **state)
{
    hr_journal *journal = NULL;
    assert_int_equal(hr_journal_new(0, NULL, &journal), HR_INVALID);
    assert_null(journal);
    hr_journal_free(NULL);
}

/* ---- since ---- */

static void test_all_that_is_pushed_later_is_since(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor start = hr_journal_now(journal), cursor = start;
    assert_int_equal(start.boot, BOOT);
    assert_since(journal, &cursor, NULL);
    for (int i = 0; i < 100; i++) { /* in one and the same microsecond, now and then */
        push(journal, "~a");
        hr_cursor now = hr_journal_now(journal);
        assert_true(now.sequence >= cursor.sequence);
        assert_since(journal, &cursor, "~a");
        assert_since(journal, &now, NULL);
        assert_since(journal, &cursor, NULL);
    }
    push(journal, "+b");
    assert_since(journal, &start, "~a +b");
    hr_journal_free(journal);
}

static void test_merging_keeps_the_strongest_truth(void **state)
{
    static const struct {
        const char *pushed[6];
        const char *expected;
    } rows[] = {
        {{"+a", "-a"}, NULL},
        {{"-a", "+a"}, "~a"},
        {{"+a", "~a"}, "+a"},
        {{"~a", "~a"}, "~a"},
        {{"~a", "-a"}, "-a"},
        {{"+a", "~a", "-a"}, NULL},
        {{"+a", "-a", "+a"}, "+a"},
        {{"-a", "+a", "-a"}, "-a"},
        {{"-a", "+a", "~a"}, "~a"},
        {{"~a", "-a", "+a", "-a", "+a"}, "~a"},
        {{"+a", "-a", "+a", "-a"}, NULL},
        {{"+a", "+b", "-a"}, "+b"},
        {{"+a ~b", "~a -c", "-b"}, "+a -b -c"},
        {{"+a", "-1:a"}, "+a -1:a"},
        {{"+ab", "-a", "~abc"}, "-a +ab ~abc"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_journal *journal = new_journal(0, 0);
        hr_cursor cursor = hr_journal_now(journal), before = cursor;
        for (size_t k = 0; rows[i].pushed[k]; k++)
            push(journal, rows[i].pushed[k]);
        assert_since(journal, &cursor, rows[i].expected);
        assert_true(cursor.sequence > before.sequence);
        assert_since(journal, &cursor, NULL);
        hr_journal_free(journal);
    }
}

static void test_times_span_what_was_merged(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor cursor = hr_journal_now(journal);
    hr_delta delta;
    push_at(journal, "~a", 1000, 70);
    push_at(journal, "~b", 2000, 80);
    assert_int_equal(hr_journal_since(journal, cursor, &delta), HR_OK);
    assert_int_equal(delta.batch.first_us, 1000);
    assert_int_equal(delta.batch.settled_us, 2001);
    assert_int_equal(delta.batch.unix_us, 80);
    hr_journal_free(journal); /* a delta owns its memory */
    char words[64];
    write_words(&delta.batch, words, sizeof words);
    assert_string_equal(words, "~a ~b");
    hr_delta_fini(&delta);
    hr_delta_fini(&delta);
}

static void test_thousands_of_files_are_merged(void **state)
{
    enum { FILES = 5000, BATCHES = 6 };
    static hr_change changes[FILES];
    static char names[FILES][16];
    hr_journal *journal = new_journal(0, 0);
    hr_cursor cursor = hr_journal_now(journal);
    for (int i = 0; i < BATCHES; i++) {
        for (int k = 0; k < FILES; k++) {
            int size = snprintf(names[k], sizeof names[k], "dir/%d", k + i * 100);
            changes[k] = (hr_change){{names[k], (size_t)size}, 0, HR_OP_MODIFIED};
        }
        hr_journal_push(journal, &(hr_batch){.changes = changes, .count = FILES});
    }
    hr_delta delta;
    assert_int_equal(hr_journal_since(journal, cursor, &delta), HR_OK);
    assert_int_equal(delta.batch.count, FILES + (BATCHES - 1) * 100);
    hr_delta_fini(&delta);
    hr_journal_free(journal);
}

/* ---- limits ---- */

static void test_ring_wraps_and_stays_exact(void **state)
{
    enum { RING = 5, PUSHES = 40 };
    hr_journal *journal = new_journal(RING, 0);
    hr_cursor cursors[PUSHES + 1];
    cursors[0] = hr_journal_now(journal);
    for (int i = 1; i <= PUSHES; i++) {
        char word[16];
        snprintf(word, sizeof word, "~%d", i);
        push(journal, word);
        cursors[i] = hr_journal_now(journal);
        for (int k = 0; k <= i; k++) {
            if (i - k > RING) {
                assert_lost(journal, cursors[k]);
                continue;
            }
            hr_delta delta;
            assert_int_equal(hr_journal_since(journal, cursors[k], &delta), HR_OK);
            assert_int_equal(delta.kind, k == i ? HR_SINCE_NOTHING : HR_SINCE_CHANGES);
            assert_int_equal(delta.batch.count, i - k);
            hr_delta_fini(&delta);
        }
    }
    hr_journal_free(journal);
}

static void test_cursor_of_another_time_is_lost(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor now = hr_journal_now(journal);
    assert_lost(journal, (hr_cursor){BOOT + 1, now.sequence});
    assert_lost(journal, (hr_cursor){BOOT, 0});
    /* Of another worker, a little ahead of this one. */
    hr_cursor ahead = {BOOT, now.sequence + 1000000000};
    assert_since(journal, &ahead, NULL);
    hr_journal_free(journal);
}

static void test_bytes_are_bounded(void **state)
{
    hr_journal *journal = new_journal(0, 1000);
    hr_cursor start = hr_journal_now(journal);
    char word[400];
    memset(word, 'x', sizeof word);
    word[0] = '~';
    word[sizeof word - 1] = '\0';
    push(journal, word);
    hr_cursor second = hr_journal_now(journal);
    push(journal, "~a");
    hr_cursor third = hr_journal_now(journal), kept = third;
    push(journal, word);
    assert_lost(journal, start);
    assert_since(journal, &kept, word);
    hr_delta delta;
    assert_int_equal(hr_journal_since(journal, second, &delta), HR_OK);
    assert_true(delta.kind != HR_SINCE_NOTHING);
    hr_delta_fini(&delta);
    hr_journal_free(journal);
}

static void test_batch_too_large_to_keep_is_a_loss(void **state)
{
    hr_journal *journal = new_journal(0, 300);
    char word[500];
    memset(word, 'x', sizeof word);
    word[0] = '~';
    word[sizeof word - 1] = '\0';
    hr_cursor start = hr_journal_now(journal);
    push(journal, "~a");
    hr_cursor between = hr_journal_now(journal);
    push(journal, word);
    assert_lost(journal, start);
    assert_lost(journal, between);
    hr_cursor after = hr_journal_now(journal);
    assert_since(journal, &after, NULL);
    push(journal, "~b");
    assert_since(journal, &after, "~b");
    assert_lost(journal, start);
    hr_journal_free(journal);
}

static void test_batch_without_memory_is_a_loss(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor start = hr_journal_now(journal);
    int fd;
    uint64_t count;
    assert_int_equal(hr_journal_subscribe(journal, &fd), HR_OK);
    push(journal, "~a");
    hr_cursor between = hr_journal_now(journal);
    failing_at(0, false);
    push(journal, "~b");
    assert_true(failing_happened());
    failing_never();
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 2);
    assert_lost(journal, start);
    assert_lost(journal, between);
    hr_journal_free(journal);
}

static void test_question_without_memory_can_be_asked_again(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor cursor = hr_journal_now(journal);
    push(journal, "~a");
    push(journal, "+b");
    for (size_t i = 0;; i++) {
        hr_delta delta = {.kind = HR_SINCE_LOST};
        failing_at(i, false);
        hr_status status = hr_journal_since(journal, cursor, &delta);
        bool failed = failing_happened();
        failing_never();
        if (!failed) {
            assert_int_equal(status, HR_OK);
            hr_delta_fini(&delta);
            break;
        }
        assert_int_equal(status, HR_NOMEM);
        assert_int_equal(delta.kind, HR_SINCE_LOST); /* untouched */
    }
    assert_since(journal, &cursor, "~a +b");
    hr_journal_free(journal);
}

static void test_flood_takes_bounded_memory(void **state)
{
    enum { LIMIT = 100000, PUSHES = 20000 };
    hr_journal *journal = new_journal(0, LIMIT);
    hr_cursor recent = hr_journal_now(journal);
    for (int i = 0; i < PUSHES; i++) {
        char words[128];
        snprintf(words, sizeof words, "+some/long/path/to/a/file/%d ~some/other/%d", i, i);
        if (i == PUSHES - 10)
            recent = hr_journal_now(journal);
        push(journal, words);
    }
    hr_delta delta;
    assert_int_equal(hr_journal_since(journal, recent, &delta), HR_OK);
    assert_int_equal(delta.kind, HR_SINCE_CHANGES);
    assert_int_equal(delta.batch.count, 20);
    hr_delta_fini(&delta);
    hr_journal_free(journal);
}

/* ---- subscribers ---- */

static bool is_readable(int fd)
{
    struct pollfd descriptor = {fd, POLLIN, 0};
    return poll(&descriptor, 1, 0) == 1;
}

/* ---- holding ---- */

static void test_what_is_held_waits_and_is_told_as_one(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor before = hr_journal_now(journal);
    assert_waiting(journal, NULL);
    push(journal, "~seen");
    hr_journal_hold(journal, true);
    assert_waiting(journal, NULL);
    push(journal, "+a ~b");
    push(journal, "-a ~c");
    /* A page that is made now has been made too early for what waits. */
    hr_cursor meanwhile = hr_journal_now(journal);
    hr_cursor reader = before;
    assert_since(journal, &reader, "~seen");
    assert_since(journal, &reader, NULL);
    assert_waiting(journal, "~b ~c");
    hr_journal_hold(journal, false);
    assert_waiting(journal, NULL);
    assert_since(journal, &reader, "~b ~c");
    assert_since(journal, &meanwhile, "~b ~c");
    assert_since(journal, &before, "~b ~c ~seen");
    push(journal, "~d");
    assert_since(journal, &reader, "~d");
    hr_journal_free(journal);
}

static void test_what_came_later_waits_on(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    hr_cursor reader = hr_journal_now(journal);
    hr_journal_hold(journal, true);
    push(journal, "~a");
    hr_cursor first = assert_waiting(journal, "~a");
    push(journal, "~b");
    assert_waiting(journal, "~a ~b");
    assert_waiting_after(journal, first, "~b");
    hr_journal_tell(journal, first);
    assert_since(journal, &reader, "~a");
    hr_cursor second = assert_waiting(journal, "~b");
    assert_waiting_after(journal, second, NULL);
    hr_journal_tell(journal, first);
    assert_since(journal, &reader, NULL);
    hr_journal_tell(journal, second);
    assert_since(journal, &reader, "~b");
    assert_waiting(journal, NULL);
    hr_journal_free(journal);
}

static void test_those_who_wait_are_woken_by_what_waits(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    uint64_t count;
    int fd;
    assert_int_equal(hr_journal_subscribe(journal, &fd), HR_OK);
    hr_journal_hold(journal, true);
    push(journal, "~a");
    assert_true(is_readable(fd));
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    hr_journal_tell(journal, assert_waiting(journal, "~a"));
    assert_true(is_readable(fd));
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    hr_journal_hold(journal, false);
    assert_true(is_readable(fd));
    hr_journal_free(journal);
}

static void assert_waiting_is_lost(hr_journal *journal)
{
    hr_delta delta;
    assert_int_equal(hr_journal_waiting(journal, (hr_cursor){BOOT, 0}, &delta), HR_OK);
    assert_int_equal(delta.kind, HR_SINCE_LOST);
    hr_journal_tell(journal, delta.cursor);
    hr_delta_fini(&delta);
}

static void test_too_much_to_hold_is_a_loss_when_it_is_told(void **state)
{
    enum { RING = 3 };
    hr_journal *journal = new_journal(RING, 0);
    hr_cursor start = hr_journal_now(journal);
    push(journal, "~seen");
    hr_cursor reader = hr_journal_now(journal);
    hr_journal_hold(journal, true);
    for (int i = 0; i < RING + 1; i++)
        push(journal, "~a");
    /* Not before: a reload would come too early. */
    assert_since(journal, &reader, NULL);
    assert_lost(journal, start);
    assert_waiting_is_lost(journal);
    assert_lost(journal, reader);
    assert_waiting(journal, NULL);

    hr_cursor after = hr_journal_now(journal);
    push(journal, "~b");
    hr_journal_hold(journal, false);
    assert_since(journal, &after, "~b");
    hr_journal_free(journal);
}

static void test_a_batch_too_large_to_hold_is_a_loss_when_it_is_told(void **state)
{
    hr_journal *journal = new_journal(0, 300);
    hr_cursor reader = hr_journal_now(journal);
    char word[500];
    memset(word, 'x', sizeof word);
    word[0] = '~';
    word[sizeof word - 1] = '\0';
    hr_journal_hold(journal, true);
    push(journal, word);
    assert_since(journal, &reader, NULL);
    push(journal, "~a");
    hr_journal_hold(journal, false);
    assert_lost(journal, reader);
    assert_waiting(journal, NULL);
    hr_journal_free(journal);
}

/* Else what is called for what waits would be called for it for ever. */
static void test_loss_that_was_seen_is_not_seen_again(void **state)
{
    hr_journal *journal = new_journal(1, 0);
    hr_cursor reader = hr_journal_now(journal);
    hr_delta delta;
    hr_journal_hold(journal, true);
    push(journal, "~a");
    push(journal, "~b");
    assert_int_equal(hr_journal_waiting(journal, (hr_cursor){BOOT, 0}, &delta), HR_OK);
    assert_int_equal(delta.kind, HR_SINCE_LOST);
    hr_cursor seen = delta.cursor;
    assert_waiting_after(journal, seen, NULL);
    push(journal, "~c");
    assert_int_equal(hr_journal_waiting(journal, seen, &delta), HR_OK);
    assert_int_equal(delta.kind, HR_SINCE_CHANGES);
    hr_delta_fini(&delta);

    /* What came later waits on, even where what came before was lost. */
    hr_journal_tell(journal, seen);
    assert_lost(journal, reader);
    reader = hr_journal_now(journal);
    assert_waiting(journal, "~c");
    assert_since(journal, &reader, NULL);
    hr_journal_hold(journal, false);
    assert_since(journal, &reader, "~c");
    hr_journal_free(journal);
}

static void test_loss_after_what_was_seen_waits_on(void **state)
{
    hr_journal *journal = new_journal(1, 0);
    hr_cursor reader = hr_journal_now(journal);
    hr_journal_hold(journal, true);
    push(journal, "~a");
    hr_cursor seen = assert_waiting(journal, "~a");
    push(journal, "~b"); /* in the place of what was seen */
    push(journal, "~c");
    hr_journal_tell(journal, seen);
    assert_lost(journal, reader);
    reader = hr_journal_now(journal);
    assert_since(journal, &reader, NULL);
    assert_waiting_is_lost(journal);
    assert_lost(journal, reader);
    assert_waiting(journal, NULL);
    hr_journal_free(journal);
}

static void test_journal_without_memory_is_none(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        hr_journal *journal = NULL;
        failing_at(i, false);
        assert_int_equal(hr_journal_new(BOOT, NULL, &journal), HR_NOMEM);
        failing_never();
        assert_null(journal);
    }
}

static void test_every_subscriber_is_woken(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    int fds[3];
    uint64_t count;
    for (size_t i = 0; i < COUNT(fds); i++) {
        assert_int_equal(hr_journal_subscribe(journal, &fds[i]), HR_OK);
        assert_false(is_readable(fds[i]));
    }
    push(journal, "~a");
    push(journal, "~b");
    for (size_t i = 0; i < COUNT(fds); i++) {
        assert_true(is_readable(fds[i]));
        assert_int_equal(read(fds[i], &count, sizeof count), sizeof count);
        assert_false(is_readable(fds[i]));
        assert_int_equal(read(fds[i], &count, sizeof count), -1); /* and does not block */
    }
    hr_journal_unsubscribe(journal, fds[1]);
    hr_journal_unsubscribe(journal, -1);
    hr_journal_wake(journal);
    assert_true(is_readable(fds[0]));
    assert_true(is_readable(fds[2]));
    hr_journal_unsubscribe(journal, fds[0]);
    hr_journal_free(journal);
    assert_int_equal(write(fds[2], &count, sizeof count), -1); /* closed with the journal */
}

static void test_subscriber_without_memory_leaves_the_others(void **state)
{
    hr_journal *journal = new_journal(0, 0);
    int fd, none = -7;
    assert_int_equal(hr_journal_subscribe(journal, &fd), HR_OK);
    failing_at(0, false);
    assert_int_equal(hr_journal_subscribe(journal, &none), HR_NOMEM);
    failing_never();
    assert_int_equal(none, -7);
    push(journal, "~a");
    assert_true(is_readable(fd));
    hr_journal_free(journal);
}

/* ---- threads ---- */

enum { WRITERS = 3, READERS = 3, EACH = 300 };

struct crowd {
    hr_journal *journal;
    atomic_int next_writer;
    atomic_int writers_left;
    atomic_int failures;
};

static void *write_many(void *argument)
{
    struct crowd *crowd = argument;
    int writer = atomic_fetch_add(&crowd->next_writer, 1);
    for (int i = 0; i < EACH; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "%d/%d", writer, i);
        const hr_change change = {{name, (size_t)size}, 0, HR_OP_ADDED};
        hr_journal_push(crowd->journal, &(hr_batch){.changes = &change, .count = 1});
    }
    atomic_fetch_sub(&crowd->writers_left, 1);
    return NULL;
}

/* Everything is seen, once, and the files of one writer in their order. */
static void *read_many(void *argument)
{
    struct crowd *crowd = argument;
    int seen[WRITERS] = {0};
    int fd;
    hr_cursor cursor = {BOOT, 0};
    hr_delta delta;
    if (hr_journal_subscribe(crowd->journal, &fd) != HR_OK)
        return NULL;
    hr_journal_since(crowd->journal, cursor, &delta);
    cursor = delta.cursor; /* of the beginning: nothing is pushed before the readers stand */
    hr_delta_fini(&delta);
    atomic_fetch_sub(&crowd->writers_left, 1);
    for (int total = 0; total < WRITERS * EACH;) {
        struct pollfd descriptor = {fd, POLLIN, 0};
        uint64_t count;
        if (poll(&descriptor, 1, 10000) != 1)
            break;
        ssize_t size = read(fd, &count, sizeof count);
        (void)size;
        if (hr_journal_since(crowd->journal, cursor, &delta) != HR_OK ||
            delta.kind == HR_SINCE_LOST)
            break;
        for (size_t i = 0; i < delta.batch.count; i++, total++) {
            char name[32];
            int writer, number;
            snprintf(name, sizeof name, "%.*s", (int)delta.batch.changes[i].path.size,
                     delta.batch.changes[i].path.data);
            if (sscanf(name, "%d/%d", &writer, &number) != 2 || writer < 0 || writer >= WRITERS ||
                number != seen[writer]++)
                atomic_fetch_add(&crowd->failures, 1);
        }
        cursor = delta.cursor;
        hr_delta_fini(&delta);
        if (hr_journal_now(crowd->journal).sequence < cursor.sequence)
            atomic_fetch_add(&crowd->failures, 1);
    }
    for (int i = 0; i < WRITERS; i++)
        if (seen[i] != EACH)
            atomic_fetch_add(&crowd->failures, 1);
    hr_journal_unsubscribe(crowd->journal, fd);
    return NULL;
}

static void test_many_threads_lose_nothing(void **state)
{
    struct crowd crowd = {.journal = new_journal(WRITERS * EACH, 0), .writers_left = READERS};
    pthread_t readers[READERS], writers[WRITERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_many, &crowd), 0);
    while (atomic_load(&crowd.writers_left)) /* until the readers have their cursors */
        sched_yield();
    atomic_store(&crowd.writers_left, WRITERS);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_many, &crowd), 0);
    while (atomic_load(&crowd.writers_left)) {
        hr_delta delta;
        hr_journal_hold(crowd.journal, true);
        sched_yield();
        assert_int_equal(hr_journal_waiting(crowd.journal, (hr_cursor){BOOT, 0}, &delta), HR_OK);
        hr_journal_tell(crowd.journal, delta.cursor);
        hr_delta_fini(&delta);
        hr_journal_hold(crowd.journal, false);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    hr_journal_free(crowd.journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor_is_written_and_read),
        cmocka_unit_test(test_what_is_no_cursor_is_refused),
        cmocka_unit_test(test_boot_of_zero_is_refused),
        cmocka_unit_test(test_all_that_is_pushed_later_is_since),
        cmocka_unit_test(test_merging_keeps_the_strongest_truth),
        cmocka_unit_test(test_times_span_what_was_merged),
        cmocka_unit_test(test_thousands_of_files_are_merged),
        cmocka_unit_test(test_ring_wraps_and_stays_exact),
        cmocka_unit_test(test_cursor_of_another_time_is_lost),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_batch_too_large_to_keep_is_a_loss),
        cmocka_unit_test(test_batch_without_memory_is_a_loss),
        cmocka_unit_test(test_question_without_memory_can_be_asked_again),
        cmocka_unit_test(test_flood_takes_bounded_memory),
        cmocka_unit_test(test_what_is_held_waits_and_is_told_as_one),
        cmocka_unit_test(test_what_came_later_waits_on),
        cmocka_unit_test(test_those_who_wait_are_woken_by_what_waits),
        cmocka_unit_test(test_too_much_to_hold_is_a_loss_when_it_is_told),
        cmocka_unit_test(test_a_batch_too_large_to_hold_is_a_loss_when_it_is_told),
        cmocka_unit_test(test_loss_that_was_seen_is_not_seen_again),
        cmocka_unit_test(test_loss_after_what_was_seen_waits_on),
        cmocka_unit_test(test_journal_without_memory_is_none),
        cmocka_unit_test(test_every_subscriber_is_woken),
        cmocka_unit_test(test_subscriber_without_memory_leaves_the_others),
        cmocka_unit_test(test_many_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
