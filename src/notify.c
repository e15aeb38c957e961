/*
 * inotify(7). One instance for everything, since instances are the scarce limit; directories are
 * watched, never files. An event is a hint only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "clock.h"
#include "look.h"
#include "watcher.h"

enum {
    DIRECTORY_EVENTS = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                       IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF,
    SELF_EVENTS = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT,
    NAME_EVENTS = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE,
    READS_MAX = 64
};

void hr_notify_open(hr_watch *watch)
{
    watch->inotify = -1;
    if (watch->options.polling == HR_POLLING_ALWAYS)
        return;
    watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify < 0)
        hr_watch_note(watch, HR_LEVEL_WARNING,
                      "the kernel grants no inotify instance (%s): %s; raise "
                      "fs.inotify.max_user_instances or close other watchers",
                      strerror(errno), /* NOLINT(concurrency-mt-unsafe): a known one is constant */
                      watch->options.polling == HR_POLLING_NEVER
                          ? "nothing is watched, as polling is switched off"
                          : "all directories are polled");
    else
        watch->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

void hr_notify_close(hr_watch *watch)
{
    if (watch->inotify >= 0)
        close(watch->inotify);
    if (watch->mounts >= 0)
        close(watch->mounts);
    watch->inotify = watch->mounts = -1;
}

static void note_limit(hr_watch *watch, const char *path)
{
    if (watch->noted_limit)
        return;
    watch->noted_limit = true;
    hr_watch_note(watch, HR_LEVEL_WARNING,
                  "the limit of inotify watches is reached at %s: %s; raise "
                  "fs.inotify.max_user_watches",
                  path,
                  watch->options.polling == HR_POLLING_NEVER
                      ? "the rest is not watched, as polling is switched off"
                      : "the rest is polled");
}

/* The kernel gives the same descriptor for the same inode: after a rename the directory's old node
 * may still hold it, and loses it to the new one. */
static void take_watch(hr_watch *watch, hr_node *node, int descriptor)
{
    hr_node *holder = hr_map_get(&watch->watches, (uint64_t)descriptor);
    if (holder && holder != node)
        holder->directory->watch = -1;
    if (hr_map_set(&watch->watches, (uint64_t)descriptor, node) != HR_OK) {
        hr_watch_lost(watch);
        return;
    }
    node->directory->watch = descriptor;
}

bool hr_notify_add(hr_watch *watch, hr_node *node, const char *path)
{
    if (watch->inotify < 0)
        return false;
    int descriptor = inotify_add_watch(watch->inotify, path, DIRECTORY_EVENTS | IN_ONLYDIR);
    int error = descriptor < 0 ? errno : 0;
    if (descriptor == node->directory->watch && descriptor >= 0)
        return true;
    if (node->directory->watch >= 0)
        hr_notify_remove(watch, node);
    if (descriptor >= 0)
        take_watch(watch, node, descriptor);
    else if (error == ENOSPC)
        note_limit(watch, path);
    return !error || error == EACCES || error == ENOENT || error == ENOTDIR;
}

static bool is_anchor(const hr_watch *watch, int descriptor)
{
    for (size_t i = 0; i < watch->anchor_count; i++)
        if (watch->anchors[i].watch == descriptor)
            return true;
    return false;
}

void hr_notify_remove(hr_watch *watch, hr_node *node)
{
    int descriptor = node->directory->watch;
    if (descriptor < 0)
        return;
    node->directory->watch = -1;
    hr_map_remove(&watch->watches, (uint64_t)descriptor);
    if (!is_anchor(watch, descriptor))
        inotify_rm_watch(watch->inotify, descriptor);
}

static void add_anchor(hr_watch *watch, uint32_t root, const char *path, hr_bytes name,
                       uint32_t events)
{
    int descriptor = inotify_add_watch(watch->inotify, path, events | IN_MASK_ADD | IN_ONLYDIR);
    if (descriptor < 0) {
        if (errno == ENOENT) /* it went after the one below it was looked at */
            hr_watch_lost(watch);
        return;
    }
    hr_anchor *grown = realloc(watch->anchors, (watch->anchor_count + 1) * sizeof *watch->anchors);
    if (!grown) {
        hr_watch_lost(watch);
        return;
    }
    watch->anchors = grown;
    watch->anchors[watch->anchor_count++] = (hr_anchor){descriptor, root, name};
}

static void drop_anchors(hr_watch *watch, uint32_t root)
{
    size_t kept = 0;
    for (size_t i = 0; i < watch->anchor_count; i++) {
        hr_anchor anchor = watch->anchors[i];
        if (anchor.root != root) {
            watch->anchors[kept++] = anchor;
            continue;
        }
        watch->anchors[i].watch = -1;
        if (!hr_map_get(&watch->watches, (uint64_t)anchor.watch) && !is_anchor(watch, anchor.watch))
            inotify_rm_watch(watch->inotify, anchor.watch);
    }
    watch->anchor_count = kept;
}

static bool is_link(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static void hint_root(hr_watch *watch, uint32_t root, uint32_t mask)
{
    hr_node *node = watch->roots[root].node;
    if (mask & IN_ATTRIB) /* it may have become readable */
        node->flags |= HR_NODE_REPLACED;
    hr_watch_hint(watch, node, HR_HINT_DONE);
}

/* May it be read, or, where it only leads to the root, be passed? */
static bool is_open(const char *path, bool is_root)
{
    return faccessat(AT_FDCWD, path, is_root ? R_OK | X_OK : X_OK, AT_EACCESS) == 0;
}

/* What the directory above `path` has to tell besides of itself. */
static uint32_t events_above(const char *path, bool is_root)
{
    struct stat status;
    if (hr_look(path, &status) != HR_KIND_DIRECTORY)
        return NAME_EVENTS;
    return (is_link(path) ? NAME_EVENTS : 0) | (is_open(path, is_root) ? 0 : IN_ATTRIB);
}

/*
 * Every directory above tells when it is renamed or removed itself, which costs nothing while it is
 * not. The one below which something is missing, or a link that may be pointed elsewhere, also
 * tells of its names; the one above a directory that is closed tells when that is opened.
 */
void hr_notify_anchor(hr_watch *watch, uint32_t root)
{
    if (watch->inotify < 0)
        return;
    drop_anchors(watch, root);
    hr_node *node = watch->roots[root].node;
    char path[PATH_MAX];
    if (node->name_size >= sizeof path)
        return;
    for (size_t end = 0; end < node->name_size;) {
        size_t next = end + 1;
        while (next < node->name_size && node->name[next] != '/')
            next++;
        hr_bytes name = {node->name + end + 1, next - end - 1};
        memcpy(path, node->name, next);
        path[next] = '\0';
        bool is_root = next == node->name_size;
        uint32_t events = events_above(path, is_root);
        if (end)
            path[end] = '\0';
        else
            strcpy(path, "/");
        add_anchor(watch, root, path, name, (SELF_EVENTS & ~(uint32_t)IN_UNMOUNT) | events);
        path[end] = '/';
        path[next] = '\0';
        /* It may have come, or been opened, between the look and the watch. */
        struct stat status;
        if (events == NAME_EVENTS && hr_look(path, &status) != HR_KIND_DIRECTORY)
            return;
        if ((events & IN_ATTRIB) && is_open(path, is_root))
            hint_root(watch, root, IN_ATTRIB);
        end = next;
    }
}

static void anchor_event(hr_watch *watch, const struct inotify_event *event, hr_bytes name)
{
    for (size_t i = 0; i < watch->anchor_count; i++) {
        const hr_anchor *anchor = &watch->anchors[i];
        if (anchor->watch != event->wd)
            continue;
        bool concerned =
            (event->mask & SELF_EVENTS) || (anchor->name.size == name.size &&
                                            memcmp(anchor->name.data, name.data, name.size) == 0);
        if (concerned)
            hint_root(watch, anchor->root, event->mask);
    }
}

/* A regular file that was just created has a writer, who will close it; whatever else takes a name
 * (a link, another name of a file) is whole at once. */
static hr_hint hint_of_creation(hr_watch *watch, const hr_node *node)
{
    struct stat status;
    if (hr_node_path(node, &watch->path) != HR_OK || lstat(watch->path.data, &status) != 0 ||
        (S_ISREG(status.st_mode) && status.st_nlink == 1))
        return HR_HINT_DIRTY;
    return HR_HINT_DONE;
}

/* Of two names that were exchanged (renameat2(2)), the second is said to be left after something
 * has come there. */
static hr_hint hint_of_leaving(hr_watch *watch, const hr_node *node, uint32_t mask)
{
    struct stat status;
    if ((mask & IN_MOVED_FROM) && hr_node_path(node, &watch->path) == HR_OK &&
        lstat(watch->path.data, &status) == 0)
        return HR_HINT_DONE;
    return HR_HINT_GONE;
}

static void file_event(hr_watch *watch, hr_node *node, uint32_t mask)
{
    if (mask & (IN_DELETE | IN_MOVED_FROM))
        hr_watch_hint(watch, node, hint_of_leaving(watch, node, mask));
    else if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
        hr_watch_hint(watch, node, HR_HINT_DONE);
    else if (mask & IN_MODIFY)
        hr_watch_hint(watch, node, HR_HINT_DIRTY);
    else if (mask & IN_CREATE)
        hr_watch_hint(watch, node, hint_of_creation(watch, node));
}

/* A new directory is watched and read now, not at the flush: what is written into it meanwhile must
 * be seen, and its writers waited for. */
static void enter_directory(hr_watch *watch, hr_node *node)
{
    struct stat status;
    hr_watch_hint(watch, node, HR_HINT_DONE);
    if (hr_node_path(node, &watch->path) != HR_OK) {
        hr_watch_lost(watch);
        return;
    }
    if (hr_look(watch->path.data, &status) == HR_KIND_DIRECTORY &&
        hr_scan_claim(watch, node, &status))
        hr_scan(watch, node, true);
}

static void directory_event(hr_watch *watch, hr_node *node, uint32_t mask)
{
    if (mask & (IN_DELETE | IN_MOVED_FROM)) {
        hr_watch_hint(watch, node, hint_of_leaving(watch, node, mask));
    } else if (mask & (IN_CREATE | IN_MOVED_TO)) {
        enter_directory(watch, node);
    } else if (mask & IN_ATTRIB) { /* it may have become readable, or unreadable */
        node->flags |= HR_NODE_REPLACED;
        hr_watch_hint(watch, node, HR_HINT_DONE);
    }
}

static void self_event(hr_watch *watch, hr_node *node, uint32_t mask)
{
    if (mask & (IN_DELETE_SELF | IN_UNMOUNT)) {
        hr_watch_hint(watch, node, HR_HINT_GONE);
    } else if (mask & IN_IGNORED) { /* the kernel has dropped the watch */
        hr_map_remove(&watch->watches, (uint64_t)node->directory->watch);
        node->directory->watch = -1;
        node->flags |= HR_NODE_REPLACED;
        hr_watch_hint(watch, node, HR_HINT_DONE);
    } else if ((mask & IN_MOVE_SELF) && node->hint != HR_HINT_GONE) {
        hr_watch_hint(watch, node, HR_HINT_DONE); /* a root, or a link may lead nowhere now */
    } else if (!node->parent && (mask & IN_ATTRIB)) {
        node->flags |= HR_NODE_REPLACED;
        hr_watch_hint(watch, node, HR_HINT_DONE);
    }
}

static void child_event(hr_watch *watch, hr_node *parent, const struct inotify_event *event,
                        hr_bytes name)
{
    bool directory = event->mask & IN_ISDIR;
    if (!directory && (event->mask & IN_ATTRIB))
        return;
    if (hr_watch_ignores(watch, parent, name.data, directory))
        return;
    hr_node *node = hr_tree_find(&watch->tree, parent, name);
    if (!node && (event->mask & (IN_DELETE | IN_MOVED_FROM)))
        return;
    if (!node && hr_tree_child(&watch->tree, parent, name, &node) != HR_OK) {
        hr_watch_lost(watch);
        return;
    }
    if (directory)
        directory_event(watch, node, event->mask);
    else
        file_event(watch, node, event->mask);
}

static void handle_event(hr_watch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        hr_watch_note(watch, HR_LEVEL_DEBUG,
                      "the kernel's event queue overflowed: the tree is compared as a whole");
        hr_watch_lost(watch);
        return;
    }
    hr_bytes name = {event->name, event->len ? strlen(event->name) : 0};
    hr_node *node = hr_map_get(&watch->watches, (uint64_t)event->wd);
    anchor_event(watch, event, name);
    if (node && name.size)
        child_event(watch, node, event, name);
    else if (node)
        self_event(watch, node, event->mask);
}

/* As much as a full queue holds, and no more: a writer may be faster for ever. */
void hr_notify_drain(hr_watch *watch)
{
    for (int reads = 0; reads < READS_MAX && !hr_watch_stopping(watch); reads++) {
        char *events = watch->scratch;
        ssize_t size = read(watch->inotify, events, HR_SCRATCH_SIZE);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return;
        for (char *at = events; at < events + size;) {
            const struct inotify_event *event = (const void *)at;
            at += sizeof *event + event->len;
            handle_event(watch, event);
        }
    }
}
