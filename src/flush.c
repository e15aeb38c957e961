/*
 * The look at the end of a burst: each hinted name is compared with what was last delivered, by
 * content. A node changes only after the room for its change is there, so that no memory means
 * later, never lost.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "look.h"
#include "ops.h"
#include "watcher.h"

#define RETRY          HR_MILLISECONDS(100)
#define LOCK_POLL      HR_MILLISECONDS(10)
#define LOCK_STALE     (10 * (int64_t)1000000000) /* ns: older than the burst by this much */
#define POLLED_WRITING (30 * (int64_t)1000000)    /* ns: younger files are still being written, */
#define POLLED_EMPTY   (250 * (int64_t)1000000)   /* and empty ones wait for their first bytes */

typedef enum outcome {
    LOOKED,   /* nothing more to say; the node may be freed */
    WRITING,  /* somebody is in it: look again later */
    NO_MEMORY /* look again later */
} outcome;

static bool reserve_change(hr_watch *watch, const hr_node *node, hr_op op)
{
    hr_found *grown =
        hr_array_grow(watch->found, watch->found_count, &watch->found_capacity, sizeof *grown);
    if (!grown)
        return false;
    watch->found = grown;
    size_t begin = watch->arena.size;
    if (hr_node_relative(node, &watch->arena) != HR_OK)
        return false;
    watch->found[watch->found_count++] =
        (hr_found){node->root, op, begin, watch->arena.size - begin};
    return true;
}

static outcome remove_file(hr_watch *watch, hr_node *node)
{
    if (!(node->flags & HR_NODE_DELIVERED))
        return LOOKED;
    if (!reserve_change(watch, node, HR_OP_REMOVED))
        return NO_MEMORY;
    hr_tree_withdraw(&watch->tree, node);
    return LOOKED;
}

static void forget_hint(hr_watch *watch, hr_node *node)
{
    if (node->hint)
        hr_settle_drop(&watch->settle, (hr_hint)node->hint);
    node->hint = HR_HINT_NONE;
    hr_tree_unpend(&watch->tree, node);
}

/* Removes all that is below a directory, and makes its node a mere name. Deepest first, and without
 * recursion: a tree may be deeper than a stack. */
static outcome remove_directory(hr_watch *watch, hr_node *top)
{
    hr_node *node = top;
    for (;;) {
        while (node->directory && node->directory->children)
            node = node->directory->children;
        if (node->directory) {
            hr_scan_release(watch, node);
            hr_tree_drop_directory(&watch->tree, node);
        }
        if (node == top)
            return LOOKED;
        hr_node *parent = node->parent;
        if (remove_file(watch, node) == NO_MEMORY)
            return NO_MEMORY;
        forget_hint(watch, node);
        hr_tree_remove(&watch->tree, node);
        node = parent;
    }
}

static outcome look_at_nothing(hr_watch *watch, hr_node *node)
{
    outcome result = LOOKED;
    if (node->directory)
        result = remove_directory(watch, node);
    if (result == LOOKED)
        result = remove_file(watch, node);
    if (result != LOOKED)
        return result;
    forget_hint(watch, node);
    if (node->parent) {
        hr_tree_remove(&watch->tree, node);
        return LOOKED;
    }
    hr_notify_anchor(watch, node->root);
    struct stat status;
    if (hr_node_path(node, &watch->path) != HR_OK)
        hr_watch_lost(watch);
    else if (hr_look(watch->path.data, &status) == HR_KIND_DIRECTORY) /* it came before the watch */
        hr_watch_hint(watch, node, HR_HINT_DONE);
    return LOOKED;
}

static outcome look_at_directory(hr_watch *watch, hr_node *node, const struct stat *status)
{
    if (remove_file(watch, node) != LOOKED)
        return NO_MEMORY;
    bool claimed = hr_scan_claim(watch, node, status);
    if (!claimed && node->directory && remove_directory(watch, node) != LOOKED)
        return NO_MEMORY;
    forget_hint(watch, node);
    if (!claimed && node->parent) {
        hr_tree_remove(&watch->tree, node);
        return LOOKED;
    }
    if (!node->parent)
        hr_notify_anchor(watch, node->root);
    if (claimed && (node->flags & HR_NODE_REPLACED))
        hr_scan(watch, node, false);
    return LOOKED;
}

static bool is_polled(const hr_node *node)
{
    return node->parent && node->parent->directory->attention == HR_ATTENTION_POLL;
}

/* Without events there is no close to wait for; a file that was written a moment ago is not done,
 * and one that was emptied most likely longer, since its writer may be kept from going on. */
static bool polled_writing(const hr_node *node, const hr_stamp *stamp)
{
    int64_t age = hr_clock_unix() * 1000 - stamp->mtime_ns;
    return is_polled(node) && age >= 0 && age < (stamp->size ? POLLED_WRITING : POLLED_EMPTY);
}

/* Two stamps of one content? Without a hash only the stamp can tell; ctime changes with a mode. */
static bool same_by_stamp(const hr_stamp *a, const hr_stamp *b)
{
    return a->mtime_ns == b->mtime_ns && a->size == b->size && a->inode == b->inode;
}

static outcome look_at_file(hr_watch *watch, hr_node *node, bool last_chance)
{
    hr_stamp stamp;
    uint64_t content = 0;
    hr_content how = hr_look_content(watch->path.data, HR_LOOK_LIMIT, watch->scratch,
                                     HR_SCRATCH_SIZE, &stamp, &content);
    if (how == HR_CONTENT_GONE)
        return WRITING; /* it is another thing by now, and there is an event for it */
    bool unfinished = how == HR_CONTENT_CHANGING || polled_writing(node, &stamp);
    if (unfinished && !last_chance)
        return WRITING;
    if (node->directory && remove_directory(watch, node) != LOOKED)
        return NO_MEMORY;

    bool known = node->flags & HR_NODE_DELIVERED;
    bool same = known && ((node->flags & HR_NODE_HASHED) && how == HR_CONTENT_READ
                              ? node->content == content
                              : same_by_stamp(&node->stamp, &stamp));
    if (!same && !reserve_change(watch, node, known ? HR_OP_MODIFIED : HR_OP_ADDED))
        return NO_MEMORY;
    hr_tree_deliver(&watch->tree, node);
    node->flags &= (uint8_t) ~(HR_NODE_HASHED | HR_NODE_SKIP_HASH);
    node->flags |= how == HR_CONTENT_READ ? HR_NODE_HASHED : HR_NODE_SKIP_HASH;
    node->stamp = stamp;
    node->content = content;
    if (unfinished) /* what follows in the same tick of the clock has the same stamp */
        return WRITING;
    forget_hint(watch, node);
    return LOOKED;
}

static outcome look_at(hr_watch *watch, hr_node *node, bool last_chance)
{
    struct stat status;
    if (hr_node_path(node, &watch->path) != HR_OK)
        return NO_MEMORY;
    switch (hr_look(watch->path.data, &status)) {
    case HR_KIND_NONE:
        return look_at_nothing(watch, node);
    case HR_KIND_DIRECTORY:
        /* The event of a link does not say that it leads to a directory. */
        if (node->parent && hr_watch_ignores(watch, node->parent, node->name, true))
            return look_at_nothing(watch, node);
        return look_at_directory(watch, node, &status);
    case HR_KIND_FILE:
        /* A root that became a file is an absent root. */
        return node->parent ? look_at_file(watch, node, last_chance) : look_at_nothing(watch, node);
    }
    return LOOKED;
}

static int compare_names(const hr_found *a, const hr_found *b, const char *arena)
{
    if (a->root != b->root)
        return a->root < b->root ? -1 : 1;
    int order = memcmp(arena + a->path, arena + b->path, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static bool same_name(const hr_found *a, const hr_found *b, const char *arena)
{
    return compare_names(a, b, arena) == 0;
}

/* Paths lie in the arena in the order in which they were found. */
static int compare_found(const void *left, const void *right, void *arena)
{
    const hr_found *a = left, *b = right;
    int order = compare_names(a, b, arena);
    return order ? order : (a->path > b->path) - (a->path < b->path);
}

/* One name may come more than once: a directory went and came back while it was looked at. Sorts
 * by name, earlier first, and leaves what it all comes to. */
static void merge_found(hr_watch *watch)
{
    qsort_r(watch->found, watch->found_count, sizeof *watch->found, compare_found,
            watch->arena.data);
    size_t count = 0;
    for (size_t i = 0; i < watch->found_count; i++) {
        hr_found *last = count ? &watch->found[count - 1] : NULL;
        if (last && same_name(last, &watch->found[i], watch->arena.data))
            last->op = hr_op_merge(last->op, watch->found[i].op);
        else
            watch->found[count++] = watch->found[i];
    }
    watch->found_count = 0;
    for (size_t i = 0; i < count; i++)
        if (watch->found[i].op != HR_OP_NOTHING)
            watch->found[watch->found_count++] = watch->found[i];
}

static void deliver(hr_watch *watch, uint64_t first)
{
    merge_found(watch);
    size_t count = watch->found_count;
    if (!count) {
        watch->arena.size = 0;
        return;
    }
    hr_change *changes = malloc(count * sizeof *changes);
    if (!changes) { /* what was found stays, and is delivered with the next flush */
        watch->next_try = hr_clock_monotonic() + RETRY;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const hr_found *found = &watch->found[i];
        changes[i] = (hr_change){
            .path = {watch->arena.data + found->path, found->size},
            .root = found->root,
            .op = found->op,
        };
    }
    hr_batch batch = {.changes = changes,
                      .count = count,
                      .first_us = first,
                      .settled_us = hr_clock_monotonic(),
                      .unix_us = hr_clock_unix()};
    atomic_fetch_add(&watch->batches, 1);
    watch->options.on_batch(watch->options.user, &batch);
    free(changes);
    watch->found_count = 0;
    watch->arena.size = 0;
}

static bool lock_stands(const hr_watch *watch, uint64_t now)
{
    int64_t burst_began = hr_clock_unix() * 1000 - (int64_t)(now - watch->settle.first) * 1000;
    for (size_t i = 0; i < watch->root_count; i++) {
        struct stat status;
        if (watch->roots[i].lock.size && stat(watch->roots[i].lock.data, &status) == 0 &&
            hr_stamp_of(&status).mtime_ns > burst_began - LOCK_STALE)
            return true;
    }
    return false;
}

/* What could not be looked at to the end goes into the next burst. */
static void keep_pending(hr_watch *watch, uint64_t now)
{
    for (size_t i = 0; i < watch->tree.pending_count; i++) {
        hr_node *node = watch->tree.pending[i];
        hr_settle_note(&watch->settle, HR_HINT_NONE, (hr_hint)node->hint, now);
    }
}

/* One file of many that is still being written holds the others: they belong together. */
static bool still_written(hr_watch *watch)
{
    for (size_t i = 0; i < watch->tree.pending_count; i++) {
        const hr_node *node = watch->tree.pending[i];
        struct stat status;
        if (!is_polled(node) || hr_node_path(node, &watch->path) != HR_OK ||
            hr_look(watch->path.data, &status) != HR_KIND_FILE)
            continue;
        hr_stamp stamp = hr_stamp_of(&status);
        if (polled_writing(node, &stamp))
            return true;
    }
    return false;
}

void hr_flush(hr_watch *watch, uint64_t now)
{
    watch->next_try = 0;
    if (now < hr_settle_lock_limit(&watch->settle) && lock_stands(watch, now)) {
        watch->next_try = now + LOCK_POLL;
        watch->locked = true;
        return;
    }
    bool many = watch->locked || watch->tree.pending_count > 1;
    watch->locked = false;
    if (watch->incomplete) {
        watch->incomplete = false;
        hr_scan_roots(watch, true);
    } else if (watch->attended[HR_ATTENTION_POLL] && hr_poll_again(watch, many) &&
               !hr_settle_is_capped(&watch->settle, now)) {
        return; /* more came: wait for it to be quiet */
    }

    bool last_chance = hr_settle_is_capped(&watch->settle, now);
    if (!last_chance && still_written(watch)) {
        watch->next_try = now + POLLED_WRITING / 1000;
        return;
    }
    uint64_t first = watch->settle.first ? watch->settle.first : now;
    outcome result = LOOKED;
    for (size_t i = 0; i < watch->tree.pending_count && !hr_watch_stopping(watch);) {
        hr_node *node = watch->tree.pending[i];
        result = look_at(watch, node, last_chance);
        if (result == NO_MEMORY)
            break;
        if (result == WRITING) { /* else it has left the list, and another is in its place */
            node->hint = HR_HINT_DIRTY;
            i++;
        }
    }
    if (hr_watch_stopping(watch))
        return;
    bool delivered = watch->found_count != 0;
    hr_settle_flushed(&watch->settle, delivered, now);
    keep_pending(watch, now);
    if (watch->tree.pending_count && !last_chance) /* the cap is counted from its first hint */
        watch->settle.first = first;
    if (watch->incomplete)
        hr_settle_stir(&watch->settle, now);
    if (watch->incomplete || result == NO_MEMORY)
        watch->next_try = now + RETRY;
    hr_watch_publish(watch);
    if (delivered)
        deliver(watch, first);
}
