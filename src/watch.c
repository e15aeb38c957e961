/* The public face of hr_watch, its thread and the loop in it. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "look.h"
#include "watcher.h"

enum {
    DEFAULT_POLL_INTERVAL = 250000,
    NOTE_SIZE = 512,
    BASELINE_TRIES = 20,
    BASELINE_PAUSE = 50 /* ms */
};

/* Of the baseline, in bytes: what may be read in order to know the same content when it is saved
 * again. Beyond, the stamp alone must do. */
#define HASH_BUDGET ((uint64_t)256 << 20)

bool hr_watch_stopping(const hr_watch *watch)
{
    return atomic_load_explicit(&watch->stop, memory_order_relaxed);
}

void hr_watch_note(hr_watch *watch, hr_level level, const char *format, ...)
{
    if (!watch->options.on_note)
        return;
    char text[NOTE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    watch->options.on_note(watch->options.user, level, text);
}

bool hr_watch_ignores(hr_watch *watch, const hr_node *parent, const char *name, bool directory)
{
    if (!watch->ignore.anchored)
        return hr_ignore_matches(&watch->ignore, name, directory);
    watch->relative.size = 0;
    if (hr_node_relative(parent, &watch->relative) != HR_OK ||
        (parent->parent && hr_buffer_append(&watch->relative, "/", 1) != HR_OK) ||
        hr_buffer_append(&watch->relative, name, strlen(name) + 1) != HR_OK) {
        hr_watch_lost(watch);
        return true;
    }
    return hr_ignore_matches(&watch->ignore, watch->relative.data, directory);
}

void hr_watch_lost(hr_watch *watch)
{
    watch->incomplete = true;
    hr_settle_stir(&watch->settle, hr_clock_monotonic());
}

void hr_watch_hint(hr_watch *watch, hr_node *node, hr_hint hint)
{
    if (hint == HR_HINT_GONE && !node->directory && !(node->flags & HR_NODE_DELIVERED) &&
        node->parent) {
        if (node->hint)
            hr_settle_drop(&watch->settle, (hr_hint)node->hint);
        hr_tree_remove(&watch->tree, node);
        return;
    }
    if (hr_tree_pend(&watch->tree, node) != HR_OK) {
        hr_watch_lost(watch);
        return;
    }
    hr_settle_note(&watch->settle, (hr_hint)node->hint, hint, hr_clock_monotonic());
    node->hint = (uint8_t)hint;
}

/* Life. */

hr_status hr_watch_new(const hr_watch_options *options, hr_watch **out)
{
    if (!options->on_batch)
        return HR_INVALID;
    hr_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return HR_NOMEM;
    watch->options = *options;
    if (!watch->options.poll_interval_us)
        watch->options.poll_interval_us = DEFAULT_POLL_INTERVAL;
    watch->inotify = watch->mounts = watch->wake = -1;
    watch->hash_budget = HASH_BUDGET;
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->became_ready, &attributes);
    pthread_condattr_destroy(&attributes);

    watch->scratch = malloc(HR_SCRATCH_SIZE);
    hr_status status = watch->scratch ? HR_OK : HR_NOMEM;
    for (size_t i = 0; i < options->exclude_count && status == HR_OK; i++)
        status = hr_ignore_add(&watch->ignore, options->exclude[i]);
    if (status != HR_OK) {
        hr_watch_free(watch);
        return status;
    }
    *out = watch;
    return HR_OK;
}

/* The git repository around a root, if there is one, has its lock at `.git/index.lock`; in a linked
 * work tree or submodule `.git` is a file that names the directory (gitrepository-layout(5)). */
static hr_status find_lock(const hr_node *root, hr_buffer *out)
{
    char path[PATH_MAX], target[PATH_MAX];
    size_t end = root->name_size;
    for (;; end--) {
        struct stat status;
        int length = snprintf(path, sizeof path, "%.*s/.git", (int)end, root->name);
        if (length < 0 || (size_t)length >= sizeof path)
            return HR_OK;
        hr_kind kind = hr_look(path, &status);
        if (kind == HR_KIND_DIRECTORY)
            break;
        FILE *file = kind == HR_KIND_FILE ? fopen(path, "re") : NULL;
        if (file) {
            char line[PATH_MAX];
            bool named = fgets(line, sizeof line, file) && strncmp(line, "gitdir: ", 8) == 0;
            fclose(file);
            if (!named)
                return HR_OK;
            line[strcspn(line, "\n")] = '\0';
            length = line[8] == '/' ? snprintf(target, sizeof target, "%s", line + 8)
                                    : snprintf(target, sizeof target, "%.*s/%s", (int)end,
                                               root->name, line + 8);
            if (length < 0 || (size_t)length >= sizeof target)
                return HR_OK;
            memcpy(path, target, (size_t)length + 1);
            break;
        }
        while (end && root->name[end - 1] != '/')
            end--;
        if (!end)
            return HR_OK;
    }
    hr_status status = hr_buffer_append(out, path, strlen(path));
    if (status == HR_OK)
        status = hr_buffer_append(out, "/index.lock", sizeof "/index.lock");
    if (status != HR_OK)
        hr_buffer_fini(out);
    return status;
}

hr_status hr_watch_add_root(hr_watch *watch, hr_bytes path, uint32_t *index)
{
    struct stat status;
    char text[PATH_MAX];
    if (watch->running)
        return HR_STATE;
    if (!path.size || path.size >= sizeof text || path.data[0] != '/' ||
        memchr(path.data, '\0', path.size))
        return HR_INVALID;
    while (path.size && path.data[path.size - 1] == '/')
        path.size--;
    memcpy(text, path.data, path.size);
    text[path.size] = '\0';
    if (path.size && stat(text, &status) == 0 && !S_ISDIR(status.st_mode))
        return HR_NOT_DIRECTORY;

    hr_root *grown = realloc(watch->roots, (watch->root_count + 1) * sizeof *grown);
    if (!grown)
        return HR_NOMEM;
    watch->roots = grown;
    hr_root root = {0};
    hr_status result =
        hr_tree_add_root(&watch->tree, path, (uint32_t)watch->root_count, &root.node);
    if (result == HR_OK)
        result = find_lock(root.node, &root.lock);
    if (result != HR_OK)
        return result;
    *index = (uint32_t)watch->root_count;
    watch->roots[watch->root_count++] = root;
    return HR_OK;
}

/* The thread. */

void hr_watch_publish(hr_watch *watch)
{
    atomic_store(&watch->directories, watch->tree.all.directories);
    atomic_store(&watch->files, watch->tree.all.files);
    atomic_store(&watch->polled_directories, watch->attended[HR_ATTENTION_POLL]);
    for (size_t i = 0; i < watch->root_count; i++) {
        hr_root *root = &watch->roots[i];
        atomic_store(&root->directories, watch->tree.by_root[i].directories);
        atomic_store(&root->files, watch->tree.by_root[i].files);
        atomic_store(&root->polled, root->attended[HR_ATTENTION_POLL]);
        atomic_store(&root->swept, root->attended[HR_ATTENTION_SWEEP]);
    }
}

static void note_roots(hr_watch *watch)
{
    for (size_t i = 0; i < watch->root_count; i++) {
        const hr_node *root = watch->roots[i].node;
        if (!root->directory && hr_node_path(root, &watch->path) == HR_OK) {
            struct stat status;
            if (hr_look(watch->path.data, &status) == HR_KIND_NONE)
                hr_watch_note(watch, HR_LEVEL_DEBUG, "%s does not exist: it is waited for",
                              watch->path.data);
        }
    }
    hr_watch_note(watch, HR_LEVEL_DEBUG,
                  "watching %zu files in %zu directories (%zu of them polled every %.3g s)",
                  watch->tree.all.files, watch->tree.all.directories,
                  watch->attended[HR_ATTENTION_POLL],
                  (double)watch->options.poll_interval_us / 1e6);
}

static void become_ready(hr_watch *watch)
{
    hr_watch_publish(watch);
    note_roots(watch);
    pthread_mutex_lock(&watch->mutex);
    watch->ready = true;
    pthread_cond_broadcast(&watch->became_ready);
    pthread_mutex_unlock(&watch->mutex);
}

static uint64_t next_wake(const hr_watch *watch)
{
    if (watch->hashing)
        return 0;
    uint64_t deadline = watch->next_try ? watch->next_try : hr_settle_deadline(&watch->settle);
    uint64_t poll = hr_poll_deadline(watch);
    return poll < deadline ? poll : deadline;
}

static void wait_for_events(hr_watch *watch)
{
    uint64_t deadline = next_wake(watch);
    uint64_t now = hr_clock_monotonic();
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec timeout = {(time_t)(left / 1000000), (long)(left % 1000000) * 1000};
    /* Those that are -1 are passed over. */
    struct pollfd descriptors[] = {
        {watch->wake, POLLIN, 0}, {watch->inotify, POLLIN, 0}, {watch->mounts, POLLPRI, 0}};
    int ready = ppoll(descriptors, 3, deadline == HR_SETTLE_NEVER ? NULL : &timeout, NULL);
    atomic_fetch_add_explicit(&watch->wakeups, 1, memory_order_relaxed);
    if (ready > 0 && descriptors[0].revents) {
        uint64_t count;
        ssize_t size = read(watch->wake, &count, sizeof count);
        (void)size;
    }
    if (ready > 0 && descriptors[1].revents)
        hr_notify_drain(watch);
    if (ready > 0 && descriptors[2].revents) /* what was mounted makes no event below it */
        hr_watch_lost(watch);
}

static void flush_if_due(hr_watch *watch)
{
    uint64_t now = hr_clock_monotonic();
    uint64_t due = watch->next_try ? watch->next_try : hr_settle_deadline(&watch->settle);
    if (now < due)
        return;
    hr_flush(watch, now);
}

static bool is_at_rest(const hr_watch *watch)
{
    return !watch->next_try && !watch->incomplete &&
           hr_settle_deadline(&watch->settle) == HR_SETTLE_NEVER;
}

/* The kernel has queued the events of all that happened before the question was asked. */
static void answer_sync(hr_watch *watch)
{
    uint64_t asked = atomic_load(&watch->syncs);
    if (atomic_load(&watch->synced) == asked)
        return;
    hr_notify_drain(watch);
    if (is_at_rest(watch) && watch->attended[HR_ATTENTION_POLL])
        hr_poll_again(watch, true);
    if (!is_at_rest(watch))
        return;
    atomic_store(&watch->synced, asked);
    if (watch->options.on_synced)
        watch->options.on_synced(watch->options.user);
}

/* What the baseline misses can never be told to have gone: it is read until it is whole, or for
 * want of memory or descriptors cannot be. */
static void read_baseline(hr_watch *watch)
{
    struct pollfd wake = {watch->wake, POLLIN, 0};
    watch->reading_baseline = true;
    for (int tries = 0; tries < BASELINE_TRIES && !hr_watch_stopping(watch); tries++) {
        watch->incomplete = false;
        hr_scan_roots(watch, true);
        if (!watch->incomplete)
            break;
        poll(&wake, 1, BASELINE_PAUSE);
    }
    watch->reading_baseline = false;
    watch->next_poll = watch->next_sweep = hr_clock_monotonic() + watch->options.poll_interval_us;
}

static void *run(void *argument)
{
    hr_watch *watch = argument;
    bool ready = false;
    hr_notify_open(watch);
    read_baseline(watch);
    while (!hr_watch_stopping(watch)) {
        if (watch->hashing)
            hr_scan_hash(watch);
        if (!watch->hashing && !ready) {
            ready = true;
            become_ready(watch);
        }
        wait_for_events(watch);
        if (hr_watch_stopping(watch))
            break;
        hr_poll_if_due(watch);
        flush_if_due(watch);
        answer_sync(watch);
    }
    return NULL;
}

static int64_t file_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Signals belong to the program: the thread takes none. */
static int start_thread(hr_watch *watch)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

hr_status hr_watch_start(hr_watch *watch)
{
    if (watch->running)
        return HR_STATE;
    watch->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (watch->wake < 0)
        return HR_SYSTEM;
    watch->started_ns = file_clock();
    int error = start_thread(watch);
    if (error) {
        close(watch->wake);
        watch->wake = -1;
        errno = error;
        return HR_SYSTEM;
    }
    watch->running = true;
    watch->process = getpid();
    return HR_OK;
}

bool hr_watch_wait_ready(hr_watch *watch, uint64_t timeout_us)
{
    uint64_t end = hr_clock_monotonic() + timeout_us;
    struct timespec until = {(time_t)(end / 1000000), (long)(end % 1000000) * 1000};
    pthread_mutex_lock(&watch->mutex);
    int error = 0;
    while (!watch->ready && !error)
        error = pthread_cond_timedwait(&watch->became_ready, &watch->mutex, &until);
    bool ready = watch->ready;
    pthread_mutex_unlock(&watch->mutex);
    return ready;
}

hr_watch_stats hr_watch_get_stats(hr_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    bool ready = watch->ready;
    pthread_mutex_unlock(&watch->mutex);
    return (hr_watch_stats){
        .directories = atomic_load(&watch->directories),
        .files = atomic_load(&watch->files),
        .polled_directories = atomic_load(&watch->polled_directories),
        .wakeups = atomic_load(&watch->wakeups),
        .batches = atomic_load(&watch->batches),
        .ready = ready,
    };
}

hr_root_stats hr_watch_get_root_stats(hr_watch *watch, uint32_t index)
{
    if (index >= watch->root_count)
        return (hr_root_stats){0};
    hr_root *root = &watch->roots[index];
    return (hr_root_stats){
        .directories = atomic_load(&root->directories),
        .files = atomic_load(&root->files),
        .polled_directories = atomic_load(&root->polled),
        .swept_directories = atomic_load(&root->swept),
        .why = atomic_load(&root->why),
        .file_system = atomic_load(&root->file_system),
    };
}

static void wake_thread(hr_watch *watch)
{
    const uint64_t one = 1;
    ssize_t written = write(watch->wake, &one, sizeof one);
    (void)written;
}

void hr_watch_sync(hr_watch *watch)
{
    if (!watch->running)
        return;
    atomic_fetch_add(&watch->syncs, 1);
    wake_thread(watch);
}

bool hr_watch_is_synced(hr_watch *watch)
{
    return atomic_load(&watch->synced) == atomic_load(&watch->syncs);
}

static void stop_thread(hr_watch *watch)
{
    atomic_store(&watch->stop, true);
    wake_thread(watch);
    pthread_join(watch->thread, NULL);
}

void hr_watch_free(hr_watch *watch)
{
    if (!watch)
        return;
    /* There is no thread to be joined, and what it had in hand may be half done. */
    if (watch->running && watch->process != getpid())
        return;
    if (watch->running)
        stop_thread(watch);
    hr_notify_close(watch);
    if (watch->wake >= 0)
        close(watch->wake);
    for (size_t i = 0; i < watch->root_count; i++)
        hr_buffer_fini(&watch->roots[i].lock);
    free(watch->roots);
    hr_tree_fini(&watch->tree);
    hr_map_fini(&watch->watches);
    hr_map_fini(&watch->identities);
    hr_ignore_fini(&watch->ignore);
    free(watch->anchors);
    free(watch->queue);
    free(watch->rounds);
    free(watch->found);
    free(watch->scratch);
    hr_buffer_fini(&watch->path);
    hr_buffer_fini(&watch->relative);
    hr_buffer_fini(&watch->arena);
    pthread_cond_destroy(&watch->became_ready);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}
