/*
 * What the real tools do to a tree, over both back ends: an editor's save and a checkout are one
 * batch; of everything else the sum of what is told is the difference.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "watching.h"

/* ---- frame ---- */

static int tear_down(void **state)
{
    scene_fini(*state);
    return 0;
}

/* Debian's packages are called like their programs. */
static void need(const char *program)
{
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null", program);
    if (system(command) != 0)
        fail_msg("%s is not installed: apt-get install %s", program, program);
}

enum { DIRECTORIES = 20, FILES = 50 };

/* A directory with DIRECTORIES directories of FILES files, each with `content` in it. */
static void make_tree(struct scene *scene, const char *top, const char *content)
{
    char path[128];
    make_directory(scene, top);
    for (int i = 0; i < DIRECTORIES; i++) {
        snprintf(path, sizeof path, "%s/%d", top, i);
        make_directory(scene, path);
        for (int k = 0; k < FILES; k++) {
            snprintf(path, sizeof path, "%s/%d/%d", top, i, k);
            put_file(scene, path, content);
        }
    }
}

/* A word for each file of such a tree. */
static void tree_words(struct words *words, char op, const char *top)
{
    for (int i = 0; i < DIRECTORIES; i++)
        for (int k = 0; k < FILES; k++)
            words_add(words, "%c%s%d/%d", op, top, i, k);
}

static void assert_tree(struct scene *scene, char op, const char *top)
{
    struct words words = {0};
    tree_words(&words, op, top);
    assert_sum(scene, words_sorted(&words));
    words_fini(&words);
}

/* ---- editors ---- */

static void run_vim(struct scene *scene, int turn, const char *settings)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd root && vim -es -u NONE -i NONE -c 'set backupdir=. undodir=. directory=. %s' "
             "-c 'normal Otext%d' -c wq a.css </dev/null",
             settings, turn);
    run_shell(scene, command);
}

static void save_with_vim(struct scene *scene, const char *settings)
{
    need("vim");
    put_file(scene, "root/a.css", "one\n");
    put_file(scene, "root/b.css", "one\n");
    scene_start(scene);
    for (int i = 0; i < 3; i++)
        assert_in_one_go(scene, run_vim, settings, "~a.css");
}

static void test_vim_saves_by_a_copy(void **state)
{
    save_with_vim(*state, "backup backupcopy=yes");
}

static void test_vim_saves_by_a_rename(void **state)
{
    save_with_vim(*state, "backup backupcopy=no");
}

static void test_vim_saves_as_it_likes(void **state)
{
    save_with_vim(*state, "backup backupcopy=auto");
}

static void test_vim_saves_without_a_backup(void **state)
{
    save_with_vim(*state, "nobackup writebackup backupcopy=auto undofile");
}

static void test_vim_saves_in_place(void **state)
{
    save_with_vim(*state, "nobackup nowritebackup");
}

static void write_and_close(const char *path, int flags, const char *content)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, 0600), 0);
    close(fd);
}

/* A link as a lock, the old file moved aside, the new one closed, and opened once more. */
static void save_by_emacs(struct scene *scene, int turn, const char *content)
{
    make_link(scene, "user@host.1234:5678", "root/.#a");
    move(scene, "root/a", "root/a~");
    write_and_close(at(scene, "root/a"), O_CREAT | O_EXCL, turn % 2 ? "odd" : content);
    write_and_close(at(scene, "root/a"), O_APPEND, "");
    remove_file(scene, "root/.#a");
}

static void test_emacs_saves_and_closes_twice(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one");
    scene_start(scene);
    for (int i = 0; i < 20; i++)
        assert_in_one_go(scene, save_by_emacs, i % 2 ? "even" : "neither", "~a");
}

static void test_sed_edits_in_place(void **state)
{
    struct scene *scene = *state;
    put_file(scene, "root/a", "one\n");
    put_file(scene, "root/b", "one\n");
    scene_start(scene);
    run_shell(scene, "sed -i s/one/two/ root/a");
    assert_batch(scene, "~a");
    assert_nothing(scene);
    run_shell(scene, "sed -i.orig s/two/three/ root/a && sed -i s/none/two/ root/b");
    assert_sum(scene, "~a +a.orig");
}

/* ---- trees ---- */

static void test_rsync_brings_what_changed(void **state)
{
    struct scene *scene = *state;
    struct words words = {0};
    char path[64];
    need("rsync");
    make_tree(scene, "from", "one");
    run_shell(scene, "rsync -a from/ root/");
    scene_start(scene);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "from/3/%d", i);
        put_file(scene, path, "another");
        words_add(&words, "~%s", path + 5);
        snprintf(path, sizeof path, "from/5/%d", i);
        remove_file(scene, path);
        words_add(&words, "-%s", path + 5);
        snprintf(path, sizeof path, "from/7/new%d", i);
        put_file(scene, path, "new");
        words_add(&words, "+%s", path + 5);
    }
    run_shell(scene, "rsync -a --delete from/ root/");
    assert_sum(scene, words_sorted(&words));
    words_fini(&words);
    put_file(scene, "from/9/9", "a longer one");
    run_shell(scene, "rsync -a --exclude='sentinel*' --delete from/ root/");
    assert_batch(scene, "~9/9");
    assert_nothing(scene);
}

static void test_tar_unpacks_a_tree(void **state)
{
    struct scene *scene = *state;
    make_tree(scene, "tree", "one");
    run_shell(scene, "tar cf tree.tar tree");
    scene_start(scene);
    run_shell(scene, "tar xf tree.tar -C root");
    assert_tree(scene, '+', "tree/");
    run_shell(scene, "tar xf tree.tar -C root"); /* each is removed and made again */
    assert_sum_is_nothing(scene);
}

static void test_tree_is_copied_and_removed(void **state)
{
    struct scene *scene = *state;
    make_tree(scene, "tree", "one");
    scene_start(scene);
    run_shell(scene, "cp -r tree root/a");
    assert_tree(scene, '+', "a/");
    run_shell(scene, "cp -al root/a root/b");
    assert_tree(scene, '+', "b/");
    run_shell(scene, "rm -r root/a");
    assert_tree(scene, '-', "a/");
}

static void test_directories_are_made_with_a_file_in_them(void **state)
{
    struct scene *scene = *state;
    char command[128], word[64];
    scene_start(scene);
    for (int i = 0; i < 10; i++) {
        snprintf(command, sizeof command, "mkdir -p root/%d/b/c && echo one > root/%d/b/c/d", i, i);
        snprintf(word, sizeof word, "+%d/b/c/d", i);
        run_shell(scene, command);
        assert_sum(scene, word);
    }
    assert_nothing(scene);
}

static void test_directory_is_moved_in_and_out(void **state)
{
    struct scene *scene = *state;
    make_tree(scene, "tree", "one");
    scene_start(scene);
    for (int i = 0; i < 3; i++) {
        run_shell(scene, "mv tree root/tree");
        assert_tree(scene, '+', "tree/");
        put_file(scene, "root/tree/7/7", i % 2 ? "odd" : "even");
        assert_batch(scene, "~tree/7/7");
        run_shell(scene, "mv root/tree tree");
        assert_tree(scene, '-', "tree/");
        put_file(scene, "tree/7/7", "elsewhere");
        assert_nothing(scene);
    }
}

/* ---- git ---- */

/* Whose machine it is must not matter. */
static void set_git_up(void)
{
    need("git");
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_AUTHOR_NAME", "n", 1);
    setenv("GIT_AUTHOR_EMAIL", "n@example.org", 1);
    setenv("GIT_COMMITTER_NAME", "n", 1);
    setenv("GIT_COMMITTER_EMAIL", "n@example.org", 1);
}

/* Adds to a repository a commit, and a branch of its name. */
static void commit(struct scene *scene, const char *path, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s/tree", path);
    make_tree(scene, text, name);
    snprintf(text, sizeof text, "%s/only-%s", path, name);
    make_tree(scene, text, name);
    snprintf(text, sizeof text, "cd %s && git add -A && git commit -qm message && git branch %s",
             path, name);
    run_shell(scene, text);
}

static void make_repository(struct scene *scene, const char *path)
{
    char text[256];
    set_git_up();
    snprintf(text, sizeof text, "git init -q %s && echo 'sentinel*' >> %s/.git/info/exclude", path,
             path);
    run_shell(scene, text);
    commit(scene, path, "one");
    snprintf(text, sizeof text, "rm -r %s/tree %s/only-one", path, path);
    run_shell(scene, text);
    commit(scene, path, "two");
}

/* 1,000 files change, 1,000 go and 1,000 come. */
static void assert_checkout(struct scene *scene, const char *name, const char *before)
{
    struct words words = {0};
    char text[64];
    snprintf(text, sizeof text, "only-%s/", name);
    tree_words(&words, '+', text);
    snprintf(text, sizeof text, "only-%s/", before);
    tree_words(&words, '-', text);
    tree_words(&words, '~', "tree/");
    snprintf(text, sizeof text, "cd root && git checkout -q %s", name);
    run_shell(scene, text);
    assert_batch(scene, words_sorted(&words));
    words_fini(&words);
}

static void test_checkout_is_one_batch(void **state)
{
    struct scene *scene = *state;
    make_repository(scene, "root");
    scene_start(scene);
    for (int i = 0; i < 3; i++) {
        assert_checkout(scene, "one", "two");
        assert_checkout(scene, "two", "one");
    }
    assert_nothing(scene);
}

static void test_stash_and_pop_go_there_and_back(void **state)
{
    struct scene *scene = *state;
    make_repository(scene, "root");
    scene_start(scene);
    put_file(scene, "root/tree/3/3", "changed");
    put_file(scene, "root/tree/5/5", "changed");
    make_directory(scene, "root/new/dir");
    put_file(scene, "root/new/dir/a", "new");
    remove_file(scene, "root/tree/7/7");
    assert_all(scene, "+new/dir/a ~tree/3/3 ~tree/5/5 -tree/7/7");
    for (int i = 0; i < 3; i++) {
        run_shell(scene, "cd root && git stash -q -u");
        assert_sum(scene, "-new/dir/a ~tree/3/3 ~tree/5/5 +tree/7/7");
        run_shell(scene, "cd root && git stash pop -q"); /* new files under no lock */
        assert_sum(scene, "+new/dir/a ~tree/3/3 ~tree/5/5 -tree/7/7");
    }
}

static void test_clone_into_the_root_is_told(void **state)
{
    struct scene *scene = *state;
    struct words words = {0};
    make_repository(scene, "repository");
    scene_start(scene);
    run_shell(scene, "git clone -q repository root/clone");
    tree_words(&words, '+', "clone/tree/");
    tree_words(&words, '+', "clone/only-two/");
    assert_sum(scene, words_sorted(&words));
    words_fini(&words);
    put_file(scene, "root/clone/tree/3/3", "changed");
    assert_batch(scene, "~clone/tree/3/3");
}

/* ---- behind the mount: see on_filesystem ---- */

/* Writes to a file from the other side. */
static void write_behind(const struct scene *scene, const char *variable, const char *path,
                         const char *content)
{
    char file[4096];
    snprintf(file, sizeof file, "%s%s/%s", getenv(variable), strrchr(scene->base, '/'), path);
    put_at_once(file, content);
}

static void test_change_below_an_overlay_is_found_and_makes_it_polled(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/a", "one");
    scene_start(scene);
    put_file(scene, "root/sub/a", "two");
    assert_batch(scene, "~sub/a");
    assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 0);
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).swept_directories, 2);
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).why, 0);
    assert_string_equal(hr_watch_get_root_stats(scene->watch, 0).file_system, "overlay");
    assert_false(was_noted(scene, "without an event"));
    write_behind(scene, "HR_UPPER", "root/sub/b", "one");
    assert_batch(scene, "+sub/b");
    assert_true(was_noted(scene, "without an event from its file system: it is polled"));
    assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 2);
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).polled_directories, 2);
    assert_int_equal(hr_watch_get_root_stats(scene->watch, 0).why, HR_WHY_UNTOLD);
    for (int i = 0; i < 5; i++) {
        write_behind(scene, "HR_UPPER", "root/sub/b", i % 2 ? "odd" : "new"); /* in place */
        assert_batch(scene, "~sub/b");
        put_file(scene, "root/sub/a", i % 2 ? "odd" : "even");
        assert_batch(scene, "~sub/a");
    }
    make_directory(scene, "root/new");
    write_behind(scene, "HR_UPPER", "root/new/c", "one");
    assert_batch(scene, "+new/c");
    assert_nothing(scene);
}

/* Two sweeps and more go over it while it is written to. */
static void test_saves_on_an_overlay_do_not_make_it_polled(void **state)
{
    struct scene *scene = *state;
    struct timespec now, end;
    put_file(scene, "root/a", "");
    scene_start(scene);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 5;
    do {
        append_file(scene, "root/a", "more");
        assert_batch(scene, "~a");
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec);
    assert_nothing(scene);
    assert_false(was_noted(scene, "without an event"));
    assert_int_equal(hr_watch_get_stats(scene->watch).polled_directories, 0);
}

/* Its first write or rename makes a copy in the upper layer. */
static void test_file_of_a_lower_layer_is_copied_up_and_told(void **state)
{
    struct scene *scene = *state;
    char layer[256];
    snprintf(layer, sizeof layer, "%s/%s", getenv("TMPDIR"),
             scene->options.polling == HR_POLLING_ALWAYS ? "polled" : "native");
    make_link(scene, layer, "root/layer");
    scene_start(scene);
    put_file(scene, "root/layer/a", "another\n"); /* in place */
    assert_batch(scene, "~layer/a");
    move(scene, "root/layer/b", "root/layer/c");
    assert_batch(scene, "-layer/b +layer/c");
    remove_file(scene, "root/layer/a");
    assert_batch(scene, "-layer/a");
    assert_nothing(scene);
}

static void test_change_at_the_source_of_a_bind_mount_is_told(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "root/sub");
    put_file(scene, "root/sub/a", "one");
    scene_start(scene);
    write_behind(scene, "HR_SOURCE", "root/sub/a", "two");
    assert_batch(scene, "~sub/a");
    write_behind(scene, "HR_SOURCE", "root/sub/b", "two");
    assert_batch(scene, "+sub/b");
    assert_nothing(scene);
}

static void bind_over(struct scene *scene, const char *source, const char *target)
{
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/%s", scene->base, source);
    snprintf(to, sizeof to, "%s/%s", scene->base, target);
    assert_int_equal(mount(from, to, NULL, MS_BIND, NULL), 0);
}

static void unmount(struct scene *scene, const char *target)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", scene->base, target);
    assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void assert_mount_comes_and_goes(struct scene *scene, const char *target, const char *prefix)
{
    char expected[256];
    bind_over(scene, "other", target);
    snprintf(expected, sizeof expected, "+%sover -%sunder", prefix, prefix);
    assert_batch(scene, expected);
    put_file(scene, "other/over", "two");
    snprintf(expected, sizeof expected, "~%sover", prefix);
    assert_batch(scene, expected);
    unmount(scene, target);
    snprintf(expected, sizeof expected, "-%sover +%sunder", prefix, prefix);
    assert_batch(scene, expected);
    snprintf(expected, sizeof expected, "%s/under", target);
    put_file(scene, expected, "two");
    snprintf(expected, sizeof expected, "~%sunder", prefix);
    assert_batch(scene, expected);
    assert_nothing(scene);
}

static void test_mount_over_a_root_comes_and_goes(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "other");
    put_file(scene, "other/over", "one");
    put_file(scene, "root/under", "one");
    scene_start(scene);
    assert_mount_comes_and_goes(scene, "root", "");
}

static void test_mount_within_a_root_comes_and_goes(void **state)
{
    struct scene *scene = *state;
    make_directory(scene, "other");
    make_directory(scene, "root/sub");
    put_file(scene, "other/over", "one");
    put_file(scene, "root/sub/under", "one");
    scene_start(scene);
    assert_mount_comes_and_goes(scene, "root/sub", "sub/");
}

#define TOOLS                                                                                      \
    BOTH(vim_saves_by_a_copy), BOTH(vim_saves_by_a_rename), BOTH(vim_saves_as_it_likes),           \
        BOTH(vim_saves_without_a_backup), BOTH(vim_saves_in_place),                                \
        BOTH(emacs_saves_and_closes_twice), BOTH(sed_edits_in_place),                              \
        BOTH(rsync_brings_what_changed), BOTH(tar_unpacks_a_tree),                                 \
        BOTH(tree_is_copied_and_removed), BOTH(directories_are_made_with_a_file_in_them),          \
        BOTH(directory_is_moved_in_and_out), BOTH(checkout_is_one_batch),                          \
        BOTH(stash_and_pop_go_there_and_back), BOTH(clone_into_the_root_is_told)

int main(void)
{
    static const struct CMUnitTest anywhere[] = {TOOLS};
    static const struct CMUnitTest on_overlay[] = {
        TOOLS,
        NATIVE(change_below_an_overlay_is_found_and_makes_it_polled),
        NATIVE(saves_on_an_overlay_do_not_make_it_polled),
        BOTH(file_of_a_lower_layer_is_copied_up_and_told),
    };
    static const struct CMUnitTest on_bind_mount[] = {
        TOOLS,
        BOTH(change_at_the_source_of_a_bind_mount_is_told),
        BOTH(mount_over_a_root_comes_and_goes),
        BOTH(mount_within_a_root_comes_and_goes),
    };
    cmocka_set_test_filter(getenv("HR_TEST"));
    cmocka_set_skip_filter(getenv("HR_SKIP"));
    if (getenv("HR_UPPER"))
        return cmocka_run_group_tests(on_overlay, NULL, NULL);
    if (getenv("HR_SOURCE"))
        return cmocka_run_group_tests(on_bind_mount, NULL, NULL);
    return cmocka_run_group_tests(anywhere, NULL, NULL);
}
