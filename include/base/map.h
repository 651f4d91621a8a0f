/* map.h - a hash map of borrowed pointers, keyed by 64-bit hashes the caller brings.
 *
 * Open addressing with linear probing and no tombstones; 16 bytes a slot, at most three quarters
 * full. The hash should come from hash_bytes (hash.h), which is keyed, so that clients cannot aim
 * at one slot. One thread at a time. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t hash;
    void *value; /* NULL: free */
};

struct map {
    struct map_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

/* Is value the one that key asks for? Called only where the hashes are equal. */
typedef bool map_equal(const void *value, const void *key);

void map_init(struct map *map);
/* Frees the slots, not the values. */
void map_finish(struct map *map);

/* The value, or NULL. */
void *map_find(const struct map *map, uint64_t hash, map_equal *equal, const void *key);
/* Adds a value that is not there yet. False: out of memory, nothing changed. */
bool map_add(struct map *map, uint64_t hash, void *value);
/* Removes exactly this pointer; it must be there. */
void map_remove(struct map *map, uint64_t hash, const void *value);
/* Walks all values in no order: start with *cursor = 0, ends with NULL. The map must not change. */
void *map_next(const struct map *map, size_t *cursor);

#endif
