#include "ignore.h"

#include <stdlib.h>
#include <string.h>

static const char *const junk_directories[] = {
    ".git",          ".hg",          ".svn",        ".bzr",
    ".jj",           "CVS",          "_darcs",      ".venv",
    "venv",          "node_modules", "__pycache__", ".mypy_cache",
    ".pytest_cache", ".ruff_cache",  ".hypothesis", ".tox",
    ".nox",          ".eggs",        ".cache",      ".parcel-cache",
    ".sass-cache",   ".idea",        ".vscode",     ".ipynb_checkpoints",
};

static const char *const junk_files[] = {".git", ".DS_Store", "Thumbs.db", "4913"};

static const char *const junk_suffixes[] = {
    "~",
    ".tmp",
    ".pyc",
    ".pyo",
    ".log",
    ".db",
    ".db-journal",
    ".db-wal",
    ".db-shm",
    ".sqlite",
    ".sqlite-journal",
    ".sqlite-wal",
    ".sqlite-shm",
    ".sqlite3",
    ".sqlite3-journal",
    ".sqlite3-wal",
    ".sqlite3-shm",
    ".kate-swp",
    ".crdownload",
    ".part",
};

static const char *const junk_prefixes[] = {".#", ".~lock.", ".goutputstream-", ".nfs0"};

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static bool has_suffix(const char *name, size_t size, const char *suffix)
{
    size_t length = strlen(suffix);
    return size > length && strcmp(name + size - length, suffix) == 0;
}

/* Six characters as mkstemp() makes them. Those of one class are taken for a word or a date. */
static bool is_random(const char *text)
{
    bool lower = false, upper = false, digit = false;
    for (int i = 0; i < 6; i++) {
        if (text[i] >= 'a' && text[i] <= 'z')
            lower = true;
        else if (text[i] >= 'A' && text[i] <= 'Z')
            upper = true;
        else if (text[i] >= '0' && text[i] <= '9')
            digit = true;
        else
            return false;
    }
    return lower + upper + digit > 1 && text[6] == '\0';
}

/* vim: .name.swp and its successors .swo, .swn, … */
static bool is_vim_swap(const char *name, size_t size)
{
    return name[0] == '.' && size > 5 && strncmp(name + size - 4, ".sw", 3) == 0 &&
           name[size - 1] >= 'a' && name[size - 1] <= 'z';
}

static bool is_temporary(const char *name, size_t size)
{
    if (is_vim_swap(name, size) || strstr(name, "___jb_"))
        return true;
    if (name[0] == '#' && size > 1 && name[size - 1] == '#') /* emacs auto-save */
        return true;
    if (strncmp(name, "sed", 3) == 0 && size == 9 && is_random(name + 3))
        return true;
    /* rsync: .name.XXXXXX */
    return name[0] == '.' && size > 8 && name[size - 7] == '.' && is_random(name + size - 6);
}

static bool is_junk_file(const char *name, size_t size)
{
    if (is_one_of(name, junk_files, sizeof junk_files / sizeof *junk_files))
        return true;
    for (size_t i = 0; i < sizeof junk_suffixes / sizeof *junk_suffixes; i++)
        if (has_suffix(name, size, junk_suffixes[i]))
            return true;
    for (size_t i = 0; i < sizeof junk_prefixes / sizeof *junk_prefixes; i++)
        if (strncmp(name, junk_prefixes[i], strlen(junk_prefixes[i])) == 0)
            return true;
    return is_temporary(name, size);
}

static bool is_junk(const char *name, bool directory)
{
    size_t size = strlen(name);
    if (!directory)
        return is_junk_file(name, size);
    return is_one_of(name, junk_directories, sizeof junk_directories / sizeof *junk_directories) ||
           has_suffix(name, size, ".egg-info");
}

bool hr_ignore_matches(const hr_ignore *ignore, const char *path, bool directory)
{
    for (size_t i = ignore->count; i--;)
        if (hr_glob_matches(&ignore->globs[i], path, directory))
            return !ignore->globs[i].negated;
    const char *slash = strrchr(path, '/');
    return is_junk(slash ? slash + 1 : path, directory);
}

hr_status hr_ignore_add(hr_ignore *ignore, const char *pattern)
{
    hr_glob glob;
    hr_status status = hr_glob_parse(pattern, &glob);
    if (status != HR_OK)
        return status;
    hr_glob *grown = realloc(ignore->globs, (ignore->count + 1) * sizeof *grown);
    if (!grown) {
        hr_glob_fini(&glob);
        return HR_NOMEM;
    }
    ignore->globs = grown;
    ignore->globs[ignore->count++] = glob;
    ignore->anchored = ignore->anchored || glob.anchored;
    return HR_OK;
}

void hr_ignore_fini(hr_ignore *ignore)
{
    for (size_t i = 0; i < ignore->count; i++)
        hr_glob_fini(&ignore->globs[i]);
    free(ignore->globs);
    *ignore = (hr_ignore){0};
}
