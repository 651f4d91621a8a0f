/* log_file.h - the SQLite broker's file in a folder of its own, for the tests of what works on it.
 */
#ifndef TESTS_LOG_FILE_H
#define TESTS_LOG_FILE_H

#include "support.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/sqlite_file.h"
#include "engine/sqlite_message.h"

#define LATER INT64_MAX /* slices take all the time they want, */
#define PAST  0         /* or none */
#define NOW   ((int64_t)1769860800000)

static struct {
    char folder[32];
    sqlite3 *db;
} log_file;

static inline void log_file_open(void)
{
    struct sqlite_file_error error;
    strcpy(log_file.folder, "/tmp/test-file-XXXXXX");
    assert_non_null(mkdtemp(log_file.folder));
    log_file.db = sqlite_file_open(log_file.folder, false, &error);
    assert_non_null(log_file.db);
}

static inline int log_file_close(void)
{
    char path[64];
    sqlite_file_close(log_file.db);
    snprintf(path, sizeof path, "%s/%s", log_file.folder, SQLITE_FILE_NAME);
    unlink(path);
    return rmdir(log_file.folder);
}

/* A message of NOW in the log, as it is now there; it may have been there already. */
static inline struct message *log_file_add(const struct draft *draft, uint64_t id)
{
    sqlite3_stmt *insert;
    struct message *message = message_create(id, NOW, draft);
    assert_non_null(message);
    assert_int_equal(sqlite3_prepare_v2(log_file.db, SQLITE_MESSAGE_INSERT, -1, &insert, NULL),
                     SQLITE_OK);
    assert_true(sqlite_message_bind(insert, message));
    sqlite3_step(insert);
    sqlite3_finalize(insert);
    return message;
}

static inline int64_t log_file_ask(const char *sql)
{
    int64_t number;
    assert_int_equal(sqlite_file_number(log_file.db, sql, &number), SQLITE_OK);
    return number;
}

static inline void log_file_run(const char *sql)
{
    assert_int_equal(sqlite3_exec(log_file.db, sql, NULL, NULL, NULL), SQLITE_OK);
}

#endif
