/* Which names are never looked at. */
#ifndef HR_IGNORE_H
#define HR_IGNORE_H

#include "glob.h"

/* The user's patterns, in their order; zero-initialised has none. */
typedef struct hr_ignore {
    hr_glob *globs;
    size_t count;
    bool anchored; /* some pattern needs the path, not only its last component */
} hr_ignore;

/* Adds a pattern of gitignore(5): what it matches is ignored, or looked at all the same if it is
 * negated by a `!`. The last pattern that matches decides; where none does, junk is ignored.
 * HR_INVALID: an empty pattern. HR_NOMEM. */
hr_status hr_ignore_add(hr_ignore *ignore, const char *pattern);
void hr_ignore_fini(hr_ignore *ignore);

/* Is the file or directory under this path ignored? The path is relative to the root and
 * NUL-terminated; if `anchored` is not set, its last component is enough. Junk is version control,
 * virtual environments, packages of Node, caches, databases and their journals, logs, and what
 * editors and copying tools put down for a moment. */
bool hr_ignore_matches(const hr_ignore *ignore, const char *path, bool directory);

#endif
