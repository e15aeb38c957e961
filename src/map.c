#include "map.h"

#include <stdlib.h>

#include "hash.h"

void hr_map_fini(hr_map *map)
{
    free(map->slots);
    *map = (hr_map){0};
}

/* The slot that holds the key, or else the first free one on its way. */
static hr_map_slot *find_slot(const hr_map *map, uint64_t key)
{
    size_t mask = map->capacity - 1;
    size_t index = hr_hash(&key, sizeof key, 0) & mask;
    while (map->slots[index].value || map->slots[index].removed) {
        if (map->slots[index].value && map->slots[index].key == key)
            break;
        index = (index + 1) & mask;
    }
    return &map->slots[index];
}

void *hr_map_get(const hr_map *map, uint64_t key)
{
    return map->count ? find_slot(map, key)->value : NULL;
}

static hr_status grow(hr_map *map)
{
    hr_map grown = {.capacity = 16};
    while (grown.capacity < map->count * 4)
        grown.capacity *= 2;
    grown.slots = calloc(grown.capacity, sizeof *grown.slots);
    if (!grown.slots)
        return HR_NOMEM;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].value)
            *find_slot(&grown, map->slots[i].key) = map->slots[i];
    grown.count = grown.used = map->count;
    free(map->slots);
    *map = grown;
    return HR_OK;
}

hr_status hr_map_set(hr_map *map, uint64_t key, void *value)
{
    if (map->used * 4 >= map->capacity * 3) {
        hr_status status = grow(map);
        if (status != HR_OK)
            return status;
    }
    hr_map_slot *slot = find_slot(map, key);
    if (!slot->value) {
        map->used++;
        map->count++;
    }
    *slot = (hr_map_slot){.key = key, .value = value};
    return HR_OK;
}

void hr_map_remove(hr_map *map, uint64_t key)
{
    if (!map->count)
        return;
    hr_map_slot *slot = find_slot(map, key);
    if (!slot->value)
        return;
    *slot = (hr_map_slot){.removed = true};
    map->count--;
}
