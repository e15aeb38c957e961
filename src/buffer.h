#ifndef HR_BUFFER_H
#define HR_BUFFER_H

#include "hotreload.h"

/* Grows by `size` uninitialised bytes and says where they are; HR_NOMEM leaves the buffer as it
 * was. */
hr_status hr_buffer_extend(hr_buffer *buffer, size_t size, char **out);

#endif
