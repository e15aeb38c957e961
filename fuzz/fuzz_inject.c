/*
 * Oracle: however a body is cut (whole, byte by byte, in two at a place that the input names), the
 * injector gives the same verdict and the same offset; what it lets go of is never taken back, and
 * less than 16 bytes are held; and a body sent by that rule, less the tag, is the body.
 *
 * Input: one byte of options (1: certain), two bytes of split, the body.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tag[] = "<script></script>";

/* One response on its way through: what arrived, and what has been sent on. */
struct response {
    hr_inject inject;
    hr_verdict verdict;
    size_t received;
    hr_buffer sent;
};

struct outcome {
    hr_verdict verdict;
    uint64_t offset;
};

/* Sends what may be sent of the body that was received, with the tag where it goes. */
static void forward(struct response *response, const char *body, size_t *forwarded)
{
    size_t limit = response->received;
    size_t offset = SIZE_MAX;

    if (response->verdict == HR_UNDECIDED)
        limit = (size_t)response->inject.safe;
    if (response->verdict == HR_INSERT)
        offset = (size_t)response->inject.offset;
    if (offset >= *forwarded && offset <= limit) {
        CHECK(hr_buffer_append(&response->sent, body + *forwarded, offset - *forwarded) == HR_OK);
        if (response->sent.size == offset)
            CHECK(hr_buffer_append(&response->sent, tag, strlen(tag)) == HR_OK);
        *forwarded = offset;
    }
    CHECK(limit >= *forwarded);
    CHECK(hr_buffer_append(&response->sent, body + *forwarded, limit - *forwarded) == HR_OK);
    *forwarded = limit;
}

static struct outcome pass(const char *body, size_t size, size_t first, size_t step, bool certain)
{
    struct response response = {0};
    size_t forwarded = 0;
    size_t piece = first;

    hr_inject_init(&response.inject, certain);
    while (response.received < size) {
        hr_verdict before = response.verdict;
        uint64_t safe = response.inject.safe;
        if (piece > size - response.received)
            piece = size - response.received;

        /* A copy of its own for each chunk, so that a read beyond it is found. */
        char *chunk = malloc(piece ? piece : 1);
        CHECK(chunk);
        memcpy(chunk, body + response.received, piece);
        response.verdict = hr_inject_feed(&response.inject, (hr_bytes){chunk, piece});
        free(chunk);
        response.received += piece;
        piece = step;

        CHECK(before == HR_UNDECIDED || response.verdict == before);
        CHECK(response.inject.safe >= safe && response.inject.safe <= response.received);
        if (response.verdict == HR_UNDECIDED)
            CHECK(response.received - response.inject.safe < 16);
        if (response.verdict == HR_INSERT)
            CHECK(response.inject.offset >= safe && response.inject.offset <= response.received);
        forward(&response, body, &forwarded);
    }
    hr_verdict fed = response.verdict;
    response.verdict = hr_inject_end(&response.inject);
    CHECK(response.verdict != HR_UNDECIDED && (fed == HR_UNDECIDED || fed == response.verdict));
    forward(&response, body, &forwarded);

    struct outcome outcome = {response.verdict, response.inject.offset};
    if (outcome.verdict == HR_INSERT) {
        size_t at = (size_t)outcome.offset;
        CHECK(response.sent.size == size + strlen(tag));
        CHECK(at == 0 || memcmp(response.sent.data, body, at) == 0);
        CHECK(memcmp(response.sent.data + at, tag, strlen(tag)) == 0);
        CHECK(memcmp(response.sent.data + at + strlen(tag), body + at, size - at) == 0);
    } else {
        CHECK(response.sent.size == size);
        CHECK(size == 0 || memcmp(response.sent.data, body, size) == 0);
    }
    hr_buffer_fini(&response.sent);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const bool certain = data[0] & 1;
    const char *body = (const char *)data + 3;
    const size_t length = size - 3;
    const size_t split = ((size_t)data[1] << 8 | data[2]) % (length + 1);

    const struct outcome whole = pass(body, length, length, length, certain);
    const struct outcome bytes = pass(body, length, 1, 1, certain);
    const struct outcome halves = pass(body, length, split, length, certain);
    CHECK(bytes.verdict == whole.verdict && halves.verdict == whole.verdict);
    if (whole.verdict == HR_INSERT)
        CHECK(bytes.offset == whole.offset && halves.offset == whole.offset);
    /* A request that is less sure only ever leaves more alone. */
    if (certain) {
        const struct outcome unsure = pass(body, length, length, length, false);
        CHECK(unsure.verdict == HR_UNTOUCHED ||
              (unsure.verdict == whole.verdict && unsure.offset == whole.offset));
    }
    return 0;
}
