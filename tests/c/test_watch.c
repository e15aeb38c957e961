/*
 * What people, editors and tools do to a tree, over both back ends: native events, and polling.
 * Every test runs once for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "watching.h"

/* ---- a kernel with limits ---- */

static int watches_left = INT_MAX;
static int instances_left = INT_MAX;
static int instances_opened;
static int mortal_instance = -1, mortal_watch; /* of a directory of that name */

/* Made right before the directory above it is watched. */
static _Atomic(const char *) just_in_time;

int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    if (watches_left <= 0) {
        errno = ENOSPC;
        return -1;
    }
    watches_left--;
    const char *directory = just_in_time;
    if (directory && strlen(path) == (size_t)(strrchr(directory, '/') - directory) &&
        strncmp(path, directory, strlen(path)) == 0) {
        just_in_time = NULL;
        mkdir(directory, 0755);
    }
    int descriptor = __real_inotify_add_watch(fd, path, mask);
    if (strstr(path, "/mortal")) {
        mortal_instance = fd;
        mortal_watch = descriptor;
    }
    return descriptor;
}

static void kill_watch(void)
{
    if (mortal_instance >= 0)
        assert_int_equal(inotify_rm_watch(mortal_instance, mortal_watch), 0);
}

int __wrap_inotify_init1(int flags)
{
    if (instances_left <= 0) {
        errno = EMFILE;
        return -1;
    }
    instances_opened++;
    return __real_inotify_init1(flags);
}

static bool no_thread;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *user);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *user);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *user)
{
    return no_thread ? EAGAIN : __real_pthread_create(thread, attributes, run, user);
}

/* ---- a clock that ticks seldom ---- */

enum { TICK_NS = 10000000 };

/* The tick begins when this file is looked at so shortly after a save: another save within it
 * leaves the file with the same times. */
static struct {
    _Atomic ino_t inode; /* 0: no file */
    struct timespec seen, times;
    atomic_bool has_begun;
} tick;

/* As <sys/stat.h> calls them with 64 bits of offset. */
int __real_fstat64(int fd, struct stat *status);
int __wrap_fstat64(int fd, struct stat *status);
int __real_fstatat64(int fd, const char *path, struct stat *status, int flags);
int __wrap_fstatat64(int fd, const char *path, struct stat *status, int flags);
int __real_stat64(const char *path, struct stat *status);
int __wrap_stat64(const char *path, struct stat *status);

static bool is_within_tick(struct timespec begin, struct timespec time)
{
    return (time.tv_sec - begin.tv_sec) * 1000000000L + time.tv_nsec - begin.tv_nsec < TICK_NS;
}

static int let_tick(int result, struct stat *status)
{
    if (result == 0 && tick.has_begun && status->st_ino == tick.inode &&
        is_within_tick(tick.times, status->st_mtim))
        status->st_mtim = status->st_ctim = tick.times;
    return result;
}

int __wrap_stat64(const char *path, struct stat *status)
{
    return let_tick(__real_stat64(path, status), status);
}

int __wrap_fstatat64(int fd, const char *path, struct stat *status, int flags)
{
    return let_tick(__real_fstatat64(fd, path, status, flags), status);
}

/* Before and after the file is read. */
int __wrap_fstat64(int fd, struct stat *status)
{
    struct timespec now;
    int result = __real_fstat64(fd, status);
    if (result != 0 || !tick.inode || status->st_ino != tick.inode)
        return result;
    bool is_after = memcmp(&status->st_mtim, &tick.seen, sizeof tick.seen) == 0;
    tick.seen = status->st_mtim;
    clock_gettime(CLOCK_REALTIME, &now);
    if (is_after && !tick.has_begun && is_within_tick(status->st_mtim, now)) {
        tick.times = status->st_mtim;
        tick.has_begun = true;
    }
    return let_tick(result, status);
}

/* ---- frame ---- */

static int tear_down(void **state)
{
    watches_left = instances_left = INT_MAX;
    instances_opened = 0;
    mortal_instance = -1;
    just_in_time = NULL;
    scene_fini(*state);
    tick.inode = 0;
    tick.has_begun = false;
    return 0;
}

static bool is_native(const struct scene *scene)
{
    return scene->options.polling != HR_POLLING_ALWAYS;
}

/* Until the thread has been woken so often. */
static void let_it_wake(struct scene *scene, unsigned times)
{
    uint64_t before = hr_watch_get_stats(scene->watch).wakeups;
    while (hr_watch_get_stats(scene->watch).wakeups < before + times)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void assert_new_file_is_told(struct scene *scene)
{
    put_file(scene, "root/a", "one");
    assert_batch(scene, "+a");
}

/* ---- one file ---- */

static void test_one_save_is_one_batch(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a.css", "one");
    scene_start(scene);
    put_file(scene, "root/a.css", "two");
    assert_batch(scene, "~a.css");
    assert_nothing(scene);
}

static void empty_and_write(struct scene *scene, int turn, const char *path)
{
    rewrite_file(scene, path, turn % 2 ? "odd" : "even");
}

static void test_save_that_empties_the_file_is_one_change(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a.css", "one");
    scene_start(scene);
    assert_in_one_go(scene, empty_and_write, "root/a.css", "~a.css");
}

static void test_every_one_of_many_saves_is_told(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a.css", "start");
    scene_start(scene);
    for (int i = 0; i < 10; i++) {
        put_file(scene, "root/a.css", i % 2 ? "odd" : "even");
        assert_batch(scene, "~a.css");
    }
    assert_nothing(scene);
}

static void test_all_that_happened_before_a_sync_is_told_before_its_answer(void **state)
{
    struct scene *scene = *state;
    scene_start(scene);
    assert_true(hr_watch_is_synced(scene->watch));
    scene_sync(scene);
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "root/%d.css", i);
        put_file(scene, name, "one");
        scene_sync(scene);
        pthread_mutex_lock(&scene->mutex);
        size_t told = scene->batch_count;
        pthread_mutex_unlock(&scene->mutex);
        assert_int_equal(told, i + 1);
    }
    hr_watch_sync(scene->watch);
    hr_watch_sync(scene->watch);
    scene_sync(scene);
}

static void test_same_content_is_no_change(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a.css", "one");
    scene_start(scene);
    put_file(scene, "root/a.css", "one");
    assert_nothing(scene);
    run_shell(scene, "touch root/a.css && chmod 600 root/a.css");
    assert_nothing(scene);
    put_file(scene, "root/new", "one");
    assert_batch(scene, "+new");
    put_file(scene, "root/new", "one");
    assert_nothing(scene);
}

static void test_file_is_added_changed_and_removed(void **state)
{
    struct scene *scene = *state;
    scene_start(scene);
    put_file(scene, "root/a", "");
    assert_batch(scene, "+a");
    append_file(scene, "root/a", "one");
    assert_batch(scene, "~a");
    remove_file(scene, "root/a");
    assert_batch(scene, "-a");
    assert_nothing(scene);
}

static void test_rename_removes_and_adds(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    scene_start(scene);
    move(scene, "root/a", "root/b");
    assert_batch(scene, "-a +b");
    assert_nothing(scene);
}

static void save_atomically(struct scene *scene, int turn, const char *draft)
{
    put_file(scene, draft, turn % 2 ? "odd" : "even");
    move(scene, draft, "root/a");
}

static void test_atomic_save_is_one_change(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    scene_start(scene);
    put_file(scene, "root/a.tmp", "two");
    move(scene, "root/a.tmp", "root/a");
    assert_batch(scene, "~a");
    assert_in_one_go(scene, save_atomically, "root/.other", "~a");
}

/* backupcopy=no: the old file is moved aside, a new one written under its name. */
static void save_by_vim(struct scene *scene, int turn, const char *path)
{
    put_file(scene, "root/.a.swp", "swap");
    put_file(scene, "root/4913", "");
    remove_file(scene, "root/4913");
    move(scene, path, "root/a~");
    rewrite_file(scene, path, turn % 2 ? "odd" : "even");
    remove_file(scene, "root/a~");
    remove_file(scene, "root/.a.swp");
}

static void test_save_by_vim_is_one_change(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    scene_start(scene);
    assert_in_one_go(scene, save_by_vim, "root/a", "~a");
}

static void test_time_that_goes_back_is_a_change_too(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    put_file(scene, "elsewhere", "two");
    run_shell(scene, "touch -d '2001-02-03 04:05:06' elsewhere");
    scene_start(scene);
    move(scene, "elsewhere", "root/a");
    assert_batch(scene, "~a");
    put_file(scene, "elsewhere", "two");
    run_shell(scene, "touch -d '1999-01-01' elsewhere && mv elsewhere root/b");
    assert_batch(scene, "+b");
    assert_nothing(scene);
}

static void remove_and_write_another(struct scene *scene, int turn, const char *path)
{
    remove_file(scene, path);
    rewrite_file(scene, path, turn % 2 ? "odd" : "even");
}

static void remove_and_write_the_same(struct scene *scene, int turn, const char *path)
{
    remove_file(scene, path);
    rewrite_file(scene, path, "the same");
}

static void test_file_removed_and_written_again_is_modified(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    scene_start(scene);
    assert_in_one_go(scene, remove_and_write_another, "root/a", "~a");
    put_file(scene, "root/a", "the same");
    assert_batch(scene, "~a");
    assert_in_one_go(scene, remove_and_write_the_same, "root/a", "");
}

static void test_large_file_is_told_by_its_stamp(void **state)
{
    struct scene *scene = *state;
    run_shell(scene, "truncate -s 20M root/large");
    scene_start(scene);
    append_file(scene, "root/large", "more");
    assert_batch(scene, "~large");
    run_shell(scene, "chmod 600 root/large");
    assert_nothing(scene);
}

static void write_slowly(struct scene *scene, int turn, const char *path)
{
    int fd = open(at(scene, path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(write(fd, "more", 4), 4);
        nanosleep(&(struct timespec){0, 3000000}, NULL);
    }
    close(fd);
}

static void test_file_is_told_when_it_is_written(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "");
    scene_start(scene);
    assert_in_one_go(scene, write_slowly, "root/a", "~a");
}

/* Its writer is kept from going on for much longer than a file that has something in it is young.
 */
static void empty_and_write_late(struct scene *scene, int turn, const char *path)
{
    int fd = open(at(scene, path), O_WRONLY | O_TRUNC | O_CLOEXEC);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    assert_int_equal(write(fd, turn % 2 ? "odd" : "even", 3), 3);
    close(fd);
}

static void test_emptied_file_waits_for_its_first_bytes(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    scene_start(scene);
    assert_in_one_go(scene, empty_and_write_late, "root/a", "~a");
    assert_int_equal(truncate(at(scene, "root/a"), 0), 0);
    assert_batch(scene, "~a"); /* nothing came */
}

/* It is never at rest, so after a second it is told as it is. */
static void test_file_is_told_again_that_is_saved_in_the_tick_in_which_it_was_told(void **state)
{
    struct scene *scene = *state;
    struct stat status;
    char content[16];
    put_file(scene, "root/a", "one");
    scene_start(scene);
    put_file(scene, "root/a", "two");
    assert_batch(scene, "~a"); /* the first look is over, too */
    assert_int_equal(stat(at(scene, "root/a"), &status), 0);
    tick.inode = status.st_ino;
    for (int turn = 0; !tick.has_begun; turn++) {
        snprintf(content, sizeof content, "%03d", turn % 1000);
        put_file(scene, "root/a", content);
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    assert_batch(scene, "~a");
    put_file(scene, "root/a", "end");
    assert_batch(scene, "~a");
}

static void test_file_in_a_new_directory_is_told_when_it_is_written(void **state)
{
    struct scene *scene = *state;
    char path[32], word[32];
    scene_start(scene);
    for (int tries = 0; tries < 20; tries++) {
        snprintf(path, sizeof path, "root/%d", tries);
        make_directory(scene, path);
        snprintf(path, sizeof path, "root/%d/a", tries);
        snprintf(word, sizeof word, "+%d/a", tries);
        write_slowly(scene, tries, path);
        if (strcmp(take_all(scene), word) == 0)
            return;
    }
    fail_msg("never");
}

/* ---- names ---- */

static void test_any_name_is_told_as_it_is(void **state)
{
    struct scene *scene = *state;
    char name[256], path[300], word[300];
    scene_start(scene);
    put_file(scene, "root/a \"quoted\"\n\xff\xc0.css", "one");
    assert_batch(scene, "+a\\x20\"quoted\"\\x0a\\xff\\xc0.css");
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "root/%s", name);
    snprintf(word, sizeof word, "+%s", name);
    put_file(scene, path, "one");
    assert_batch(scene, word);
    snprintf(path, sizeof path, "root/%s", "\xc3\xa9/\xe2\x98\x83");
    make_directory(scene, "root/\xc3\xa9");
    put_file(scene, path, "one");
    assert_batch(scene, "+\\xc3\\xa9/\\xe2\\x98\\x83");
    assert_nothing(scene);
}

static void test_junk_is_never_told(void **state)
{
    struct scene *scene = *state;
    scene_start(scene);
    make_directory(scene, "root/.git/objects");
    put_file(scene, "root/.git/index", "one");
    make_directory(scene, "root/node_modules/x");
    put_file(scene, "root/node_modules/x/y.js", "one");
    make_directory(scene, "root/app/__pycache__");
    put_file(scene, "root/app/__pycache__/a.pyc", "one");
    put_file(scene, "root/app.log", "one");
    put_file(scene, "root/db.sqlite3-wal", "one");
    make_directory(scene, "packages");
    put_file(scene, "packages/y.js", "one");
    make_link(scene, "../packages", "root/.venv");
    assert_nothing(scene);
    put_file(scene, "packages/y.js", "two");
    put_file(scene, "root/.git/index", "two");
    assert_nothing(scene);
}

static void test_junk_that_was_there_is_not_entered(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/.git/objects");
    make_directory(scene, "root/node_modules/x");
    make_directory(scene, "root/environment/lib");
    make_directory(scene, "packages/x");
    make_link(scene, "../packages", "root/venv");
    put_file(scene, "root/environment/pyvenv.cfg", "home = /usr");
    put_file(scene, "root/environment/lib/a.py", "one");
    scene_start(scene);
    assert_int_equal(hr_watch_get_stats(scene->watch).directories, 2);
    assert_int_equal(hr_watch_get_stats(scene->watch).files, 0);
    put_file(scene, "root/environment/lib/a.py", "two");
    assert_nothing(scene);
}

static void test_patterns_see_paths_and_the_last_decides(void **state)
{
    static const char *const globs[] = {
        "/out/**/*.css", "*.txt", "!keep.txt", "!*.log", "!node_modules/", "cache/",
    };
    struct scene *scene = *state;
    scene->options.exclude = globs;
    scene->options.exclude_count = 6;
    static const char *const directories[] = {
        "out",   "out/x",   "out/x/y",      "cache",         "x",
        "x/out", "x/cache", "node_modules", "node_modules/m"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        char path[64];
        snprintf(path, sizeof path, "root/%s", directories[i]);
        make_directory(scene, path);
    }
    scene_start(scene);
    put_file(scene, "root/a.txt", "one");
    put_file(scene, "root/out/x/y/a.css", "one");
    put_file(scene, "root/cache/a.css", "one");
    put_file(scene, "root/x/cache/a.css", "one");
    assert_nothing(scene);
    put_file(scene, "root/keep.txt", "one");
    put_file(scene, "root/x/out/a.css", "one");
    put_file(scene, "root/out/a.html", "one");
    put_file(scene, "root/app.log", "one");
    put_file(scene, "root/node_modules/m/a.js", "one");
    assert_all(scene, "+app.log +keep.txt +node_modules/m/a.js +out/a.html +x/out/a.css");
}

static void test_excluded_names_are_not_told(void **state)
{
    static const char *const globs[] = {"*.min.css", "build"};
    struct scene *scene = *state;
    scene->options.exclude = globs;
    scene->options.exclude_count = 2;
    make_directory(scene, "root/build");
    scene_start(scene);
    put_file(scene, "root/a.min.css", "one");
    put_file(scene, "root/build/a.css", "one");
    make_directory(scene, "root/sub/build");
    put_file(scene, "root/sub/build/a.css", "one");
    assert_nothing(scene);
    put_file(scene, "root/builds.css", "one");
    assert_batch(scene, "+builds.css");
}

/* ---- directories ---- */

static void test_file_in_new_directories_is_told(void **state)
{
    struct scene *scene = *state;
    scene_start(scene);
    make_directory(scene, "root/a/b/c/d");
    put_file(scene, "root/a/b/c/d/file", "one");
    assert_batch(scene, "+a/b/c/d/file");
    put_file(scene, "root/a/b/c/d/file", "two");
    assert_batch(scene, "~a/b/c/d/file");
    make_directory(scene, "root/empty");
    assert_nothing(scene);
}

static void test_every_file_of_a_copied_tree_is_told_once(void **state)
{
    enum { DIRECTORIES = 20, FILES = 50 };
    struct scene *scene = *state;
    struct words expected = {0};
    char path[64];
    for (int i = 0; i < DIRECTORIES; i++) {
        snprintf(path, sizeof path, "tree/%d", i);
        make_directory(scene, path);
        for (int k = 0; k < FILES; k++) {
            snprintf(path, sizeof path, "tree/%d/%d", i, k);
            put_file(scene, path, path);
            words_add(&expected, "+%s", path);
        }
    }
    scene_start(scene);
    run_shell(scene, "cp -r tree root/tree");
    assert_sum(scene, words_sorted(&expected));
    words_fini(&expected);
    assert_int_equal(hr_watch_get_stats(scene->watch).directories, 2 + DIRECTORIES);
    put_file(scene, "root/tree/7/7", "changed");
    assert_batch(scene, "~tree/7/7");
}

static void test_directory_is_renamed(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/sub");
    put_file(scene, "root/a/one", "one");
    put_file(scene, "root/a/sub/two", "two");
    scene_start(scene);
    move(scene, "root/a", "root/b");
    assert_batch(scene, "-a/one -a/sub/two +b/one +b/sub/two");
    put_file(scene, "root/b/sub/two", "changed");
    assert_batch(scene, "~b/sub/two");
    make_directory(scene, "root/a");
    put_file(scene, "root/a/one", "one");
    assert_batch(scene, "+a/one");
    assert_nothing(scene);
}

static void rename_there_and_back(struct scene *scene, int turn, const char *path)
{
    for (int i = 0; i < 20; i++) {
        move(scene, path, "root/b");
        move(scene, "root/b", path);
    }
}

static void test_directory_is_renamed_there_and_back(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/sub");
    put_file(scene, "root/a/sub/one", "one");
    scene_start(scene);
    assert_in_one_go(scene, rename_there_and_back, "root/a", "");
    put_file(scene, "root/a/sub/one", "two");
    assert_batch(scene, "~a/sub/one");
    make_directory(scene, "root/a/sub/new");
    put_file(scene, "root/a/sub/new/two", "two");
    assert_batch(scene, "+a/sub/new/two");
}

static void test_directory_that_was_renamed_is_still_known_by_its_inode(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/sub");
    put_file(scene, "root/a/sub/one", "one");
    scene_start(scene);
    move(scene, "root/a", "root/b");
    let_it_wake(scene, 1); /* it may be known as "b" now */
    move(scene, "root/b", "root/a");
    take_all(scene);
    take_all(scene);
    make_link(scene, "a/sub", "root/link");
    assert_nothing(scene);
    put_file(scene, "root/a/sub/one", "two");
    assert_batch(scene, "~a/sub/one");
}

static void test_directory_leaves_and_enters(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/sub");
    put_file(scene, "root/a/sub/one", "one");
    scene_start(scene);
    move(scene, "root/a", "outside");
    assert_batch(scene, "-a/sub/one");
    put_file(scene, "outside/sub/one", "two");
    assert_nothing(scene);
    move(scene, "outside", "root/again");
    assert_batch(scene, "+again/sub/one");
    put_file(scene, "root/again/sub/one", "three");
    assert_batch(scene, "~again/sub/one");
    assert_nothing(scene);
}

static void test_directory_goes(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/sub");
    put_file(scene, "root/a/one", "one");
    put_file(scene, "root/a/sub/two", "two");
    scene_start(scene);
    remove_tree(scene, "root/a");
    assert_all(scene, "-a/one -a/sub/two");
    scene_sync(scene);                                           /* the directories go last, */
    assert_int_equal(hr_watch_get_stats(scene->watch).files, 1); /* and the sentinel stays */
    assert_int_equal(hr_watch_get_stats(scene->watch).directories, 1);
}

static void remove_and_make_again(struct scene *scene, int turn, const char *path)
{
    put_file(scene, "root/a/gone", "one");
    scene_forget(scene);
    remove_tree(scene, path);
    make_directory(scene, path);
    put_file(scene, "root/a/same", "same");
    put_file(scene, "root/a/other", turn % 2 ? "odd" : "even");
}

static void test_directory_goes_and_comes_back(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a");
    put_file(scene, "root/a/same", "same");
    put_file(scene, "root/a/other", "one");
    put_file(scene, "root/a/gone", "one");
    scene_start(scene);
    assert_in_one_go(scene, remove_and_make_again, "root/a", "-a/gone ~a/other");
    put_file(scene, "root/a/other", "three");
    assert_batch(scene, "~a/other");
}

static void test_file_and_directory_change_places(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a");
    put_file(scene, "root/a/one", "one");
    put_file(scene, "root/b", "two");
    scene_start(scene);
    move(scene, "root/a", "root/c");
    move(scene, "root/b", "root/a");
    move(scene, "root/c", "root/b");
    assert_sum(scene, "-a/one +a -b +b/one");
    put_file(scene, "root/a", "three");
    assert_batch(scene, "~a");
    put_file(scene, "root/b/one", "three");
    assert_batch(scene, "~b/one");
    remove_file(scene, "root/a");
    make_directory(scene, "root/a");
    put_file(scene, "root/a/new", "one");
    assert_all(scene, "-a +a/new");
}

static void test_two_directories_change_places(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a");
    make_directory(scene, "root/b");
    put_file(scene, "root/a/one", "one");
    put_file(scene, "root/b/two", "two");
    scene_start(scene);
    assert_int_equal(
        renameat2(AT_FDCWD, at(scene, "root/a"), AT_FDCWD, at(scene, "root/b"), RENAME_EXCHANGE),
        0);
    assert_all(scene, "-a/one +a/two -b/two +b/one");
    put_file(scene, "root/a/two", "changed");
    assert_batch(scene, "~a/two");
    put_file(scene, "root/b/one", "changed");
    assert_batch(scene, "~b/one");
}

/* The thread of the watch inherits it; to a test that is not run by root it changes nothing. */
static void start_as_nobody(struct scene *scene)
{
    setfsuid(65534);
    scene_start(scene);
    setfsuid(geteuid());
}

static void test_unreadable_directory_is_as_if_empty(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/closed");
    put_file(scene, "root/closed/one", "one");
    run_shell(scene, "chmod 755 . root && chmod 000 root/closed");
    start_as_nobody(scene);
    if (is_native(scene)) /* not worth waking up for: opening it makes an event */
        assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 0);
    run_shell(scene, "chmod 755 root/closed");
    assert_batch(scene, "+closed/one");
    put_file(scene, "root/closed/one", "two");
    assert_batch(scene, "~closed/one");
    run_shell(scene, "chmod 000 root/closed");
    assert_batch(scene, "-closed/one");
    assert_nothing(scene);
}

static void test_unreadable_root_is_watched_once_it_is_opened(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "one");
    run_shell(scene, "chmod 755 . && chmod 000 root");
    start_as_nobody(scene);
    if (is_native(scene))
        assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 0);
    for (int i = 0; i < 3; i++) {
        run_shell(scene, "chmod 755 root");
        assert_batch(scene, "+sub/one");
        put_file(scene, "root/sub/one", i % 2 ? "odd" : "even");
        assert_batch(scene, "~sub/one");
        run_shell(scene, "chmod 000 root");
        assert_batch(scene, "-sub/one");
    }
    run_shell(scene, "chmod 755 root");
    assert_batch(scene, "+sub/one");
    assert_nothing(scene);
}

static void test_root_below_a_closed_directory_is_watched_once_that_is_opened(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "a/b/inner");
    put_file(scene, "a/b/inner/one", "one");
    run_shell(scene, "chmod 755 . root a a/b/inner && chmod 000 a/b");
    scene_root(scene, "root");
    scene_root(scene, "a/b/inner");
    start_as_nobody(scene);
    run_shell(scene, "chmod 711 a/b"); /* to pass, not to read */
    assert_batch(scene, "+1:one");
    put_file(scene, "a/b/inner/one", "two");
    assert_batch(scene, "~1:one");
    assert_nothing(scene);
}

/* ---- links ---- */

static void test_linked_directory_is_looked_into(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "shared");
    put_file(scene, "shared/one", "one");
    make_link(scene, "../shared", "root/link");
    scene_start(scene);
    put_file(scene, "shared/one", "two");
    assert_batch(scene, "~link/one");
    remove_file(scene, "root/link");
    assert_batch(scene, "-link/one");
    make_link(scene, "../shared", "root/again");
    assert_batch(scene, "+again/one");
    put_file(scene, "shared/two", "two");
    assert_batch(scene, "+again/two");
    assert_nothing(scene);
}

static void test_link_is_pointed_elsewhere(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "v1");
    make_directory(scene, "v2");
    put_file(scene, "v1/a", "one");
    put_file(scene, "v2/a", "two");
    put_file(scene, "v2/b", "two");
    make_link(scene, "../v1", "root/current");
    scene_start(scene);
    make_link(scene, "../v2", "next");
    move(scene, "next", "root/current");
    assert_all(scene, "~current/a +current/b");
    put_file(scene, "v1/a", "three");
    assert_nothing(scene);
    put_file(scene, "v2/a", "three");
    assert_batch(scene, "~current/a");
}

static void test_target_of_a_link_goes_and_comes_back(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "shared");
    put_file(scene, "shared/one", "one");
    make_link(scene, "../shared", "root/link");
    scene_start(scene);
    move(scene, "shared", "hidden");
    assert_batch(scene, "-link/one");
    if (is_native(scene))
        return; /* nobody is told of a name outside the roots */
    move(scene, "hidden", "shared");
    assert_batch(scene, "+link/one");
}

static void test_loop_of_links_ends(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a");
    make_link(scene, "..", "root/a/up");
    make_link(scene, "self", "root/self");
    make_link(scene, "nowhere", "root/dangling");
    put_file(scene, "root/a/one", "one");
    scene_start(scene);
    assert_int_equal(hr_watch_get_stats(scene->watch).directories, 2);
    assert_int_equal(hr_watch_get_stats(scene->watch).files, 1);
    put_file(scene, "root/a/one", "two");
    assert_batch(scene, "~a/one");
    make_link(scene, "../..", "root/a/upper");
    make_link(scene, ".", "root/here");
    assert_nothing(scene);
}

static void test_file_with_two_directory_names_is_told_once(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a");
    put_file(scene, "root/a/one", "one");
    make_link(scene, "a", "root/b");
    scene_start(scene);
    put_file(scene, "root/a/one", "two");
    const char *told = take_all(scene);
    assert_true(strcmp(told, "~a/one") == 0 || strcmp(told, "~b/one") == 0);
    remove_file(scene, "root/b");
    take_all(scene); /* if it was "b" that was looked into, "a" is found in its place: */
    take_all(scene);
    put_file(scene, "root/a/one", "three");
    assert_batch(scene, "~a/one");
}

static void test_link_to_a_file_is_a_file(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "one", "one");
    put_file(scene, "two", "two");
    scene_start(scene);
    make_link(scene, "../one", "root/link");
    assert_batch(scene, "+link");
    make_link(scene, "../two", "next");
    move(scene, "next", "root/link");
    assert_batch(scene, "~link");
    remove_file(scene, "two");
    remove_file(scene, "root/link");
    assert_batch(scene, "-link");
}

/* ---- roots ---- */

static void test_root_goes_and_comes_back(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "one");
    scene_start(scene);
    remove_tree(scene, "root");
    assert_batch(scene, "-sub/one");
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "two");
    assert_batch(scene, "+sub/one");
    put_file(scene, "root/sub/one", "three");
    assert_batch(scene, "~sub/one");
    assert_nothing(scene);
}

static void test_root_comes_back_while_it_is_looked_for(void **state)
{
    struct scene *scene = *state;
    char root[256];
    put_file(scene, "root/one", "one");
    scene_start(scene);
    snprintf(root, sizeof root, "%s", at(scene, "root"));
    just_in_time = root;
    remove_tree(scene, "root");
    assert_batch(scene, "-one");
    scene_sync(scene); /* the root itself went last */
    if (!is_native(scene))
        make_directory(scene, "root");
    put_file(scene, "root/two", "two");
    assert_batch(scene, "+two");
}

static void test_root_comes_later(void **state)
{
    struct scene *scene = *state;
    scene_root(scene, "root");
    scene_root(scene, "a/b/late");
    scene_start(scene);
    assert_true(was_noted(scene, "does not exist"));
    make_directory(scene, "a");
    make_directory(scene, "a/b/late");
    put_file(scene, "a/b/late/one", "one");
    assert_batch(scene, "+1:one");
    remove_tree(scene, "a");
    assert_batch(scene, "-1:one");
    make_directory(scene, "a/b/late/sub");
    put_file(scene, "a/b/late/sub/two", "two");
    assert_batch(scene, "+1:sub/two");
    assert_nothing(scene);
}

/* The two are each other's next one. */
static void replace_root(struct scene *scene, int turn, const char *root)
{
    if (turn) {
        move(scene, "old", "next");
        run_shell(scene, "rm -f root/sentinel* next/sentinel*");
        scene_forget(scene);
    }
    move(scene, root, "old");
    move(scene, "next", root);
}

static void test_root_is_replaced(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    make_directory(scene, "next/sub");
    put_file(scene, "root/sub/same", "same");
    put_file(scene, "root/sub/one", "one");
    put_file(scene, "next/sub/same", "same");
    put_file(scene, "next/sub/one", "two");
    scene_start(scene);
    assert_in_one_go(scene, replace_root, "root", "~sub/one");
    put_file(scene, "root/sub/one", "three");
    assert_batch(scene, "~sub/one");
    put_file(scene, "old/sub/one", "four");
    assert_nothing(scene);
}

static void test_root_leaves_and_returns(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "one");
    scene_start(scene);
    move(scene, "root", "away");
    assert_batch(scene, "-sub/one");
    put_file(scene, "away/sub/one", "two");
    move(scene, "away", "root");
    assert_batch(scene, "+sub/one");
    put_file(scene, "root/sub/one", "three");
    assert_batch(scene, "~sub/one");
    assert_nothing(scene);
}

static void test_directory_above_a_root_leaves_and_returns(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "above/between/inner");
    put_file(scene, "above/between/inner/one", "one");
    scene_root(scene, "root");
    scene_root(scene, "above/between/inner");
    scene_start(scene);
    move(scene, "above", "away");
    assert_batch(scene, "-1:one");
    move(scene, "away", "above");
    assert_batch(scene, "+1:one");
    put_file(scene, "above/between/inner/one", "two");
    assert_batch(scene, "~1:one");
    assert_nothing(scene);
}

static void test_root_that_is_a_link_is_pointed_elsewhere(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "v1");
    make_directory(scene, "v2");
    put_file(scene, "v1/a", "one");
    put_file(scene, "v2/a", "two");
    make_link(scene, "v1", "current");
    scene_root(scene, "root");
    scene_root(scene, "current");
    scene_start(scene);
    make_link(scene, "v2", "next");
    move(scene, "next", "current");
    assert_batch(scene, "~1:a");
    put_file(scene, "v2/a", "three");
    assert_batch(scene, "~1:a");
    put_file(scene, "v1/a", "three");
    remove_file(scene, "current");
    assert_batch(scene, "-1:a");
    make_link(scene, "v1", "current");
    assert_batch(scene, "+1:a");
    assert_nothing(scene);
}

static void test_root_becomes_a_file_and_a_directory_again(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "second");
    put_file(scene, "second/one", "one");
    scene_root(scene, "root");
    scene_root(scene, "second");
    scene_start(scene);
    remove_tree(scene, "second");
    put_file(scene, "second", "a file");
    assert_batch(scene, "-1:one");
    remove_file(scene, "second");
    make_directory(scene, "second");
    put_file(scene, "second/one", "one");
    assert_batch(scene, "+1:one");
    assert_nothing(scene);
}

static void assert_told_once(struct scene *scene, const char *change)
{
    struct words inner = {0}, outer = {0};
    words_add(&inner, "%c1:%s", change[0], change + 1);
    words_add(&outer, "%csub/%s", change[0], change + 1);
    const char *told = take_all(scene);
    if (strcmp(told, inner.text) != 0)
        assert_string_equal(told, outer.text);
    words_fini(&inner);
    words_fini(&outer);
}

static void test_file_below_two_roots_is_told_once(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "one");
    scene_root(scene, "root");
    scene_root(scene, "root/sub");
    scene_start(scene);
    assert_int_equal(hr_watch_get_stats(scene->watch).files, 1);
    put_file(scene, "root/sub/one", "two");
    assert_told_once(scene, "~one");
    put_file(scene, "root/sub/new", "two");
    assert_told_once(scene, "+new");
    remove_tree(scene, "root/sub");
    take_all(scene);
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "three");
    assert_told_once(scene, "+one");
    put_file(scene, "root/sub/one", "four");
    assert_told_once(scene, "~one");
}

static void test_inner_root_first_is_the_same(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/one", "one");
    scene_root(scene, "root/sub");
    scene_root(scene, "root");
    scene_start(scene);
    assert_int_equal(hr_watch_get_stats(scene->watch).files, 1);
    put_file(scene, "root/sub/one", "two");
    assert_string_equal(take_all(scene), "~one");
    remove_tree(scene, "root/sub");
    take_all(scene);
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/two", "two");
    const char *told = take_all(scene);
    if (strcmp(told, "+two") != 0)
        assert_string_equal(told, "+1:sub/two");
}

static void test_what_is_no_root_is_refused(void **state)
{
    struct scene *scene = *state;
    uint32_t index = 77;
    hr_watch_options options = scene->options;
    scene_root(scene, "root");
    put_file(scene, "file", "");
    const char *file = at(scene, "file");
    assert_int_equal(hr_watch_add_root(scene->watch, (hr_bytes){file, strlen(file)}, &index),
                     HR_NOT_DIRECTORY);
    assert_int_equal(hr_watch_add_root(scene->watch, (hr_bytes){"a", 1}, &index), HR_INVALID);
    assert_int_equal(hr_watch_add_root(scene->watch, (hr_bytes){NULL, 0}, &index), HR_INVALID);
    assert_int_equal(hr_watch_add_root(scene->watch, (hr_bytes){"/a\0b", 4}, &index), HR_INVALID);
    scene_start(scene);
    assert_int_equal(hr_watch_add_root(scene->watch, (hr_bytes){"/", 1}, &index), HR_STATE);
    assert_int_equal(hr_watch_start(scene->watch), HR_STATE);
    assert_int_equal(index, 77);
    hr_watch *none = NULL;
    options.on_batch = NULL;
    assert_int_equal(hr_watch_new(&options, &none), HR_INVALID);
    assert_null(none);
}

static void test_slashes_after_a_root_are_no_part_of_it(void **state)
{
    struct scene *scene = *state;
    scene_root(scene, "root//");
    scene_start(scene);
    assert_new_file_is_told(scene);
}

static void test_file_that_is_called_git_holds_nothing(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/.git", "no directory is named here\n");
    scene_start(scene);
    assert_new_file_is_told(scene);
}

static void test_without_an_interval_there_is_one(void **state)
{
    struct scene *scene = *state;
    scene->options.poll_interval_us = 0;
    scene_start(scene);
    assert_new_file_is_told(scene);
}

static void test_without_a_thread_it_can_be_started_again(void **state)
{
    struct scene *scene = *state;
    scene_root(scene, "root");
    no_thread = true;
    errno = 0;
    const hr_status status = hr_watch_start(scene->watch);
    no_thread = false;
    assert_int_equal(status, HR_SYSTEM);
    assert_int_equal(errno, EAGAIN);
    scene_start(scene);
    assert_new_file_is_told(scene);
}

/* ---- many ---- */

#define GIT                                                                                        \
    "git -c user.name=n -c user.email=n@example.org -c commit.gpgsign=false -c "                   \
    "core.hooksPath=none "

static void commit(struct scene *scene, const char *name, int files)
{
    char path[64];
    for (int i = 1; i <= files; i++) {
        snprintf(path, sizeof path, "root/a/b/%d", i);
        put_file(scene, path, name);
    }
    snprintf(path, sizeof path, "root/%s", name);
    make_directory(scene, path);
    strcat(path, "/only");
    put_file(scene, path, name);
    run_shell(scene, "cd root && " GIT "add -A && " GIT "commit -qm message");
}

static void make_repository(struct scene *scene, int files)
{
    run_shell(scene, "cd root && " GIT "init -q && mkdir -p a/b");
    commit(scene, "one", files);
    run_shell(scene, "cd root && " GIT "branch first && rm -r one");
    commit(scene, "two", files);
    run_shell(scene, "cd root && " GIT "branch second");
}

static void test_checkout_is_one_batch(void **state)
{
    enum { FILES = 1000 };
    struct scene *scene = *state;
    struct words there = {0}, back = {0};
    make_repository(scene, FILES);
    for (int i = 1; i <= FILES; i++) {
        words_add(&there, "~a/b/%d", i);
        words_add(&back, "~a/b/%d", i);
    }
    words_add(&there, "+one/only -two/only");
    words_add(&back, "-one/only +two/only");
    scene_start(scene);
    run_shell(scene, "cd root && git checkout -q first");
    assert_batch(scene, there.text);
    run_shell(scene, "cd root && git checkout -q second");
    assert_batch(scene, back.text);
    assert_nothing(scene);
    words_fini(&there);
    words_fini(&back);
}

static void assert_lock_holds(struct scene *scene, const char *lock)
{
    put_file(scene, lock, "");
    put_file(scene, "root/sub/a", "two");
    let_it_wake(scene, 5); /* and look at the lock */
    put_file(scene, "root/sub/b", "two");
    let_it_wake(scene, 5);
    remove_file(scene, lock);
    assert_batch(scene, "+sub/a +sub/b");
    remove_tree(scene, "root/sub/a");
    remove_tree(scene, "root/sub/b");
    assert_all(scene, "-sub/a -sub/b");
}

static void test_lock_of_git_holds_the_batch(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, ".git");
    make_directory(scene, "root/sub");
    scene_start(scene);
    assert_lock_holds(scene, ".git/index.lock");
    put_file(scene, ".git/index.lock", "left over");
    run_shell(scene, "touch -d '1 hour ago' .git/index.lock");
    put_file(scene, "root/sub/a", "two");
    assert_batch(scene, "+sub/a");
}

static void test_lock_of_a_linked_work_tree_holds_the_batch(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "repository/worktrees/root");
    make_directory(scene, "root/sub");
    put_file(scene, "root/.git", "gitdir: ../repository/worktrees/root\n");
    scene_start(scene);
    assert_lock_holds(scene, "repository/worktrees/root/index.lock");
}

static void test_lock_of_a_work_tree_that_git_made_holds_the_batch(void **state)
{
    struct scene *scene = *state;
    run_shell(scene, "git init -q repository && cd repository && " GIT
                     "commit -q --allow-empty -m none && git worktree add -q ../root");
    make_directory(scene, "root/sub");
    scene_start(scene);
    assert_lock_holds(scene, "repository/.git/worktrees/root/index.lock");
}

static long queue_limit(void)
{
    long limit = 16384;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    if (file) {
        if (fscanf(file, "%ld", &limit) != 1)
            limit = 16384;
        fclose(file);
    }
    return limit;
}

/* Each name costs three events and more, and the thread of the watch stands still. */
static void overflow(struct scene *scene, struct words *expected)
{
    char path[64];
    scene_hold(scene);
    put_file(scene, "root/gate", "closed");
    scene_wait_held(scene);
    for (long i = 0; i < queue_limit() / 3 + 100; i++) {
        snprintf(path, sizeof path, "root/flood/f%ld", i);
        put_file(scene, path, "one");
        words_add(expected, "+flood/f%ld", i);
    }
}

static void test_overflow_loses_nothing(void **state)
{
    struct scene *scene = *state;
    struct words expected = {0};
    make_directory(scene, "root/flood");
    make_directory(scene, "root/mortal");
    make_directory(scene, "root/kept");
    put_file(scene, "root/mortal/one", "one");
    put_file(scene, "root/kept/one", "one");
    put_file(scene, "root/kept/two", "two");
    scene_start(scene);
    overflow(scene, &expected);
    /* None of this is in the queue. A directory that is removed and made again may have the inode
     * of the old one, so that only its watch is dead. */
    kill_watch();
    remove_file(scene, "root/mortal/one");
    put_file(scene, "root/mortal/new", "new");
    put_file(scene, "root/kept/one", "changed");
    remove_file(scene, "root/kept/two");
    words_add(&expected, "-mortal/one +mortal/new ~kept/one -kept/two +gate");
    scene_release(scene);
    assert_all(scene, words_sorted(&expected));
    words_fini(&expected);
    if (is_native(scene))
        assert_true(was_noted(scene, "overflowed"));
    put_file(scene, "root/mortal/new", "newer");
    assert_batch(scene, "~mortal/new");
}

struct writer {
    const struct scene *scene;
    pthread_t thread;
    _Atomic bool stop;
    bool many; /* a new name each time */
};

static void *write_for_ever(void *argument)
{
    struct writer *writer = argument;
    char path[256];
    for (unsigned i = 0; !writer->stop; i++) {
        snprintf(path, sizeof path, "%s/root/written%u", writer->scene->base,
                 writer->many ? i % 2000 : 0);
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        for (int k = 0; k < 4; k++) {
            ssize_t size = write(fd, &i, sizeof i);
            (void)size;
        }
        close(fd);
    }
    return NULL;
}

static void writer_start(struct writer *writer)
{
    assert_int_equal(pthread_create(&writer->thread, NULL, write_for_ever, writer), 0);
}

static void writer_stop(struct writer *writer)
{
    writer->stop = true;
    pthread_join(writer->thread, NULL);
}

/* One more than there are. */
static void wait_for_batch(struct scene *scene)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(DEADLINE_US / 1000000);
    int error = 0;
    pthread_mutex_lock(&scene->mutex);
    for (size_t before = scene->batch_count; scene->batch_count == before && !error;)
        error = pthread_cond_timedwait(&scene->changed, &scene->mutex, &until);
    pthread_mutex_unlock(&scene->mutex);
    assert_int_equal(error, 0);
}

static void test_writer_without_end_is_told_of_now_and_then(void **state)
{
    for (int many = 0; many <= 1; many++) {
        struct scene *scene = *state;
        struct writer writer = {.scene = scene, .many = many};
        if (!scene->watch)
            scene_start(scene);
        writer_start(&writer);
        wait_for_batch(scene);
        writer_stop(&writer);
        take_all(scene);
        put_file(scene, "root/written0", "the end");
        assert_batch(scene, "~written0");
    }
}

/* ---- limits ---- */

static void test_what_has_no_watch_is_polled(void **state)
{
    struct scene *scene = *state;
    char path[64];
    for (int i = 0; i < 12; i++) {
        snprintf(path, sizeof path, "root/%d/sub", i);
        make_directory(scene, path);
    }
    watches_left = 12;
    scene_start(scene);
    if (is_native(scene)) {
        hr_watch_stats stats = hr_watch_get_stats(scene->watch);
        assert_true(stats.polled_directories > 0 && stats.polled_directories < stats.directories);
        assert_true(was_noted(scene, "limit of inotify watches"));
    }
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).why,
                     is_native(scene) ? HR_WHY_LIMIT : HR_WHY_ASKED);
    for (int i = 0; i < 12; i++) {
        char word[64];
        snprintf(path, sizeof path, "root/%d/sub/file", i);
        snprintf(word, sizeof word, "+%d/sub/file", i);
        put_file(scene, path, "one");
        assert_batch(scene, word);
    }
    make_directory(scene, "root/new");
    put_file(scene, "root/new/one", "one");
    assert_batch(scene, "+new/one");
    put_file(scene, "root/new/one", "two");
    assert_batch(scene, "~new/one");
    remove_tree(scene, "root/new");
    assert_batch(scene, "-new/one");
    assert_nothing(scene);
}

static void test_without_an_instance_all_is_polled(void **state)
{
    struct scene *scene = *state;
    instances_left = 0;
    make_directory(scene, "root/a");
    scene_start(scene);
    assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 2);
    if (is_native(scene))
        assert_true(was_noted(scene, "no inotify instance"));
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).why,
                     is_native(scene) ? HR_WHY_INSTANCE : HR_WHY_ASKED);
    put_file(scene, "root/a/one", "one");
    assert_batch(scene, "+a/one");
    assert_nothing(scene);
}

static void test_never_polls_if_told_so(void **state)
{
    struct scene *scene = *state;
    scene->options.polling = HR_POLLING_NEVER;
    watches_left = 0;
    make_directory(scene, "root/a");
    scene_start(scene);
    hr_watch_stats stats = hr_watch_get_stats(scene->watch);
    assert_int_equal(stats.polled_directories, 0);
    assert_true(was_noted(scene, "is not watched"));
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).why, HR_WHY_LIMIT);
}

/* ---- rest and life ---- */

static void test_at_rest_nothing_wakes_it(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/b");
    put_file(scene, "root/a/one", "one");
    scene->options.polling = HR_POLLING_NEVER;
    scene_start(scene);
    put_file(scene, "root/a/one", "two");
    assert_batch(scene, "~a/one");
    assert_nothing(scene);
    /* The one place where time must pass. On a busy machine the thread may be on its way to sleep
     * for long, but not for ever. */
    uint64_t before, after = hr_watch_get_stats(scene->watch).wakeups;
    for (int seconds = 0; seconds < 10; seconds++) {
        before = after;
        nanosleep(&(struct timespec){1, 0}, NULL);
        after = hr_watch_get_stats(scene->watch).wakeups;
        if (after == before)
            return;
    }
    fail_msg("it does not rest");
}

static void test_counts_what_it_knows(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/a/b");
    put_file(scene, "root/a/b/one", "one");
    put_file(scene, "root/two", "two");
    scene_root(scene, "root");
    assert_false(hr_watch_get_stats(scene->watch).ready);
    scene_start(scene);
    hr_watch_stats stats = hr_watch_get_stats(scene->watch);
    assert_true(stats.ready);
    assert_int_equal(stats.directories, 3);
    assert_int_equal(stats.files, 2);
    assert_int_equal(stats.polled_directories, is_native(scene) ? 0 : 3);
    assert_int_equal(instances_opened, is_native(scene) ? 1 : 0);
    assert_int_equal(stats.batches, 0);
    put_file(scene, "root/a/b/one", "two");
    remove_file(scene, "root/two");
    take_all(scene);
    stats = hr_watch_get_stats(scene->watch);
    assert_int_equal(stats.directories, 3);
    assert_int_equal(stats.files, 2); /* with the sentinel */
}

static void test_tells_of_each_root(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "other/a");
    put_file(scene, "other/a/one", "one");
    scene_root(scene, "root");
    scene_root(scene, "other");
    scene_root(scene, "other/a");
    scene_start(scene);
    put_file(scene, "root/two", "two");
    assert_batch(scene, "+two");
    hr_root_stats first = hr_watch_get_root_stats(scene->watch, 0);
    hr_root_stats second = hr_watch_get_root_stats(scene->watch, 1);
    hr_root_stats inside = hr_watch_get_root_stats(scene->watch, 2);
    assert_int_equal(first.directories, 1);
    assert_int_equal(first.files, 1);
    assert_int_equal(second.directories, 2);
    assert_int_equal(second.files, 1);
    assert_int_equal(second.polled_directories, is_native(scene) ? 0 : 2);
    bool is_swept = is_native(scene) && getenv("HR_UPPER"); /* see on_filesystem: an overlay */
    assert_int_equal(second.swept_directories, is_swept ? 2 : 0);
    assert_int_equal(second.why, is_native(scene) ? 0 : HR_WHY_ASKED);
    assert_int_equal(inside.directories + inside.files + inside.polled_directories, 0);
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 3).directories, 0);
}

static void test_what_changes_after_the_start_is_told(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    put_file(scene, "root/b", "one");
    scene_root(scene, "root");
    let_clock_tick();
    assert_int_equal(hr_watch_start(scene->watch), HR_OK);
    put_file(scene, "root/a", "two");
    assert_string_equal(take_all(scene), "~a");
}

static void test_two_changes_in_a_row_after_each_start_are_told(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < 20; i++) {
        put_file(scene, "root/a", "one");
        scene_root(scene, "root");
        assert_int_equal(hr_watch_start(scene->watch), HR_OK);
        put_file(scene, "root/a", "two");
        const char *told = take_all(scene);
        if (!strstr(told, "~a"))
            fail_msg("start %d: %s", i, told);
        scene_stop(scene);
    }
}

static void test_freed_in_any_state(void **state)
{
    struct scene *scene = *state;
    hr_watch_free(NULL);
    scene_root(scene, "root");
    scene_stop(scene);
    hr_watch *empty;
    assert_int_equal(hr_watch_new(&scene->options, &empty), HR_OK);
    assert_int_equal(hr_watch_start(empty), HR_OK);
    hr_watch_free(empty);
    for (int i = 0; i < 50; i++) {
        put_file(scene, "root/a", i % 2 ? "odd" : "even");
        scene_root(scene, "root");
        assert_int_equal(hr_watch_start(scene->watch), HR_OK);
        put_file(scene, "root/b", i % 2 ? "odd" : "even");
        if (i % 3 == 0)
            assert_true(hr_watch_wait_ready(scene->watch, DEADLINE_US));
        scene_stop(scene);
    }
}

static void test_freed_while_it_is_busy(void **state)
{
    struct scene *scene = *state;
    run_shell(scene, "for i in $(seq 40); do mkdir root/$i; done; cd root/1; "
                     "for i in $(seq 500); do echo $i > $i; done; cd ..; "
                     "for i in $(seq 2 40); do cp -l 1/* $i; done");
    for (unsigned i = 0; i < 30; i++) {
        scene_root(scene, "root");
        assert_int_equal(hr_watch_start(scene->watch), HR_OK);
        nanosleep(&(struct timespec){0, i * 200000}, NULL); /* somewhere in its work */
        scene_stop(scene);
    }
    assert_false(was_noted(scene, "overflowed"));
}

static void test_waits_no_longer_than_told(void **state)
{
    struct scene *scene = *state;
    scene_root(scene, "root");
    assert_false(hr_watch_wait_ready(scene->watch, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(one_save_is_one_batch),
        BOTH(save_that_empties_the_file_is_one_change),
        BOTH(every_one_of_many_saves_is_told),
        BOTH(all_that_happened_before_a_sync_is_told_before_its_answer),
        BOTH(same_content_is_no_change),
        BOTH(file_is_added_changed_and_removed),
        BOTH(rename_removes_and_adds),
        BOTH(atomic_save_is_one_change),
        BOTH(save_by_vim_is_one_change),
        BOTH(time_that_goes_back_is_a_change_too),
        BOTH(file_removed_and_written_again_is_modified),
        BOTH(large_file_is_told_by_its_stamp),
        BOTH(file_is_told_when_it_is_written),
        BOTH(file_in_a_new_directory_is_told_when_it_is_written),
        POLLED(emptied_file_waits_for_its_first_bytes),
        POLLED(file_is_told_again_that_is_saved_in_the_tick_in_which_it_was_told),
        BOTH(any_name_is_told_as_it_is),
        BOTH(junk_is_never_told),
        BOTH(junk_that_was_there_is_not_entered),
        BOTH(excluded_names_are_not_told),
        BOTH(patterns_see_paths_and_the_last_decides),
        BOTH(file_in_new_directories_is_told),
        BOTH(every_file_of_a_copied_tree_is_told_once),
        BOTH(directory_is_renamed),
        BOTH(directory_is_renamed_there_and_back),
        BOTH(directory_that_was_renamed_is_still_known_by_its_inode),
        BOTH(directory_leaves_and_enters),
        BOTH(directory_goes),
        BOTH(directory_goes_and_comes_back),
        BOTH(file_and_directory_change_places),
        BOTH(two_directories_change_places),
        BOTH(unreadable_directory_is_as_if_empty),
        BOTH(unreadable_root_is_watched_once_it_is_opened),
        BOTH(root_below_a_closed_directory_is_watched_once_that_is_opened),
        BOTH(linked_directory_is_looked_into),
        BOTH(link_is_pointed_elsewhere),
        BOTH(target_of_a_link_goes_and_comes_back),
        BOTH(loop_of_links_ends),
        BOTH(file_with_two_directory_names_is_told_once),
        BOTH(link_to_a_file_is_a_file),
        BOTH(root_goes_and_comes_back),
        BOTH(root_comes_back_while_it_is_looked_for),
        BOTH(root_comes_later),
        BOTH(root_is_replaced),
        BOTH(root_leaves_and_returns),
        BOTH(directory_above_a_root_leaves_and_returns),
        BOTH(root_that_is_a_link_is_pointed_elsewhere),
        BOTH(root_becomes_a_file_and_a_directory_again),
        BOTH(file_below_two_roots_is_told_once),
        BOTH(inner_root_first_is_the_same),
        NATIVE(what_is_no_root_is_refused),
        BOTH(slashes_after_a_root_are_no_part_of_it),
        BOTH(file_that_is_called_git_holds_nothing),
        POLLED(without_an_interval_there_is_one),
        NATIVE(without_a_thread_it_can_be_started_again),
        BOTH(checkout_is_one_batch),
        BOTH(lock_of_git_holds_the_batch),
        BOTH(lock_of_a_linked_work_tree_holds_the_batch),
        BOTH(lock_of_a_work_tree_that_git_made_holds_the_batch),
        BOTH(overflow_loses_nothing),
        BOTH(writer_without_end_is_told_of_now_and_then),
        BOTH(what_has_no_watch_is_polled),
        BOTH(without_an_instance_all_is_polled),
        NATIVE(never_polls_if_told_so),
        NATIVE(at_rest_nothing_wakes_it),
        BOTH(tells_of_each_root),
        BOTH(counts_what_it_knows),
        BOTH(what_changes_after_the_start_is_told),
        BOTH(two_changes_in_a_row_after_each_start_are_told),
        BOTH(freed_in_any_state),
        BOTH(freed_while_it_is_busy),
        NATIVE(waits_no_longer_than_told),
    };
    cmocka_set_test_filter(getenv("HR_TEST"));
    cmocka_set_skip_filter(getenv("HR_SKIP"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
