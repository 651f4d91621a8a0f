/* retention.h - lets go of what is past its time or over the total, and gives the space back.
 *
 * Works in rounds, like the index: collects messages that must go, those past their time before
 * those that are merely the oldest, sorts their entries by topic, removes those, then the
 * messages, in slices between commits. While there is more to do one round follows the other. The
 * writer's thread only. */
#ifndef ENGINE_RETENTION_H
#define ENGINE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retention;
typedef struct sqlite3 sqlite3;

struct retention_limits {
    uint64_t keep_total; /* bytes of the file */
    uint64_t idempotency_entries;
};

/* What a round goes by. */
struct retention_look {
    int64_t now_ms;        /* what has expired by then is over; 0: nothing is */
    uint64_t indexed_upto; /* no message beyond it is touched */
    uint64_t keys_upto;    /* keys up to here are too old */
    uint64_t messages;     /* so many there are, */
    uint64_t tombstones;   /* so many of which are on their way out, */
    uint64_t keys;         /* and so many keys, whose room is not the messages' */
};

/* What it has removed. */
struct retention_gone {
    uint64_t messages;
    uint64_t keys;
};

/* db is borrowed. NULL: a statement could not be prepared. */
struct retention *retention_create(sqlite3 *db, const struct retention_limits *limits);
void retention_destroy(struct retention *retention); /* NULL is fine */

/* Looks for what must go; then slices are due. Once in a while. Returns SQLite's code, SQLITE_OK
 * when all is well. */
int retention_look(struct retention *retention, const struct retention_look *look);

/* Is there something to do? */
bool retention_busy(const struct retention *retention);
/* More than one round will do? Then its pace has to follow that of what is added. */
bool retention_is_behind(const struct retention *retention);

/* Does part of it, in the writer's transaction, until the time on the monotonic clock, and no less
 * than so many steps: one to find, one to take from a topic, one to remove a message. Adds what
 * it removed to *gone. */
int retention_slice(struct retention *retention, int64_t until_us, size_t least,
                    struct retention_gone *gone);

/* Everything up to this id went for want of room; 0: nothing did. */
uint64_t retention_gone_upto(const struct retention *retention);

/* Bytes of the file in use; what is free within it not counted. */
uint64_t retention_bytes(const struct retention *retention);

#endif
