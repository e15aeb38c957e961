/* Looking at a file: what it is, and what is in it. */
#ifndef HR_LOOK_H
#define HR_LOOK_H

#include "tree.h"

/* Files larger than this, in bytes, are compared by their stamp, not by their content. */
#define HR_LOOK_LIMIT (16 << 20)

typedef enum hr_kind { HR_KIND_NONE, HR_KIND_FILE, HR_KIND_DIRECTORY } hr_kind;

/* What stands under the path, links followed. What cannot be reached, and what is neither a file
 * nor a directory, is NONE. */
hr_kind hr_look(const char *path, struct stat *status);

typedef enum hr_content {
    HR_CONTENT_READ,     /* `hash` and `stamp` belong together */
    HR_CONTENT_SKIPPED,  /* too large or unreadable: only `stamp` is set */
    HR_CONTENT_CHANGING, /* it changed while it was read */
    HR_CONTENT_GONE      /* it is no regular file any more */
} hr_content;

/* Reads a file in `scratch` of `size` bytes and hashes it. */
hr_content hr_look_content(const char *path, off_t limit, char *scratch, size_t size,
                           hr_stamp *stamp, uint64_t *hash);

#endif
