#include "engine/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID 0x50757368 /* "Push" */
#define LOG_STEP       (256 * 1024)
#define LOG_WRITE      (64 * 1024)        /* SQLite's xWrite takes less than 128 KiB at once */
#define LOG_AHEAD      (17 * (4096 + 24)) /* what a small commit may take, and the head */
#define LOG_LENGTH_MAX (64 * 1024 * 1024)
#define BACKUP_PAGES   4096

/* The log is appended in id order; mail, filled behind it in bulks, says what lies where; n and
 * total count a topic's messages and their bytes from its first one on, so that two rows tell
 * how much lies between them at most. Topics are keyed hashes: the names stand in the messages.
 */
static const char schema[] =
    "CREATE TABLE message(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, sent_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, own_ttl INTEGER NOT NULL, shared INTEGER NOT NULL,"
    " exempt INTEGER NOT NULL, addresses BLOB NOT NULL, sender TEXT NOT NULL, body TEXT NOT NULL);"
    "CREATE INDEX message_expiry ON message(expires_at) WHERE own_ttl = 1;"
    "CREATE TABLE mail(address INTEGER, id INTEGER, n INTEGER NOT NULL, total INTEGER NOT NULL,"
    " PRIMARY KEY(address, id)) WITHOUT ROWID;"
    "CREATE TABLE address(hash INTEGER PRIMARY KEY, pruned_upto INTEGER NOT NULL DEFAULT 0,"
    " erased_upto INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE key(id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, hash INTEGER NOT NULL,"
    " body BLOB NOT NULL, kept INTEGER NOT NULL);"
    "CREATE TABLE seen(hash INTEGER PRIMARY KEY, at INTEGER NOT NULL);"
    "CREATE TABLE device(address INTEGER, name TEXT, cursor INTEGER NOT NULL,"
    " moved_at INTEGER NOT NULL, PRIMARY KEY(address, name)) WITHOUT ROWID;"
    "CREATE TABLE life(first INTEGER PRIMARY KEY, last INTEGER NOT NULL);"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/* Came later. Versions that do not know it can do without, so the schema's number is the same. Its
 * ids are rows of this machine's 8-byte numbers. */
static const char addition[] =
    "CREATE TABLE IF NOT EXISTS litter(n INTEGER PRIMARY KEY, ids BLOB NOT NULL)";

/* ---- opening ---- */

static bool run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool create_schema(sqlite3 *db)
{
    char versions[128];
    snprintf(versions, sizeof versions, "PRAGMA application_id=%d;PRAGMA user_version=%d;",
             APPLICATION_ID, SQLITE_FILE_SCHEMA);
    /* auto_vacuum is chosen before the first table, and outside a transaction. */
    return run(db, "PRAGMA auto_vacuum=INCREMENTAL") && run(db, "PRAGMA journal_mode=WAL") &&
           run(db, "BEGIN IMMEDIATE") && run(db, schema) && run(db, versions) && run(db, "COMMIT");
}

static void set_unreadable(struct sqlite_file_error *ret_error, sqlite3 *db)
{
    int code = sqlite3_errcode(db) & 0xff;
    const char *path = sqlite3_db_filename(db, "main");
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        sqlite_folder_say(ret_error,
                          "%s: damaged (%s); bring back a backup, or move it away to begin empty",
                          path, sqlite3_errmsg(db));
    else
        sqlite_folder_say(ret_error, "%s: cannot be read: %s", path, sqlite3_errmsg(db));
}

/* Is it ours, and of a version we know? */
static bool judge(sqlite3 *db, const char *path, bool *ret_empty,
                  struct sqlite_file_error *ret_error)
{
    int64_t application = 0, version = 0, tables = 0;
    if (sqlite_file_number(db, "PRAGMA application_id", &application) != SQLITE_OK ||
        sqlite_file_number(db, "PRAGMA user_version", &version) != SQLITE_OK ||
        sqlite_file_number(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK) {
        set_unreadable(ret_error, db);
        return false;
    }
    *ret_empty = tables == 0 && application == 0;
    if (*ret_empty ||
        (application == APPLICATION_ID && version >= 1 && version <= SQLITE_FILE_SCHEMA))
        return true;
    if (application != APPLICATION_ID)
        sqlite_folder_say(ret_error, "%s: not a file of Pushwire's; give another --data-dir", path);
    else
        sqlite_folder_say(
            ret_error,
            "%s: written by a newer Pushwire, with schema %lld; this one knows up to %d. "
            "Start the newer version, or bring back a backup",
            path, (long long)version, SQLITE_FILE_SCHEMA);
    return false;
}

static sqlite3 *connect_to(const char *folder, int flags, char ret_path[static PATH_MAX],
                           struct sqlite_file_error *ret_error)
{
    sqlite3 *db = NULL;
    if (!sqlite_folder_path(folder, SQLITE_FILE_NAME, ret_path, ret_error))
        return NULL;
    if (flags & SQLITE_OPEN_CREATE)
        sqlite_folder_make_private(ret_path);
    int rc = sqlite3_open_v2(ret_path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, SQLITE_FILE_BUSY_MS);
        sqlite3_extended_result_codes(db, 1);
        return db;
    }
    sqlite_folder_say(ret_error, "%s: cannot be opened: %s", ret_path,
                      db ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_close_v2(db);
    return NULL;
}

sqlite3 *sqlite_file_open(const char *folder, bool full_sync, struct sqlite_file_error *ret_error)
{
    char path[PATH_MAX];
    bool empty;
    sqlite3 *db = connect_to(folder, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path, ret_error);
    if (!db)
        return NULL;
    if (!judge(db, path, &empty, ret_error)) {
        sqlite3_close_v2(db);
        return NULL;
    }
    if ((!empty || create_schema(db)) && run(db, "PRAGMA journal_mode=WAL") &&
        run(db, "PRAGMA wal_autocheckpoint=0") && run(db, "PRAGMA journal_size_limit=67108864") &&
        run(db, "PRAGMA cache_size=-16384") && run(db, addition) &&
        run(db, full_sync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"))
        return db;
    sqlite_folder_say(ret_error, "%s: cannot be used: %s", path, sqlite3_errmsg(db));
    sqlite3_close_v2(db);
    return NULL;
}

sqlite3 *sqlite_file_open_to_read(const char *folder, struct sqlite_file_error *ret_error)
{
    char path[PATH_MAX];
    bool empty;
    /* Read-write for SQLite, which may have to recover the log; we only ask. */
    sqlite3 *db = connect_to(folder, SQLITE_OPEN_READWRITE, path, ret_error);
    if (!db)
        return NULL;
    if (judge(db, path, &empty, ret_error)) {
        run(db, "PRAGMA query_only=1");
        run(db, "PRAGMA cache_size=-4096");
        return db;
    }
    sqlite3_close_v2(db);
    return NULL;
}

void sqlite_file_close(sqlite3 *db)
{
    sqlite3_close_v2(db);
}

/* A page that makes a file longer costs the disk's own journal a turn, which takes as long as the
 * page: so zeros go ahead of the log, which SQLite takes for no frames. */
void sqlite_file_lengthen_log(sqlite3 *db, int64_t used, int64_t *length)
{
    static const char zeros[LOG_WRITE];
    sqlite3_file *log = NULL;
    sqlite3_int64 size;
    if (used + LOG_AHEAD <= *length || *length >= LOG_LENGTH_MAX)
        return;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || !log ||
        !log->pMethods || log->pMethods->xFileSize(log, &size) != SQLITE_OK)
        return;
    *length = size;
    if (used + LOG_AHEAD <= size || size >= LOG_LENGTH_MAX || used > size)
        return;
    /* Where there is no room, the commit is going to say so. */
    while (*length < size + LOG_STEP &&
           log->pMethods->xWrite(log, zeros, LOG_WRITE, *length) == SQLITE_OK)
        *length += LOG_WRITE;
}

/* ---- statements ---- */

bool sqlite_file_prepare(sqlite3 *db, const char *const *texts, size_t count,
                         sqlite3_stmt **ret_statements)
{
    for (size_t i = 0; i < count; i++) {
        ret_statements[i] = NULL;
        if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_statements[i],
                               NULL) == SQLITE_OK)
            continue;
        sqlite_file_finalize(ret_statements, i);
        return false;
    }
    return true;
}

void sqlite_file_finalize(sqlite3_stmt **statements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

int sqlite_file_run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    sqlite3_reset(statement);
    return rc;
}

int sqlite_file_run_for(sqlite3_stmt *statement, int64_t first, uint64_t second)
{
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, (int64_t)second);
    return sqlite_file_run(statement);
}

int sqlite_file_number(sqlite3 *db, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    *ret_number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    return sqlite3_finalize(statement);
}

int sqlite_file_get(sqlite3 *db, const char *name, int64_t *ret_value)
{
    sqlite3_stmt *statement;
    *ret_value = 0;
    int rc = sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name = ?", -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(statement, 0);
    return sqlite3_finalize(statement);
}

int sqlite_file_set(sqlite3 *db, const char *name, int64_t value)
{
    sqlite3_stmt *statement;
    int rc =
        sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO meta VALUES (?, ?)", -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, value);
    sqlite3_step(statement);
    return sqlite3_finalize(statement);
}

/* ---- copying and checking ---- */

static bool copy_pages(sqlite3 *from, sqlite3 *to,
                       void (*progress)(void *context, int64_t done, int64_t total), void *context)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return false;
    /* One snapshot holds from the first step to the last, whatever is written meanwhile. */
    int rc;
    while ((rc = sqlite3_backup_step(backup, BACKUP_PAGES)) == SQLITE_OK) {
        int64_t total = sqlite3_backup_pagecount(backup);
        progress(context, total - sqlite3_backup_remaining(backup), total);
    }
    return sqlite3_backup_finish(backup) == SQLITE_OK && rc == SQLITE_DONE;
}

bool sqlite_file_backup(const char *folder, const char *target,
                        void (*progress)(void *context, int64_t done, int64_t total), void *context,
                        struct sqlite_file_error *ret_error)
{
    sqlite3 *to = NULL;
    bool done = false;
    if (access(target, F_OK) == 0) {
        sqlite_folder_say(ret_error, "%s: is there already; give the name of a new file", target);
        return false;
    }
    sqlite3 *from = sqlite_file_open_to_read(folder, ret_error);
    if (!from)
        return false;
    sqlite_folder_make_private(target);
    int rc = sqlite3_open_v2(target, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK && run(from, "BEGIN") && run(from, "SELECT 1 FROM meta"))
        done = copy_pages(from, to, progress, context) &&
               /* One file without a log, that can be copied as it is. */
               run(to, "PRAGMA journal_mode=DELETE");
    if (!done)
        sqlite_folder_say(ret_error, "%s: %s", target,
                          rc == SQLITE_OK && sqlite3_errcode(to) == SQLITE_OK ? sqlite3_errmsg(from)
                                                                              : sqlite3_errmsg(to));
    sqlite3_close_v2(from);
    sqlite3_close_v2(to);
    if (!done)
        unlink(target);
    return done;
}

struct check {
    void (*tell)(void *context, const char *line);
    void *context;
    bool sound;
};

static int on_integrity_line(void *context, int count, char **values, char **names)
{
    struct check *check = context;
    (void)count;
    (void)names;
    if (strcmp(values[0], "ok") == 0)
        return 0;
    check->sound = false;
    check->tell(check->context, values[0]);
    return 0;
}

static void expect_none(sqlite3 *db, struct check *check, const char *sql, const char *what)
{
    char line[160];
    int64_t count = 0;
    if (sqlite_file_number(db, sql, &count) != SQLITE_OK)
        snprintf(line, sizeof line, "%s: %s", what, sqlite3_errmsg(db));
    else if (count)
        snprintf(line, sizeof line, "%lld %s", (long long)count, what);
    else
        return;
    check->sound = false;
    check->tell(check->context, line);
}

bool sqlite_file_check(const char *folder, void (*tell)(void *context, const char *line),
                       void *context, struct sqlite_file_error *ret_error)
{
    struct check check = {tell, context, true};
    ret_error->text[0] = '\0';
    sqlite3 *db = sqlite_file_open_to_read(folder, ret_error);
    if (!db)
        return false;
    if (sqlite3_exec(db, "PRAGMA integrity_check", on_integrity_line, &check, NULL) != SQLITE_OK) {
        set_unreadable(ret_error, db);
        check.sound = false;
    } else if (check.sound) {
        expect_none(db, &check,
                    "SELECT count(*) FROM mail WHERE id NOT IN (SELECT id FROM message)",
                    "entries of the index without a message");
        expect_none(db, &check,
                    "SELECT count(*) FROM life a JOIN life b ON a.first < b.first"
                    " AND b.last < a.first - 1",
                    "starts out of order");
    }
    sqlite3_close_v2(db);
    return check.sound;
}
