#include "model.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOT_FOUND = MODEL_FILES };

static size_t find(const struct model *model, const char *path)
{
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->files[i].path, path) == 0)
            return i;
    return NOT_FOUND;
}

/* What cannot be read has gone: that will be told of. */
static void read_content(struct model *model, size_t index, const char *root)
{
    char path[PATH_MAX];
    char *content = model->files[index].content;
    snprintf(path, sizeof path, "%s/%s", root, model->files[index].path);
    memset(content, 0, sizeof model->files[index].content);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, content, sizeof model->files[index].content - 1) < 0)
        content[0] = '?';
    close(fd);
}

static void read_directory(struct model *model, const char *root, const char *directory)
{
    char path[PATH_MAX], below[MODEL_PATH];
    snprintf(path, sizeof path, "%s/%s", root, directory);
    DIR *listing = opendir(path);
    if (!listing)
        return;
    for (struct dirent *entry; (entry = readdir(listing));) {
        struct stat status;
        int size = snprintf(below, sizeof below, "%s%s%s", directory, *directory ? "/" : "",
                            entry->d_name);
        snprintf(path, sizeof path, "%s/%s", root, below);
        if (entry->d_name[0] == '.' || size >= MODEL_PATH || stat(path, &status) != 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            read_directory(model, root, below);
        } else if (model->count < MODEL_FILES) {
            memcpy(model->files[model->count].path, below, sizeof below);
            read_content(model, model->count++, root);
        }
    }
    closedir(listing);
}

void model_read(struct model *model, const char *root)
{
    model->count = 0;
    read_directory(model, root, "");
}

bool model_apply(struct model *model, const char *root, const hr_change *change)
{
    char path[MODEL_PATH];
    snprintf(path, sizeof path, "%.*s", (int)change->path.size, change->path.data);
    size_t index = find(model, path);
    bool known = index != NOT_FOUND;
    if (change->op == HR_OP_REMOVED) {
        if (known)
            model->files[index] = model->files[--model->count];
        return known;
    }
    if (!known && model->count < MODEL_FILES) {
        index = model->count++;
        memcpy(model->files[index].path, path, sizeof path);
    }
    if (index < MODEL_FILES)
        read_content(model, index, root);
    return known == (change->op == HR_OP_MODIFIED);
}

bool model_equal(const struct model *told, const struct model *there, char *why, size_t size)
{
    for (size_t i = 0; i < there->count; i++) {
        size_t known = find(told, there->files[i].path);
        if (known == NOT_FOUND) {
            snprintf(why, size, "%s is there", there->files[i].path);
            return false;
        }
        if (strcmp(told->files[known].content, there->files[i].content) != 0) {
            snprintf(why, size, "%s is \"%s\", and was told of as \"%s\"", there->files[i].path,
                     there->files[i].content, told->files[known].content);
            return false;
        }
    }
    for (size_t i = 0; i < told->count; i++) {
        if (find(there, told->files[i].path) == NOT_FOUND) {
            snprintf(why, size, "%s is not there", told->files[i].path);
            return false;
        }
    }
    return true;
}
