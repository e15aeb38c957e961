/* A strict reader of JSON (RFC 8259) for tests. A value is where it begins; NULL is none. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* One character of a string, as bytes: a lone surrogate dc80 to dcff is the byte it stands for. */
static inline const char *json_character(const char *at, char *out, size_t *size)
{
    unsigned code;
    *size = 1;
    *out = *at;
    if ((unsigned char)*at < 0x20)
        return NULL;
    if (*at != '\\')
        return at + 1;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
        *out = at[1];
        return at + 2;
    case 'b':
        *out = '\b';
        return at + 2;
    case 'f':
        *out = '\f';
        return at + 2;
    case 'n':
        *out = '\n';
        return at + 2;
    case 'r':
        *out = '\r';
        return at + 2;
    case 't':
        *out = '\t';
        return at + 2;
    case 'u':
        if (strspn(at + 2, "0123456789abcdefABCDEF") < 4)
            return NULL;
        sscanf(at + 2, "%4x", &code);
        if (code > 0x7F && (code < 0xDC80 || code > 0xDCFF))
            return NULL; /* none of these is ever needed */
        *out = (char)(code & 0xFF);
        return at + 6;
    default:
        return NULL;
    }
}

/* The end of a string, whose bytes go to `out` if that is not NULL. */
static inline const char *json_string(const char *at, char *out, size_t *out_size)
{
    size_t total = 0, size;
    char bytes[4];
    if (*at++ != '"')
        return NULL;
    while (at && *at != '"') {
        at = json_character(at, bytes, &size);
        if (out)
            memcpy(out + total, bytes, size);
        total += size;
    }
    if (out)
        out[total] = '\0';
    if (out_size)
        *out_size = total;
    return at ? at + 1 : NULL;
}

static inline const char *json_end(const char *at);

static inline const char *json_list_end(const char *at, char close, bool named)
{
    at = json_space(at + 1);
    if (*at == close)
        return at + 1;
    for (;;) {
        if (named) {
            at = json_string(json_space(at), NULL, NULL);
            if (!at || *(at = json_space(at)) != ':')
                return NULL;
            at++;
        }
        at = json_end(json_space(at));
        if (!at)
            return NULL;
        at = json_space(at);
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

/* Where a value ends; NULL: it is none. */
static inline const char *json_end(const char *at)
{
    static const char *const words[] = {"true", "false", "null"};
    if (*at == '{')
        return json_list_end(at, '}', true);
    if (*at == '[')
        return json_list_end(at, ']', false);
    if (*at == '"')
        return json_string(at, NULL, NULL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    char *end;
    strtod(at, &end);
    return end == at ? NULL : end;
}

static inline bool json_valid(const char *text)
{
    const char *end = json_end(json_space(text));
    return end && *json_space(end) == '\0';
}

/* Of an object; of an array. */
static inline const char *json_member(const char *object, const char *name)
{
    char key[256];
    if (!object || *object != '{')
        return NULL;
    for (const char *at = json_space(object + 1); *at == '"' || *at == ',';) {
        at = json_string(json_space(at + (*at == ',')), key, NULL);
        const char *value = json_space(json_space(at) + 1);
        if (strcmp(key, name) == 0)
            return value;
        at = json_space(json_end(value));
    }
    return NULL;
}

static inline const char *json_item(const char *array, size_t index)
{
    if (!array || *array != '[' || *json_space(array + 1) == ']')
        return NULL;
    const char *at = json_space(array + 1);
    for (; index; index--) {
        at = json_space(json_end(at));
        if (*at != ',')
            return NULL;
        at = json_space(at + 1);
    }
    return at;
}

#endif
