/*
 * The figures come from traces of editors, git and build tools (docs/watching.md): one save's
 * events lie within 2.5 ms of each other with gaps of at most 2 ms; a checkout's gaps grow from 4
 * ms on an idle machine to 48 ms on a busy one.
 */
#include "settle.h"

#include "clock.h"

#define SINGLE_QUIET   HR_MILLISECONDS(1)   /* one path, closed */
#define BURST_QUIET    HR_MILLISECONDS(15)  /* several paths: at least this, */
#define BURST_MAX      HR_MILLISECONDS(100) /* at most this, */
#define GAP_FACTOR     4                    /* and else so many times the largest gap */
#define WRITER_HOLD    HR_MILLISECONDS(50)  /* for a close, or for a file to come back */
#define DELETIONS_HOLD HR_MILLISECONDS(250) /* a build may remove its output and write it again */
#define AFTERMATH      HR_MILLISECONDS(300) /* after a flush, more of the same is likely */
#define BURST_CAP      HR_MILLISECONDS(1000)
#define LOCK_QUIET     HR_MILLISECONDS(2000) /* a lock under which nothing happens is left over */
#define LOCK_CAP       HR_MILLISECONDS(30000)

static bool at_rest(const hr_settle *settle)
{
    return !settle->paths[HR_HINT_DIRTY] && !settle->paths[HR_HINT_DONE] &&
           !settle->paths[HR_HINT_GONE] && settle->first == 0;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void touch(hr_settle *settle, uint64_t now)
{
    if (at_rest(settle)) {
        settle->first = now;
        settle->largest_gap = 0;
        settle->burst = settle->flushed_before && now - settle->flushed < AFTERMATH;
    } else {
        settle->largest_gap = max_of(settle->largest_gap, now - settle->last);
    }
    settle->last = now;
}

void hr_settle_note(hr_settle *settle, hr_hint from, hr_hint to, uint64_t now)
{
    touch(settle, now);
    if (from != HR_HINT_NONE)
        settle->paths[from]--;
    settle->paths[to]++;
    if (settle->paths[HR_HINT_DIRTY] + settle->paths[HR_HINT_DONE] + settle->paths[HR_HINT_GONE] >
        1)
        settle->burst = true;
}

void hr_settle_drop(hr_settle *settle, hr_hint from)
{
    if (from != HR_HINT_NONE)
        settle->paths[from]--;
}

void hr_settle_stir(hr_settle *settle, uint64_t now)
{
    touch(settle, now);
    settle->burst = true;
}

uint64_t hr_settle_deadline(const hr_settle *settle)
{
    if (at_rest(settle))
        return HR_SETTLE_NEVER;
    uint64_t quiet = SINGLE_QUIET;
    if (settle->burst)
        quiet = min_of(max_of(GAP_FACTOR * settle->largest_gap, BURST_QUIET), BURST_MAX);
    if (settle->paths[HR_HINT_DIRTY] || settle->paths[HR_HINT_GONE])
        quiet = max_of(quiet, WRITER_HOLD);
    if (settle->paths[HR_HINT_GONE] && !settle->paths[HR_HINT_DIRTY] &&
        !settle->paths[HR_HINT_DONE])
        quiet = DELETIONS_HOLD;
    return min_of(settle->last + quiet, settle->first + BURST_CAP);
}

bool hr_settle_is_capped(const hr_settle *settle, uint64_t now)
{
    return now >= settle->first + BURST_CAP;
}

uint64_t hr_settle_lock_limit(const hr_settle *settle)
{
    return min_of(settle->last + LOCK_QUIET, settle->first + LOCK_CAP);
}

void hr_settle_flushed(hr_settle *settle, bool delivered, uint64_t now)
{
    hr_settle next = {.flushed = settle->flushed, .flushed_before = settle->flushed_before};
    if (delivered) {
        next.flushed = now;
        next.flushed_before = true;
    }
    *settle = next;
}
