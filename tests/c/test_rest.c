/* A watch over a large tree costs nothing while nothing happens: asked of the kernel. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "watching.h"

enum { DIRECTORIES = 1000, REST_S = 5, TASKS_MAX = 64 };

static size_t list_tasks(long tasks[TASKS_MAX])
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/task");
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) && count < TASKS_MAX;)
        if (entry->d_name[0] != '.')
            tasks[count++] = strtol(entry->d_name, NULL, 10);
    closedir(directory);
    return count;
}

/* The one that was not there before. */
static long new_task(const long *before, size_t before_count)
{
    long now[TASKS_MAX], found = 0;
    size_t count = list_tasks(now);
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < before_count; k++)
            known |= now[i] == before[k];
        if (known)
            continue;
        assert_int_equal(found, 0);
        found = now[i];
    }
    assert_int_not_equal(found, 0);
    return found;
}

static void read_task(long task, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/%s", task, name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s cannot be opened", path);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* How often the task was taken from a processor: one that blocks and stays so never is again. */
static unsigned long switches(long task)
{
    char text[8192];
    read_task(task, "status", text, sizeof text);
    unsigned long sum = 0;
    static const char *const names[] = {"\nvoluntary_ctxt_switches:",
                                        "\nnonvoluntary_ctxt_switches:"};
    for (size_t i = 0; i < 2; i++) {
        const char *found = strstr(text, names[i]);
        assert_non_null(found);
        sum += strtoul(found + strlen(names[i]), NULL, 10);
    }
    return sum;
}

struct rest {
    unsigned long switches;
    uint64_t wakeups;
    char call[256]; /* see proc(5): the number, the arguments, stack and program counter */
};

static struct rest look(struct scene *scene, long task)
{
    struct rest rest = {0};
    read_task(task, "syscall", rest.call, sizeof rest.call);
    rest.switches = switches(task);
    rest.wakeups = hr_watch_get_stats(scene->watch).wakeups;
    return rest;
}

/* In ppoll(), with no time-out: its third argument is NULL. */
static bool waits_for_ever(const struct rest *rest)
{
    long call = 0;
    unsigned long arguments[3] = {0, 0, 1};
    sscanf(rest->call, "%ld %lx %lx %lx", &call, &arguments[0], &arguments[1], &arguments[2]);
    return call == SYS_ppoll && !arguments[2];
}

/* Until it has gone to sleep: it may still be on its way. */
static struct rest look_asleep(struct scene *scene, long task)
{
    for (uint64_t waited = 0; waited < DEADLINE_US; waited += 1000) {
        struct rest rest = look(scene, task);
        if (waits_for_ever(&rest))
            return rest;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    fail_msg("it does not wait for ever: %s", look(scene, task).call);
    return (struct rest){0};
}

static void make_tree(struct scene *scene)
{
    char path[64];
    for (int i = 1; i < DIRECTORIES; i++) {
        if (i % 10 == 1)
            snprintf(path, sizeof path, "root/%d", i / 10);
        else
            snprintf(path, sizeof path, "root/%d/%d", (i - 1) / 10, i);
        make_directory(scene, path);
        strcat(path, "/a");
        put_file(scene, path, "one");
    }
}

static void test_at_rest_it_makes_no_call_and_is_not_scheduled(void **state)
{
    struct scene *scene = *state;
    long before[TASKS_MAX];
    make_tree(scene);
    size_t count = list_tasks(before);
    scene_start(scene);
    long task = new_task(before, count);
    assert_int_equal(hr_watch_get_stats(scene->watch).directories, DIRECTORIES);
    assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 0);

    struct rest asleep = look_asleep(scene, task);
    nanosleep(&(struct timespec){REST_S, 0}, NULL);
    struct rest later = look(scene, task);
    assert_int_equal(later.switches, asleep.switches);
    assert_int_equal(later.wakeups, asleep.wakeups);
    assert_string_equal(later.call, asleep.call);

    put_file(scene, "root/7/72/a", "two");
    assert_batch(scene, "~7/72/a");
    later = look_asleep(scene, task);
    assert_true(later.switches > asleep.switches);
    assert_true(later.wakeups > asleep.wakeups);
}

static int set_up(void **state)
{
    static struct scene scene;
    scene_init(&scene, HR_POLLING_AUTO);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    scene_fini(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at_rest_it_makes_no_call_and_is_not_scheduled, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
