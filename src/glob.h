/* One pattern in the syntax of gitignore(5). */
#ifndef HR_GLOB_H
#define HR_GLOB_H

#include "hotreload.h"

typedef struct hr_glob {
    char *pattern; /* malloc'ed; without the marks that the flags stand for */
    bool negated;
    bool directories; /* matches directories only */
    bool anchored;    /* to the root; else compared with the last component */
} hr_glob;

/* Parses `text` (NUL-terminated). HR_INVALID: nothing is left of it. HR_NOMEM. */
hr_status hr_glob_parse(const char *text, hr_glob *out);
void hr_glob_fini(hr_glob *glob);

/* Does it match a path relative to the root, NUL-terminated, in time bounded by the product of the
 * two lengths for each `**`? Negation is the caller's business. */
bool hr_glob_matches(const hr_glob *glob, const char *path, bool directory);

#endif
