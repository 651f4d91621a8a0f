/* sightings.h - when users who are gone were last there, until the disk knows.
 *
 * By the hash of the user's address. Not locked: the broker's lock guards it. */
#ifndef ENGINE_SIGHTINGS_H
#define ENGINE_SIGHTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

#define SIGHTINGS_MAX 100000

struct sighting {
    uint64_t user;
    int64_t at_ms; /* wall clock */
};

struct sightings {
    struct map users;
};

void sightings_init(struct sightings *sightings);
void sightings_finish(struct sightings *sightings);

/* Without memory, and where more have left than a disk that is away can be told of, the time is not
 * known. */
void sightings_note(struct sightings *sightings, uint64_t user, int64_t at_ms);

/* 0: none is noted. */
int64_t sightings_find(const struct sightings *sightings, uint64_t user);

/* All of them, in no order; the caller frees. NULL: there are none, or there is no memory for it
 * now; *ret_count is 0. */
struct sighting *sightings_copy(const struct sightings *sightings, size_t *ret_count);

/* For qsort: by user, as the file sorts them. */
int sighting_compare(const void *a, const void *b);

/* Those of a copy; who was seen anew since stays. */
void sightings_forget(struct sightings *sightings, const struct sighting *copy, size_t count);

#endif
