/*
 * The journal: a bounded ring of the last batches.
 *
 * Sequences come from the monotonic clock and only ever grow, and hr_journal_now() counts as
 * handing one out: a batch told later has a greater sequence than every cursor given before,
 * which is what "since" means. Readers hold nothing here; each brings its cursor. What waits is
 * at the end of the ring, out of every reader's sight, and gets the sequence that counts when it is
 * told.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "hash.h"
#include "ops.h"

enum { DEFAULT_BATCHES = 256, DEFAULT_BYTES = 4 << 20 };

/* One remembered batch: the struct, its changes and their paths in one allocation. */
typedef struct record {
    uint64_t sequence;
    size_t bytes;
    hr_batch batch;
    hr_change changes[];
} record;

struct hr_journal {
    pthread_mutex_t mutex;
    uint64_t boot;
    hr_journal_limits limits;
    uint64_t handed; /* the greatest sequence given out, by a push or by now() */
    uint64_t floor;  /* cursors below it cannot be answered */
    record **ring;   /* limits.batches slots */
    size_t first;
    size_t count;
    size_t bytes;
    bool holds;     /* what is pushed waits */
    size_t waiting; /* of `count`, the last ones */
    struct {
        uint64_t first, last;
    } dropped; /* sequences of what waited and could not be kept, or 0 */
    int *subscribers;
    size_t subscriber_count;
};

static const char hex_digits[] = "0123456789abcdef";

static void format_hex(uint64_t value, char *out)
{
    for (int i = 15; i >= 0; i--, value >>= 4)
        out[i] = hex_digits[value & 15];
}

static bool parse_hex(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        const char *digit = text[i] ? strchr(hex_digits, text[i]) : NULL;
        if (!digit)
            return false;
        value = value << 4 | (uint64_t)(digit - hex_digits);
    }
    *out = value;
    return true;
}

void hr_cursor_format(hr_cursor cursor, char out[HR_CURSOR_SIZE])
{
    format_hex(cursor.boot, out);
    out[16] = '.';
    format_hex(cursor.sequence, out + 17);
}

hr_status hr_cursor_parse(hr_bytes text, hr_cursor *out)
{
    hr_cursor cursor;
    if (text.size != HR_CURSOR_SIZE || text.data[16] != '.' ||
        !parse_hex(text.data, &cursor.boot) || !parse_hex(text.data + 17, &cursor.sequence))
        return HR_INVALID;
    *out = cursor;
    return HR_OK;
}

hr_status hr_journal_new(uint64_t boot, const hr_journal_limits *limits, hr_journal **out)
{
    if (!boot)
        return HR_INVALID;
    hr_journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return HR_NOMEM;
    if (limits)
        journal->limits = *limits;
    if (!journal->limits.batches)
        journal->limits.batches = DEFAULT_BATCHES;
    if (!journal->limits.bytes)
        journal->limits.bytes = DEFAULT_BYTES;
    journal->ring = calloc(journal->limits.batches, sizeof *journal->ring);
    if (!journal->ring) {
        free(journal);
        return HR_NOMEM;
    }
    pthread_mutex_init(&journal->mutex, NULL);
    journal->boot = boot;
    journal->handed = journal->floor = hr_clock_monotonic();
    *out = journal;
    return HR_OK;
}

static record *record_at(const hr_journal *journal, size_t index)
{
    return journal->ring[(journal->first + index) % journal->limits.batches];
}

static void note_dropped(hr_journal *journal, uint64_t sequence)
{
    if (!journal->dropped.first)
        journal->dropped.first = sequence;
    journal->dropped.last = sequence;
}

static void drop_oldest(hr_journal *journal)
{
    record *oldest = record_at(journal, 0);
    if (journal->waiting == journal->count) {
        journal->waiting--;
        note_dropped(journal, oldest->sequence);
    } else {
        journal->floor = oldest->sequence;
    }
    journal->bytes -= oldest->bytes;
    journal->first = (journal->first + 1) % journal->limits.batches;
    journal->count--;
    free(oldest);
}

void hr_journal_free(hr_journal *journal)
{
    if (!journal)
        return;
    while (journal->count)
        drop_oldest(journal);
    for (size_t i = 0; i < journal->subscriber_count; i++)
        close(journal->subscribers[i]);
    free(journal->subscribers);
    free(journal->ring);
    pthread_mutex_destroy(&journal->mutex);
    free(journal);
}

static uint64_t next_sequence(hr_journal *journal)
{
    uint64_t now = hr_clock_monotonic();
    journal->handed = now > journal->handed ? now : journal->handed + 1;
    return journal->handed;
}

static record *copy_batch(const hr_batch *batch)
{
    size_t size = sizeof(record) + batch->count * sizeof(hr_change);
    size_t paths = 0;
    for (size_t i = 0; i < batch->count; i++)
        paths += batch->changes[i].path.size;
    record *copy = malloc(size + paths);
    if (!copy)
        return NULL;
    copy->bytes = size + paths;
    copy->batch = *batch;
    copy->batch.changes = copy->changes;
    char *text = (char *)copy + size;
    for (size_t i = 0; i < batch->count; i++) {
        copy->changes[i] = batch->changes[i];
        copy->changes[i].path.data = text;
        memcpy(text, batch->changes[i].path.data, batch->changes[i].path.size);
        text += batch->changes[i].path.size;
    }
    return copy;
}

/* A full counter means that the reader has been told already, so a failing write loses nothing. */
static void wake_subscribers(const hr_journal *journal)
{
    const uint64_t one = 1;
    for (size_t i = 0; i < journal->subscriber_count; i++) {
        ssize_t written = write(journal->subscribers[i], &one, sizeof one);
        (void)written;
    }
}

void hr_journal_push(hr_journal *journal, const hr_batch *batch)
{
    record *copy = copy_batch(batch);
    pthread_mutex_lock(&journal->mutex);
    uint64_t sequence = next_sequence(journal);
    if (copy && copy->bytes > journal->limits.bytes) {
        free(copy);
        copy = NULL;
    }
    while (journal->count && (!copy || journal->count == journal->limits.batches ||
                              journal->bytes + copy->bytes > journal->limits.bytes))
        drop_oldest(journal);
    if (copy) {
        copy->sequence = sequence;
        journal->ring[(journal->first + journal->count) % journal->limits.batches] = copy;
        journal->count++;
        journal->bytes += copy->bytes;
        journal->waiting += journal->holds;
    } else if (journal->holds) {
        note_dropped(journal, sequence);
    } else {
        journal->floor = sequence;
    }
    wake_subscribers(journal);
    pthread_mutex_unlock(&journal->mutex);
}

/* Makes every cursor HR_SINCE_LOST, which tells what has waited up to this sequence. */
static void tell_lost(hr_journal *journal, uint64_t upto)
{
    while (journal->count > journal->waiting ||
           (journal->count && record_at(journal, 0)->sequence <= upto))
        drop_oldest(journal);
    journal->floor = next_sequence(journal);
    journal->dropped.first = upto + 1;
    if (journal->dropped.last <= upto)
        journal->dropped.first = journal->dropped.last = 0;
}

/* Called with the lock held. */
static void tell(hr_journal *journal, uint64_t upto)
{
    if (journal->dropped.first && journal->dropped.first <= upto)
        tell_lost(journal, upto);
    while (journal->waiting) {
        record *next = record_at(journal, journal->count - journal->waiting);
        if (next->sequence > upto)
            break;
        next->sequence = next_sequence(journal);
        journal->waiting--;
    }
    wake_subscribers(journal);
}

void hr_journal_hold(hr_journal *journal, bool holds)
{
    pthread_mutex_lock(&journal->mutex);
    journal->holds = holds;
    if (!holds)
        tell(journal, UINT64_MAX);
    pthread_mutex_unlock(&journal->mutex);
}

void hr_journal_tell(hr_journal *journal, hr_cursor upto)
{
    pthread_mutex_lock(&journal->mutex);
    tell(journal, upto.sequence);
    pthread_mutex_unlock(&journal->mutex);
}

hr_cursor hr_journal_now(hr_journal *journal)
{
    uint64_t now = hr_clock_monotonic();
    pthread_mutex_lock(&journal->mutex);
    if (now > journal->handed)
        journal->handed = now;
    hr_cursor cursor = {journal->boot, journal->handed};
    pthread_mutex_unlock(&journal->mutex);
    return cursor;
}

static bool same_file(const hr_change *a, const hr_change *b)
{
    return a->root == b->root && a->path.size == b->path.size &&
           memcmp(a->path.data, b->path.data, a->path.size) == 0;
}

/* An open-addressed index over `changes`, in order of first appearance. */
typedef struct merge {
    hr_change *changes;
    size_t count;
    uint32_t *slots; /* index + 1, or 0 */
    size_t mask;
} merge;

static void merge_change(merge *into, const hr_change *change)
{
    size_t slot = hr_hash(change->path.data, change->path.size, change->root) & into->mask;
    while (into->slots[slot]) {
        hr_change *known = &into->changes[into->slots[slot] - 1];
        if (same_file(known, change)) {
            known->op = hr_op_merge(known->op, change->op);
            return;
        }
        slot = (slot + 1) & into->mask;
    }
    into->changes[into->count++] = *change;
    into->slots[slot] = (uint32_t)into->count;
}

/* Merges the records from `begin` to before `end` into one of the delta's own. Called with the lock
 * held. */
static hr_status merge_records(const hr_journal *journal, size_t begin, size_t end, hr_delta *out)
{
    size_t total = 0;
    for (size_t i = begin; i < end; i++)
        total += record_at(journal, i)->batch.count;
    size_t slots = 16;
    while (slots < total * 2)
        slots *= 2;
    merge into = {.changes = malloc(total * sizeof(hr_change)),
                  .slots = calloc(slots, sizeof(uint32_t)),
                  .mask = slots - 1};
    record *merged = NULL;
    if (!into.changes || !into.slots)
        goto done;

    hr_batch batch = {.first_us = UINT64_MAX};
    for (size_t i = begin; i < end; i++) {
        const hr_batch *part = &record_at(journal, i)->batch;
        for (size_t k = 0; k < part->count; k++)
            merge_change(&into, &part->changes[k]);
        if (part->first_us < batch.first_us)
            batch.first_us = part->first_us;
        batch.settled_us = part->settled_us;
        batch.unix_us = part->unix_us;
    }
    for (size_t i = 0; i < into.count; i++)
        if (into.changes[i].op)
            into.changes[batch.count++] = into.changes[i];
    batch.changes = into.changes;
    merged = copy_batch(&batch);
done:
    free(into.changes);
    free(into.slots);
    if (!merged)
        return HR_NOMEM;
    out->kind = merged->batch.count ? HR_SINCE_CHANGES : HR_SINCE_NOTHING;
    out->batch = merged->batch;
    out->owned = merged;
    return HR_OK;
}

hr_status hr_journal_since(hr_journal *journal, hr_cursor since, hr_delta *out)
{
    hr_delta delta = {.kind = HR_SINCE_NOTHING, .cursor = since};
    hr_status status = HR_OK;
    pthread_mutex_lock(&journal->mutex);
    if (since.boot != journal->boot || since.sequence < journal->floor) {
        delta.kind = HR_SINCE_LOST;
        delta.cursor = (hr_cursor){journal->boot, journal->handed};
    } else {
        size_t end = journal->count - journal->waiting;
        size_t begin = end;
        while (begin && record_at(journal, begin - 1)->sequence > since.sequence)
            begin--;
        if (begin < end) {
            delta.cursor.sequence = record_at(journal, end - 1)->sequence;
            status = merge_records(journal, begin, end, &delta);
        }
    }
    pthread_mutex_unlock(&journal->mutex);
    if (status == HR_OK)
        *out = delta;
    return status;
}

hr_status hr_journal_waiting(hr_journal *journal, hr_cursor after, hr_delta *out)
{
    hr_delta delta = {.kind = HR_SINCE_NOTHING, .cursor = after};
    hr_status status = HR_OK;
    pthread_mutex_lock(&journal->mutex);
    size_t begin = journal->count - journal->waiting;
    while (begin < journal->count && record_at(journal, begin)->sequence <= after.sequence)
        begin++;
    if (journal->dropped.last > after.sequence) {
        delta.kind = HR_SINCE_LOST;
        delta.cursor = (hr_cursor){journal->boot, journal->handed};
    } else if (begin < journal->count) {
        delta.cursor = (hr_cursor){journal->boot, record_at(journal, journal->count - 1)->sequence};
        status = merge_records(journal, begin, journal->count, &delta);
    }
    pthread_mutex_unlock(&journal->mutex);
    if (status == HR_OK)
        *out = delta;
    return status;
}

void hr_delta_fini(hr_delta *delta)
{
    free(delta->owned);
    *delta = (hr_delta){0};
}

hr_status hr_journal_subscribe(hr_journal *journal, int *out)
{
    hr_status status = HR_NOMEM;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return HR_SYSTEM;
    pthread_mutex_lock(&journal->mutex);
    int *grown = realloc(journal->subscribers,
                         (journal->subscriber_count + 1) * sizeof *journal->subscribers);
    if (grown) {
        journal->subscribers = grown;
        journal->subscribers[journal->subscriber_count++] = fd;
        status = HR_OK;
    }
    pthread_mutex_unlock(&journal->mutex);
    if (status == HR_OK)
        *out = fd;
    else
        close(fd);
    return status;
}

void hr_journal_unsubscribe(hr_journal *journal, int fd)
{
    pthread_mutex_lock(&journal->mutex);
    for (size_t i = 0; i < journal->subscriber_count; i++) {
        if (journal->subscribers[i] != fd)
            continue;
        journal->subscribers[i] = journal->subscribers[--journal->subscriber_count];
        close(fd);
        break;
    }
    pthread_mutex_unlock(&journal->mutex);
}

void hr_journal_wake(hr_journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    wake_subscribers(journal);
    pthread_mutex_unlock(&journal->mutex);
}
