/*
 * Oracle: a text is a cursor if and only if it is 16 hexadecimal digits in lower case, a full stop
 * and 16 more; then formatting it gives the same text again. A text that is none leaves the cursor
 * as it was. And any two numbers, formatted, are read back.
 *
 * Input: a text; its first 16 bytes are two numbers too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_cursor(const uint8_t *text, size_t size)
{
    if (size != HR_CURSOR_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        const bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (i == 16 ? text[i] != '.' : !digit)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const hr_cursor untouched = {7, 8};
    char text[HR_CURSOR_SIZE];
    hr_cursor cursor = untouched;
    hr_cursor numbers = {0};

    const hr_status status = hr_cursor_parse((hr_bytes){(const char *)data, size}, &cursor);
    CHECK(status == (is_cursor(data, size) ? HR_OK : HR_INVALID));
    if (status == HR_OK) {
        hr_cursor_format(cursor, text);
        CHECK(memcmp(text, data, size) == 0);
    } else {
        CHECK(cursor.boot == untouched.boot && cursor.sequence == untouched.sequence);
    }

    memcpy(&numbers, data, size < sizeof numbers ? size : sizeof numbers);
    hr_cursor_format(numbers, text);
    CHECK(is_cursor((const uint8_t *)text, sizeof text));
    CHECK(hr_cursor_parse((hr_bytes){text, sizeof text}, &cursor) == HR_OK);
    CHECK(cursor.boot == numbers.boot && cursor.sequence == numbers.sequence);
    return 0;
}
