/* sqlite_recovery.h - opens the file, at the start and after each failure, and takes over what it
 * knows.
 *
 * The writing thread's, or nobody's yet. */
#ifndef ENGINE_SQLITE_RECOVERY_H
#define ENGINE_SQLITE_RECOVERY_H

#include <stdbool.h>

struct sqlite_file_error;
struct sqlite_store;

/* Locks the folder, opens the file and begins an epoch in it. False: *ret_error says why. */
bool sqlite_recovery_open(struct sqlite_store *sqlite, struct sqlite_file_error *ret_error);

/* After an error the transaction, and what was done in it, is lost: the file says what is true. */
void sqlite_recovery_start_anew(struct sqlite_store *sqlite, int err);

/* The store is down: tries to open the file. */
void sqlite_recovery_try(struct sqlite_store *sqlite);

#endif
