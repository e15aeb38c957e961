/*
 * Random operations by two threads at once, against a model that knows only what was told.
 *
 * Batches are strict: what is added was not there, what is modified or removed was. Once the
 * threads are done the model must come to equal the tree: nothing is lost, and what was read last
 * is what is there. No content is written twice: what is another for a moment and then as it was
 * told is not told again (docs/watching.md), and the model may have read it in that moment.
 *
 * HR_MODEL_RUNS is the number of sequences for each back end, HR_MODEL_SEED the first one's seed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "model.h"
#include "watching.h"

enum { OPERATIONS = 40, AT_ONCE = 8, RUNS = 96 };

/* ---- a run ---- */

struct run {
    unsigned seed;
    hr_polling polling;
    char base[64];
    char root[80];
    hr_watch *watch;
    atomic_uint contents; /* written so far */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct model model; /* with the mutex */
    char failure[512];  /* the first one; with the mutex */
};

__attribute__((format(printf, 2, 3))) static void fail_run(struct run *run, const char *format, ...)
{
    if (*run->failure)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->failure, sizeof run->failure, format, arguments);
    va_end(arguments);
}

static void on_batch(void *user, const hr_batch *batch)
{
    struct run *run = user;
    pthread_mutex_lock(&run->mutex);
    for (size_t i = 0; i < batch->count; i++) {
        for (size_t k = 0; k < i; k++)
            if (batch->changes[i].path.size == batch->changes[k].path.size &&
                memcmp(batch->changes[i].path.data, batch->changes[k].path.data,
                       batch->changes[k].path.size) == 0)
                fail_run(run, "a file twice in one batch");
        if (!model_apply(&run->model, run->root, &batch->changes[i]))
            fail_run(run, "%.*s was %s, which cannot be", (int)batch->changes[i].path.size,
                     batch->changes[i].path.data, hr_op_text(batch->changes[i].op));
    }
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->mutex);
}

/* In runs that are called overflow the kernel's queue seems to overflow now and then: what was to
 * be read is lost, and the event that says so is in its place, as inotify(7) has it. */
enum { DESCRIPTORS = 1024, OVERFLOW_EVERY = 5 };
static atomic_bool overflowing[DESCRIPTORS];
static atomic_uint reads, overflows;

ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size);
int __real_close(int fd);
int __wrap_close(int fd);

ssize_t __wrap_read(int fd, void *data, size_t size)
{
    ssize_t got = __real_read(fd, data, size);
    if (got <= 0 || fd < 0 || fd >= DESCRIPTORS || !atomic_load(&overflowing[fd]) ||
        atomic_fetch_add(&reads, 1) % OVERFLOW_EVERY)
        return got;
    const struct inotify_event overflow = {.wd = -1, .mask = IN_Q_OVERFLOW};
    memcpy(data, &overflow, sizeof overflow);
    atomic_fetch_add(&overflows, 1);
    return sizeof overflow;
}

int __wrap_close(int fd)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        atomic_store(&overflowing[fd], false);
    return __real_close(fd);
}

/* Some directories get no watch in runs that are called mixed. */
int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    const char *below = strstr(path, "mixed");
    if (fd < DESCRIPTORS && strstr(path, "overflow"))
        atomic_store(&overflowing[fd], true);
    unsigned sum = 0;
    for (; below && *below; below++)
        sum = sum * 31 + (unsigned char)*below;
    if (strstr(path, "mixed") && sum % 3 == 0) {
        errno = ENOSPC;
        return -1;
    }
    return __real_inotify_add_watch(fd, path, mask);
}

/* ---- operations ---- */

struct actor {
    struct run *run;
    unsigned random;
};

static unsigned pick(struct actor *actor, unsigned count)
{
    return (unsigned)rand_r(&actor->random) % count;
}

/* A few names, so that files and directories meet under the same one. Now and then outside. */
static void pick_path(struct actor *actor, char *out)
{
    unsigned depth = 1 + pick(actor, 3);
    size_t size = (size_t)snprintf(out, PATH_MAX, "%s/%s", actor->run->base,
                                   pick(actor, 12) ? "root" : "outside");
    while (depth--)
        size += (size_t)snprintf(out + size, PATH_MAX - size, "/%c", 'a' + (char)pick(actor, 4));
}

static void put(struct actor *actor, const char *path, int flags)
{
    char content[16];
    int size = snprintf(content, sizeof content, "%u ", atomic_fetch_add(&actor->run->contents, 1));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        return;
    ssize_t written = write(fd, content, (size_t)size);
    (void)written;
    if (!pick(actor, 4))
        sched_yield();
    close(fd);
}

static void remove_all(const char *path)
{
    char below[PATH_MAX];
    DIR *listing = unlink(path) == 0 ? NULL : opendir(path);
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < PATH_MAX)
            remove_all(below);
    }
    closedir(listing);
    rmdir(path);
}

static void operate(struct actor *actor)
{
    char path[PATH_MAX], other[PATH_MAX + 8];
    pick_path(actor, path);
    switch (pick(actor, 12)) {
    case 0:
    case 1:
    case 2:
        put(actor, path, O_TRUNC);
        break;
    case 3:
        put(actor, path, O_APPEND);
        break;
    case 4: /* atomically */
        snprintf(other, sizeof other, "%s.new", path);
        put(actor, other, O_TRUNC);
        if (rename(other, path) != 0)
            unlink(other);
        break;
    case 5:
    case 6:
        mkdir(path, 0755);
        break;
    case 7: /* with something in it, at once */
        mkdir(path, 0755);
        strcat(path, "/a");
        put(actor, path, O_TRUNC);
        break;
    case 8:
        remove_all(path);
        break;
    case 9:
        unlink(path);
        break;
    case 10:
        pick_path(actor, other);
        rename(path, other);
        break;
    case 11:
        pick_path(actor, other);
        renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
        break;
    }
}

static void *act(void *argument)
{
    struct actor *actor = argument;
    for (int i = 0; i < OPERATIONS; i++) {
        operate(actor);
        if (!pick(actor, 8)) /* so that flushes and scans fall in between */
            nanosleep(&(struct timespec){0, (long)pick(actor, 20000000)}, NULL);
    }
    return NULL;
}

/* ---- the comparison ---- */

static bool wait_for_batch(struct run *run)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(DEADLINE_US / 1000000);
    return pthread_cond_timedwait(&run->changed, &run->mutex, &until) == 0;
}

static void compare(struct run *run)
{
    static _Thread_local struct model there;
    char why[512] = "";
    model_read(&there, run->root);
    pthread_mutex_lock(&run->mutex);
    while (!*run->failure && !model_equal(&run->model, &there, why, sizeof why))
        if (!wait_for_batch(run))
            fail_run(run, "%s", why);
    pthread_mutex_unlock(&run->mutex);
}

static void put_sentinel(struct run *run)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/sentinel", run->root);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static void operate_on_all(struct run *run)
{
    struct actor actors[2] = {{run, run->seed}, {run, run->seed + 1000000}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, act, &actors[i]) != 0)
            abort();
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void make_base(struct run *run, const char *kind)
{
    const char *directory = getenv("TMPDIR");
    if (!directory)
        directory = run->seed % 4 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(run->base, sizeof run->base, "%.32s/hr-%s-XXXXXX", directory, kind);
    char outside[80];
    if (!mkdtemp(run->base))
        abort();
    snprintf(run->root, sizeof run->root, "%s/root", run->base);
    snprintf(outside, sizeof outside, "%s/outside", run->base);
    mkdir(run->root, 0755);
    mkdir(outside, 0755);
}

static void run_init(struct run *run, const char *kind)
{
    make_base(run, kind);
    pthread_mutex_init(&run->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&run->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void run_fini(struct run *run)
{
    hr_watch_free(run->watch);
    remove_all(run->base);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->mutex);
}

static void run_once(struct run *run, const char *kind)
{
    uint32_t index;
    run_init(run, kind);
    operate_on_all(run); /* something to begin with */
    model_read(&run->model, run->root);
    let_clock_tick();
    const hr_watch_options options = {
        .polling = run->polling, .poll_interval_us = 20000, .on_batch = on_batch, .user = run};
    if (hr_watch_new(&options, &run->watch) != HR_OK ||
        hr_watch_add_root(run->watch, (hr_bytes){run->root, strlen(run->root)}, &index) != HR_OK ||
        hr_watch_start(run->watch) != HR_OK || !hr_watch_wait_ready(run->watch, DEADLINE_US))
        fail_run(run, "no start");
    run->seed += 2000000;
    operate_on_all(run);
    run->seed -= 2000000;
    compare(run);
    put_sentinel(run);
    compare(run);
    run_fini(run);
}

/* ---- many runs ---- */

struct crowd {
    const char *kind;
    hr_polling polling;
    atomic_uint next;
    unsigned end;
    atomic_int failures;
};

static void *run_many(void *argument)
{
    struct crowd *crowd = argument;
    static _Thread_local struct run run;
    for (unsigned seed; (seed = atomic_fetch_add(&crowd->next, 1)) < crowd->end;) {
        run = (struct run){.seed = seed, .polling = crowd->polling};
        run_once(&run, crowd->kind);
        if (*run.failure) {
            atomic_fetch_add(&crowd->failures, 1);
            print_message("# %s, seed %u: %s\n", crowd->kind, seed, run.failure);
        }
    }
    return NULL;
}

static unsigned setting(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void assert_runs(const char *kind, hr_polling polling)
{
    unsigned first = setting("HR_MODEL_SEED", 1);
    struct crowd crowd = {.kind = kind,
                          .polling = polling,
                          .next = first,
                          .end = first + setting("HR_MODEL_RUNS", RUNS)};
    pthread_t threads[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &crowd), 0);
    for (int i = 0; i < AT_ONCE; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.failures, 0);
}

static void test_native_events_lose_nothing(void **state)
{
    assert_runs("native", HR_POLLING_AUTO);
}

static void test_polling_loses_nothing(void **state)
{
    assert_runs("polled", HR_POLLING_ALWAYS);
}

static void test_both_at_once_lose_nothing(void **state)
{
    assert_runs("mixed", HR_POLLING_AUTO);
}

static void test_overflows_lose_nothing(void **state)
{
    atomic_store(&overflows, 0);
    assert_runs("overflow", HR_POLLING_AUTO);
    print_message("# %u overflows\n", atomic_load(&overflows));
    assert_true(atomic_load(&overflows) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_events_lose_nothing),
        cmocka_unit_test(test_polling_loses_nothing),
        cmocka_unit_test(test_both_at_once_lose_nothing),
        cmocka_unit_test(test_overflows_lose_nothing),
    };
    cmocka_set_test_filter(getenv("HR_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
