/*
 * Looking where events do not come, or may not.
 *
 * Directories without events are looked at every poll interval: those in which something changed
 * lately each time, the others round after round, as far as the share of a core allows. File
 * systems that may change without telling are swept slowly besides their events; what a sweep finds
 * and no event told makes the whole file system one without events.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "buffer.h"
#include "clock.h"
#include "look.h"
#include "watcher.h"

#define HOT         HR_MILLISECONDS(60000) /* so long after a change a directory is looked at first */
#define SWEEP       HR_MILLISECONDS(2000) /* at least so long from one sweep to the next, */
#define SWEEP_SHARE 50                    /* and so many times what the sweep took */
#define POLL_SHARE  8                     /* of the interval, at most 1/8 is spent looking */

/* File systems that are written from elsewhere (network, virtual machines) or from below (overlay,
 * FUSE). */
static const struct {
    uint32_t type;
    const char *name;
} untold[] = {
    {0x6969, "NFS"},    {0x517B, "SMB"},      {0xFF534D42, "CIFS"},    {0xFE534D42, "SMB2"},
    {0x01021997, "9p"}, {0x65735546, "FUSE"}, {0x794C7630, "overlay"}, {0x786F4256, "vboxsf"},
};

static const char *untold_name(const char *path)
{
    struct statfs status;
    if (statfs(path, &status) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++)
        if (untold[i].type == (uint32_t)status.f_type)
            return untold[i].name;
    return NULL;
}

static bool is_promoted(const hr_watch *watch, uint64_t device)
{
    for (size_t i = 0; i < watch->promoted_count; i++)
        if (watch->promoted[i] == device)
            return true;
    return false;
}

static void remember_why(hr_watch *watch, const hr_node *node, enum hr_why why)
{
    atomic_fetch_or(&watch->roots[node->root].why, why);
}

static enum hr_why why_unwatched(const hr_watch *watch)
{
    if (watch->options.polling == HR_POLLING_ALWAYS)
        return HR_WHY_ASKED;
    return watch->inotify < 0 ? HR_WHY_INSTANCE : HR_WHY_LIMIT;
}

static hr_attention classify(hr_watch *watch, const hr_node *node, const char *path, bool watchable)
{
    const hr_directory *directory = node->directory;
    if (!watchable)
        remember_why(watch, node, why_unwatched(watch));
    if (watch->options.polling != HR_POLLING_AUTO)
        return watch->options.polling == HR_POLLING_ALWAYS ? HR_ATTENTION_POLL : HR_ATTENTION_NONE;
    if (directory->watch < 0)
        return watchable ? HR_ATTENTION_NONE : HR_ATTENTION_POLL;
    if (is_promoted(watch, directory->device)) {
        remember_why(watch, node, HR_WHY_UNTOLD);
        return HR_ATTENTION_POLL;
    }
    const hr_directory *parent = node->parent ? node->parent->directory : NULL;
    if (parent && parent->device == directory->device && parent->watch >= 0)
        return parent->attention;
    const char *name = untold_name(path);
    if (!name)
        return HR_ATTENTION_NONE;
    atomic_store(&watch->roots[node->root].file_system, name);
    hr_watch_note(watch, HR_LEVEL_DEBUG,
                  "%s is on %s, which may change without telling: swept every %.3g s", path, name,
                  (double)SWEEP / 1e6);
    return HR_ATTENTION_SWEEP;
}

static void attend(hr_watch *watch, hr_node *node, hr_attention attention)
{
    hr_directory *directory = node->directory;
    size_t *of_root = watch->roots[node->root].attended;
    if (directory->attention == attention)
        return;
    watch->attended[directory->attention]--;
    watch->attended[attention]++;
    of_root[directory->attention]--;
    of_root[attention]++;
    directory->attention = (uint8_t)attention;
    watch->rounds_stale = true;
}

void hr_poll_attend(hr_watch *watch, hr_node *node, const char *path, bool watchable)
{
    attend(watch, node, classify(watch, node, path, watchable));
}

void hr_poll_forget(hr_watch *watch, hr_node *node)
{
    attend(watch, node, HR_ATTENTION_NONE);
    watch->rounds_stale = true;
}

void hr_poll_found(hr_watch *watch, hr_node *node)
{
    hr_node *parent = node->parent ? node->parent : node;
    hr_directory *directory = parent->directory;
    if (directory->attention == HR_ATTENTION_NONE)
        return;
    directory->hot_until = hr_clock_monotonic() + HOT;
    if (watch->sweeping && directory->attention == HR_ATTENTION_SWEEP)
        watch->missed = parent;
}

/* The next directory in a walk of the tree below `top`, or NULL. */
static hr_node *next_directory(hr_node *node, const hr_node *top)
{
    hr_node *next = node->directory->children;
    for (;;) {
        while (next && !next->directory)
            next = next->next;
        if (next || node == top)
            return next;
        next = node->next;
        node = node->parent;
    }
}

static bool add_to_rounds(hr_watch *watch, hr_node *node)
{
    hr_node **grown =
        hr_array_grow(watch->rounds, watch->rounds_count, &watch->rounds_capacity, sizeof *grown);
    if (!grown)
        return false;
    watch->rounds = grown;
    watch->rounds[watch->rounds_count++] = node;
    return true;
}

/* Lists what has to be looked at. Without memory the list stays short and is made again. */
static void list_rounds(hr_watch *watch)
{
    watch->rounds_count = 0;
    watch->rounds_stale = false;
    for (size_t i = 0; i < watch->root_count; i++) {
        hr_node *root = watch->roots[i].node;
        for (hr_node *node = root->directory ? root : NULL; node;
             node = next_directory(node, root)) {
            if (node->directory->attention == HR_ATTENTION_NONE || add_to_rounds(watch, node))
                continue;
            watch->rounds_stale = true;
            return;
        }
    }
}

/* Reads the hot directories, and then the others from where the last round stopped. */
static void go_round(hr_watch *watch, hr_attention attention, uint64_t end)
{
    uint64_t now = hr_clock_monotonic();
    if (watch->rounds_stale)
        list_rounds(watch);
    const size_t count = watch->rounds_count;
    for (size_t i = 0; i < count; i++) {
        hr_node *node = watch->rounds[i];
        if (node->directory->attention == attention && node->directory->hot_until > now)
            hr_scan(watch, node, false);
    }
    size_t *at = &watch->round[attention];
    for (size_t i = 0; i < count && !hr_watch_stopping(watch); i++) {
        *at = *at + 1 < count ? *at + 1 : 0;
        hr_node *node = watch->rounds[*at];
        if (node->directory->attention == attention && node->directory->hot_until <= now)
            hr_scan(watch, node, false);
        if (hr_clock_monotonic() >= end)
            return;
    }
}

bool hr_poll_again(hr_watch *watch, bool many)
{
    uint64_t last = watch->settle.last;
    size_t pending = watch->tree.pending_count;
    uint64_t begin = hr_clock_monotonic();
    uint64_t interval = watch->options.poll_interval_us;
    bool whole = many || watch->round_took < interval;
    hr_scan_check_roots(watch);
    go_round(watch, HR_ATTENTION_POLL, whole ? UINT64_MAX : begin + interval / POLL_SHARE);
    if (whole)
        watch->round_took = hr_clock_monotonic() - begin;
    return watch->settle.last != last || watch->tree.pending_count != pending;
}

static void poll_some(hr_watch *watch, uint64_t now)
{
    uint64_t interval = watch->options.poll_interval_us;
    hr_scan_check_roots(watch);
    go_round(watch, HR_ATTENTION_POLL, now + interval / POLL_SHARE);
    watch->next_poll = now + interval;
}

static bool events_wait(const hr_watch *watch)
{
    struct pollfd events = {watch->inotify, POLLIN, 0};
    return poll(&events, 1, 0) != 0;
}

/* Events do not come from there: look at all of it as often as at what has none. */
static void promote(hr_watch *watch, const hr_node *where)
{
    const uint64_t device = where->directory->device;
    if (watch->promoted_count == HR_PROMOTED_MAX)
        return;
    watch->promoted[watch->promoted_count++] = device;
    for (size_t i = 0; i < watch->rounds_count; i++) {
        hr_node *node = watch->rounds[i];
        if (node->directory->device != device)
            continue;
        attend(watch, node, HR_ATTENTION_POLL);
        remember_why(watch, node, HR_WHY_UNTOLD);
    }
    watch->next_poll = hr_clock_monotonic();
    if (hr_node_path(where, &watch->path) == HR_OK)
        hr_watch_note(watch, HR_LEVEL_WARNING,
                      "files change in %s without an event from its file system: it is polled "
                      "every %.3g s from now on",
                      watch->path.data, (double)watch->options.poll_interval_us / 1e6);
}

/* With an empty queue before and after, what the sweep found was not told: an event comes within
 * microseconds of its change. */
static void sweep(hr_watch *watch, uint64_t now)
{
    watch->missed = NULL;
    watch->sweeping = !events_wait(watch);
    go_round(watch, HR_ATTENTION_SWEEP, UINT64_MAX);
    watch->sweeping = false;
    if (watch->missed && !events_wait(watch))
        promote(watch, watch->missed);
    uint64_t took = hr_clock_monotonic() - now;
    watch->next_sweep = now + (took * SWEEP_SHARE > SWEEP ? took * SWEEP_SHARE : SWEEP);
}

static bool must_poll(const hr_watch *watch)
{
    return watch->attended[HR_ATTENTION_POLL] || watch->options.polling == HR_POLLING_ALWAYS ||
           (watch->inotify < 0 && watch->options.polling == HR_POLLING_AUTO);
}

static bool must_sweep(const hr_watch *watch)
{
    return watch->attended[HR_ATTENTION_SWEEP] != 0;
}

uint64_t hr_poll_deadline(const hr_watch *watch)
{
    uint64_t deadline = HR_SETTLE_NEVER;
    if (must_poll(watch))
        deadline = watch->next_poll;
    if (must_sweep(watch) && watch->next_sweep < deadline)
        deadline = watch->next_sweep;
    return deadline;
}

void hr_poll_if_due(hr_watch *watch)
{
    uint64_t now = hr_clock_monotonic();
    if (must_poll(watch) && now >= watch->next_poll)
        poll_some(watch, now);
    now = hr_clock_monotonic();
    if (must_sweep(watch) && now >= watch->next_sweep)
        sweep(watch, now);
}
