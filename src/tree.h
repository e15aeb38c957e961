/*
 * The tree as it was last delivered, and what is hinted to have changed since.
 *
 * A node stands for a name in a directory. It may be a file that has been delivered (flag), a
 * directory that is looked into (`directory`), both for a moment (a file became a directory and its
 * removal is not delivered yet), or neither (a name that was only hinted at).
 */
#ifndef HR_TREE_H
#define HR_TREE_H

#include <sys/stat.h>

#include "settle.h"

typedef struct hr_node hr_node;

/* What stat says about a file's content without reading it. */
typedef struct hr_stamp {
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t size;
    uint64_t inode;
} hr_stamp;

/* How a directory is kept an eye on besides its events. */
typedef enum hr_attention {
    HR_ATTENTION_NONE,  /* events tell everything */
    HR_ATTENTION_SWEEP, /* events come, but may not tell everything */
    HR_ATTENTION_POLL,  /* no events to be had or trusted */
    HR_ATTENTION_COUNT
} hr_attention;

typedef struct hr_directory {
    hr_node *children;
    uint64_t device;
    uint64_t inode;
    uint64_t hot_until; /* changed lately: looked at first */
    int watch;          /* inotify's descriptor, or -1 */
    uint8_t attention;  /* hr_attention */
    bool aliased;       /* another name of the same directory was passed over because of this one */
} hr_directory;

enum {
    HR_NODE_DELIVERED = 1, /* the file is known to readers; `stamp` is valid */
    HR_NODE_HASHED = 2,    /* `content` is valid */
    HR_NODE_SKIP_HASH = 4, /* too large or unreadable: only the stamp speaks */
    HR_NODE_REPLACED = 8   /* the directory may be another one than was read: read it again */
};

struct hr_node {
    hr_node *parent; /* NULL: a root, whose name is its absolute path */
    hr_node *next;   /* siblings */
    hr_node *previous;
    hr_node *chain;          /* of the tree's table */
    hr_directory *directory; /* NULL: no directory */
    hr_stamp stamp;
    uint64_t content;
    uint32_t pending; /* index in the list of pending nodes + 1, or 0 */
    uint32_t seen;    /* the last reading of its directory that met it */
    uint32_t root;
    uint16_t name_size;
    uint8_t hint; /* hr_hint */
    uint8_t flags;
    char name[]; /* with a terminator */
};

typedef struct hr_tree_count {
    size_t directories;
    size_t files; /* delivered */
} hr_tree_count;

/* Zero-initialised is empty. */
typedef struct hr_tree {
    hr_node **table;
    size_t capacity; /* 0 or a power of two */
    size_t count;
    hr_node **pending;
    size_t pending_count;
    size_t pending_capacity;
    hr_tree_count all;
    hr_tree_count *by_root;
    size_t by_root_count;
} hr_tree;

/* Frees every node below the roots given to hr_tree_remove() before; asserts nothing. */
void hr_tree_fini(hr_tree *tree);

/* A root node; `path` absolute, without a trailing slash but for "/" itself, which is "". */
hr_status hr_tree_add_root(hr_tree *tree, hr_bytes path, uint32_t root, hr_node **out);

hr_node *hr_tree_find(const hr_tree *tree, const hr_node *parent, hr_bytes name);

/* Finds or adds a child of a directory. HR_NOMEM. */
hr_status hr_tree_child(hr_tree *tree, hr_node *parent, hr_bytes name, hr_node **out);

/* Makes a node a directory; it has no children then. HR_NOMEM. */
hr_status hr_tree_make_directory(hr_tree *tree, hr_node *node);

/* Makes a childless directory a mere name again. */
void hr_tree_drop_directory(hr_tree *tree, hr_node *node);

/* Marks a node as a file that readers know, or no longer do. */
void hr_tree_deliver(hr_tree *tree, hr_node *node);
void hr_tree_withdraw(hr_tree *tree, hr_node *node);

/* Frees a node without children that is no root; it leaves the pending list. */
void hr_tree_remove(hr_tree *tree, hr_node *node);

/* The list of nodes to look at. Order is that of arrival until one is removed. HR_NOMEM. */
hr_status hr_tree_pend(hr_tree *tree, hr_node *node);
void hr_tree_unpend(hr_tree *tree, hr_node *node);

/* Writes the absolute path, NUL-terminated (the size does not count it). HR_NOMEM. */
hr_status hr_node_path(const hr_node *node, hr_buffer *out);

/* Appends the path relative to the root. HR_NOMEM. */
hr_status hr_node_relative(const hr_node *node, hr_buffer *out);

hr_stamp hr_stamp_of(const struct stat *status);
bool hr_stamp_equal(const hr_stamp *a, const hr_stamp *b);

#endif
