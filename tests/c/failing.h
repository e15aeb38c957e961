/*
 * Allocations that fail when told. Link with -Wl,--wrap= for malloc, calloc, realloc and strdup.
 * Counted are those of the library and of the test's own files; reallocarray(), vasprintf() and
 * cmocka's own are not. Any thread.
 */
#ifndef FAILING_H
#define FAILING_H

#include <stdbool.h>
#include <stddef.h>

/* Counts from 0 again; the allocation of this index fails, and if `for_ever` all after it. */
void failing_at(size_t index, bool for_ever);

/* Counts from 0 again; nothing fails. */
void failing_never(void);

/* How many there have been, and whether one has failed. */
size_t failing_count(void);
bool failing_happened(void);

#endif
