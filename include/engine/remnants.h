/* remnants.h - what the file still knows of what is gone, and how much of that.
 *
 * How far a topic has lost its mail or was erased, when users who are gone were last there,
 * where devices are, when epochs began: rows that outlive every message. Each table has a bound.
 * Beyond it the oldest rows go: a user was then never seen, a device is new, and of topics the
 * highest loss that was known stays as one floor for all that have no row. Nobody misses a gap for
 * that; a very old cursor may be told one too many. The writer's thread only. */
#ifndef ENGINE_REMNANTS_H
#define ENGINE_REMNANTS_H

#include <stdint.h>

struct remnants;
typedef struct sqlite3 sqlite3;

struct remnants_limits {
    int64_t
        topics; /* rows of each table; for a moment a sixteenth more, and what a minute brings */
    int64_t users;
    int64_t devices;
    int64_t epochs;
};

/* What a file of so many bytes can bear. */
struct remnants_limits remnants_limits_of(uint64_t keep_total);

/* db is borrowed. */
struct remnants *remnants_create(sqlite3 *db, const struct remnants_limits *limits);
void remnants_destroy(struct remnants *remnants); /* NULL is fine */

/* Brings every table below its bound, where that can be needed. Once in a while, outside a
 * transaction.
 * indexed_upto: an erasure above it is still needed. Returns SQLite's code, SQLITE_OK when all is
 * well. */
int remnants_trim(struct remnants *remnants, uint64_t indexed_upto);

#endif
