/* A hash map from 64-bit keys to pointers, for descriptors and inode identities. */
#ifndef HR_MAP_H
#define HR_MAP_H

#include "hotreload.h"

typedef struct hr_map_slot {
    uint64_t key;
    void *value; /* NULL: never used or removed */
    bool removed;
} hr_map_slot;

/* Zero-initialised is empty. */
typedef struct hr_map {
    hr_map_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t used;     /* slots that are not free, removed ones among them */
    size_t count;
} hr_map;

void hr_map_fini(hr_map *map);
void *hr_map_get(const hr_map *map, uint64_t key);            /* NULL: not there */
hr_status hr_map_set(hr_map *map, uint64_t key, void *value); /* value not NULL; HR_NOMEM */
void hr_map_remove(hr_map *map, uint64_t key);

#endif
