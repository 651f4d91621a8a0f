#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#define MIN_CAPACITY 16

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_finish(struct map *map)
{
    free(map->slots);
    map_init(map);
}

void *map_find(const struct map *map, uint64_t hash, map_equal *equal, const void *key)
{
    if (!map->count)
        return NULL;
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask; map->slots[i].value; i = (i + 1) & mask) {
        if (map->slots[i].hash == hash && equal(map->slots[i].value, key))
            return map->slots[i].value;
    }
    return NULL;
}

static void place(struct map *map, struct map_slot slot)
{
    size_t mask = map->capacity - 1;
    size_t i = slot.hash & mask;
    while (map->slots[i].value)
        i = (i + 1) & mask;
    map->slots[i] = slot;
}

static bool resize(struct map *map, size_t capacity)
{
    struct map_slot *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    struct map old = *map;
    map->slots = slots;
    map->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].value)
            place(map, old.slots[i]);
    }
    free(old.slots);
    return true;
}

bool map_add(struct map *map, uint64_t hash, void *value)
{
    assert(value);
    if ((map->count + 1) * 4 > map->capacity * 3 &&
        !resize(map, map->capacity ? map->capacity * 2 : MIN_CAPACITY))
        return false;
    place(map, (struct map_slot){hash, value});
    map->count++;
    return true;
}

/* Closes the hole at i: each slot behind it moves forward unless it already sits between its
 * home and the hole (backward-shift deletion, so probing needs no tombstones). */
static void close_hole(struct map *map, size_t i)
{
    size_t mask = map->capacity - 1;
    for (size_t j = (i + 1) & mask; map->slots[j].value; j = (j + 1) & mask) {
        size_t home = map->slots[j].hash & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) {
            map->slots[i] = map->slots[j];
            i = j;
        }
    }
    map->slots[i].value = NULL;
}

void map_remove(struct map *map, uint64_t hash, const void *value)
{
    size_t mask = map->capacity - 1;
    size_t i = hash & mask;
    while (map->slots[i].value != value) {
        assert(map->slots[i].value);
        i = (i + 1) & mask;
    }
    close_hole(map, i);
    map->count--;
    /* A map that was large once must not stay large; failing to shrink is harmless. */
    if (map->capacity > MIN_CAPACITY && map->count * 8 < map->capacity)
        resize(map, map->capacity / 2);
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->capacity) {
        void *value = map->slots[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}
