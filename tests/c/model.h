/*
 * A set of files with their contents, as one knows it who is only told of batches: each file is
 * read when it is told of. Once nothing changes any more it must equal the tree.
 */
#ifndef MODEL_H
#define MODEL_H

#include "hotreload.h"

enum { MODEL_FILES = 512, MODEL_PATH = 160 };

struct model {
    struct {
        char path[MODEL_PATH]; /* relative to the root */
        char content[128];
    } files[MODEL_FILES];
    size_t count;
};

/* What is there. Names that begin with a dot do not count. */
void model_read(struct model *model, const char *root);

/* Takes one change. false: what was added was there, or what was modified or removed was not. */
bool model_apply(struct model *model, const char *root, const hr_change *change);

/* Are they the same? If not, `why` says one difference. */
bool model_equal(const struct model *told, const struct model *there, char *why, size_t size);

#endif
