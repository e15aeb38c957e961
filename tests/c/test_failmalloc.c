/*
 * A watch without memory: each allocation of its life fails once, in a run of its own. Nothing may
 * crash or leak, and once memory is back, what was told must come to what is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing.h"
#include "watching.h"

/* What a reader of the batches believes to be there: one letter a file, its last operation. */
enum { FILES = 9 };

static const char *const names[FILES] = {
    "a", "b", "sub/c", "sub/d", "moved/c", "moved/d", "new/deep/e", "f", "sentinel",
};

/* What is there before, and afterwards; ~ means with another content. */
static const char before[] = "++++-----";
static const char afterwards[] = "~-x-+-+-+"; /* x: sub/c is gone, moved/c came */

static int index_of(const char *name, size_t size)
{
    for (int i = 0; i < FILES; i++)
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
            return i;
    return -1;
}
