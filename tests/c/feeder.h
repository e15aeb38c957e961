/* Feeds a document to the search for the place of the tag, each piece against a guard page, and
 * checks on the way what the search promises of every document. */
#ifndef FEEDER_H
#define FEEDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"
#include "hotreload.h"

struct feeder {
    struct guard *guard;
    hr_inject inject;
    uint64_t fed;
    hr_verdict verdict;
};

struct outcome {
    hr_verdict fed; /* before the end */
    hr_verdict ended;
    uint64_t offset;
};

static inline void feeder_begin(struct feeder *feeder, struct guard *guard, bool certain)
{
    *feeder = (struct feeder){.guard = guard};
    hr_inject_init(&feeder->inject, certain);
}

static inline void feeder_feed(struct feeder *feeder, const char *data, size_t size)
{
    uint64_t safe = feeder->inject.safe;
    hr_verdict before = feeder->verdict;

    feeder->verdict =
        hr_inject_feed(&feeder->inject, (hr_bytes){guard_put(feeder->guard, data, size), size});
    feeder->fed += size;
    if (before != HR_UNDECIDED)
        assert_int_equal(feeder->verdict, before);
    assert_true(feeder->inject.safe >= safe);
    assert_true(feeder->inject.safe <= feeder->fed);
    if (feeder->verdict == HR_UNDECIDED)
        assert_true(feeder->fed - feeder->inject.safe < 16);
    if (feeder->verdict == HR_INSERT)
        assert_true(feeder->inject.offset >= safe && feeder->inject.offset <= feeder->fed);
}

static inline struct outcome feeder_finish(struct feeder *feeder)
{
    uint64_t safe = feeder->inject.safe;
    struct outcome outcome = {.fed = feeder->verdict};
    outcome.ended = hr_inject_end(&feeder->inject);
    outcome.offset = feeder->inject.offset;
    assert_int_not_equal(outcome.ended, HR_UNDECIDED);
    if (outcome.fed != HR_UNDECIDED)
        assert_int_equal(outcome.ended, outcome.fed);
    if (outcome.ended == HR_INSERT)
        assert_true(outcome.offset >= safe && outcome.offset <= feeder->fed);
    assert_int_equal(hr_inject_end(&feeder->inject), outcome.ended);
    assert_int_equal(hr_inject_feed(&feeder->inject, (hr_bytes){"<p>", 3}), outcome.ended);
    assert_int_equal(feeder->inject.offset, outcome.offset);
    return outcome;
}

#endif
