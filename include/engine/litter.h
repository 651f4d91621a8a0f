/* litter.h - messages that the limits of addresses took from the index and that still lie in the
 * log.
 *
 * An address's oldest messages lie all over the log: removing them one by one, address after
 * address, writes a page for each. So they are gathered first, and removed many at once in the
 * order of the log. The file has the list, so a crash forgets none; nobody can read them any more.
 * The writer's thread only. */
#ifndef ENGINE_LITTER_H
#define ENGINE_LITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct litter;
typedef struct sqlite3 sqlite3;

/* Reads the list that the file has. db is borrowed. NULL: a statement failed. */
struct litter *litter_create(sqlite3 *db);
void litter_destroy(struct litter *litter); /* NULL is fine */

/* Adds to the list, while no removal is under way. False: out of memory. */
bool litter_add(struct litter *litter, const uint64_t *ids, size_t count);
/* Writes to the file what was added since the last time, in the transaction that took it from the
 * index. Returns SQLite's code, SQLITE_OK when all is well. */
int litter_save(struct litter *litter);

/* How many are on the list. */
size_t litter_count(const struct litter *litter);

/* Begins to remove all of them, but those that have other receivers. */
void litter_begin(struct litter *litter);
bool litter_busy(const struct litter *litter);
/* Does part of it, in the writer's transaction, until the time on the monotonic clock. Adds the
 * messages removed to *pruned. Returns SQLite's code, SQLITE_OK when all is well. */
int litter_slice(struct litter *litter, int64_t until_us, uint64_t *pruned);

#endif
