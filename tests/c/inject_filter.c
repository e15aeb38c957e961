/*
 * The injector for tests in other languages. Standard input: cases, each four bytes of length,
 * little-endian, and that many of a document. Standard output, for each: eight bytes, signed,
 * little-endian: the offset of the tag, or -1 where the document is left untouched.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "hotreload.h"

static int64_t find_place(hr_bytes document)
{
    hr_inject inject;
    hr_inject_init(&inject, true);
    hr_inject_feed(&inject, document);
    return hr_inject_end(&inject) == HR_INSERT ? (int64_t)inject.offset : -1;
}

int main(void)
{
    unsigned char head[4];

    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t size =
            head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        char *data = malloc(size ? size : 1);
        if (!data || fread(data, 1, size, stdin) != size) {
            free(data);
            return 1;
        }
        uint64_t place = (uint64_t)find_place((hr_bytes){data, size});
        free(data);
        for (int shift = 0; shift < 64; shift += 8)
            putchar((int)(place >> shift & 0xff));
    }
    return fflush(stdout) || ferror(stdin) ? 1 : 0;
}
