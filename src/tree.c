#include "tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "hash.h"

static size_t slot_of(size_t capacity, const hr_node *parent, hr_bytes name)
{
    return hr_hash(name.data, name.size, (uint64_t)(uintptr_t)parent) & (capacity - 1);
}

static hr_bytes name_of(const hr_node *node)
{
    return (hr_bytes){node->name, node->name_size};
}

static hr_status grow_table(hr_tree *tree)
{
    size_t capacity = tree->capacity ? tree->capacity * 2 : 256;
    hr_node **table = calloc(capacity, sizeof *table);
    if (!table)
        return HR_NOMEM;
    for (size_t i = 0; i < tree->capacity; i++) {
        hr_node *next;
        for (hr_node *node = tree->table[i]; node; node = next) {
            next = node->chain;
            size_t slot = slot_of(capacity, node->parent, name_of(node));
            node->chain = table[slot];
            table[slot] = node;
        }
    }
    free(tree->table);
    tree->table = table;
    tree->capacity = capacity;
    return HR_OK;
}

static hr_status add_node(hr_tree *tree, hr_node *parent, hr_bytes name, hr_node **out)
{
    if (name.size > UINT16_MAX)
        return HR_INVALID;
    if (tree->count >= tree->capacity) {
        hr_status status = grow_table(tree);
        if (status != HR_OK)
            return status;
    }
    hr_node *node = calloc(1, sizeof *node + name.size + 1);
    if (!node)
        return HR_NOMEM;
    node->parent = parent;
    node->name_size = (uint16_t)name.size;
    if (name.size)
        memcpy(node->name, name.data, name.size);
    if (parent) {
        node->root = parent->root;
        node->next = parent->directory->children;
        if (node->next)
            node->next->previous = node;
        parent->directory->children = node;
    }
    size_t slot = slot_of(tree->capacity, parent, name);
    node->chain = tree->table[slot];
    tree->table[slot] = node;
    tree->count++;
    *out = node;
    return HR_OK;
}

void hr_tree_fini(hr_tree *tree)
{
    for (size_t i = 0; i < tree->capacity; i++) {
        hr_node *next;
        for (hr_node *node = tree->table[i]; node; node = next) {
            next = node->chain;
            free(node->directory);
            free(node);
        }
    }
    free(tree->table);
    free(tree->pending);
    free(tree->by_root);
    *tree = (hr_tree){0};
}

static hr_status count_root(hr_tree *tree, uint32_t root)
{
    if (root < tree->by_root_count)
        return HR_OK;
    hr_tree_count *grown = realloc(tree->by_root, ((size_t)root + 1) * sizeof *grown);
    if (!grown)
        return HR_NOMEM;
    size_t added = (size_t)root + 1 - tree->by_root_count;
    memset(grown + tree->by_root_count, 0, added * sizeof *grown);
    tree->by_root = grown;
    tree->by_root_count = (size_t)root + 1;
    return HR_OK;
}

hr_status hr_tree_add_root(hr_tree *tree, hr_bytes path, uint32_t root, hr_node **out)
{
    hr_status status = count_root(tree, root);
    if (status == HR_OK)
        status = add_node(tree, NULL, path, out);
    if (status == HR_OK)
        (*out)->root = root;
    return status;
}

hr_node *hr_tree_find(const hr_tree *tree, const hr_node *parent, hr_bytes name)
{
    if (!tree->capacity)
        return NULL;
    hr_node *node = tree->table[slot_of(tree->capacity, parent, name)];
    while (node && (node->parent != parent || node->name_size != name.size ||
                    memcmp(node->name, name.data, name.size) != 0))
        node = node->chain;
    return node;
}

hr_status hr_tree_child(hr_tree *tree, hr_node *parent, hr_bytes name, hr_node **out)
{
    assert(parent->directory);
    hr_node *known = hr_tree_find(tree, parent, name);
    if (!known)
        return add_node(tree, parent, name, out);
    *out = known;
    return HR_OK;
}

hr_status hr_tree_make_directory(hr_tree *tree, hr_node *node)
{
    assert(!node->directory);
    node->directory = calloc(1, sizeof *node->directory);
    if (!node->directory)
        return HR_NOMEM;
    node->directory->watch = -1;
    tree->all.directories++;
    tree->by_root[node->root].directories++;
    return HR_OK;
}

void hr_tree_drop_directory(hr_tree *tree, hr_node *node)
{
    assert(node->directory && !node->directory->children);
    free(node->directory);
    node->directory = NULL;
    tree->all.directories--;
    tree->by_root[node->root].directories--;
}

void hr_tree_deliver(hr_tree *tree, hr_node *node)
{
    if (node->flags & HR_NODE_DELIVERED)
        return;
    node->flags |= HR_NODE_DELIVERED;
    tree->all.files++;
    tree->by_root[node->root].files++;
}

void hr_tree_withdraw(hr_tree *tree, hr_node *node)
{
    if (!(node->flags & HR_NODE_DELIVERED))
        return;
    node->flags &= (uint8_t) ~(HR_NODE_DELIVERED | HR_NODE_HASHED | HR_NODE_SKIP_HASH);
    tree->all.files--;
    tree->by_root[node->root].files--;
}

void hr_tree_remove(hr_tree *tree, hr_node *node)
{
    assert(node->parent);
    hr_tree_unpend(tree, node);
    if (node->directory)
        hr_tree_drop_directory(tree, node);
    if (node->next)
        node->next->previous = node->previous;
    if (node->previous)
        node->previous->next = node->next;
    else
        node->parent->directory->children = node->next;
    hr_node **link = &tree->table[slot_of(tree->capacity, node->parent, name_of(node))];
    while (*link != node)
        link = &(*link)->chain;
    *link = node->chain;
    tree->count--;
    free(node);
}

hr_status hr_tree_pend(hr_tree *tree, hr_node *node)
{
    if (node->pending)
        return HR_OK;
    hr_node **grown =
        hr_array_grow(tree->pending, tree->pending_count, &tree->pending_capacity, sizeof *grown);
    if (!grown)
        return HR_NOMEM;
    tree->pending = grown;
    tree->pending[tree->pending_count++] = node;
    node->pending = (uint32_t)tree->pending_count;
    return HR_OK;
}

void hr_tree_unpend(hr_tree *tree, hr_node *node)
{
    if (!node->pending)
        return;
    hr_node *last = tree->pending[--tree->pending_count];
    tree->pending[node->pending - 1] = last;
    last->pending = node->pending;
    node->pending = 0;
}

/* Written from its end: each name before the one below it. */
static void write_names(const hr_node *node, const hr_node *above, char *end)
{
    for (; node != above; node = node->parent) {
        end -= node->name_size;
        memcpy(end, node->name, node->name_size);
        if (node->parent != above)
            *--end = '/';
    }
}

static size_t names_size(const hr_node *node, const hr_node *above)
{
    size_t size = 0;
    for (; node != above; node = node->parent)
        size += node->name_size + (node->parent != above ? 1u : 0u);
    return size;
}

hr_status hr_node_path(const hr_node *node, hr_buffer *out)
{
    size_t size = names_size(node, NULL);
    char *space;
    out->size = 0;
    hr_status status = hr_buffer_extend(out, (size ? size : 1) + 1, &space);
    if (status != HR_OK)
        return status;
    if (!size)
        space[size++] = '/';
    else
        write_names(node, NULL, space + size);
    space[size] = '\0';
    out->size = size;
    return HR_OK;
}

hr_status hr_node_relative(const hr_node *node, hr_buffer *out)
{
    const hr_node *root = node;
    while (root->parent)
        root = root->parent;
    size_t size = names_size(node, root);
    char *space;
    hr_status status = hr_buffer_extend(out, size, &space);
    if (status == HR_OK)
        write_names(node, root, space + size);
    return status;
}

hr_stamp hr_stamp_of(const struct stat *status)
{
    return (hr_stamp){
        .mtime_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)status->st_ctim.tv_sec * 1000000000 + status->st_ctim.tv_nsec,
        .size = status->st_size,
        .inode = status->st_ino,
    };
}

bool hr_stamp_equal(const hr_stamp *a, const hr_stamp *b)
{
    return a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->size == b->size &&
           a->inode == b->inode;
}
