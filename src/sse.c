/* Server-Sent Events, as the HTML standard's "Parsing an event stream" reads them. */
#include <string.h>

#include "hotreload.h"

static hr_status append_text(hr_buffer *out, const char *text)
{
    return hr_buffer_append(out, text, strlen(text));
}

/* A NUL in an id makes the browser ignore it, a line break would begin another field. */
static bool valid_field(hr_bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] == '\n' || value.data[i] == '\r' || value.data[i] == '\0')
            return false;
    return true;
}

static hr_status append_line(hr_buffer *out, const char *field, hr_bytes value)
{
    hr_status status = append_text(out, field);
    if (status == HR_OK)
        status = hr_buffer_append(out, value.data, value.size);
    if (status == HR_OK)
        status = append_text(out, "\n");
    return status;
}

static hr_status append_data(hr_buffer *out, hr_bytes data)
{
    hr_status status = HR_OK;
    size_t begin = 0;
    for (size_t i = 0; i <= data.size && status == HR_OK; i++) {
        if (i < data.size && data.data[i] != '\n' && data.data[i] != '\r')
            continue;
        status = append_line(out, "data: ", (hr_bytes){data.data + begin, i - begin});
        if (i + 1 < data.size && data.data[i] == '\r' && data.data[i + 1] == '\n')
            i++;
        begin = i + 1;
    }
    return status;
}

hr_status hr_sse_event(hr_bytes event, hr_bytes id, hr_bytes data, hr_buffer *out)
{
    if (!valid_field(event) || !valid_field(id))
        return HR_INVALID;
    size_t before = out->size;
    hr_status status = HR_OK;
    if (event.size)
        status = append_line(out, "event: ", event);
    if (status == HR_OK && id.size)
        status = append_line(out, "id: ", id);
    if (status == HR_OK)
        status = append_data(out, data);
    if (status == HR_OK)
        status = append_text(out, "\n");
    if (status != HR_OK)
        out->size = before;
    return status;
}
