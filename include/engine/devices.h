/* devices.h - the cursors of devices, by user.
 *
 * A device's cursor says what it has; it only rises. All of them for the memory store, and for the
 * SQLite store those that moved since they were last written. Not locked: the broker's lock guards
 * it. */
#ifndef ENGINE_DEVICES_H
#define ENGINE_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "model/topic.h"

struct device {
    struct list link;  /* of its user, the one that moved longest ago first */
    struct list order; /* of all, likewise */
    uint64_t user;     /* hash of the user's topic */
    uint64_t cursor;
    int64_t moved_at_ms; /* wall clock */
    size_t length;
    char name[TOPIC_NAME_MAX];
};

struct devices {
    struct map users;
    struct list order;
    size_t count;
    size_t per_user; /* the one that moved longest ago goes */
    size_t max;      /* in all; likewise */
};

void devices_init(struct devices *devices, size_t per_user, size_t max);
void devices_finish(struct devices *devices);

/* NULL: not known. */
struct device *devices_find(const struct devices *devices, uint64_t user, const char *name,
                            size_t length);

/* Adds it, or moves its cursor up. NULL: out of memory. */
struct device *devices_move(struct devices *devices, uint64_t user, const char *name, size_t length,
                            uint64_t cursor, int64_t now_ms);

/* False: it was not there. */
bool devices_forget(struct devices *devices, uint64_t user, const char *name, size_t length);

/* All of one user, as a list; NULL: none. */
struct list *devices_of(const struct devices *devices, uint64_t user);

/* All of them, in no order; the caller frees. Their links mean nothing. NULL: there are none, or
 * there is no memory for it now; *ret_count is 0. */
struct device *devices_copy(const struct devices *devices, size_t *ret_count);

/* For qsort: by user and name, as the file sorts them. */
int device_compare(const void *a, const void *b);

/* Those of a copy; what moved since stays. */
void devices_forget_copied(struct devices *devices, const struct device *copy, size_t count);

#endif
