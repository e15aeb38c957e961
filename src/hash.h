/* XXH3 (libxxhash, header only): content and keys are compared by 64 bits of it. */
#ifndef HR_HASH_H
#define HR_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hr_hash(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

#endif
