/*
 * Oracle: whatever the address and the nonce are, the tag is one line of one script element without
 * content, whose attributes are those that were asked for, in their order, each once, and whose
 * values, read as HTML reads a double-quoted value, are the bytes that went in. What was in the
 * buffer before stays, and the tag begins with its prefix.
 *
 * Input: one byte of options, one that says how long the address is, the address, the nonce.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char before[] = "<head>";

static void take(hr_bytes *rest, const char *text)
{
    const size_t size = strlen(text);
    CHECK(rest->size >= size && memcmp(rest->data, text, size) == 0);
    *rest = (hr_bytes){rest->data + size, rest->size - size};
}

/* The byte that the value goes on with, a reference being one. */
static char take_byte(hr_bytes *rest)
{
    static const struct {
        const char *reference;
        char byte;
    } references[] = {{"&amp;", '&'}, {"&quot;", '"'}, {"&lt;", '<'},
                      {"&gt;", '>'},  {"&#10;", '\n'}, {"&#13;", '\r'}};
    const char byte = rest->data[0];

    if (byte != '&') {
        CHECK(byte != '<' && byte != '>' && byte != '\n' && byte != '\r');
        *rest = (hr_bytes){rest->data + 1, rest->size - 1};
        return byte;
    }
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        const size_t size = strlen(references[i].reference);
        if (rest->size < size || memcmp(rest->data, references[i].reference, size) != 0)
            continue;
        *rest = (hr_bytes){rest->data + size, rest->size - size};
        return references[i].byte;
    }
    CHECK(!"a reference that is none");
    return 0;
}

static void take_attribute(hr_bytes *rest, const char *name, hr_bytes value)
{
    size_t read = 0;

    take(rest, " ");
    take(rest, name);
    take(rest, "=\"");
    for (; rest->size && rest->data[0] != '"'; read++) {
        CHECK(read < value.size);
        CHECK(take_byte(rest) == value.data[read]);
    }
    CHECK(read == value.size);
    take(rest, "\"");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 2;
    const size_t length = size - 2;
    const size_t split = data[1] < length ? data[1] : length;
    const hr_tag tag = {
        .script_url = {text, split},
        .cursor = {data[1] * 0x0101010101010101U, length},
        .nonce = {text + split, length - split},
        .no_worker = data[0] & 1,
        .blocks = data[0] & 2,
    };
    char cursor[HR_CURSOR_SIZE];
    hr_buffer out = {0};

    CHECK(hr_buffer_append(&out, before, strlen(before)) == HR_OK);
    CHECK(hr_tag_format(&tag, &out) == HR_OK);

    hr_bytes rest = {out.data, out.size};
    hr_cursor_format(tag.cursor, cursor);
    take(&rest, before);
    CHECK(rest.size >= hr_tag_prefix().size);
    CHECK(memcmp(rest.data, hr_tag_prefix().data, hr_tag_prefix().size) == 0);
    take(&rest, "<script");
    take_attribute(&rest, "data-cursor", (hr_bytes){cursor, sizeof cursor});
    if (!tag.blocks)
        take_attribute(&rest, "async", (hr_bytes){0});
    take_attribute(&rest, "src", tag.script_url);
    if (tag.no_worker)
        take_attribute(&rest, "data-share", (hr_bytes){0});
    if (tag.nonce.size)
        take_attribute(&rest, "nonce", tag.nonce);
    take(&rest, "></script>");
    CHECK(rest.size == 0);
    hr_buffer_fini(&out);
    return 0;
}
