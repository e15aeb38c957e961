/*
 * Oracle: a pattern is read into elements, and a table says which elements match which parts of the
 * path, so that nothing is shared with the library, which backtracks. Where a pattern has neither
 * brackets nor `**`, the C library's fnmatch() has to agree too. Of several patterns the last one
 * that matches decides, and where none does, what decides is the last component alone.
 *
 * Input: lines; a pattern each, and after a `:` a path each, which is a directory if it ends in a
 * slash.
 */
#include <fnmatch.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 16, LENGTH = 128, STARS = 4 };

enum kind { ONE_OF, STAR, ANY_DIRECTORIES, EVERYTHING_INSIDE };

struct element {
    enum kind kind;
    bool bytes[256]; /* of ONE_OF */
};

struct pattern {
    struct element elements[LENGTH];
    size_t count;
    bool negated, directories, anchored;
};

/* The byte at `text`, which a backslash may take the meaning from, and what follows it. */
static const char *read_byte(const char *text, const char *end, unsigned char *byte)
{
    if (*text == '\\' && text + 1 < end)
        text++;
    *byte = (unsigned char)*text;
    return text + 1;
}

/* What follows a bracket expression, or NULL if it has no end. */
static const char *read_bracket(const char *text, const char *end, struct element *element)
{
    bool listed[256] = {false};
    const bool inverted = text < end && (*text == '!' || *text == '^');
    text += inverted;
    for (const char *first = text; text < end && (*text != ']' || text == first);) {
        unsigned char low, high;
        text = read_byte(text, end, &low);
        high = low;
        if (end - text >= 2 && text[0] == '-' && text[1] != ']')
            text = read_byte(text + 1, end, &high);
        for (unsigned byte = low; byte <= high; byte++)
            listed[byte] = true;
    }
    if (text >= end)
        return NULL;
    for (unsigned byte = 0; byte < 256; byte++)
        element->bytes[byte] = listed[byte] != inverted && byte != '/';
    return text + 1;
}

static const char *read_element(const char *begin, const char *text, const char *end,
                                struct element *element)
{
    const size_t left = (size_t)(end - text);
    unsigned char byte;

    memset(element, 0, sizeof *element);
    if (*text == '*') {
        size_t stars = 0;
        while (stars < left && text[stars] == '*')
            stars++;
        const bool whole = stars == 2 && (text == begin || text[-1] == '/');
        if (whole && stars == left) {
            element->kind = EVERYTHING_INSIDE;
            return end;
        }
        if (whole && text[2] == '/') {
            element->kind = ANY_DIRECTORIES;
            return text + 3;
        }
        element->kind = STAR;
        return text + stars;
    }
    if (*text == '?') {
        for (unsigned any = 0; any < 256; any++)
            element->bytes[any] = any != '/';
        return text + 1;
    }
    if (*text == '[') {
        const char *after = read_bracket(text + 1, end, element);
        if (after)
            return after;
    }
    text = read_byte(text, end, &byte);
    element->bytes[byte] = true;
    return text;
}

/* false: nothing is left of it. */
static bool read_pattern(const char *text, struct pattern *out)
{
    const char *end = text + strlen(text);
    *out = (struct pattern){.negated = *text == '!'};
    text += out->negated;
    while (end > text && end[-1] == ' ' && !(end - text >= 2 && end[-2] == '\\'))
        end--;
    if (end > text && end[-1] == '/') {
        out->directories = true;
        end--;
    }
    for (const char *at = text; at < end; at++)
        out->anchored |= *at == '/';
    if (end > text && *text == '/')
        text++;
    if (end == text)
        return false;
    for (const char *at = text; at < end; out->count++)
        at = read_element(text, at, end, &out->elements[out->count]);
    return true;
}

/* Does the element match these bytes of the path? */
static bool element_matches(const struct element *element, const char *path, size_t begin,
                            size_t end)
{
    switch (element->kind) {
    case ONE_OF:
        return end == begin + 1 && element->bytes[(unsigned char)path[begin]];
    case STAR:
        return !memchr(path + begin, '/', end - begin);
    case ANY_DIRECTORIES:
        return begin == end || path[end - 1] == '/';
    case EVERYTHING_INSIDE:
        return end > begin;
    }
    return false;
}

static bool matches(const struct pattern *pattern, const char *path, bool directory)
{
    const char *slash = strrchr(path, '/');
    if (pattern->directories && !directory)
        return false;
    if (!pattern->anchored && slash)
        path = slash + 1;

    const size_t size = strlen(path);
    bool reached[LENGTH + 1] = {true}; /* by the elements so far */
    for (size_t i = 0; i < pattern->count; i++) {
        bool next[LENGTH + 1] = {false};
        for (size_t begin = 0; begin <= size; begin++) {
            for (size_t end = begin; reached[begin] && end <= size; end++)
                next[end] |= element_matches(&pattern->elements[i], path, begin, end);
        }
        memcpy(reached, next, sizeof reached);
    }
    return reached[size];
}

/* Compares with fnmatch() what both know, and what it can do in time. glibc's does not find an
 * escaped slash after a star. */
static void check_plain(const hr_glob *glob, const char *path)
{
    const char *pattern = glob->pattern;
    size_t stars = 0;
    for (const char *at = pattern; *at; at++)
        stars += *at == '*';
    if (stars > STARS || strchr(pattern, '[') || strstr(pattern, "**") || strstr(pattern, "\\/") ||
        pattern[strlen(pattern) - 1] == '\\')
        return;
    const char *slash = strrchr(path, '/');
    if (!glob->anchored && slash)
        path = slash + 1;
    CHECK(hr_glob_matches(glob, path, true) == (fnmatch(pattern, path, FNM_PATHNAME) == 0));
}

struct input {
    char patterns[LINES][LENGTH], paths[LINES][LENGTH];
    bool directories[LINES];
    size_t pattern_count, path_count;
};

static void read_line(struct input *input, const char *line, size_t size)
{
    if (memchr(line, '\0', size) || size >= LENGTH)
        return;
    if (!size || line[0] != ':') {
        if (input->pattern_count < LINES)
            memcpy(input->patterns[input->pattern_count++], line, size);
        return;
    }
    const bool directory = size > 1 && line[size - 1] == '/';
    size -= 1 + (size_t)directory;
    if (!size || input->path_count == LINES)
        return;
    input->directories[input->path_count] = directory;
    memcpy(input->paths[input->path_count++], line + 1, size);
}

/* A copy of its own, so that a read beyond its end is found. */
static char *copy(const char *text)
{
    char *copied = strdup(text);
    CHECK(copied);
    return copied;
}

static void check_path(const struct input *input, const hr_ignore *ignore,
                       const struct pattern *patterns, size_t index)
{
    static const hr_ignore junk;
    char *path = copy(input->paths[index]);
    const bool directory = input->directories[index];
    const char *slash = strrchr(path, '/');
    bool expected = hr_ignore_matches(&junk, slash ? slash + 1 : path, directory);

    CHECK(hr_ignore_matches(&junk, path, directory) == expected);
    for (size_t i = 0; i < ignore->count; i++) {
        const bool found = matches(&patterns[i], path, directory);
        CHECK(hr_glob_matches(&ignore->globs[i], path, directory) == found);
        check_plain(&ignore->globs[i], path);
        if (found)
            expected = !patterns[i].negated;
    }
    CHECK(hr_ignore_matches(ignore, path, directory) == expected);
    /* It may be asked about the last component alone. */
    if (!ignore->anchored)
        CHECK(hr_ignore_matches(ignore, slash ? slash + 1 : path, directory) == expected);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct input input;
    static struct pattern patterns[LINES];
    hr_ignore ignore = {0};
    bool anchored = false;
    size_t begin = 0;

    memset(&input, 0, sizeof input);
    for (size_t i = 0; i <= size; i++) {
        if (i < size && data[i] != '\n')
            continue;
        read_line(&input, (const char *)data + begin, i - begin);
        begin = i + 1;
    }
    for (size_t i = 0; i < input.pattern_count; i++) {
        char *text = copy(input.patterns[i]);
        const bool valid = read_pattern(text, &patterns[ignore.count]);
        if (valid)
            anchored |= patterns[ignore.count].anchored;
        CHECK(hr_ignore_add(&ignore, text) == (valid ? HR_OK : HR_INVALID));
        free(text);
    }
    CHECK(ignore.anchored == anchored);
    for (size_t i = 0; i < input.path_count; i++)
        check_path(&input, &ignore, patterns, i);
    hr_ignore_fini(&ignore);
    return 0;
}
