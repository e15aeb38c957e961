/* What is in a file is told by its content where that can be read, and by its stamp elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "look.h"

enum { LIMIT = 1000 };

static char directory[64], path[96];
static void (*before_read)(void);
static int interruptions;

ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size);

ssize_t __wrap_read(int fd, void *data, size_t size)
{
    if (before_read)
        before_read();
    if (interruptions) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    return __real_read(fd, data, size);
}

static void put(const char *content)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    strcpy(directory, "/tmp/hr-look-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/file", directory);
    before_read = NULL;
    interruptions = 0;
    put("content");
    return 0;
}

static int tear_down(void **state)
{
    before_read = NULL;
    remove(path);
    return rmdir(directory);
}

static hr_content look_at(const char *name, hr_stamp *stamp, uint64_t *hash)
{
    static char scratch[4]; /* less than the content */
    return hr_look_content(name, LIMIT, scratch, sizeof scratch, stamp, hash);
}

static void assert_stamp_of(const char *name, const hr_stamp *stamp)
{
    struct stat status;
    assert_int_equal(stat(name, &status), 0);
    const hr_stamp expected = hr_stamp_of(&status);
    assert_true(hr_stamp_equal(stamp, &expected));
}

static void test_equal_content_is_equal(void **state)
{
    hr_stamp first, second;
    uint64_t one, same, other;
    assert_int_equal(look_at(path, &first, &one), HR_CONTENT_READ);
    assert_stamp_of(path, &first);
    put("content");
    assert_int_equal(look_at(path, &second, &same), HR_CONTENT_READ);
    assert_true(one == same);
    put("contenT");
    assert_int_equal(look_at(path, &second, &other), HR_CONTENT_READ);
    assert_true(one != other);
}

static void test_a_signal_changes_nothing(void **state)
{
    hr_stamp stamp;
    uint64_t hash, interrupted;
    assert_int_equal(look_at(path, &stamp, &hash), HR_CONTENT_READ);
    interruptions = 2;
    assert_int_equal(look_at(path, &stamp, &interrupted), HR_CONTENT_READ);
    assert_int_equal(interruptions, 0);
    assert_true(hash == interrupted);
}

static void append(void)
{
    before_read = NULL;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
}

static void test_what_changes_while_it_is_read_is_said_to(void **state)
{
    hr_stamp stamp;
    uint64_t hash;
    before_read = append;
    assert_int_equal(look_at(path, &stamp, &hash), HR_CONTENT_CHANGING);
}

static void test_without_a_descriptor_there_is_the_stamp(void **state)
{
    hr_stamp stamp;
    uint64_t hash;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max});
    hr_content there = look_at(path, &stamp, &hash);
    hr_content gone = look_at("/none", &stamp, &hash);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(there, HR_CONTENT_SKIPPED);
    assert_int_equal(gone, HR_CONTENT_GONE);
    assert_stamp_of(path, &stamp);
}

/* The memory at address 0 is a file that can be opened, and never read. */
static void test_what_cannot_be_read_has_its_stamp(void **state)
{
    hr_stamp stamp;
    uint64_t hash;
    assert_int_equal(look_at("/proc/self/mem", &stamp, &hash), HR_CONTENT_SKIPPED);
}

static void test_what_is_too_large_has_its_stamp(void **state)
{
    hr_stamp stamp;
    uint64_t hash;
    assert_int_equal(truncate(path, LIMIT + 1), 0);
    assert_int_equal(look_at(path, &stamp, &hash), HR_CONTENT_SKIPPED);
    assert_stamp_of(path, &stamp);
    assert_int_equal(truncate(path, LIMIT), 0);
    assert_int_equal(look_at(path, &stamp, &hash), HR_CONTENT_READ);
}

static void test_what_is_no_file_has_gone(void **state)
{
    hr_stamp stamp;
    uint64_t hash;
    assert_int_equal(look_at(directory, &stamp, &hash), HR_CONTENT_GONE);
    assert_int_equal(look_at("/dev/null", &stamp, &hash), HR_CONTENT_GONE);
    assert_int_equal(look_at("/none", &stamp, &hash), HR_CONTENT_GONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_content_is_equal),
        TEST(a_signal_changes_nothing),
        TEST(what_changes_while_it_is_read_is_said_to),
        TEST(without_a_descriptor_there_is_the_stamp),
        TEST(what_cannot_be_read_has_its_stamp),
        TEST(what_is_too_large_has_its_stamp),
        TEST(what_is_no_file_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
