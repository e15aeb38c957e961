/*
 * The injector and the tag for tests in other languages.
 *
 *     inject_filter certain|maybe PIECE
 *
 * `certain` or `maybe`: whether the request says that each is a document. PIECE: how many bytes are
 * fed at a time; 0: all at once. Numbers below are little-endian.
 *
 * Standard input: documents, each four bytes of length and the bytes themselves.
 * Standard output: the tag, four bytes of length and the bytes themselves; then for each document
 * eight bytes, the offset of the tag, or all ones where the document is left untouched, and eight
 * bytes, how much was fed before that was decided.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hotreload.h"

struct answer {
    uint64_t place;
    uint64_t fed;
};

static struct answer find_place(hr_bytes document, bool certain, size_t piece)
{
    hr_inject inject;
    hr_verdict verdict = HR_UNDECIDED;
    size_t fed = 0;

    hr_inject_init(&inject, certain);
    while (verdict == HR_UNDECIDED && fed < document.size) {
        size_t rest = document.size - fed;
        size_t size = piece && piece < rest ? piece : rest;
        verdict = hr_inject_feed(&inject, (hr_bytes){document.data + fed, size});
        fed += size;
    }
    if (verdict == HR_UNDECIDED)
        verdict = hr_inject_end(&inject);
    return (struct answer){verdict == HR_INSERT ? inject.offset : UINT64_MAX, fed};
}

static void write_number(uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        putchar((int)(number >> 8 * i & 0xff));
}

/* With all that a tag can have: what has to be escaped, and a nonce. */
static hr_status write_tag(void)
{
    static const char url[] = "/a\"b/client.js?c=1&d=<2>";
    static const char nonce[] = "bm9uY2U+/w==";
    const hr_tag says = {
        {url, strlen(url)}, {.boot = 1, .sequence = 2}, {nonce, strlen(nonce)}, false, false};
    hr_buffer tag = {0};
    hr_status status = hr_tag_format(&says, &tag);

    if (status == HR_OK) {
        write_number(tag.size, 4);
        fwrite(tag.data, 1, tag.size, stdout);
    }
    hr_buffer_fini(&tag);
    return status;
}

int main(int argc, char **argv)
{
    unsigned char head[4];

    if (argc != 3)
        return 2;
    bool certain = !strcmp(argv[1], "certain");
    size_t piece = strtoul(argv[2], NULL, 10);
    if (write_tag())
        return 1;
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t size =
            head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        char *data = malloc(size ? size : 1);
        if (!data || fread(data, 1, size, stdin) != size) {
            free(data);
            return 1;
        }
        struct answer answer = find_place((hr_bytes){data, size}, certain, piece);
        free(data);
        write_number(answer.place, 8);
        write_number(answer.fed, 8);
    }
    return fflush(stdout) || ferror(stdin) ? 1 : 0;
}
