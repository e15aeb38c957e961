/* What two operations on one file, in this order, come to. */
#ifndef HR_OPS_H
#define HR_OPS_H

#include "hotreload.h"

#define HR_OP_NOTHING ((hr_op)0)

static inline hr_op hr_op_merge(hr_op earlier, hr_op later)
{
    if (earlier == HR_OP_NOTHING)
        return later;
    if (earlier == HR_OP_ADDED)
        return later == HR_OP_REMOVED ? HR_OP_NOTHING : HR_OP_ADDED;
    return later == HR_OP_REMOVED ? HR_OP_REMOVED : HR_OP_MODIFIED;
}

#endif
