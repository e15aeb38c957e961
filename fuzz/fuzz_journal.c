/*
 * Oracle: a list of all batches that were ever pushed, with marks for how many of them were told
 * and how many the limits have pushed out. For each reader, which brings the cursor of its last
 * answer: what was told since then is in the next answer, merged, once, and nothing else is; or the
 * answer is that it is lost, if and only if some of it was pushed out, what waited included. What
 * waits is in no answer. Each push and each end of a hold wakes the subscriber. Cursors grow.
 *
 * What is merged is judged by its ends: was the file there before the first change, is it there
 * after the last?
 *
 * Input: two bytes of limits, then the steps: a byte each, that of a push followed by its changes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { READERS = 4, FILES = 12, CHANGES = 4, BATCHES = 256, BOOT = 5 };

/* What the journal counts for a batch besides its changes and their paths. */
enum { RECORD = sizeof(uint64_t) + sizeof(size_t) + sizeof(hr_batch) };

static const char *const names[FILES / 2] = {"a", "b.css", "dir/c.html", "d", "dir/\xff", "ab"};

struct batch {
    unsigned files[CHANGES];
    hr_op ops[CHANGES];
    size_t count, size;
};

struct reader {
    hr_cursor cursor;
    size_t seen; /* of the model's batches */
};

struct model {
    hr_journal *journal;
    hr_journal_limits limits;
    int fd;
    struct batch batches[BATCHES];
    size_t count, told, dropped; /* of `batches`, the first ones */
    bool holds;
    bool exists[FILES];
    struct reader readers[READERS];
    struct reader hook; /* who asks what waits */
    uint64_t greatest;  /* sequence that was handed out */
};

static size_t max_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A cursor was handed out. */
static void note_cursor(struct model *model, hr_cursor cursor)
{
    CHECK(cursor.boot == BOOT);
    if (cursor.sequence > model->greatest)
        model->greatest = cursor.sequence;
}

static void check_woken(const struct model *model)
{
    uint64_t count;
    CHECK(read(model->fd, &count, sizeof count) == sizeof count);
}

static void push_out(struct model *model, bool fits, size_t size)
{
    size_t bytes = 0;
    for (size_t i = model->dropped; i < model->count; i++)
        bytes += model->batches[i].size;
    while (model->dropped < model->count &&
           (!fits || model->count - model->dropped == model->limits.batches ||
            bytes + size > model->limits.bytes))
        bytes -= model->batches[model->dropped++].size;
}

static const uint8_t *push(struct model *model, uint8_t step, const uint8_t *at, const uint8_t *end)
{
    hr_change changes[CHANGES];
    struct batch *batch = &model->batches[model->count];
    const size_t count = 1 + (step >> 3) % CHANGES;

    *batch = (struct batch){.size = RECORD};
    for (; batch->count < count && at < end; at++) {
        const unsigned file = *at % FILES;
        bool twice = false;
        for (size_t i = 0; i < batch->count; i++)
            twice |= batch->files[i] == file;
        if (twice)
            continue;
        hr_op op = HR_OP_ADDED;
        if (model->exists[file])
            op = *at & 0x80 ? HR_OP_REMOVED : HR_OP_MODIFIED;
        model->exists[file] = op != HR_OP_REMOVED;
        const char *name = names[file / 2];
        changes[batch->count] = (hr_change){{name, strlen(name)}, file % 2, op};
        batch->files[batch->count] = file;
        batch->ops[batch->count++] = op;
        batch->size += sizeof(hr_change) + strlen(name);
    }
    if (!batch->count)
        return at;

    const uint64_t number = model->count + 1;
    hr_journal_push(model->journal,
                    &(hr_batch){changes, batch->count, number, number, (int64_t)number});
    check_woken(model);
    const bool fits = batch->size <= model->limits.bytes;
    push_out(model, fits, batch->size);
    model->count++;
    if (!fits)
        model->dropped = model->count;
    if (!model->holds)
        model->told = model->count;
    return at;
}

/* What has become of the file in these batches; 0: nothing. */
static hr_op outcome(const struct model *model, unsigned file, size_t begin, size_t end)
{
    hr_op first = 0, last = 0;
    for (size_t i = begin; i < end; i++) {
        const struct batch *batch = &model->batches[i];
        for (size_t k = 0; k < batch->count; k++) {
            if (batch->files[k] != file)
                continue;
            last = batch->ops[k];
            first = first ? first : last;
        }
    }
    if (!first || (first == HR_OP_ADDED && last == HR_OP_REMOVED))
        return 0;
    if (last == HR_OP_REMOVED)
        return HR_OP_REMOVED;
    return first == HR_OP_ADDED ? HR_OP_ADDED : HR_OP_MODIFIED;
}

static unsigned file_of(const hr_change *change)
{
    for (unsigned file = 0; file < FILES; file++) {
        const char *name = names[file / 2];
        if (change->root == file % 2 && change->path.size == strlen(name) &&
            memcmp(change->path.data, name, change->path.size) == 0)
            return file;
    }
    CHECK(!"a file that was never pushed");
    return 0;
}

/* The answer is those batches, merged. */
static void check_answer(const struct model *model, const hr_delta *delta, size_t begin, size_t end)
{
    bool told[FILES] = {false};
    size_t count = 0;

    for (unsigned file = 0; file < FILES; file++)
        count += outcome(model, file, begin, end) != 0;
    CHECK(delta->kind == (count ? HR_SINCE_CHANGES : HR_SINCE_NOTHING));
    if (!count)
        return;
    CHECK(delta->batch.count == count);
    for (size_t i = 0; i < count; i++) {
        const unsigned file = file_of(&delta->batch.changes[i]);
        CHECK(!told[file]);
        told[file] = true;
        CHECK(delta->batch.changes[i].op == outcome(model, file, begin, end));
    }
    CHECK(delta->batch.first_us == begin + 1 && delta->batch.settled_us == end);
    CHECK(delta->batch.unix_us == (int64_t)end);
}

static void ask(struct model *model, struct reader *reader)
{
    hr_delta delta;
    CHECK(hr_journal_since(model->journal, reader->cursor, &delta) == HR_OK);
    note_cursor(model, delta.cursor);
    if (reader->cursor.boot != BOOT ||
        (reader->seen < model->dropped && reader->seen < model->told))
        CHECK(delta.kind == HR_SINCE_LOST);
    else
        check_answer(model, &delta, reader->seen, model->told);
    CHECK(reader->cursor.boot != BOOT || delta.cursor.sequence >= reader->cursor.sequence);
    *reader = (struct reader){delta.cursor, model->told};
    hr_delta_fini(&delta);
}

static void begin_now(struct model *model, struct reader *reader)
{
    const hr_cursor cursor = hr_journal_now(model->journal);
    CHECK(cursor.sequence >= model->greatest);
    note_cursor(model, cursor);
    *reader = (struct reader){cursor, model->told};
}

static void ask_what_waits(struct model *model)
{
    const size_t begin = max_of(model->hook.seen, model->told);
    hr_delta delta;
    CHECK(hr_journal_waiting(model->journal, model->hook.cursor, &delta) == HR_OK);
    if (model->dropped > begin)
        CHECK(delta.kind == HR_SINCE_LOST);
    else
        check_answer(model, &delta, begin, model->count);
    if (begin < model->count) {
        note_cursor(model, delta.cursor);
        CHECK(delta.cursor.sequence > model->hook.cursor.sequence);
        model->hook = (struct reader){delta.cursor, model->count};
    }
    hr_delta_fini(&delta);
}

/* The first of the batches are told; what could not be kept of them makes all lost. */
static void set_told(struct model *model, size_t upto)
{
    if (upto <= model->told)
        return;
    if (model->dropped > model->told)
        model->dropped = max_of(model->dropped, upto);
    model->told = upto;
}

static const uint8_t *take_step(struct model *model, const uint8_t *at, const uint8_t *end)
{
    const uint8_t step = *at++;
    struct reader *reader = &model->readers[(step >> 3) % READERS];

    switch (step & 7) {
    case 0:
    case 1:
        return push(model, step, at, end);
    case 2:
        ask(model, reader);
        break;
    case 3:
        begin_now(model, reader);
        break;
    case 4:
        model->holds = !model->holds;
        hr_journal_hold(model->journal, model->holds);
        if (!model->holds) {
            check_woken(model);
            set_told(model, model->count);
        }
        break;
    case 5:
        ask_what_waits(model);
        break;
    case 6:
        hr_journal_tell(model->journal, model->hook.cursor);
        check_woken(model);
        set_told(model, model->hook.seen);
        break;
    case 7: /* of another run, or it begins anew */
        if (step & 0x80)
            reader->cursor.boot = BOOT + 1;
        else
            model->hook = (struct reader){0};
        break;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    if (size < 2)
        return 0;
    model = (struct model){.limits = {1 + data[0] % 16, data[1] % 8 ? data[1] * 16 : 1 << 20}};
    CHECK(hr_journal_new(BOOT, &model.limits, &model.journal) == HR_OK);
    CHECK(hr_journal_subscribe(model.journal, &model.fd) == HR_OK);
    for (size_t i = 0; i < READERS; i++)
        begin_now(&model, &model.readers[i]);

    for (const uint8_t *at = data + 2; at < data + size && model.count < BATCHES;)
        at = take_step(&model, at, data + size);

    hr_journal_hold(model.journal, false);
    set_told(&model, model.count);
    for (size_t i = 0; i < READERS; i++)
        ask(&model, &model.readers[i]);
    hr_journal_free(model.journal);
    return 0;
}
