#include "watching.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- words ---- */

static void append_text(struct words *words, const char *text, size_t size)
{
    char *grown = reallocarray(words->text, 1, words->size + size + 1);
    if (!grown)
        abort();
    memcpy(grown + words->size, text, size);
    words->text = grown;
    words->size += size;
    words->text[words->size] = '\0';
}

void words_add(struct words *words, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        abort();
    if (words->size)
        append_text(words, " ", 1);
    append_text(words, text, (size_t)size);
    free(text);
}

/* By name first, then by what happened to it. */
static int compare_words(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;
    int order = strcmp(a + 1, b + 1);
    return order ? order : *a - *b;
}

static char **with_word(char **list, size_t count, char *word)
{
    char **grown = reallocarray(list, count + 1, sizeof *list);
    assert_non_null(grown);
    grown[count] = word;
    return grown;
}

const char *words_sorted(struct words *words)
{
    if (!words->text)
        append_text(words, "", 0);
    size_t count = 0;
    char **list = NULL, *rest = NULL;
    struct words sorted = {0};
    for (char *word = strtok_r(words->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        list = with_word(list, count++, word);
    }
    if (count)
        qsort(list, count, sizeof *list, compare_words);
    for (size_t i = 0; i < count; i++) {
        if (i)
            append_text(&sorted, " ", 1);
        append_text(&sorted, list[i], strlen(list[i]));
    }
    if (!count)
        append_text(&sorted, "", 0);
    free(list);
    free(words->text);
    *words = sorted;
    return words->text;
}

void words_fini(struct words *words)
{
    free(words->text);
    *words = (struct words){0};
}

/* ---- what is told ---- */

static void add_change(struct words *words, const hr_change *change)
{
    char text[8192];
    size_t size = 0;
    text[size++] = change->op == HR_OP_ADDED ? '+' : change->op == HR_OP_MODIFIED ? '~' : '-';
    if (change->root)
        size += (size_t)snprintf(text + size, 16, "%u:", change->root);
    for (size_t i = 0; i < change->path.size && size < sizeof text - 8; i++) {
        unsigned char byte = (unsigned char)change->path.data[i];
        if (byte > 0x20 && byte < 0x7F)
            text[size++] = (char)byte;
        else
            size += (size_t)snprintf(text + size, 8, "\\x%02x", byte);
    }
    words_add(words, "%.*s", (int)size, text);
}

static void on_batch(void *user, const hr_batch *batch)
{
    struct scene *scene = user;
    struct words words = {0};
    for (size_t i = 0; i < batch->count; i++)
        add_change(&words, &batch->changes[i]);
    words_sorted(&words);
    pthread_mutex_lock(&scene->mutex);
    while (scene->hold) {
        scene->held = true;
        pthread_cond_broadcast(&scene->changed);
        pthread_cond_wait(&scene->changed, &scene->mutex);
    }
    scene->held = false;
    scene->batches = reallocarray(scene->batches, scene->batch_count + 1, sizeof *scene->batches);
    scene->batches[scene->batch_count++] = words.text;
    scene->broken |= !batch->count || batch->first_us > batch->settled_us ||
                     pthread_equal(pthread_self(), scene->owner);
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->mutex);
}

static void on_note(void *user, hr_level level, const char *text)
{
    struct scene *scene = user;
    pthread_mutex_lock(&scene->mutex);
    struct words notes = {scene->notes, scene->notes ? strlen(scene->notes) : 0};
    words_add(&notes, "%d: %s\n", (int)level, text);
    scene->notes = notes.text;
    scene->broken |= pthread_equal(pthread_self(), scene->owner);
    pthread_mutex_unlock(&scene->mutex);
}

static void on_synced(void *user)
{
    struct scene *scene = user;
    pthread_mutex_lock(&scene->mutex);
    scene->synced++;
    scene->broken |= pthread_equal(pthread_self(), scene->owner);
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->mutex);
}

bool was_noted(struct scene *scene, const char *text)
{
    pthread_mutex_lock(&scene->mutex);
    bool found = scene->notes && strstr(scene->notes, text);
    pthread_mutex_unlock(&scene->mutex);
    return found;
}

static struct timespec deadline(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(DEADLINE_US / 1000000);
    return until;
}

/* Lent until scene_fini(). NULL: none came in time. */
static const char *next_batch(struct scene *scene)
{
    struct timespec until = deadline();
    int error = 0;
    pthread_mutex_lock(&scene->mutex);
    while (scene->taken == scene->batch_count && !error)
        error = pthread_cond_timedwait(&scene->changed, &scene->mutex, &until);
    const char *batch = scene->taken < scene->batch_count ? scene->batches[scene->taken++] : NULL;
    bool broken = scene->broken;
    pthread_mutex_unlock(&scene->mutex);
    assert_false(broken);
    return batch;
}

/* Fails with what differs first, since there may be thousands. */
static void assert_words(const char *told, const char *expected)
{
    struct words words = {0};
    words_add(&words, "%s", expected);
    const char *a = told, *b = words_sorted(&words);
    size_t same = 0, word = 0;
    for (; a[same] && a[same] == b[same]; same++)
        if (a[same] == ' ')
            word = same + 1;
    bool equal = a[same] == b[same];
    if (!equal)
        print_error("told: …%.200s\nexpected: …%.200s\n", a + word, b + word);
    words_fini(&words);
    assert_true(equal);
}

void assert_batch(struct scene *scene, const char *expected)
{
    const char *batch = next_batch(scene);
    if (!batch)
        fail_msg("no batch came; expected %s", expected);
    assert_words(batch, expected);
}

enum { SENTINEL_SIZE = 32 };

/* A new file each time: it needs no close to be told from the one before. */
static void put_sentinel(struct scene *scene, char word[SENTINEL_SIZE])
{
    static unsigned count;
    char path[SENTINEL_SIZE + 8];
    snprintf(word, SENTINEL_SIZE, "+sentinel%u", ++count);
    snprintf(path, sizeof path, "root/%s", word + 1);
    put_file(scene, path, word);
}

void assert_nothing(struct scene *scene)
{
    char sentinel[SENTINEL_SIZE];
    put_sentinel(scene, sentinel);
    assert_batch(scene, sentinel);
}

static void blank_word(char *inside)
{
    char *end = strchrnul(inside, ' ');
    while (!strchr("+~-", *inside))
        inside--;
    memset(inside, ' ', (size_t)(end - inside));
}

/* Until the sentinel: in the order in which it was told. Returns how many batches it was. */
static size_t gather(struct scene *scene, struct words *all)
{
    char sentinel[SENTINEL_SIZE];
    size_t count = 0;
    words_fini(all);
    /* On a busy machine a file at the top does not wait for all the others to be looked at. */
    if (scene->options.polling == HR_POLLING_ALWAYS)
        scene_sync(scene);
    put_sentinel(scene, sentinel);
    for (char *found = NULL; !found; count++) {
        const char *batch = next_batch(scene);
        if (!batch) {
            fail_msg("the sentinel did not come; before it: %s", all->text ? all->text : "");
            return 0;
        }
        size_t before = all->size;
        words_add(all, "%s", batch);
        found = strstr(all->text + before, sentinel + 1);
        if (found)
            blank_word(found);
    }
    return count;
}

const char *take_all(struct scene *scene)
{
    static struct words all;
    gather(scene, &all);
    return words_sorted(&all);
}

void assert_all(struct scene *scene, const char *expected)
{
    assert_words(take_all(scene), expected);
}

/* For a single file that was closed: what is done within it is one burst on any machine. */
enum { SHORTEST_WAIT_US = 1000 };

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void assert_in_one_go(struct scene *scene, scene_act *act, const char *with, const char *expected)
{
    enum { TURNS = 20 };
    for (int turn = 0; turn < TURNS; turn++) {
        uint64_t begin = now_us();
        act(scene, turn, with);
        bool is_stopped = now_us() - begin >= SHORTEST_WAIT_US;
        const char *told = take_all(scene);
        if (strcmp(told, expected) == 0)
            return;
        if (!is_stopped)
            assert_words(told, expected);
    }
    act(scene, TURNS, with);
    assert_all(scene, expected);
}

/* Words of one text, by name and then in order. */
static int compare_in_order(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;
    int order = strcmp(a + 1, b + 1);
    return order ? order : (a > b) - (a < b);
}

/* What one and then another change come to; '\0': to nothing. */
static char sum_of(char first, char second)
{
    if (first == '+')
        return second == '-' ? '\0' : '+';
    return second == '-' ? '-' : '~';
}

struct sum {
    struct words words;
    size_t repeated; /* words that told of a file again */
    size_t once;     /* files that were told of once */
};

static struct sum add_up(struct words *all)
{
    struct sum sum = {0};
    size_t count = 0;
    char **list = NULL, *rest = NULL;
    for (char *word = strtok_r(all->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        list = with_word(list, count++, word);
    }
    if (count)
        qsort(list, count, sizeof *list, compare_in_order);
    for (size_t i = 0; i < count;) {
        const char *name = list[i] + 1;
        size_t first = i;
        char op = *list[i];
        while (++i < count && strcmp(list[i] + 1, name) == 0)
            op = op ? sum_of(op, *list[i]) : *list[i];
        sum.repeated += i - first - 1;
        sum.once += i - first == 1;
        if (op)
            words_add(&sum.words, "%c%s", op, name);
    }
    free(list);
    words_sorted(&sum.words);
    return sum;
}

static struct sum take_sum(struct scene *scene)
{
    struct words all = {0};
    size_t batches = gather(scene, &all);
    struct sum sum = add_up(&all);
    words_fini(&all);
    assert_in_range(sum.repeated, 0, batches - 1);
    return sum;
}

void assert_sum(struct scene *scene, const char *expected)
{
    struct sum sum = take_sum(scene);
    assert_words(sum.words.text, expected);
    words_fini(&sum.words);
}

void assert_sum_is_nothing(struct scene *scene)
{
    struct sum sum = take_sum(scene);
    if (sum.once || strpbrk(sum.words.text, "+-"))
        fail_msg("told: %.200s", sum.words.text);
    words_fini(&sum.words);
}

void scene_hold(struct scene *scene)
{
    pthread_mutex_lock(&scene->mutex);
    scene->hold = true;
    pthread_mutex_unlock(&scene->mutex);
}

void scene_wait_held(struct scene *scene)
{
    struct timespec until = deadline();
    int error = 0;
    pthread_mutex_lock(&scene->mutex);
    while (!scene->held && !error)
        error = pthread_cond_timedwait(&scene->changed, &scene->mutex, &until);
    pthread_mutex_unlock(&scene->mutex);
    assert_int_equal(error, 0);
}

void scene_sync(struct scene *scene)
{
    struct timespec until = deadline();
    int error = 0;
    pthread_mutex_lock(&scene->mutex);
    size_t before = scene->synced;
    pthread_mutex_unlock(&scene->mutex);
    hr_watch_sync(scene->watch);
    pthread_mutex_lock(&scene->mutex);
    while (scene->synced == before && !error)
        error = pthread_cond_timedwait(&scene->changed, &scene->mutex, &until);
    pthread_mutex_unlock(&scene->mutex);
    assert_int_equal(error, 0);
    assert_true(hr_watch_is_synced(scene->watch));
}

void scene_forget(struct scene *scene)
{
    scene_sync(scene);
    pthread_mutex_lock(&scene->mutex);
    scene->taken = scene->batch_count;
    pthread_mutex_unlock(&scene->mutex);
}

void scene_release(struct scene *scene)
{
    pthread_mutex_lock(&scene->mutex);
    scene->hold = false;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->mutex);
}

/* ---- life ---- */

void scene_init(struct scene *scene, hr_polling polling)
{
    /* A disk may be shared, and a hundred times slower. */
    const char *directory = getenv("TMPDIR");
    if (!directory)
        directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    *scene = (struct scene){.owner = pthread_self()};
    snprintf(scene->base, sizeof scene->base, "%s/hr-XXXXXX", directory);
    if (!mkdtemp(scene->base))
        abort();
    scene->options = (hr_watch_options){
        .polling = polling,
        .poll_interval_us = 20000,
        .on_batch = on_batch,
        .on_note = on_note,
        .on_synced = on_synced,
        .user = scene,
    };
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&scene->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&scene->mutex, NULL);
    make_directory(scene, "root");
}

void scene_stop(struct scene *scene)
{
    scene_release(scene);
    hr_watch_free(scene->watch);
    scene->watch = NULL;
}

static int set_up(void **state, hr_polling polling)
{
    static struct scene scene;
    scene_init(&scene, polling);
    *state = &scene;
    return 0;
}

int set_up_native(void **state)
{
    return set_up(state, HR_POLLING_AUTO);
}

int set_up_polled(void **state)
{
    return set_up(state, HR_POLLING_ALWAYS);
}

void scene_fini(struct scene *scene)
{
    scene_stop(scene);
    remove_tree(scene, "");
    for (size_t i = 0; i < scene->batch_count; i++)
        free(scene->batches[i]);
    free(scene->batches);
    free(scene->notes);
    pthread_cond_destroy(&scene->changed);
    pthread_mutex_destroy(&scene->mutex);
}

void scene_root(struct scene *scene, const char *path)
{
    uint32_t index;
    if (!scene->watch)
        assert_int_equal(hr_watch_new(&scene->options, &scene->watch), HR_OK);
    const char *absolute = at(scene, path);
    assert_int_equal(
        hr_watch_add_root(scene->watch, (hr_bytes){absolute, strlen(absolute)}, &index), HR_OK);
}

void let_clock_tick(void)
{
    struct timespec now, coarse;
    clock_gettime(CLOCK_REALTIME, &now);
    do {
        nanosleep(&(struct timespec){0, 500000}, NULL);
        clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
    } while (coarse.tv_sec < now.tv_sec ||
             (coarse.tv_sec == now.tv_sec && coarse.tv_nsec <= now.tv_nsec));
}

void scene_start(struct scene *scene)
{
    if (!scene->watch)
        scene_root(scene, "root");
    let_clock_tick();
    assert_int_equal(hr_watch_start(scene->watch), HR_OK);
    assert_true(hr_watch_wait_ready(scene->watch, DEADLINE_US));
}

/* ---- files ---- */

const char *at(const struct scene *scene, const char *path)
{
    static char ring[4][8192];
    static unsigned next;
    char *text = ring[next++ % 4];
    snprintf(text, sizeof ring[0], "%s%s%s", scene->base, *path ? "/" : "", path);
    return text;
}

static void write_file(const char *path, int flags, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    ssize_t written = write(fd, content, strlen(content));
    close(fd);
    assert_int_equal(written, strlen(content));
}

static bool is_written_at_once(const char *path, const char *content)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size <= (off_t)strlen(content);
}

void put_at_once(const char *path, const char *content)
{
    char draft[8192];
    if (is_written_at_once(path, content)) {
        write_file(path, 0, content);
        return;
    }
    snprintf(draft, sizeof draft, "%.*s/draft~", (int)(strrchr(path, '/') - path), path);
    write_file(draft, O_TRUNC, content);
    if (rename(draft, path) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

void put_file(struct scene *scene, const char *path, const char *content)
{
    put_at_once(at(scene, path), content);
}

void rewrite_file(struct scene *scene, const char *path, const char *content)
{
    write_file(at(scene, path), O_TRUNC, content);
}

void append_file(struct scene *scene, const char *path, const char *content)
{
    write_file(at(scene, path), O_APPEND, content);
}

void remove_file(struct scene *scene, const char *path)
{
    assert_int_equal(unlink(at(scene, path)), 0);
}

/* With those above it. */
void make_directory(struct scene *scene, const char *path)
{
    char text[8192];
    snprintf(text, sizeof text, "%s", at(scene, path));
    for (char *slash = text + strlen(scene->base) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(text, 0755);
        *slash = '/';
    }
    if (mkdir(text, 0755) != 0)
        fail_msg("%s: %s", text, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

void remove_tree(struct scene *scene, const char *path)
{
    nftw(at(scene, path), remove_entry, 32, FTW_DEPTH | FTW_PHYS);
}

void move(struct scene *scene, const char *from, const char *to)
{
    assert_int_equal(rename(at(scene, from), at(scene, to)), 0);
}

void make_link(struct scene *scene, const char *target, const char *path)
{
    assert_int_equal(symlink(target, at(scene, path)), 0);
}

void run_shell(struct scene *scene, const char *command)
{
    char text[8192];
    snprintf(text, sizeof text, "cd %s && { %s; } >/dev/null 2>&1", scene->base, command);
    assert_int_equal(system(text), 0);
}
