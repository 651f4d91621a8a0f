/* sqlite_file.h - the SQLite file in the data folder, and its schema.
 *
 * messages.db with its write-ahead log. The schema has a version: older ones are migrated, newer
 * and foreign ones refused. Whose the folder is says sqlite_folder.h. */
#ifndef ENGINE_SQLITE_FILE_H
#define ENGINE_SQLITE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sqlite_folder.h"

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

#define SQLITE_FILE_NAME    "messages.db"
#define SQLITE_FILE_SCHEMA  1
#define SQLITE_FILE_BUSY_MS 5000 /* how long a connection waits for another's lock */

/* A connection that may write; makes the file and its tables, or migrates them. full_sync: each
 * commit waits for the disk. NULL: the error is set. */
sqlite3 *sqlite_file_open(const char *folder, bool full_sync, struct sqlite_file_error *ret_error);

/* A connection that only reads, of a file that has been opened to write before. */
sqlite3 *sqlite_file_open_to_read(const char *folder, struct sqlite_file_error *ret_error);

void sqlite_file_close(sqlite3 *db); /* NULL is fine */

/* Before a commit of the one connection that writes: sees to it that the write-ahead log, of which
 * so many bytes are in use, has been written a good deal ahead. *length is what is known of its
 * length; 0 at first. */
void sqlite_file_lengthen_log(sqlite3 *db, int64_t used, int64_t *length);

/* Prepares count statements, to be kept for long. False: none is left prepared. */
bool sqlite_file_prepare(sqlite3 *db, const char *const *texts, size_t count,
                         sqlite3_stmt **ret_statements);
void sqlite_file_finalize(sqlite3_stmt **statements, size_t count);

/* Runs a statement that gives no row and resets it. Returns SQLite's code, SQLITE_DONE when all is
 * well. */
int sqlite_file_run(sqlite3_stmt *statement);
/* The same for one that takes two numbers. */
int sqlite_file_run_for(sqlite3_stmt *statement, int64_t first, uint64_t second);

/* Up to which id a topic that has no row may have lost something: see remnants.h. */
#define SQLITE_FILE_FLOOR "coalesce((SELECT value FROM meta WHERE name = 'floor'), 0)"

/* For sqlite_file_run_for: a topic, by its hash, has lost something, all of it up to an id. */
#define SQLITE_FILE_TELL                                                                           \
    "INSERT INTO address(hash, pruned_upto) VALUES (?1, max(?2, " SQLITE_FILE_FLOOR                \
    ")) ON CONFLICT(hash)"                                                                         \
    " DO UPDATE SET pruned_upto = max(pruned_upto, ?2)"

/* What a text of SQL asks for: the number of its first row, 0 where there is none. Returns SQLite's
 * code, SQLITE_OK when all is well. */
int sqlite_file_number(sqlite3 *db, const char *sql, int64_t *ret_number);

/* Whole numbers by name; 0 where there is none. Returns SQLite's code, SQLITE_OK when all is well.
 */
int sqlite_file_get(sqlite3 *db, const char *name, int64_t *ret_value);
int sqlite_file_set(sqlite3 *db, const char *name, int64_t value);

/* Copies the data of a folder, in use or not, into a new file. */
bool sqlite_file_backup(const char *folder, const char *target,
                        void (*progress)(void *context, int64_t done, int64_t total), void *context,
                        struct sqlite_file_error *ret_error);

/* Reads every page and compares the tables with each other. Calls tell for each thing found wrong.
 * False: there was some, or the file could not be read (the error is set). */
bool sqlite_file_check(const char *folder, void (*tell)(void *context, const char *line),
                       void *context, struct sqlite_file_error *ret_error);

#endif
