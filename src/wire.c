/*
 * The events on the wire: JSON (RFC 8259) in Server-Sent Events.
 *
 * File names are bytes. In JSON, bytes that are not UTF-8 become the escapes \udc80 to \udcff, as
 * Python's surrogateescape has them; in an address everything outside the URL standard's path
 * characters is percent-encoded, byte by byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "hotreload.h"

typedef struct served {
    hr_buffer directory;
    hr_buffer url;
} served;

struct hr_wire {
    hr_buffer base;
    hr_buffer *roots;
    size_t root_count;
    served *served; /* longest directory first, then in the order in which they were added */
    size_t served_count;
    bool morph;
};

/* Appends until something fails, then does nothing: one check at the end serves a whole event. */
typedef struct writer {
    hr_buffer *out;
    hr_status status;
} writer;

static void put(writer *to, const void *data, size_t size)
{
    if (to->status == HR_OK)
        to->status = hr_buffer_append(to->out, data, size);
}

static void put_text(writer *to, const char *text)
{
    put(to, text, strlen(text));
}

/* The length of the UTF-8 sequence at `data`, or 0 (Unicode, table 3-7). */
static size_t utf8_length(const unsigned char *data, size_t size)
{
    size_t length;
    unsigned char low = 0x80, high = 0xBF;
    if (data[0] < 0x80)
        return 1;
    if (data[0] >= 0xC2 && data[0] <= 0xDF) {
        length = 2;
    } else if (data[0] >= 0xE0 && data[0] <= 0xEF) {
        length = 3;
        if (data[0] == 0xE0)
            low = 0xA0;
        else if (data[0] == 0xED)
            high = 0x9F;
    } else if (data[0] >= 0xF0 && data[0] <= 0xF4) {
        length = 4;
        if (data[0] == 0xF0)
            low = 0x90;
        else if (data[0] == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if (size < length || data[1] < low || data[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (data[i] < 0x80 || data[i] > 0xBF)
            return 0;
    return length;
}

static void put_json_string(writer *to, hr_bytes text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    put(to, "\"", 1);
    for (size_t i = 0; i < text.size;) {
        char escape[8];
        size_t length = utf8_length(data + i, text.size - i);
        if (length == 0) {
            snprintf(escape, sizeof escape, "\\udc%02x", (unsigned)data[i]);
            put(to, escape, 6);
            length = 1;
        } else if (data[i] < 0x20 || data[i] == 0x7F) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)data[i]);
            put(to, escape, 6);
        } else {
            if (data[i] == '"' || data[i] == '\\')
                put(to, "\\", 1);
            put(to, data + i, length);
        }
        i += length;
    }
    put(to, "\"", 1);
}

static bool is_url_path_byte(unsigned char byte)
{
    return byte > 0x20 && byte < 0x7F && !strchr("\"#%<>?\\^`{}", byte);
}

static void put_url_path(writer *to, hr_bytes path)
{
    for (size_t i = 0; i < path.size; i++) {
        unsigned char byte = (unsigned char)path.data[i];
        char escape[4];
        if (is_url_path_byte(byte)) {
            put(to, &byte, 1);
        } else {
            snprintf(escape, sizeof escape, "%%%02X", (unsigned)byte);
            put(to, escape, 3);
        }
    }
}

static void put_timestamp(writer *to, int64_t unix_us)
{
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm utc;
    char text[40], milliseconds[8];
    if (!gmtime_r(&seconds, &utc))
        memset(&utc, 0, sizeof utc);
    strftime(text, sizeof text, "\"%Y-%m-%dT%H:%M:%S", &utc);
    put_text(to, text);
    snprintf(milliseconds, sizeof milliseconds, ".%03dZ\"", (int)(unix_us / 1000 % 1000));
    put_text(to, milliseconds);
}

static const char *file_kind(hr_bytes path)
{
    static const struct {
        const char *kind;
        const char *extension;
    } kinds[] = {
        {"css", "css"},    {"script", "js"},  {"script", "mjs"}, {"image", "png"},
        {"image", "jpg"},  {"image", "jpeg"}, {"image", "gif"},  {"image", "svg"},
        {"image", "webp"}, {"image", "avif"}, {"image", "ico"},  {"image", "apng"},
        {"image", "bmp"},  {"font", "woff2"}, {"font", "woff"},  {"font", "ttf"},
        {"font", "otf"},   {"font", "eot"},
    };
    const char *dot = memrchr(path.data, '.', path.size);
    if (!dot)
        return "other";
    size_t size = (size_t)(path.data + path.size - dot) - 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].extension) == size &&
            strncasecmp(kinds[i].extension, dot + 1, size) == 0)
            return kinds[i].kind;
    return "other";
}

static bool is_absolute(hr_bytes path)
{
    return path.size && path.data[0] == '/' && !memchr(path.data, '\0', path.size);
}

static hr_bytes view(const hr_buffer *buffer)
{
    return (hr_bytes){buffer->data, buffer->size};
}

/* Copies a directory's path without trailing slashes, so that "/" is empty. */
static hr_status copy_directory(hr_bytes path, hr_buffer *out)
{
    while (path.size && path.data[path.size - 1] == '/')
        path.size--;
    return hr_buffer_append(out, path.data, path.size);
}

hr_status hr_wire_new(hr_bytes base, hr_wire **out)
{
    if (!is_absolute(base))
        return HR_INVALID;
    hr_wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return HR_NOMEM;
    if (copy_directory(base, &wire->base) != HR_OK) {
        free(wire);
        return HR_NOMEM;
    }
    *out = wire;
    return HR_OK;
}

void hr_wire_free(hr_wire *wire)
{
    if (!wire)
        return;
    for (size_t i = 0; i < wire->root_count; i++)
        hr_buffer_fini(&wire->roots[i]);
    for (size_t i = 0; i < wire->served_count; i++) {
        hr_buffer_fini(&wire->served[i].directory);
        hr_buffer_fini(&wire->served[i].url);
    }
    hr_buffer_fini(&wire->base);
    free(wire->roots);
    free(wire->served);
    free(wire);
}

hr_status hr_wire_add_root(hr_wire *wire, hr_bytes path)
{
    if (!is_absolute(path))
        return HR_INVALID;
    hr_buffer *grown = realloc(wire->roots, (wire->root_count + 1) * sizeof *grown);
    if (!grown)
        return HR_NOMEM;
    wire->roots = grown;
    hr_buffer root = {0};
    if (copy_directory(path, &root) != HR_OK)
        return HR_NOMEM;
    wire->roots[wire->root_count++] = root;
    return HR_OK;
}

hr_status hr_wire_add_served(hr_wire *wire, hr_bytes directory, hr_bytes url)
{
    if (!is_absolute(directory))
        return HR_INVALID;
    served *grown = realloc(wire->served, (wire->served_count + 1) * sizeof *grown);
    if (!grown)
        return HR_NOMEM;
    wire->served = grown;
    served entry = {0};
    if (copy_directory(directory, &entry.directory) != HR_OK ||
        copy_directory(url, &entry.url) != HR_OK) {
        hr_buffer_fini(&entry.directory);
        hr_buffer_fini(&entry.url);
        return HR_NOMEM;
    }
    size_t at = wire->served_count++;
    for (; at && wire->served[at - 1].directory.size < entry.directory.size; at--)
        wire->served[at] = wire->served[at - 1];
    wire->served[at] = entry;
    return HR_OK;
}

/* The part of `path` below `directory`, or nothing. */
static bool below(hr_bytes path, hr_bytes directory, hr_bytes *rest)
{
    if (path.size <= directory.size + 1 || path.data[directory.size] != '/' ||
        (directory.size && memcmp(path.data, directory.data, directory.size) != 0))
        return false;
    *rest = (hr_bytes){path.data + directory.size + 1, path.size - directory.size - 1};
    return true;
}

/* An address of a file: below `url`, the `rest` of its path. */
typedef struct address {
    hr_bytes url;
    hr_bytes rest;
} address;

/* Two addresses of one file, so that the shorter rest is the end of the other. */
static bool same_address(const address *shorter, const address *longer)
{
    size_t between = longer->rest.size - shorter->rest.size;
    return shorter->url.size == longer->url.size + between &&
           (!longer->url.size ||
            memcmp(shorter->url.data, longer->url.data, longer->url.size) == 0) &&
           (!between ||
            memcmp(shorter->url.data + longer->url.size, longer->rest.data - 1, between) == 0);
}

/* Where a file is served, each address once and the best first. They lie in `absolute`. */
static size_t find_addresses(const hr_wire *wire, hr_bytes absolute,
                             address found[HR_WIRE_ADDRESSES])
{
    size_t count = 0;
    for (size_t i = 0; i < wire->served_count && count < HR_WIRE_ADDRESSES; i++) {
        address next = {.url = view(&wire->served[i].url)};
        if (!below(absolute, view(&wire->served[i].directory), &next.rest))
            continue;
        size_t known = 0;
        while (known < count && !same_address(&found[known], &next))
            known++;
        if (known == count)
            found[count++] = next;
    }
    return count;
}

/* What a change is called: its absolute path, and the one shown. Both lie in `absolute`. */
typedef struct name {
    hr_buffer absolute;
    hr_bytes shown;
} name;

static hr_status name_change(const hr_wire *wire, const hr_change *change, name *out)
{
    out->absolute.size = 0;
    hr_bytes root = {0};
    if (change->root < wire->root_count)
        root = view(&wire->roots[change->root]);
    hr_status status = hr_buffer_append(&out->absolute, root.data, root.size);
    if (status == HR_OK)
        status = hr_buffer_append(&out->absolute, "/", 1);
    if (status == HR_OK)
        status = hr_buffer_append(&out->absolute, change->path.data, change->path.size);
    if (status != HR_OK)
        return status;
    if (!below(view(&out->absolute), view(&wire->base), &out->shown))
        out->shown = change->path;
    return HR_OK;
}

static void put_files(writer *to, const hr_wire *wire, const hr_batch *batch, name *scratch)
{
    for (size_t i = 0; i < batch->count && to->status == HR_OK; i++) {
        to->status = name_change(wire, &batch->changes[i], scratch);
        if (to->status != HR_OK)
            return;
        if (i)
            put_text(to, ",");
        put_json_string(to, scratch->shown);
    }
}

/* `at` NULL: under no address. */
static void put_change(writer *to, const hr_change *change, hr_bytes shown, const address *at)
{
    put_text(to, "{\"path\":");
    put_json_string(to, shown);
    put_text(to, at ? ",\"url\":\"" : ",\"url\":null");
    if (at) {
        put_url_path(to, at->url);
        put_text(to, "/");
        put_url_path(to, at->rest);
        put_text(to, "\"");
    }
    put_text(to, ",\"kind\":\"");
    put_text(to, file_kind(change->path));
    put_text(to, "\",\"op\":\"");
    put_text(to, hr_op_text(change->op));
    put_text(to, "\"}");
}

/* The best address of each file, or its other ones. */
static void put_changes(writer *to, const hr_wire *wire, const hr_batch *batch, bool best,
                        name *scratch)
{
    address found[HR_WIRE_ADDRESSES];
    for (size_t i = 0; i < batch->count && to->status == HR_OK; i++) {
        const hr_change *change = &batch->changes[i];
        to->status = name_change(wire, change, scratch);
        if (to->status != HR_OK)
            return;
        size_t count = find_addresses(wire, view(&scratch->absolute), found);
        if (best) {
            put_text(to, i ? "," : "");
            put_change(to, change, scratch->shown, count ? found : NULL);
        }
        for (size_t k = 1; k < count && !best; k++) {
            put_text(to, ",");
            put_change(to, change, scratch->shown, &found[k]);
        }
    }
}

static const char *event_type(const hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (strcmp(file_kind(batch->changes[i].path), "css") != 0)
            return "reload";
    return "css";
}

/* Frames `data`, whatever became of it, and frees it. */
static hr_status send_event(writer *data, const char *event, const hr_cursor *cursor,
                            hr_buffer *out)
{
    char id[HR_CURSOR_SIZE];
    if (cursor)
        hr_cursor_format(*cursor, id);
    hr_status status = data->status;
    if (status == HR_OK)
        status = hr_sse_event((hr_bytes){event, strlen(event)},
                              (hr_bytes){id, cursor ? sizeof id : 0}, view(data->out), out);
    hr_buffer_fini(data->out);
    return status;
}

void hr_wire_set_morph(hr_wire *wire, bool morph)
{
    wire->morph = morph;
}

hr_status hr_wire_hello(const hr_wire *wire, hr_cursor cursor, bool reload, hr_buffer *out)
{
    char text[HR_CURSOR_SIZE];
    hr_cursor_format(cursor, text);
    hr_buffer data = {0};
    writer to = {&data, HR_OK};
    put_text(&to, "{\"boot\":\"");
    put(&to, text, 16);
    put_text(&to, "\",\"cursor\":\"");
    put(&to, text, sizeof text);
    put_text(&to, reload ? "\",\"reload\":true" : "\",\"reload\":false");
    put_text(&to, wire->morph ? ",\"morph\":true}" : "}");
    return send_event(&to, "hello", &cursor, out);
}

hr_status hr_wire_changes(const hr_wire *wire, const hr_delta *delta, hr_buffer *out)
{
    const hr_batch *batch = &delta->batch;
    hr_buffer data = {0};
    name scratch = {0};
    writer to = {&data, HR_OK};
    put_text(&to, "{\"type\":\"");
    put_text(&to, event_type(batch));
    put_text(&to, "\",\"timestamp\":");
    put_timestamp(&to, batch->unix_us);
    put_text(&to, ",\"files\":[");
    put_files(&to, wire, batch, &scratch);
    put_text(&to, "],\"changes\":[");
    put_changes(&to, wire, batch, true, &scratch);
    put_changes(&to, wire, batch, false, &scratch);
    put_text(&to, "]}");
    hr_buffer_fini(&scratch.absolute);
    return send_event(&to, "", &delta->cursor, out);
}

hr_status hr_wire_shutdown(const hr_wire *wire, int64_t unix_us, hr_buffer *out)
{
    hr_buffer data = {0};
    writer to = {&data, HR_OK};
    put_text(&to, "{\"type\":\"shutdown\",\"timestamp\":");
    put_timestamp(&to, unix_us);
    put_text(&to, ",\"files\":[],\"changes\":[]}");
    return send_event(&to, "", NULL, out);
}

hr_status hr_wire_heartbeat(hr_buffer *out)
{
    return hr_buffer_append(out, ":\n\n", 3);
}

hr_status hr_wire_retry(uint32_t milliseconds, hr_buffer *out)
{
    char text[32];
    int size = snprintf(text, sizeof text, "retry: %u\n\n", (unsigned)milliseconds);
    return hr_buffer_append(out, text, (size_t)size);
}
