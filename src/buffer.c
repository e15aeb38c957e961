#include "buffer.h"

#include <stdlib.h>
#include <string.h>

void hr_buffer_fini(hr_buffer *buffer)
{
    free(buffer->data);
    *buffer = (hr_buffer){0};
}

hr_status hr_buffer_extend(hr_buffer *buffer, size_t size, char **out)
{
    if (!buffer->data || size > buffer->capacity - buffer->size) {
        if (size > SIZE_MAX / 4 - buffer->size)
            return HR_NOMEM;
        size_t capacity = buffer->capacity ? buffer->capacity : 256;
        while (capacity < buffer->size + size)
            capacity *= 2;
        char *grown = realloc(buffer->data, capacity);
        if (!grown)
            return HR_NOMEM;
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    *out = buffer->data + buffer->size;
    buffer->size += size;
    return HR_OK;
}

hr_status hr_buffer_append(hr_buffer *buffer, const void *data, size_t size)
{
    char *space;
    if (size == 0)
        return HR_OK;
    hr_status status = hr_buffer_extend(buffer, size, &space);
    if (status == HR_OK)
        memcpy(space, data, size);
    return status;
}

void *hr_array_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    size_t wider = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(items, wider * size);
    if (grown)
        *capacity = wider;
    return grown;
}
