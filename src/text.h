/* Text of HTTP headers: ASCII without regard to case, white space, lists. Nothing is copied. */
#ifndef TEXT_H
#define TEXT_H

#include <string.h>

#include "hotreload.h"

/* A literal in lower case. */
#define TEXT(literal) ((hr_bytes){(literal), sizeof(literal) - 1})

static inline char text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool text_starts_with(hr_bytes bytes, hr_bytes text)
{
    if (bytes.size < text.size)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text_lower(bytes.data[i]) != text.data[i])
            return false;
    }
    return true;
}

/* Names mostly come in lower case, and those of one size mostly differ at the end. */
static inline bool text_equals(hr_bytes bytes, hr_bytes text)
{
    size_t i = text.size;
    if (bytes.size != text.size)
        return false;
    if (i && memcmp(bytes.data, text.data, text.size) == 0)
        return true;
    while (i && text_lower(bytes.data[i - 1]) == text.data[i - 1])
        i--;
    return i == 0;
}

/* Optional white space of RFC 9110 5.6.3. */
static inline bool text_is_space(char c)
{
    return c == ' ' || c == '\t';
}

static inline hr_bytes text_trim(hr_bytes bytes)
{
    while (bytes.size && text_is_space(bytes.data[0])) {
        bytes.data++;
        bytes.size--;
    }
    while (bytes.size && text_is_space(bytes.data[bytes.size - 1]))
        bytes.size--;
    return bytes;
}

/* Takes the next part, up to `separator` or the end, off `rest`. Knows nothing of quotes. */
static inline hr_bytes text_take(hr_bytes *rest, char separator)
{
    hr_bytes part = *rest;
    const char *found = part.size ? memchr(part.data, separator, part.size) : NULL;

    *rest = (hr_bytes){0};
    if (found) {
        *rest = text_trim((hr_bytes){found + 1, part.size - (size_t)(found - part.data) - 1});
        part.size = (size_t)(found - part.data);
    }
    return text_trim(part);
}

#endif
