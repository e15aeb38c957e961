/* Memory that ends where a page without any access begins: what reads one byte too many dies. */
#ifndef GUARD_H
#define GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    char *map;
    size_t size; /* that can be used */
    size_t page;
};

static inline void guard_init(struct guard *guard, size_t capacity)
{
    guard->page = (size_t)sysconf(_SC_PAGESIZE);
    guard->size = (capacity + guard->page - 1) / guard->page * guard->page;
    guard->map = mmap(NULL, guard->size + guard->page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard->map == MAP_FAILED || mprotect(guard->map + guard->size, guard->page, PROT_NONE))
        abort();
}

static inline void guard_fini(struct guard *guard)
{
    munmap(guard->map, guard->size + guard->page);
}

/* A copy of the bytes right before the guard page; until the next call. */
static inline char *guard_put(struct guard *guard, const void *data, size_t size)
{
    if (size > guard->size)
        abort();
    char *copy = guard->map + guard->size - size;
    if (size)
        memcpy(copy, data, size);
    return copy;
}

#endif
