/* Which names are never looked at. */
#ifndef HR_IGNORE_H
#define HR_IGNORE_H

#include "hotreload.h"

/* The user's globs; zero-initialised has none. */
typedef struct hr_ignore {
    char **globs;
    size_t count;
} hr_ignore;

hr_status hr_ignore_add(hr_ignore *ignore, const char *glob); /* copies; HR_NOMEM */
void hr_ignore_fini(hr_ignore *ignore);

/* Is the file or directory of this name (NUL-terminated, one component) junk? Junk is version
 * control, virtual environments, packages of Node, caches, databases and their journals, logs, and
 * what editors and copying tools put down for a moment. */
bool hr_ignore_matches(const hr_ignore *ignore, const char *name, bool directory);

#endif
