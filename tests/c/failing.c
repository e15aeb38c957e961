#include "failing.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static size_t count, first = SIZE_MAX, last = SIZE_MAX;
static bool happened;

static void set(size_t from, size_t to)
{
    pthread_mutex_lock(&mutex);
    count = 0;
    first = from;
    last = to;
    happened = false;
    pthread_mutex_unlock(&mutex);
}

void failing_at(size_t index, bool for_ever)
{
    set(index, for_ever ? SIZE_MAX : index);
}

void failing_never(void)
{
    set(SIZE_MAX, SIZE_MAX);
}

size_t failing_count(void)
{
    pthread_mutex_lock(&mutex);
    size_t now = count;
    pthread_mutex_unlock(&mutex);
    return now;
}

bool failing_happened(void)
{
    pthread_mutex_lock(&mutex);
    bool now = happened;
    pthread_mutex_unlock(&mutex);
    return now;
}

static bool fails(void)
{
    pthread_mutex_lock(&mutex);
    bool now = count >= first && count <= last;
    count++;
    happened |= now;
    pthread_mutex_unlock(&mutex);
    if (now)
        errno = ENOMEM;
    return now;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t members, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t members, size_t size)
{
    return fails() ? NULL : __real_calloc(members, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}
