/* No Python in this file: the watcher's thread runs it without the GIL. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { HISTORY_LIMIT = 50, CHANGES_KEPT = 100 };

struct core_history {
    pthread_mutex_t mutex;
    core_past *first;
    core_past **last;
    size_t count;
};

core_history *core_history_new(void)
{
    core_history *history = calloc(1, sizeof *history);
    if (!history)
        return NULL;
    if (pthread_mutex_init(&history->mutex, NULL) != 0) {
        free(history);
        return NULL;
    }
    history->last = &history->first;
    return history;
}

static void free_list(core_past *past)
{
    while (past) {
        core_past *next = past->next;
        free(past);
        past = next;
    }
}

void core_history_free(core_history *history)
{
    if (!history)
        return;
    free_list(history->first);
    pthread_mutex_destroy(&history->mutex);
    free(history);
}

/* One piece of memory: the struct, its changes, their paths. */
static core_past *copy_batch(const hr_batch *batch)
{
    size_t kept = batch->count < CHANGES_KEPT ? batch->count : CHANGES_KEPT;
    size_t size = 0;
    for (size_t i = 0; i < kept; i++)
        size += batch->changes[i].path.size;
    core_past *past = malloc(sizeof *past + kept * sizeof *past->changes + size);
    if (!past)
        return NULL;
    past->next = NULL;
    past->batch = *batch;
    past->batch.changes = past->changes;
    past->batch.count = kept;
    past->count = batch->count;
    char *at = (char *)(past->changes + kept);
    for (size_t i = 0; i < kept; i++) {
        hr_bytes path = batch->changes[i].path;
        past->changes[i] = batch->changes[i];
        past->changes[i].path.data = memcpy(at, path.data, path.size);
        at += path.size;
    }
    return past;
}

void core_history_add(core_history *history, const hr_batch *batch)
{
    core_past *past = copy_batch(batch);
    core_past *oldest = NULL;
    if (!past)
        return;
    pthread_mutex_lock(&history->mutex);
    *history->last = past;
    history->last = &past->next;
    if (++history->count > HISTORY_LIMIT) {
        oldest = history->first;
        history->first = oldest->next;
        history->count--;
    }
    pthread_mutex_unlock(&history->mutex);
    free(oldest);
}

core_past *core_history_take(core_history *history)
{
    pthread_mutex_lock(&history->mutex);
    core_past *first = history->first;
    history->first = NULL;
    history->last = &history->first;
    history->count = 0;
    pthread_mutex_unlock(&history->mutex);
    return first;
}
