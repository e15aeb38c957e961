#ifndef HR_BUFFER_H
#define HR_BUFFER_H

#include "hotreload.h"

/* Grows by `size` uninitialised bytes and says where they are; HR_NOMEM leaves the buffer as it
 * was. */
hr_status hr_buffer_extend(hr_buffer *buffer, size_t size, char **out);

/* Room for one more element in a growing array of `count` elements of `size` bytes. The array,
 * which may have moved; or NULL for want of memory, and then it is as it was. */
void *hr_array_grow(void *items, size_t count, size_t *capacity, size_t size);

#endif
