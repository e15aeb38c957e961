#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hash.h"

hr_kind hr_look(const char *path, struct stat *status)
{
    if (stat(path, status) != 0)
        return HR_KIND_NONE;
    return S_ISREG(status->st_mode)   ? HR_KIND_FILE
           : S_ISDIR(status->st_mode) ? HR_KIND_DIRECTORY
                                      : HR_KIND_NONE;
}

static bool hash_descriptor(int fd, char *scratch, size_t size, uint64_t *hash)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (;;) {
        ssize_t got = read(fd, scratch, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        XXH3_64bits_update(&state, scratch, (size_t)got);
    }
    *hash = XXH3_64bits_digest(&state);
    return true;
}

static hr_content stamp_only(const char *path, hr_stamp *stamp)
{
    struct stat status;
    if (hr_look(path, &status) != HR_KIND_FILE)
        return HR_CONTENT_GONE;
    *stamp = hr_stamp_of(&status);
    return HR_CONTENT_SKIPPED;
}

hr_content hr_look_content(const char *path, off_t limit, char *scratch, size_t size,
                           hr_stamp *stamp, uint64_t *hash)
{
    struct stat before, after;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return stamp_only(path, stamp);
    hr_content content = HR_CONTENT_GONE;
    if (fstat(fd, &before) != 0 || !S_ISREG(before.st_mode))
        goto done;
    content = HR_CONTENT_SKIPPED;
    *stamp = hr_stamp_of(&before);
    if (before.st_size > limit || !hash_descriptor(fd, scratch, size, hash))
        goto done;
    content = HR_CONTENT_CHANGING;
    if (fstat(fd, &after) != 0)
        goto done;
    hr_stamp now = hr_stamp_of(&after);
    if (hr_stamp_equal(stamp, &now))
        content = HR_CONTENT_READ;
done:
    close(fd);
    return content;
}
