#include "hotreload.h"

const char *hr_version(void)
{
    return HR_VERSION;
}

const char *hr_status_text(hr_status status)
{
    switch (status) {
#define HR_STATUS_CASE(name, value, text)                                                          \
    case HR_##name:                                                                                \
        return text;
        HR_STATUS_MAP(HR_STATUS_CASE)
#undef HR_STATUS_CASE
    }
    return "unknown status";
}

const char *hr_op_text(hr_op op)
{
    switch (op) {
    case HR_OP_ADDED:
        return "added";
    case HR_OP_MODIFIED:
        return "modified";
    case HR_OP_REMOVED:
        return "removed";
    }
    return "unknown";
}
