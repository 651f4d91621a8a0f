/* revocations.h - whose tokens no longer count if they were issued before some moment.
 *
 * Kept in memory, and in a file that only grows: a line each, `<unix ms> <user>`, on disk before
 * revocations_add returns. It is written anew, without what no token can outlive any more, at start
 * and when most of it is old. Any thread; a look takes a lock for a moment. */
#ifndef MODEL_REVOCATIONS_H
#define MODEL_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revocations;

/* path NULL: in memory only. An entry is kept for max_age_ms, the longest a token may live. NULL:
 * the file cannot be read or written, and errno says why. */
struct revocations *revocations_open(const char *path, int64_t max_age_ms, int64_t now_ms);
void revocations_close(struct revocations *revocations);

/* Refuses the user's tokens issued before now_ms, for good. Blocks for the disk. False: it could
 * not be written, and nothing changed. */
bool revocations_add(struct revocations *revocations, const char *user, size_t length,
                     int64_t now_ms);

/* Are this user's tokens that were issued at this time (INT64_MIN: nobody knows when) refused? */
bool revocations_has(struct revocations *revocations, const char *user, size_t length,
                     int64_t issued_ms);

size_t revocations_count(struct revocations *revocations);

#endif
