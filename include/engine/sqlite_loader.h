/* sqlite_loader.h - what a file has when it is opened: the messages that are not in its index, the
 * keys, the epochs.
 *
 * Read once, by the connection that is going to write. Functions return SQLite's code; SQLITE_OK or
 * SQLITE_DONE when all is well. What they hand over is told in sqlite_writer.h. */
#ifndef ENGINE_SQLITE_LOADER_H
#define ENGINE_SQLITE_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idempotency_key;
struct mail_index;
struct message;
struct topic;
typedef struct sqlite3 sqlite3;

/* A time in which one process wrote: cursors strictly between were given by an epoch that is not on
 * this disk. */
struct epoch {
    uint64_t last;  /* the last id on disk when it began */
    uint64_t first; /* no id of it is lower */
};

/* The messages above an id, which are noted for the index, and which of their topics were erased
 * since. */
int sqlite_loader_tail(sqlite3 *db, struct mail_index *index, uint64_t above,
                       bool (*take)(void *context, struct message *message),
                       void (*erased)(void *context, const struct topic *topic, uint64_t upto),
                       void *context);

int sqlite_loader_keys(sqlite3 *db, uint64_t above, size_t count,
                       bool (*take)(void *context, const struct idempotency_key *key, uint64_t id,
                                    bool kept),
                       void *context);

int sqlite_loader_epochs(sqlite3 *db, struct epoch **ret_epochs, size_t *ret_count);

#endif
