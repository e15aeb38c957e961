/*
 * Reading directories. A watch is added before the directory is read, so that whatever the reading
 * misses makes an event.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "hash.h"
#include "look.h"
#include "watcher.h"

#define HASH_SLICE      HR_MILLISECONDS(2)
#define HASH_FILE_LIMIT (1 << 20) /* of one file of the baseline, bytes */

static uint64_t identity_key(uint64_t device, uint64_t inode)
{
    uint64_t identity[2] = {device, inode};
    return hr_hash(identity, sizeof identity, 0);
}

/* Is the directory still where its node says? */
static bool stands(hr_watch *watch, const hr_node *node)
{
    struct stat status;
    return hr_node_path(node, &watch->path) == HR_OK &&
           hr_look(watch->path.data, &status) == HR_KIND_DIRECTORY &&
           status.st_dev == node->directory->device && status.st_ino == node->directory->inode;
}

void hr_scan_release(hr_watch *watch, hr_node *node)
{
    hr_directory *directory = node->directory;
    uint64_t key = identity_key(directory->device, directory->inode);
    if (hr_map_get(&watch->identities, key) == node)
        hr_map_remove(&watch->identities, key);
    if (directory->aliased)
        hr_watch_lost(watch); /* the other name may stand, and now it is the only one */
    hr_notify_remove(watch, node);
    hr_poll_forget(watch, node);
    *directory = (hr_directory){.children = directory->children, .watch = -1};
}

/* The node under which the directory is looked into by another name. */
static hr_node *other_holder(hr_watch *watch, const hr_node *node, uint64_t key)
{
    hr_node *holder = hr_map_get(&watch->identities, key);
    return holder && holder != node && stands(watch, holder) ? holder : NULL;
}

static bool is_same_directory(const hr_directory *directory, const struct stat *status)
{
    return directory && directory->device == status->st_dev && directory->inode == status->st_ino;
}

bool hr_scan_claim(hr_watch *watch, hr_node *node, const struct stat *status)
{
    hr_directory *directory = node->directory;
    uint64_t key = identity_key(status->st_dev, status->st_ino);
    /* It may have been known by another name in between, which took it over. */
    if (is_same_directory(directory, status) && hr_map_get(&watch->identities, key) == node)
        return true;
    hr_node *holder = other_holder(watch, node, key);
    if (holder) {
        holder->directory->aliased = true;
        return false;
    }
    if (directory)
        hr_scan_release(watch, node);
    else if (hr_tree_make_directory(&watch->tree, node) != HR_OK)
        goto lost;
    if (hr_map_set(&watch->identities, key, node) != HR_OK)
        goto lost;
    node->directory->device = status->st_dev;
    node->directory->inode = status->st_ino;
    node->flags |= HR_NODE_REPLACED;
    return true;
lost:
    hr_watch_lost(watch);
    return node->directory != NULL;
}

static void enqueue(hr_watch *watch, hr_node *directory)
{
    hr_node **grown =
        hr_array_grow(watch->queue, watch->queue_count, &watch->queue_capacity, sizeof *grown);
    if (!grown) {
        hr_watch_lost(watch);
        return;
    }
    watch->queue = grown;
    watch->queue[watch->queue_count++] = directory;
}

/* A reading finds the same difference until it is flushed: only the first time is it news. */
static void hint_found(hr_watch *watch, hr_node *node)
{
    if (node->hint == HR_HINT_DIRTY || node->hint == HR_HINT_DONE)
        return;
    if (!node->hint)
        hr_poll_found(watch, node);
    hr_watch_hint(watch, node, HR_HINT_DONE);
}

static bool is_unwatched(const hr_node *node)
{
    return (node->flags & HR_NODE_REPLACED) ||
           (node->directory->watch < 0 && node->directory->attention == HR_ATTENTION_NONE);
}

static void meet_directory(hr_watch *watch, hr_node *node, const struct stat *status, bool deep)
{
    if (node->flags & HR_NODE_DELIVERED)
        hint_found(watch, node);
    if (!hr_scan_claim(watch, node, status)) {
        if (node->directory)
            hint_found(watch, node);
        return;
    }
    if (deep || is_unwatched(node))
        enqueue(watch, node);
}

static void meet_file(hr_watch *watch, hr_node *node, const struct stat *status)
{
    hr_stamp stamp = hr_stamp_of(status);
    if (watch->reading_baseline && !node->hint && !(node->flags & HR_NODE_DELIVERED)) {
        hr_tree_deliver(&watch->tree, node);
        watch->hashing = true;
        if (stamp.ctime_ns >= watch->started_ns) /* changed since the start: that is news */
            hr_watch_hint(watch, node, HR_HINT_DONE);
        else
            node->stamp = stamp;
        return;
    }
    if (node->directory || !(node->flags & HR_NODE_DELIVERED) ||
        !hr_stamp_equal(&stamp, &node->stamp))
        hint_found(watch, node);
}

static void meet(hr_watch *watch, hr_node *parent, int fd, const char *name, bool deep)
{
    struct stat status;
    if (fstatat(fd, name, &status, 0) != 0)
        return;
    bool directory = S_ISDIR(status.st_mode);
    if ((!directory && !S_ISREG(status.st_mode)) ||
        hr_watch_ignores(watch, parent, name, directory))
        return;
    hr_node *node;
    if (hr_tree_child(&watch->tree, parent, (hr_bytes){name, strlen(name)}, &node) != HR_OK) {
        hr_watch_lost(watch);
        return;
    }
    node->seen = watch->reading;
    if (directory)
        meet_directory(watch, node, &status, deep);
    else
        meet_file(watch, node, &status);
}

/* Ignored without asking the file system, as far as the kind is known from the listing. */
static bool ignored_by_kind(hr_watch *watch, const hr_node *parent, const struct dirent *entry)
{
    if (entry->d_type != DT_DIR && entry->d_type != DT_REG)
        return false;
    return hr_watch_ignores(watch, parent, entry->d_name, entry->d_type == DT_DIR);
}

static void hint_missing(hr_watch *watch, hr_node *directory)
{
    hr_node *next;
    for (hr_node *node = directory->directory->children; node; node = next) {
        next = node->next;
        if (node->seen != watch->reading && node->hint != HR_HINT_GONE &&
            ((node->flags & HR_NODE_DELIVERED) || node->directory)) {
            if (!node->hint)
                hr_poll_found(watch, node);
            hr_watch_hint(watch, node, HR_HINT_GONE);
        }
    }
}

static bool is_virtual_environment(const hr_node *directory, int fd)
{
    return directory->parent && faccessat(fd, "pyvenv.cfg", F_OK, 0) == 0;
}

static void note_unopened(hr_watch *watch, const char *path)
{
    if ((errno != EMFILE && errno != ENFILE) || watch->noted_descriptors)
        return;
    watch->noted_descriptors = true;
    hr_watch_note(watch, HR_LEVEL_WARNING,
                  "no file descriptor is left to read %s (%s): raise the limit (ulimit -n); it is "
                  "tried again",
                  path,
                  strerror(errno)); /* NOLINT(concurrency-mt-unsafe): a known one is constant */
}

static void read_directory(hr_watch *watch, hr_node *directory, bool deep)
{
    hr_buffer path = {0}; /* of its own: the nodes met need watch->path */
    DIR *listing = NULL;
    int fd = -1;
    if (hr_node_path(directory, &path) != HR_OK) {
        hr_watch_lost(watch);
        goto done;
    }
    /* In depth nothing is believed: a directory removed and made again may have the inode of the
     * old one, whose watch is dead, and the event that said so may be lost. */
    if (deep || is_unwatched(directory))
        hr_poll_attend(watch, directory, path.data, hr_notify_add(watch, directory, path.data));
    watch->reading++;
    directory->flags &= (uint8_t)~HR_NODE_REPLACED;
    fd = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        note_unopened(watch, path.data);
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            hr_watch_lost(watch);
        else
            hint_missing(watch, directory);
        goto done;
    }
    if (is_virtual_environment(directory, fd)) {
        hint_missing(watch, directory);
        goto done;
    }
    listing = fdopendir(fd);
    if (!listing) {
        hr_watch_lost(watch);
        goto done;
    }
    for (struct dirent *entry; (entry = readdir(listing)) && !hr_watch_stopping(watch);) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!ignored_by_kind(watch, directory, entry))
            meet(watch, directory, fd, entry->d_name, deep);
    }
    if (!hr_watch_stopping(watch))
        hint_missing(watch, directory);
done:
    if (listing)
        closedir(listing);
    else if (fd >= 0)
        close(fd);
    hr_buffer_fini(&path);
}

static void read_queue(hr_watch *watch, bool deep)
{
    while (watch->queue_count && !hr_watch_stopping(watch))
        read_directory(watch, watch->queue[--watch->queue_count], deep);
    watch->queue_count = 0;
}

void hr_scan(hr_watch *watch, hr_node *directory, bool deep)
{
    enqueue(watch, directory);
    read_queue(watch, deep);
}

void hr_scan_roots(hr_watch *watch, bool deep)
{
    for (size_t i = 0; i < watch->root_count && !hr_watch_stopping(watch); i++) {
        hr_node *root = watch->roots[i].node;
        struct stat status;
        hr_notify_anchor(watch, (uint32_t)i);
        if (hr_node_path(root, &watch->path) != HR_OK) {
            hr_watch_lost(watch);
            continue;
        }
        if (hr_look(watch->path.data, &status) != HR_KIND_DIRECTORY) {
            if (root->directory)
                hr_watch_hint(watch, root, HR_HINT_GONE);
            continue;
        }
        if (hr_scan_claim(watch, root, &status))
            hr_scan(watch, root, deep);
    }
}

static bool is_free(hr_watch *watch, const hr_node *node, const struct stat *status)
{
    return !other_holder(watch, node, identity_key(status->st_dev, status->st_ino));
}

void hr_scan_check_roots(hr_watch *watch)
{
    for (size_t i = 0; i < watch->root_count; i++) {
        hr_node *root = watch->roots[i].node;
        struct stat status;
        if (root->hint || hr_node_path(root, &watch->path) != HR_OK)
            continue;
        bool there = hr_look(watch->path.data, &status) == HR_KIND_DIRECTORY;
        if (there ? !is_same_directory(root->directory, &status) &&
                        (root->directory || is_free(watch, root, &status))
                  : root->directory != NULL)
            hr_watch_hint(watch, root, HR_HINT_DONE);
    }
}

static void hash_node(hr_watch *watch, hr_node *node)
{
    hr_stamp stamp;
    uint64_t hash;
    if (hr_node_path(node, &watch->path) != HR_OK)
        return;
    off_t limit = HASH_FILE_LIMIT;
    if ((uint64_t)limit > watch->hash_budget)
        limit = (off_t)watch->hash_budget;
    switch (
        hr_look_content(watch->path.data, limit, watch->scratch, HR_SCRATCH_SIZE, &stamp, &hash)) {
    case HR_CONTENT_READ:
        if (!hr_stamp_equal(&stamp, &node->stamp)) {
            hr_watch_hint(watch, node, HR_HINT_DONE);
            return;
        }
        node->content = hash;
        node->flags |= HR_NODE_HASHED;
        watch->hash_budget -= (uint64_t)stamp.size;
        return;
    case HR_CONTENT_SKIPPED:
        node->flags |= HR_NODE_SKIP_HASH;
        return;
    case HR_CONTENT_CHANGING:
    case HR_CONTENT_GONE:
        hr_watch_hint(watch, node, HR_HINT_DONE);
        return;
    }
}

void hr_scan_hash(hr_watch *watch)
{
    uint64_t end = hr_clock_monotonic() + HASH_SLICE;
    if (watch->hash_capacity != watch->tree.capacity) { /* the table grew: begin again */
        watch->hash_capacity = watch->tree.capacity;
        watch->hash_slot = 0;
    }
    while (watch->hash_slot < watch->tree.capacity) {
        for (hr_node *node = watch->tree.table[watch->hash_slot]; node; node = node->chain)
            if ((node->flags & HR_NODE_DELIVERED) && !node->hint &&
                !(node->flags & (HR_NODE_HASHED | HR_NODE_SKIP_HASH)))
                hash_node(watch, node);
        watch->hash_slot++;
        if (hr_clock_monotonic() >= end)
            return;
    }
    watch->hashing = false;
}
