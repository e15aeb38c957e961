#include "glob.h"

#include <stdlib.h>
#include <string.h>

hr_status hr_glob_parse(const char *text, hr_glob *out)
{
    hr_glob glob = {.negated = text[0] == '!'};
    text += glob.negated;
    size_t size = strlen(text);
    while (size && text[size - 1] == ' ' && (size < 2 || text[size - 2] != '\\'))
        size--;
    if (size && text[size - 1] == '/') {
        glob.directories = true;
        size--;
    }
    glob.anchored = memchr(text, '/', size) != NULL;
    if (size && text[0] == '/') {
        text++;
        size--;
    }
    if (!size)
        return HR_INVALID;
    glob.pattern = strndup(text, size);
    if (!glob.pattern)
        return HR_NOMEM;
    *out = glob;
    return HR_OK;
}

void hr_glob_fini(hr_glob *glob)
{
    free(glob->pattern);
    *glob = (hr_glob){0};
}

/* A bracket expression at `pattern`, after its `[`. Returns what follows its `]`, or NULL if it has
 * none, and then `[` is an ordinary character. */
static const char *match_bracket(const char *pattern, unsigned char byte, bool *matches)
{
    bool inverted = *pattern == '!' || *pattern == '^';
    pattern += inverted;
    bool found = false;
    const char *begin = pattern;
    while (*pattern && (*pattern != ']' || pattern == begin)) {
        if (*pattern == '\\' && pattern[1])
            pattern++;
        unsigned char low = (unsigned char)*pattern++, high = low;
        if (*pattern == '-' && pattern[1] && pattern[1] != ']') {
            pattern++;
            if (*pattern == '\\' && pattern[1])
                pattern++;
            high = (unsigned char)*pattern++;
        }
        if (low <= byte && byte <= high)
            found = true;
    }
    if (*pattern != ']')
        return NULL;
    *matches = found != inverted;
    return pattern + 1;
}

/* One character of a pattern that is no star against one byte. Returns what follows it in the
 * pattern, or NULL if they do not match. */
static const char *match_one(const char *pattern, char byte)
{
    bool matches;
    const char *after;
    switch (*pattern) {
    case '\0':
        return NULL;
    case '?':
        return byte != '/' ? pattern + 1 : NULL;
    case '[':
        after = match_bracket(pattern + 1, (unsigned char)byte, &matches);
        if (after)
            return matches && byte != '/' ? after : NULL;
        break;
    case '\\':
        if (pattern[1])
            pattern++;
        break;
    }
    return *pattern == byte ? pattern + 1 : NULL;
}

/* Is this `**` a whole component, that is for any number of directories? */
static bool is_deep(const char *whole, const char *pattern)
{
    return pattern[0] == '*' && pattern[1] == '*' && (pattern == whole || pattern[-1] == '/') &&
           (pattern[2] == '/' || pattern[2] == '\0');
}

/* NEVER: not by giving a `**` before it more directories either, since from here on all of them
 * were tried. Without it each `**` would multiply the time. */
enum outcome { MISSES, MATCHES, NEVER };

static enum outcome match(const char *whole, const char *pattern, const char *path)
{
    const char *star = NULL, *retry = NULL; /* the last single star, and where it may grow */
    for (;;) {
        if (is_deep(whole, pattern)) {
            if (!pattern[2])
                return *path ? MATCHES : MISSES; /* everything inside */
            for (const char *at = path; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
                enum outcome outcome = match(whole, pattern + 3, at);
                if (outcome != MISSES)
                    return outcome;
            }
            return NEVER;
        }
        if (*pattern == '*') {
            while (*pattern == '*')
                pattern++;
            star = pattern;
            retry = path;
            continue;
        }
        if (!*path && !*pattern)
            return MATCHES;
        const char *next = *path ? match_one(pattern, *path) : NULL;
        if (next) {
            pattern = next;
            path++;
            continue;
        }
        if (!star || !*retry || *retry == '/')
            return MISSES;
        pattern = star;
        path = ++retry;
    }
}

bool hr_glob_matches(const hr_glob *glob, const char *path, bool directory)
{
    if (glob->directories && !directory)
        return false;
    const char *name = strrchr(path, '/');
    if (!glob->anchored && name)
        path = name + 1;
    return match(glob->pattern, glob->pattern, path) == MATCHES;
}
