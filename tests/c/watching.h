/*
 * What the tests of hr_watch share: a directory to play in, a watch over it, and what it told.
 *
 * A batch is written as text, a word a change, in order of the bytes: "+new ~changed -gone". A file
 * of another root than the first has its number before it ("+1:new"), and bytes that are no plain
 * letters are written \xNN. To show that nothing was told, another file is changed after it, and
 * its batch must come alone.
 *
 * Nothing here allocates by a function that failing.h makes fail.
 */
#ifndef WATCHING_H
#define WATCHING_H

#include <pthread.h>
#include <stdint.h>

#include "hotreload.h"

/* No event takes so long, on however busy a machine. */
#define DEADLINE_US ((uint64_t)30 * 1000000)

struct scene {
    char base[128]; /* the temporary directory; paths below are relative to it */
    hr_watch_options options;
    hr_watch *watch;

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    char **batches;
    size_t batch_count;
    size_t taken;  /* of the batches, by the test */
    char *notes;   /* "warning: …\n" and so on, or NULL */
    bool hold;     /* the callback waits while this is set */
    bool held;     /* and it does so now */
    size_t synced; /* how often it was said */
    bool broken;   /* a callback came as it must not: see assert_batch() */
    pthread_t owner;
};

/* Makes a directory with an empty directory "root" in it, and sets the options. */
void scene_init(struct scene *scene, hr_polling polling);
void scene_fini(struct scene *scene);

/* For cmocka: a scene in `*state`, in which the watch polls only where it must, or everywhere. */
int set_up_native(void **state);
int set_up_polled(void **state);

/* test_<name>() as one test, or as one of each kind; the file has a tear_down() of its own. */
#define NATIVE(name)                                                                               \
    {                                                                                              \
#name, test_##name, set_up_native, tear_down, NULL                                         \
    }
#define POLLED(name)                                                                               \
    {                                                                                              \
#name, test_##name, set_up_polled, tear_down, NULL                                         \
    }
#define BOTH(name)                                                                                 \
    {"native: " #name, test_##name, set_up_native, tear_down, NULL},                               \
    {                                                                                              \
        "polled: " #name, test_##name, set_up_polled, tear_down, NULL                              \
    }

/* Adds a root, making the watch first if there is none. */
void scene_root(struct scene *scene, const char *path);

/* Starts the watch, and waits until the first look is over. What was done before is old. */
void scene_start(struct scene *scene);
void scene_stop(struct scene *scene);

/* The next batch must be this; like each, not empty, no older than it says, and not on the thread
 * of the test. */
void assert_batch(struct scene *scene, const char *expected);

/* Nothing was told since the last batch that was looked at: see above. */
void assert_nothing(struct scene *scene);

/* All that was told until now, over however many batches; the words still sorted. Lent until the
 * next call. */
const char *take_all(struct scene *scene);
void assert_all(struct scene *scene, const char *expected);

/* The same for a tool that writes file after file, and may be stopped in the midst of one for as
 * long as the machine is busy elsewhere. Each batch may then tell of one file that is not written
 * yet, and a later one must tell of it again: what all of them come to is this. */
void assert_sum(struct scene *scene, const char *expected);

/* Nothing but such files, which are there again. */
void assert_sum_is_nothing(struct scene *scene);

/* Does something, the `turn`-th time; `with` is its own. */
typedef void scene_act(struct scene *scene, int turn, const char *with);

/* What `act` does in several steps must be told as `expected`, no more and no less. A busy machine
 * may stop it between two of them for longer than anyone waits: then it is done again. */
void assert_in_one_go(struct scene *scene, scene_act *act, const char *with, const char *expected);

/* Waits until hr_watch_sync() is answered. */
void scene_sync(struct scene *scene);

/* The same, and what was told until then is as if it had been looked at. */
void scene_forget(struct scene *scene);

/* Did a note say so? */
bool was_noted(struct scene *scene, const char *text);

/* While it is held, the thread of the watch stands in the callback. */
void scene_hold(struct scene *scene);
void scene_wait_held(struct scene *scene);
void scene_release(struct scene *scene);

/* Waits until the kernel's coarse clock, from which files take their times, has moved on. */
void let_clock_tick(void);

/* The rest do to files what their names say; paths relative to the base. */
const char *at(const struct scene *scene, const char *path); /* absolute; lent for a few calls */
/* In one step, which no look can divide: one that finds a file made and not yet written tells of it
 * twice. In place where one write() does it; else by a rename, of a name that is never told. */
void put_file(struct scene *scene, const char *path, const char *content);
void put_at_once(const char *path, const char *content);                       /* absolute */
void rewrite_file(struct scene *scene, const char *path, const char *content); /* in two steps */
void append_file(struct scene *scene, const char *path, const char *content);
void remove_file(struct scene *scene, const char *path);
void make_directory(struct scene *scene, const char *path);
void remove_tree(struct scene *scene, const char *path);
void move(struct scene *scene, const char *from, const char *to);
void make_link(struct scene *scene, const char *target, const char *path);
void run_shell(struct scene *scene, const char *command); /* in the base */

/* A growing text of words, for what is expected. */
struct words {
    char *text;
    size_t size;
};
__attribute__((format(printf, 2, 3))) void words_add(struct words *words, const char *format, ...);
const char *words_sorted(struct words *words);
void words_fini(struct words *words);

#endif
