/* retention.h - lets go of what is past its time or over the total, and gives the space back.
 *
 * Works in rounds, like the index: collects the oldest messages that must go, sorts their entries
 * by address, removes those, then the messages, in slices between commits. The writer's thread
 * only. */
#ifndef ENGINE_RETENTION_H
#define ENGINE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct retention;
typedef struct sqlite3 sqlite3;

struct retention_limits {
    uint64_t keep_total; /* bytes of the file */
    uint64_t idempotency_entries;
};

/* db is borrowed. NULL: a statement could not be prepared. */
struct retention *retention_create(sqlite3 *db, const struct retention_limits *limits);
void retention_destroy(struct retention *retention); /* NULL is fine */

/* Looks for what must go; then slices are due. Once in a while. now_ms: what has expired by then is
 * over; 0: nothing is. indexed_upto: no message beyond it is touched. keys_upto: keys up to here
 * are too old. Returns SQLite's code, SQLITE_OK when all is well. */
int retention_look(struct retention *retention, int64_t now_ms, uint64_t indexed_upto,
                   uint64_t keys_upto);

/* Is there something to do? */
bool retention_busy(const struct retention *retention);

/* Does part of it, in the writer's transaction, until the time on the monotonic clock. Adds the
 * messages removed to *pruned. */
int retention_slice(struct retention *retention, int64_t until_us, uint64_t *pruned);

/* Everything up to this id went for want of room; 0: nothing did. */
uint64_t retention_gone_upto(const struct retention *retention);

/* Bytes of the file in use; what is free within it not counted. */
uint64_t retention_bytes(const struct retention *retention);

#endif
