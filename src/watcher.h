/*
 * The inside of hr_watch, shared by its five sources. Everything here runs on the watcher's thread.
 *
 *   watch.c   the public face, the thread and its loop
 *   notify.c  inotify: events become hints
 *   scan.c    reading directories: what differs from the tree becomes a hint
 *   poll.c    what is read again and again, and how often
 *   flush.c   looking at what was hinted: what is true becomes a batch
 */
#ifndef HR_WATCHER_H
#define HR_WATCHER_H

#include <pthread.h>
#include <stdatomic.h>

#include "ignore.h"
#include "map.h"
#include "tree.h"

/* A directory above a root, watched to see the root come and go. */
typedef struct hr_anchor {
    int watch;
    uint32_t root;
    hr_bytes name; /* of the next component towards the root; lies in the root's path */
} hr_anchor;

typedef struct hr_root {
    hr_node *node;
    hr_buffer lock;                      /* path of git's index.lock, NUL-terminated, or empty */
    size_t attended[HR_ATTENTION_COUNT]; /* as that of the watch */
    /* What other threads may see. */
    atomic_uint_fast64_t directories, files, polled, swept;
    atomic_uint why; /* hr_why */
    _Atomic(const char *) file_system;
} hr_root;

/* A change that will be delivered; its path lies in the arena. */
typedef struct hr_found {
    uint32_t root;
    hr_op op;
    size_t path;
    size_t size;
} hr_found;

enum { HR_SCRATCH_SIZE = 64 << 10, HR_PROMOTED_MAX = 16 };

struct hr_watch {
    hr_watch_options options;
    hr_ignore ignore;
    hr_tree tree;
    hr_settle settle;
    hr_root *roots;
    size_t root_count;

    int inotify; /* or -1: none to be had, or not wanted */
    int mounts;  /* proc(5): polls as an exception when something is mounted or unmounted; or -1 */
    int wake;
    hr_map watches;    /* descriptor → node */
    hr_map identities; /* hash of device and inode → node */
    hr_anchor *anchors;
    size_t anchor_count;

    bool reading_baseline; /* what is found now is known, not news */
    bool incomplete;       /* something was lost: compare the whole tree at the next flush */
    bool hashing;          /* files of the baseline remain to be hashed */
    size_t hash_slot;      /* where in the tree's table */
    size_t hash_capacity;  /* of the table when it was begun */
    uint64_t hash_budget;  /* bytes of the baseline that may still be read */
    uint32_t reading;      /* counts the directories read; see hr_node.seen */
    int64_t started_ns;    /* by the file systems' clock */
    uint64_t next_try;     /* a flush that could not end, or a lock that stands */
    bool locked;           /* a lock has held this burst back */
    size_t attended[HR_ATTENTION_COUNT]; /* directories of each kind; [NONE] is not meaningful */
    hr_node **rounds;                    /* the directories that are polled or swept */
    size_t rounds_count;
    size_t rounds_capacity;
    bool rounds_stale;                /* to be listed again before it is used */
    size_t round[HR_ATTENTION_COUNT]; /* where in the list the last look stopped */
    uint64_t next_poll;
    uint64_t next_sweep;
    uint64_t round_took;                /* the last time all of it was read */
    bool sweeping;                      /* what is found now was told by no event, */
    hr_node *missed;                    /* and was found in this directory */
    uint64_t promoted[HR_PROMOTED_MAX]; /* devices found not to tell */
    size_t promoted_count;
    bool noted_limit;
    bool noted_descriptors;

    hr_buffer path;
    hr_buffer relative;
    char *scratch;   /* HR_SCRATCH_SIZE bytes */
    hr_node **queue; /* directories to be read */
    size_t queue_count;
    size_t queue_capacity;

    hr_found *found;
    size_t found_count;
    size_t found_capacity;
    hr_buffer arena;

    pthread_t thread;
    pid_t process; /* that has the thread: a fork of it has none */
    bool running;
    pthread_mutex_t mutex; /* of `ready` */
    pthread_cond_t became_ready;
    bool ready;
    atomic_bool stop;
    atomic_uint_fast64_t syncs;  /* asked for */
    atomic_uint_fast64_t synced; /* of these, answered */
    atomic_uint_fast64_t directories, files, polled_directories, wakeups, batches;
};

/* watch.c */
bool hr_watch_stopping(const hr_watch *watch);
__attribute__((format(printf, 3, 4))) void hr_watch_note(hr_watch *watch, hr_level level,
                                                         const char *format, ...);

/* Is this name in a directory of the tree ignored? */
bool hr_watch_ignores(hr_watch *watch, const hr_node *parent, const char *name, bool directory);

/* A node needs a look. A name that was never delivered and has gone is forgotten at once: the node
 * may be freed. */
void hr_watch_hint(hr_watch *watch, hr_node *node, hr_hint hint);

/* The tree is not to be trusted any more: compare all of it at the next flush. */
void hr_watch_lost(hr_watch *watch);

/* Lets other threads see how much is known. */
void hr_watch_publish(hr_watch *watch);

/* notify.c */
void hr_notify_open(hr_watch *watch);
void hr_notify_close(hr_watch *watch);
void hr_notify_drain(hr_watch *watch);

/* Watches a directory whose path is given. false: there is no watch to be had, and only polling
 * can tell. One that cannot be reached or read is not worth polling: what opens it makes an event
 * in the directory above. */
bool hr_notify_add(hr_watch *watch, hr_node *node, const char *path);
void hr_notify_remove(hr_watch *watch, hr_node *node);

/* Watches what stands above a root: all of it for renames, and for the root's own name where the
 * root is absent or a link. */
void hr_notify_anchor(hr_watch *watch, uint32_t root);

/* scan.c */

/* Takes a directory into the tree, or finds that another name of it is there already (false). */
bool hr_scan_claim(hr_watch *watch, hr_node *node, const struct stat *status);
void hr_scan_release(hr_watch *watch, hr_node *node);

/* Reads directories and hints at what differs: this one, and those below that are new or, if
 * `deep`, all. */
void hr_scan(hr_watch *watch, hr_node *directory, bool deep);
void hr_scan_roots(hr_watch *watch, bool deep);

/* Hints at the roots that came, went or were replaced. */
void hr_scan_check_roots(hr_watch *watch);

/* Hashes files of the baseline for a moment; clears `hashing` when all are done. */
void hr_scan_hash(hr_watch *watch);

/* poll.c */

/* Decides how a directory is kept an eye on; `watchable`: as hr_notify_add() said. */
void hr_poll_attend(hr_watch *watch, hr_node *node, const char *path, bool watchable);
void hr_poll_forget(hr_watch *watch, hr_node *node);

/* A reading found a difference under this name that nothing had hinted at. */
void hr_poll_found(hr_watch *watch, hr_node *node);

/* Reads the polled directories before a flush: all of them, unless that takes long and there are
 * not `many` changes. True: it hinted at something. */
bool hr_poll_again(hr_watch *watch, bool many);

uint64_t hr_poll_deadline(const hr_watch *watch);
void hr_poll_if_due(hr_watch *watch);

/* flush.c */

/* Looks at everything that was hinted at and delivers what is true. Later, if a lock stands. */
void hr_flush(hr_watch *watch, uint64_t now);

#endif
