/* last_seen.h - when users who are gone were last there; where there is a disk, until it knows.
 *
 * By the hash of the user's topic. Not locked: the broker's lock guards it. */
#ifndef ENGINE_LAST_SEEN_H
#define ENGINE_LAST_SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

#define LAST_SEEN_MAX 100000

struct last_seen_row {
    uint64_t user;
    int64_t at_ms; /* wall clock */
};

struct last_seen {
    struct map users;
    struct list order; /* who left longest ago first */
};

void last_seen_init(struct last_seen *last_seen);
void last_seen_finish(struct last_seen *last_seen);

/* Without memory the time is not known. Beyond LAST_SEEN_MAX who left longest ago is forgotten. */
void last_seen_note(struct last_seen *last_seen, uint64_t user, int64_t at_ms);

/* 0: none is noted. */
int64_t last_seen_find(const struct last_seen *last_seen, uint64_t user);

/* All of them, in no order; the caller frees. NULL: there are none, or there is no memory for it
 * now; *ret_count is 0. */
struct last_seen_row *last_seen_copy(const struct last_seen *last_seen, size_t *ret_count);

/* For qsort: by user, as the file sorts them. */
int last_seen_compare(const void *a, const void *b);

/* Those of a copy; who was seen anew since stays. */
void last_seen_forget(struct last_seen *last_seen, const struct last_seen_row *copy, size_t count);

#endif
