/* tombstones.h - messages that the limits of topics took from the index and that still lie in the
 * log.
 *
 * A topic's oldest messages lie all over the log: removing them one by one, topic after
 * topic, writes a page for each. So they are gathered first, and removed many at once in the
 * order of the log. The file has the list, so a crash forgets none; nobody can read them any more.
 * The writer's thread only. */
#ifndef ENGINE_TOMBSTONES_H
#define ENGINE_TOMBSTONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tombstones;
typedef struct sqlite3 sqlite3;

/* Reads the list that the file has. db is borrowed. NULL: a statement failed. */
struct tombstones *tombstones_create(sqlite3 *db);
void tombstones_destroy(struct tombstones *tombstones); /* NULL is fine */

/* Adds to the list, while no removal is under way. False: out of memory. */
bool tombstones_add(struct tombstones *tombstones, const uint64_t *ids, size_t count);
/* Writes to the file what was added since the last time, in the transaction that took it from the
 * index. Returns SQLite's code, SQLITE_OK when all is well. */
int tombstones_save(struct tombstones *tombstones);

/* How many are on the list. */
size_t tombstones_count(const struct tombstones *tombstones);

/* Begins to remove all of them, but those that have other receivers. */
void tombstones_begin(struct tombstones *tombstones);
bool tombstones_busy(const struct tombstones *tombstones);
/* Does part of it, in the writer's transaction, until the time on the monotonic clock, and no less
 * than so many of the list. Adds the messages removed to *pruned. Returns SQLite's code, SQLITE_OK
 * when all is well. */
int tombstones_slice(struct tombstones *tombstones, int64_t until_us, size_t least,
                     uint64_t *pruned);

#endif
