/*
 * Oracle, whatever files and directories are called: what is appended is one event that is framed
 * exactly, with its cursor as its id and one line of data, which is UTF-8 and valid JSON. Read
 * back, the names are the very bytes that went in, relative to the base or to their root; the
 * addresses, decoded, are those under which the file is served, the best first, each once, and none
 * has a byte that a path of an address may not have. All other members are what the header says.
 *
 * Input: a byte for the number of roots and one for that of the served directories; then strings,
 * each with its size before it: the base, the roots, directory and address of what is served, and
 * the changes, each with a byte for its root and its operation before it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/c/json.h"
#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* TEXT: an address is of three names, each byte of which may be coded as three, with slashes. */
enum { ROOTS = 3, SERVED = 12, CHANGES = 6, LENGTH = 256, TEXT = 12 * LENGTH };

struct name {
    char text[TEXT];
    size_t size;
};

struct input {
    struct name base, roots[ROOTS], directories[SERVED], urls[SERVED], paths[CHANGES];
    hr_change changes[CHANGES];
    size_t root_count, served_count, change_count;
};

struct reader {
    const uint8_t *at, *end;
};

static uint8_t take_byte(struct reader *from)
{
    return from->at < from->end ? *from->at++ : 0;
}

/* No NUL is in it, as in every name. */
static void take_name(struct reader *from, const char *prefix, struct name *out)
{
    size_t left = take_byte(from);
    out->size = strlen(prefix);
    memcpy(out->text, prefix, out->size);
    for (; left && from->at < from->end; left--, from->at++)
        if (*from->at)
            out->text[out->size++] = (char)*from->at;
}

static hr_bytes view(const struct name *name)
{
    return (hr_bytes){name->text, name->size};
}

static void trim_slashes(struct name *name)
{
    while (name->size && name->text[name->size - 1] == '/')
        name->size--;
}

static void read_input(struct input *input, const uint8_t *data, size_t size)
{
    struct reader from = {data, data + size};
    input->root_count = 1 + take_byte(&from) % ROOTS;
    input->served_count = take_byte(&from) % (SERVED + 1);
    take_name(&from, "/", &input->base);
    for (size_t i = 0; i < input->root_count; i++)
        take_name(&from, "/", &input->roots[i]);
    for (size_t i = 0; i < input->served_count; i++) {
        take_name(&from, "/", &input->directories[i]);
        take_name(&from, "", &input->urls[i]);
    }
    while (from.at < from.end && input->change_count < CHANGES) {
        const uint8_t byte = take_byte(&from);
        struct name *path = &input->paths[input->change_count];
        take_name(&from, "", path);
        if (!path->size || path->text[0] == '/')
            continue;
        input->changes[input->change_count++] =
            (hr_change){view(path), byte % input->root_count, (hr_op)(1 + byte / 16 % 3)};
    }
}

static hr_wire *make_wire(struct input *input)
{
    hr_wire *wire;
    CHECK(hr_wire_new(view(&input->base), &wire) == HR_OK);
    for (size_t i = 0; i < input->root_count; i++)
        CHECK(hr_wire_add_root(wire, view(&input->roots[i])) == HR_OK);
    for (size_t i = 0; i < input->served_count; i++)
        CHECK(hr_wire_add_served(wire, view(&input->directories[i]), view(&input->urls[i])) ==
              HR_OK);
    /* It copies; from here on the model does without the slashes at the ends. */
    trim_slashes(&input->base);
    for (size_t i = 0; i < input->root_count; i++)
        trim_slashes(&input->roots[i]);
    for (size_t i = 0; i < input->served_count; i++) {
        trim_slashes(&input->directories[i]);
        trim_slashes(&input->urls[i]);
    }
    return wire;
}

static void append(struct name *to, const char *text, size_t size)
{
    CHECK(to->size + size <= TEXT);
    memcpy(to->text + to->size, text, size);
    to->size += size;
}

static struct name absolute(const struct input *input, const hr_change *change)
{
    struct name name = input->roots[change->root];
    append(&name, "/", 1);
    append(&name, change->path.data, change->path.size);
    return name;
}

/* What of `path` is below `directory`; NULL: it is not. */
static const char *below(const struct name *path, const struct name *directory)
{
    if (path->size < directory->size + 2 ||
        memcmp(path->text, directory->text, directory->size) != 0 ||
        path->text[directory->size] != '/')
        return NULL;
    return path->text + directory->size + 1;
}

static struct name shown(const struct input *input, const hr_change *change)
{
    const struct name path = absolute(input, change);
    const char *rest = below(&path, &input->base);
    struct name name = {.size = 0};
    if (rest)
        append(&name, rest, (size_t)(path.text + path.size - rest));
    else
        append(&name, change->path.data, change->path.size);
    return name;
}

static bool same(const struct name *a, const struct name *b)
{
    return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

/* The addresses of a file, each once, those of the longest directory first. */
static size_t addresses(const struct input *input, const hr_change *change,
                        struct name found[HR_WIRE_ADDRESSES])
{
    const struct name path = absolute(input, change);
    size_t count = 0;
    for (size_t length = LENGTH + 1; length--;) {
        for (size_t i = 0; i < input->served_count && count < HR_WIRE_ADDRESSES; i++) {
            const char *rest = below(&path, &input->directories[i]);
            if (!rest || input->directories[i].size != length)
                continue;
            struct name *next = &found[count];
            *next = input->urls[i];
            append(next, "/", 1);
            append(next, rest, (size_t)(path.text + path.size - rest));
            size_t known = 0;
            while (!same(&found[known], next))
                known++;
            count += known == count;
        }
    }
    return count;
}

/* Reading what was sent. */

/* Unicode's table 3-7, by the code points that sequences of each length may stand for. */
static bool is_utf8(const char *text, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < size;) {
        const unsigned char lead = (unsigned char)text[i++];
        if (lead < 0x80)
            continue;
        const size_t length = lead >= 0xF8   ? 0
                              : lead >= 0xF0 ? 4
                              : lead >= 0xE0 ? 3
                              : lead >= 0xC0 ? 2
                                             : 0;
        if (!length || size - i < length - 1)
            return false;
        uint32_t code = lead & (0x7FU >> length);
        for (size_t k = 1; k < length; k++, i++) {
            if ((text[i] & 0xC0) != 0x80)
                return false;
            code = code << 6 | (text[i] & 0x3F);
        }
        if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            return false;
    }
    return true;
}

static struct name read_string(const char *value)
{
    struct name name;
    char *text = malloc(strlen(value) + 1);
    CHECK(text && json_string(value, text, &name.size) && name.size < TEXT);
    memcpy(name.text, text, name.size);
    name.text[name.size] = '\0';
    free(text);
    return name;
}

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    CHECK(c >= 'A' && c <= 'F');
    return c - 'A' + 10;
}

/* The bytes that an address stands for; it is written in those of a path alone. */
static struct name decode(const struct name *url)
{
    static const char others[] = "/!$&'()*+,-.:;=@_~|[]";
    struct name name = {.size = 0};
    for (size_t i = 0; i < url->size; i++) {
        char c = url->text[i];
        if (c == '%') {
            CHECK(i + 2 < url->size);
            c = (char)(hexadecimal(url->text[i + 1]) << 4 | hexadecimal(url->text[i + 2]));
            i += 2;
        } else {
            const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            CHECK(letter || (c >= '0' && c <= '9') || memchr(others, c, sizeof others - 1));
        }
        append(&name, &c, 1);
    }
    return name;
}

static const char *kind_of(hr_bytes path)
{
    static const char *const kinds[][2] = {
        {"css", " css "},
        {"script", " js mjs "},
        {"image", " png jpg jpeg gif svg webp avif ico apng bmp "},
        {"font", " woff2 woff ttf otf eot "},
    };
    char extension[8] = " ";
    size_t size = 0;
    while (size < path.size && size < 6 && path.data[path.size - 1 - size] != '.')
        size++;
    if (!size || size == 6 || size == path.size)
        return "other";
    for (size_t i = 0; i < size; i++) {
        const char c = path.data[path.size - size + i];
        extension[1 + i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if (c == ' ')
            return "other";
    }
    extension[1 + size] = ' ';
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(kinds[i][1], extension))
            return kinds[i][0];
    return "other";
}

static void check_text(const char *value, const char *expected)
{
    const struct name text = read_string(value);
    CHECK(text.size == strlen(expected) && memcmp(text.text, expected, text.size) == 0);
}

static void check_change(const struct input *input, const hr_change *change, const char *told,
                         const struct name *url)
{
    static const char *const ops[] = {"", "added", "modified", "removed"};
    const struct name expected = shown(input, change);
    const char *path = json_member(told, "path");
    CHECK(path);
    const struct name read = read_string(path);
    CHECK(same(&read, &expected));
    check_text(json_member(told, "kind"), kind_of(change->path));
    check_text(json_member(told, "op"), ops[change->op]);
    const char *address = json_member(told, "url");
    if (!url) {
        CHECK(strncmp(address, "null", 4) == 0);
        return;
    }
    const struct name encoded = read_string(address);
    const struct name decoded = decode(&encoded);
    CHECK(same(&decoded, url));
}

static void check_data(const struct input *input, const char *json)
{
    static struct name found[HR_WIRE_ADDRESSES + 1];
    bool styles = true;
    size_t more = input->change_count;

    CHECK(json_valid(json));
    const char *files = json_member(json, "files");
    const char *changes = json_member(json, "changes");
    for (size_t i = 0; i < input->change_count; i++) {
        const hr_change *change = &input->changes[i];
        const struct name expected = shown(input, change);
        const char *file = json_item(files, i);
        CHECK(file);
        const struct name read = read_string(file);
        CHECK(same(&read, &expected));
        const size_t count = addresses(input, change, found);
        check_change(input, change, json_item(changes, i), count ? &found[0] : NULL);
        for (size_t k = 1; k < count; k++)
            check_change(input, change, json_item(changes, more++), &found[k]);
        styles &= strcmp(kind_of(change->path), "css") == 0;
    }
    CHECK(!json_item(files, input->change_count));
    CHECK(!json_item(changes, more));
    check_text(json_member(json, "type"), styles ? "css" : "reload");
    check_text(json_member(json, "timestamp"), "2001-09-09T01:46:40.123Z");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct input input;
    hr_buffer out = {0};
    char id[HR_CURSOR_SIZE];

    memset(&input, 0, sizeof input);
    read_input(&input, data, size);
    if (!input.change_count)
        return 0;
    hr_wire *wire = make_wire(&input);
    const hr_delta delta = {
        .kind = HR_SINCE_CHANGES,
        .cursor = {size, input.change_count},
        .batch = {input.changes, input.change_count, 1, 2, 1000000000123456},
    };
    CHECK(hr_wire_changes(wire, &delta, &out) == HR_OK);

    hr_cursor_format(delta.cursor, id);
    char head[64];
    const size_t head_size =
        (size_t)snprintf(head, sizeof head, "id: %.*s\ndata: ", (int)sizeof id, id);
    CHECK(out.size > head_size + 2 && memcmp(out.data, head, head_size) == 0);
    CHECK(memcmp(out.data + out.size - 2, "\n\n", 2) == 0);
    const size_t length = out.size - head_size - 2;
    char *json = strndup(out.data + head_size, length);
    CHECK(json && strlen(json) == length);
    CHECK(!strpbrk(json, "\r\n") && is_utf8(json, length));
    check_data(&input, json);

    free(json);
    hr_buffer_fini(&out);
    hr_wire_free(wire);
    return 0;
}
