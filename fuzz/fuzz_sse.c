/*
 * Oracle: "Interpreting an event stream" of the HTML standard, read byte by byte from what was
 * appended, gives one event, no more, with the name, the id and the data that went in, where each
 * line break of the data is a line feed. Only a line break or a NUL in the name or the id is
 * refused, and then nothing is appended.
 *
 * Input: two bytes that say how long the name and the id are, the name, the id, the data.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct event {
    hr_bytes name, id;
    hr_buffer data;
    size_t dispatched;
};

static bool is(hr_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static bool same(hr_bytes a, hr_bytes b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static void process_line(struct event *event, hr_bytes line)
{
    if (!line.size) {
        CHECK(event->data.size);
        event->data.size--; /* the line feed after the last line of data */
        event->dispatched++;
        return;
    }
    const char *colon = memchr(line.data, ':', line.size);
    CHECK(colon && colon > line.data); /* no comments here */
    const hr_bytes field = {line.data, (size_t)(colon - line.data)};
    hr_bytes value = {colon + 1, line.size - field.size - 1};
    if (value.size && value.data[0] == ' ')
        value = (hr_bytes){value.data + 1, value.size - 1};

    CHECK(!event->dispatched);
    if (is(field, "event")) {
        event->name = value;
    } else if (is(field, "id")) {
        CHECK(!memchr(value.data, '\0', value.size));
        event->id = value;
    } else {
        CHECK(is(field, "data"));
        CHECK(hr_buffer_append(&event->data, value.data, value.size) == HR_OK);
        CHECK(hr_buffer_append(&event->data, "\n", 1) == HR_OK);
    }
}

static void interpret(struct event *event, const char *text, size_t size)
{
    size_t begin = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\n' && text[i] != '\r')
            continue;
        process_line(event, (hr_bytes){text + begin, i - begin});
        if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n')
            i++;
        begin = i + 1;
    }
    CHECK(begin == size);
    CHECK(event->dispatched == 1);
}

static void normalise(hr_bytes text, hr_buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\n' && i && text.data[i - 1] == '\r')
            continue;
        const char byte = text.data[i] == '\r' ? '\n' : text.data[i];
        CHECK(hr_buffer_append(out, &byte, 1) == HR_OK);
    }
}

static bool is_field(hr_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '\n' || value.data[i] == '\r' || value.data[i] == '\0')
            return false;
    }
    return true;
}

static hr_bytes take(hr_bytes *rest, size_t size)
{
    size = size < rest->size ? size : rest->size;
    const hr_bytes taken = {rest->data, size};
    *rest = (hr_bytes){rest->data + size, rest->size - size};
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    hr_bytes rest = {(const char *)data + 2, size - 2};
    const hr_bytes name = take(&rest, data[0]);
    const hr_bytes id = take(&rest, data[1]);
    struct event event = {0};
    hr_buffer expected = {0};
    hr_buffer out = {0};

    CHECK(hr_buffer_append(&out, ":", 1) == HR_OK);
    const hr_status status = hr_sse_event(name, id, rest, &out);
    CHECK(status == (is_field(name) && is_field(id) ? HR_OK : HR_INVALID));
    CHECK(out.data[0] == ':');
    if (status == HR_OK) {
        interpret(&event, out.data + 1, out.size - 1);
        normalise(rest, &expected);
        CHECK(same(event.name, name) && same(event.id, id));
        CHECK(same((hr_bytes){event.data.data, event.data.size},
                   (hr_bytes){expected.data, expected.size}));
    } else {
        CHECK(out.size == 1);
    }
    hr_buffer_fini(&event.data);
    hr_buffer_fini(&expected);
    hr_buffer_fini(&out);
    return 0;
}
