#include <string.h>

#include "hotreload.h"

#define TAG_PREFIX "<script data-cursor=\""

hr_bytes hr_tag_prefix(void)
{
    return (hr_bytes){TAG_PREFIX, strlen(TAG_PREFIX)};
}

static hr_status append_text(hr_buffer *out, const char *text)
{
    return hr_buffer_append(out, text, strlen(text));
}

/* What a byte must be written as in a double-quoted attribute value of HTML and of XML, on one
 * line; NULL: as it is. */
static const char *reference(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

static hr_status append_value(hr_buffer *out, hr_bytes value)
{
    size_t plain = 0; /* where the bytes begin that are yet to be appended as they are */

    for (size_t i = 0; i < value.size; i++) {
        const char *escaped = reference(value.data[i]);
        if (!escaped)
            continue;
        if (hr_buffer_append(out, value.data + plain, i - plain) || append_text(out, escaped))
            return HR_NOMEM;
        plain = i + 1;
    }
    return hr_buffer_append(out, value.size ? value.data + plain : NULL, value.size - plain);
}

hr_status hr_tag_format(const hr_tag *tag, hr_buffer *out)
{
    const size_t before = out->size;
    char text[HR_CURSOR_SIZE];

    hr_cursor_format(tag->cursor, text);
    if (append_text(out, TAG_PREFIX) || hr_buffer_append(out, text, sizeof text) ||
        append_text(out, tag->blocks ? "\" src=\"" : "\" async=\"\" src=\"") ||
        append_value(out, tag->script_url))
        goto fail;
    if (tag->no_worker && append_text(out, "\" data-share=\""))
        goto fail;
    if (tag->nonce.size && (append_text(out, "\" nonce=\"") || append_value(out, tag->nonce)))
        goto fail;
    if (append_text(out, "\"></script>"))
        goto fail;
    return HR_OK;

fail:
    out->size = before;
    return HR_NOMEM;
}
