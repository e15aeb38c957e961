/*
 * A watch without memory: each allocation of its life fails, in a run of its own; then each of
 * those that changes cause, and all after it for some time. Nothing may crash or leak, and once
 * memory is back what was told must come to what is there, and every question must be answered.
 *
 * Each run is a child process, several of them at once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing.h"
#include "model.h"
#include "watching.h"

enum { CHILDREN = 16, STILL_ALLOCATES = 10, ENOUGH = 11, WRONG = 12 };

struct run {
    struct scene scene;
    char root[256];
    struct model told; /* with the scene's mutex */
    atomic_bool answered;
};

static void on_synced(void *user)
{
    struct run *run = user;
    atomic_store(&run->answered, true);
}

static void on_batch(void *user, const hr_batch *batch)
{
    struct run *run = user;
    pthread_mutex_lock(&run->scene.mutex);
    for (size_t i = 0; i < batch->count; i++)
        model_apply(&run->told, run->root, &batch->changes[i]);
    pthread_mutex_unlock(&run->scene.mutex);
}

static bool is_equal(struct run *run, const struct model *there, char *why, size_t size)
{
    pthread_mutex_lock(&run->scene.mutex);
    bool equal = model_equal(&run->told, there, why, size);
    pthread_mutex_unlock(&run->scene.mutex);
    return equal;
}

/* `or_failure`: an allocation that fails will do. */
static bool wait_until_equal(struct run *run, bool or_failure)
{
    static struct model there;
    char why[512] = "";
    model_read(&there, run->root);
    for (uint64_t left = DEADLINE_US; left; left -= 1000) {
        if ((or_failure && failing_happened()) || is_equal(run, &there, why, sizeof why))
            return true;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    print_message("# %s\n", why);
    return false;
}

/* What had happened is told before the answer comes. */
static bool is_answered(struct run *run)
{
    atomic_store(&run->answered, false);
    hr_watch_sync(run->scene.watch);
    for (uint64_t left = DEADLINE_US; left; left -= 1000) {
        if (atomic_load(&run->answered) && hr_watch_is_synced(run->scene.watch))
            return true;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    print_message("# no answer\n");
    return false;
}

static bool is_counted(struct run *run)
{
    hr_root_stats root = hr_watch_get_root_stats(run->scene.watch, 0);
    hr_watch_stats all = hr_watch_get_stats(run->scene.watch);
    return root.directories == all.directories && root.files == all.files && root.files == 6;
}

static void make_tree(struct scene *scene)
{
    put_file(scene, "root/a", "1");
    put_file(scene, "root/b", "1");
    make_directory(scene, "root/sub/deep");
    put_file(scene, "root/sub/c", "1");
    put_file(scene, "root/sub/deep/d", "1");
    make_directory(scene, "root/gone");
    put_file(scene, "root/gone/e", "1");
    make_directory(scene, "shared");
    make_link(scene, "../shared", "root/link");
}

static void change_tree(struct scene *scene)
{
    put_file(scene, "root/a", "2");
    move(scene, "root/sub", "root/moved");
    make_directory(scene, "root/new/deep");
    put_file(scene, "root/new/deep/f", "2");
    remove_tree(scene, "root/gone");
    put_file(scene, "root/gone", "2");
    put_file(scene, "shared/g", "2");
}

static hr_status begin(struct run *run)
{
    static const char *const globs[] = {"*.excluded", "sub/deep/*.excluded"};
    uint32_t index;
    run->scene.options.exclude = globs;
    run->scene.options.exclude_count = 2;
    run->scene.options.on_batch = on_batch;
    run->scene.options.user = run;
    run->scene.options.on_note = NULL;
    run->scene.options.on_synced = on_synced;
    hr_status status = hr_watch_new(&run->scene.options, &run->scene.watch);
    if (status != HR_OK)
        return status;
    status = hr_watch_add_root(run->scene.watch, (hr_bytes){run->root, strlen(run->root)}, &index);
    if (status != HR_OK)
        return status;
    status = hr_watch_start(run->scene.watch);
    return status == HR_OK && !hr_watch_wait_ready(run->scene.watch, DEADLINE_US) ? HR_STATE
                                                                                  : status;
}

/* The exit status of a child. */
static int run_once(hr_polling polling, size_t index, bool for_ever)
{
    static struct run run;
    run = (struct run){0};
    scene_init(&run.scene, polling);
    snprintf(run.root, sizeof run.root, "%s/root", run.scene.base);
    make_tree(&run.scene);
    model_read(&run.told, run.root);
    let_clock_tick();

    failing_never();
    if (!for_ever)
        failing_at(index, false);
    int result = STILL_ALLOCATES;
    hr_status status = begin(&run);
    if (status == HR_OK) {
        if (for_ever)
            failing_at(index, true);
        remove_file(&run.scene, "root/b"); /* the first room that is needed is for a removal */
        bool equal = wait_until_equal(&run, for_ever);
        change_tree(&run.scene);
        hr_watch_sync(run.scene.watch);
        equal = equal && wait_until_equal(&run, for_ever);
        if (!failing_happened())
            result = ENOUGH;
        failing_never();
        equal = equal && wait_until_equal(&run, false);
        put_file(&run.scene, "root/moved/deep/d", "3");
        equal = equal && wait_until_equal(&run, false);
        if (!equal || !is_answered(&run) || !is_counted(&run))
            result = WRONG;
    } else if (status != HR_NOMEM) {
        result = WRONG;
    }
    failing_never();
    scene_fini(&run.scene);
    return result;
}

static pid_t start_child(hr_polling polling, size_t index, bool for_ever)
{
    pid_t child = fork();
    if (child == 0)
        exit(run_once(polling, index, for_ever)); /* exit(), so that leaks are looked for */
    assert_true(child > 0);
    return child;
}

static void assert_survives(hr_polling polling, bool for_ever)
{
    size_t next = 0, running = 0, reached = 0;
    pid_t children[1024] = {0};
    bool enough = false, failed = false;
    while (running || !enough) {
        while (running < CHILDREN && !enough && next < sizeof children / sizeof *children) {
            children[next] = start_child(polling, next, for_ever);
            next++;
            running++;
        }
        int status;
        pid_t child = wait(&status);
        assert_true(child > 0);
        running--;
        size_t index = 0;
        while (children[index] != child)
            index++;
        if (WIFEXITED(status) && WEXITSTATUS(status) == ENOUGH) {
            enough = true;
        } else if (WIFEXITED(status) && WEXITSTATUS(status) == STILL_ALLOCATES) {
            reached++;
        } else {
            failed = true;
            print_message("# allocation %zu: status %x\n", index, (unsigned)status);
        }
    }
    print_message("# %zu allocations failed\n", reached);
    assert_false(failed);
    assert_true(reached > 10);
}

static void test_native_survives_each_failure(void **state)
{
    assert_survives(HR_POLLING_AUTO, false);
}

static void test_native_survives_a_time_without_memory(void **state)
{
    assert_survives(HR_POLLING_AUTO, true);
}

static void test_polling_survives_each_failure(void **state)
{
    assert_survives(HR_POLLING_ALWAYS, false);
}

static void test_polling_survives_a_time_without_memory(void **state)
{
    assert_survives(HR_POLLING_ALWAYS, true);
}

static void push(hr_journal *journal, const char *path)
{
    hr_change change = {{path, strlen(path)}, 0, HR_OP_MODIFIED};
    hr_journal_push(journal, &(hr_batch){.changes = &change, .count = 1});
}

static void test_what_waits_waits_on_without_memory_for_the_answer(void **state)
{
    hr_journal *journal;
    assert_int_equal(hr_journal_new(1, NULL, &journal), HR_OK);
    const hr_cursor start = hr_journal_now(journal);
    hr_journal_hold(journal, true);
    push(journal, "a");
    push(journal, "b");
    bool failed = true;
    for (size_t i = 0; failed; i++) {
        hr_delta delta = {.kind = HR_SINCE_LOST};
        failing_at(i, false);
        hr_status status = hr_journal_waiting(journal, (hr_cursor){0}, &delta);
        failed = failing_happened();
        failing_never();
        assert_int_equal(status, failed ? HR_NOMEM : HR_OK);
        assert_int_equal(delta.kind, failed ? HR_SINCE_LOST : HR_SINCE_CHANGES);
        if (!failed)
            hr_delta_fini(&delta);
    }
    failing_at(0, true); /* to tell takes none */
    hr_journal_tell(journal, hr_journal_now(journal));
    hr_journal_hold(journal, false);
    hr_journal_wake(journal);
    assert_false(failing_happened());
    failing_never();
    hr_delta delta;
    assert_int_equal(hr_journal_since(journal, start, &delta), HR_OK);
    assert_int_equal(delta.kind, HR_SINCE_CHANGES);
    assert_int_equal(delta.batch.count, 2);
    hr_delta_fini(&delta);
    hr_journal_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_survives_each_failure),
        cmocka_unit_test(test_native_survives_a_time_without_memory),
        cmocka_unit_test(test_polling_survives_each_failure),
        cmocka_unit_test(test_polling_survives_a_time_without_memory),
        cmocka_unit_test(test_what_waits_waits_on_without_memory_for_the_answer),
    };
    setvbuf(stdout, NULL, _IOLBF, 0); /* children share it */
    cmocka_set_test_filter(getenv("HR_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
