/* The tree of names and the map, against plain ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "map.h"
#include "tree.h"

static hr_bytes text(const char *text)
{
    return (hr_bytes){text, strlen(text)};
}

static hr_node *add_directory(hr_tree *tree, hr_node *parent, const char *name)
{
    hr_node *node = NULL;
    assert_int_equal(hr_tree_child(tree, parent, text(name), &node), HR_OK);
    assert_int_equal(hr_tree_make_directory(tree, node), HR_OK);
    return node;
}

static hr_node *add_root(hr_tree *tree, const char *path, uint32_t index)
{
    hr_node *root = NULL;
    assert_int_equal(hr_tree_add_root(tree, text(path), index, &root), HR_OK);
    assert_int_equal(hr_tree_make_directory(tree, root), HR_OK);
    return root;
}

static void assert_paths(const hr_node *node, const char *path, const char *relative)
{
    hr_buffer buffer = {0};
    assert_int_equal(hr_node_path(node, &buffer), HR_OK);
    assert_int_equal(buffer.size, strlen(path));
    assert_string_equal(buffer.data, path);
    buffer.size = 0;
    assert_int_equal(hr_node_relative(node, &buffer), HR_OK);
    assert_int_equal(buffer.size, strlen(relative));
    assert_memory_equal(buffer.data, relative, strlen(relative));
    hr_buffer_fini(&buffer);
}

static void test_empty_tree_finds_nothing(void **state)
{
    hr_tree tree = {0};
    assert_null(hr_tree_find(&tree, NULL, text("/home")));
    hr_tree_fini(&tree);
}

static void test_name_too_long_to_count_is_refused(void **state)
{
    static char name[UINT16_MAX + 1];
    hr_tree tree = {0};
    hr_node *node = NULL;
    memset(name, 'x', sizeof name);
    hr_node *root = add_root(&tree, "/home", 0);
    assert_int_equal(hr_tree_child(&tree, root, (hr_bytes){name, sizeof name}, &node), HR_INVALID);
    assert_null(node);
    assert_int_equal(hr_tree_child(&tree, root, (hr_bytes){name, sizeof name - 1}, &node), HR_OK);
    assert_ptr_equal(hr_tree_find(&tree, root, (hr_bytes){name, sizeof name - 1}), node);
    hr_tree_fini(&tree);
}

static void test_node_knows_its_path(void **state)
{
    hr_tree tree = {0};
    hr_node *root = add_root(&tree, "/home/site", 3);
    hr_node *directory = add_directory(&tree, root, "a");
    hr_node *file;
    assert_int_equal(hr_tree_child(&tree, directory, text("b.css"), &file), HR_OK);
    assert_paths(root, "/home/site", "");
    assert_paths(directory, "/home/site/a", "a");
    assert_paths(file, "/home/site/a/b.css", "a/b.css");
    assert_int_equal(file->root, 3);
    hr_tree_fini(&tree);
}

static void test_root_of_all_has_a_path_too(void **state)
{
    hr_tree tree = {0};
    hr_node *root = add_root(&tree, "", 0);
    assert_paths(root, "/", "");
    assert_paths(add_directory(&tree, root, "etc"), "/etc", "etc");
    hr_tree_fini(&tree);
}

static void test_child_is_found_by_parent_and_name(void **state)
{
    hr_tree tree = {0};
    hr_node *root = add_root(&tree, "/r", 0);
    hr_node *a = add_directory(&tree, root, "a"), *b = add_directory(&tree, root, "b");
    hr_node *in_a, *in_b, *again;
    hr_tree_child(&tree, a, text("x"), &in_a);
    hr_tree_child(&tree, b, text("x"), &in_b);
    assert_ptr_not_equal(in_a, in_b);
    hr_tree_child(&tree, a, text("x"), &again);
    assert_ptr_equal(in_a, again);
    assert_ptr_equal(hr_tree_find(&tree, b, text("x")), in_b);
    assert_null(hr_tree_find(&tree, a, text("y")));
    hr_tree_remove(&tree, in_a);
    assert_null(hr_tree_find(&tree, a, text("x")));
    assert_ptr_equal(hr_tree_find(&tree, b, text("x")), in_b);
    assert_null(a->directory->children);
    hr_tree_fini(&tree);
}

/* Thousands of names come and go in any order; a table of flags is the model. */
static void test_names_come_and_go(void **state)
{
    enum { NAMES = 3000, STEPS = 60000 };
    static hr_node *nodes[NAMES];
    hr_tree tree = {0};
    hr_node *root = add_root(&tree, "/r", 0);
    size_t count = 0, pending = 0;
    memset(nodes, 0, sizeof nodes);
    srand(7);
    for (int step = 0; step < STEPS; step++) {
        int i = rand() % NAMES;
        char name[16];
        snprintf(name, sizeof name, "file%d", i);
        assert_ptr_equal(hr_tree_find(&tree, root, text(name)), nodes[i]);
        if (!nodes[i]) {
            assert_int_equal(hr_tree_child(&tree, root, text(name), &nodes[i]), HR_OK);
            count++;
        } else if (rand() % 2) {
            pending += !nodes[i]->pending;
            assert_int_equal(hr_tree_pend(&tree, nodes[i]), HR_OK);
        } else {
            pending -= nodes[i]->pending != 0;
            hr_tree_remove(&tree, nodes[i]);
            nodes[i] = NULL;
            count--;
        }
        assert_int_equal(tree.count, count + 1);
        assert_int_equal(tree.pending_count, pending);
    }
    for (size_t i = 0; i < tree.pending_count; i++)
        assert_int_equal(tree.pending[i]->pending, i + 1);
    size_t listed = 0;
    for (const hr_node *node = root->directory->children; node; node = node->next)
        listed++;
    assert_int_equal(listed, count);
    hr_tree_fini(&tree);
}

static void test_directories_are_counted(void **state)
{
    hr_tree tree = {0};
    hr_node *root = add_root(&tree, "/r", 0);
    hr_node *a = add_directory(&tree, root, "a");
    assert_int_equal(tree.all.directories, 2);
    hr_tree_drop_directory(&tree, a);
    assert_int_equal(tree.all.directories, 1);
    assert_null(a->directory);
    assert_int_equal(hr_tree_make_directory(&tree, a), HR_OK);
    hr_tree_remove(&tree, a);
    assert_int_equal(tree.all.directories, 1);
    hr_tree_fini(&tree);
}

static void test_each_root_counts_its_own(void **state)
{
    hr_tree tree = {0};
    hr_node *file;
    hr_node *second = add_root(&tree, "/s", 1);
    hr_node *first = add_root(&tree, "/r", 0);
    add_directory(&tree, second, "a");
    assert_int_equal(hr_tree_child(&tree, second, (hr_bytes){"b", 1}, &file), HR_OK);
    hr_tree_deliver(&tree, file);
    hr_tree_deliver(&tree, file);
    assert_int_equal(tree.all.files, 1);
    assert_int_equal(tree.by_root[first->root].directories, 1);
    assert_int_equal(tree.by_root[first->root].files, 0);
    assert_int_equal(tree.by_root[second->root].directories, 2);
    assert_int_equal(tree.by_root[second->root].files, 1);
    hr_tree_withdraw(&tree, file);
    hr_tree_withdraw(&tree, file);
    assert_int_equal(tree.all.files, 0);
    assert_int_equal(tree.by_root[second->root].files, 0);
    hr_tree_fini(&tree);
}

static void test_map_holds_what_was_set(void **state)
{
    enum { KEYS = 500, STEPS = 50000 };
    static int values[KEYS];
    int *model[KEYS] = {0};
    hr_map map = {0};
    size_t count = 0;
    srand(9);
    for (int step = 0; step < STEPS; step++) {
        int key = rand() % KEYS;
        assert_ptr_equal(hr_map_get(&map, (uint64_t)key), model[key]);
        if (rand() % 2) {
            count += !model[key];
            model[key] = &values[rand() % KEYS];
            assert_int_equal(hr_map_set(&map, (uint64_t)key, model[key]), HR_OK);
        } else {
            count -= model[key] != NULL;
            model[key] = NULL;
            hr_map_remove(&map, (uint64_t)key);
        }
        assert_int_equal(map.count, count);
    }
    assert_true(map.capacity <= 4096); /* what was removed takes no room for ever */
    hr_map_fini(&map);
    assert_null(hr_map_get(&map, 1));
}

static void test_same_stamp_means_every_field(void **state)
{
    const hr_stamp stamp = {1, 2, 3, 4};
    hr_stamp other = stamp;
    assert_true(hr_stamp_equal(&stamp, &other));
    other.mtime_ns--;
    assert_false(hr_stamp_equal(&stamp, &other));
    other = stamp;
    other.ctime_ns++;
    assert_false(hr_stamp_equal(&stamp, &other));
    other = stamp;
    other.size++;
    assert_false(hr_stamp_equal(&stamp, &other));
    other = stamp;
    other.inode++;
    assert_false(hr_stamp_equal(&stamp, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_tree_finds_nothing),
        cmocka_unit_test(test_name_too_long_to_count_is_refused),
        cmocka_unit_test(test_node_knows_its_path),
        cmocka_unit_test(test_root_of_all_has_a_path_too),
        cmocka_unit_test(test_child_is_found_by_parent_and_name),
        cmocka_unit_test(test_names_come_and_go),
        cmocka_unit_test(test_directories_are_counted),
        cmocka_unit_test(test_each_root_counts_its_own),
        cmocka_unit_test(test_map_holds_what_was_set),
        cmocka_unit_test(test_same_stamp_means_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
