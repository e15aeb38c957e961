/*
 * When is a burst of changes over?
 *
 * A pure state machine over hints and a clock that the caller reads; it knows neither files nor the
 * kernel, so that recorded traces can be replayed through it. Each path of a burst is in one state:
 * a writer is in it (DIRTY), a writer has closed it (DONE), or it has gone (GONE); the caller keeps
 * the state of each path and tells the changes.
 */
#ifndef HR_SETTLE_H
#define HR_SETTLE_H

#include "hotreload.h"

typedef enum hr_hint { HR_HINT_NONE, HR_HINT_DIRTY, HR_HINT_DONE, HR_HINT_GONE } hr_hint;

enum { HR_HINT_COUNT = 4 };

#define HR_SETTLE_NEVER UINT64_MAX

/* Zero-initialised is at rest. Fields private. */
typedef struct hr_settle {
    uint32_t paths[HR_HINT_COUNT]; /* how many paths are in each state; [NONE] is unused */
    bool burst;                    /* more than one path, or soon after a flush */
    bool flushed_before;
    uint64_t first; /* the first and the last hint of this burst */
    uint64_t last;
    uint64_t largest_gap;
    uint64_t flushed; /* the end of the burst before */
} hr_settle;

/* A path goes from one state to another, at `now` (microseconds, never going back). */
void hr_settle_note(hr_settle *settle, hr_hint from, hr_hint to, uint64_t now);

/* A path leaves the burst without a hint: it was looked at, or nothing is left to be said. */
void hr_settle_drop(hr_settle *settle, hr_hint from);

/* Something happened that no path stands for (an overflow, a scan that found more). */
void hr_settle_stir(hr_settle *settle, uint64_t now);

/* When the burst will be over if nothing more happens; HR_SETTLE_NEVER at rest. */
uint64_t hr_settle_deadline(const hr_settle *settle);

/* Is the burst so old that nothing in it is waited for any more? At rest it is. */
bool hr_settle_is_capped(const hr_settle *settle, uint64_t now);

/* Until when a lock file that stands at the deadline may hold the burst back. */
uint64_t hr_settle_lock_limit(const hr_settle *settle);

/* The burst was flushed; what the caller still holds must be noted again. `delivered`: there was
 * something to say, so that more of the same is likely soon. */
void hr_settle_flushed(hr_settle *settle, bool delivered, uint64_t now);

#endif
