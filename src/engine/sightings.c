#include "engine/sightings.h"

#include <stdlib.h>

void sightings_init(struct sightings *sightings)
{
    map_init(&sightings->users);
}

void sightings_finish(struct sightings *sightings)
{
    size_t cursor = 0;
    for (struct sighting *one; (one = map_next(&sightings->users, &cursor));)
        free(one);
    map_finish(&sightings->users);
}

static bool is_of(const void *value, const void *key)
{
    return ((const struct sighting *)value)->user == *(const uint64_t *)key;
}

static struct sighting *find(const struct sightings *sightings, uint64_t user)
{
    return map_find(&sightings->users, user, is_of, &user);
}

void sightings_note(struct sightings *sightings, uint64_t user, int64_t at_ms)
{
    struct sighting *sighting = find(sightings, user);
    if (sighting) {
        sighting->at_ms = at_ms;
        return;
    }
    sighting = sightings->users.count < SIGHTINGS_MAX ? malloc(sizeof *sighting) : NULL;
    if (!sighting)
        return;
    *sighting = (struct sighting){user, at_ms};
    if (!map_add(&sightings->users, user, sighting))
        free(sighting);
}

int64_t sightings_find(const struct sightings *sightings, uint64_t user)
{
    const struct sighting *sighting = find(sightings, user);
    return sighting ? sighting->at_ms : 0;
}

struct sighting *sightings_copy(const struct sightings *sightings, size_t *ret_count)
{
    struct sighting *copy = NULL;
    size_t cursor = 0, count = 0;
    if (sightings->users.count)
        copy = malloc(sightings->users.count * sizeof *copy);
    for (const struct sighting *one; copy && (one = map_next(&sightings->users, &cursor));)
        copy[count++] = *one;
    *ret_count = count;
    return copy;
}

int sighting_compare(const void *a, const void *b)
{
    int64_t x = (int64_t)((const struct sighting *)a)->user;
    int64_t y = (int64_t)((const struct sighting *)b)->user;
    return (x > y) - (x < y);
}

void sightings_forget(struct sightings *sightings, const struct sighting *copy, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sighting *sighting = find(sightings, copy[i].user);
        if (!sighting || sighting->at_ms != copy[i].at_ms)
            continue;
        map_remove(&sightings->users, sighting->user, sighting);
        free(sighting);
    }
}
