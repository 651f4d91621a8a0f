#include "engine/retention.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/minmax.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_message.h"
#include "model/message.h"

#define MAX_ROUND    20000 /* messages of one round */
#define CHUNK        200   /* rows between two looks at the clock */
#define VACUUM_CHUNK 32    /* pages */
#define KEY_BYTES    52    /* of the file */

struct entry {
    int64_t hash;
    uint64_t id;
    bool told; /* its going is a loss that receivers are told */
};

/* A message as it is collected. */
struct row {
    uint64_t id;
    int64_t expires_at_ms;
    const struct message *message; /* NULL: it cannot be read */
};

enum { OLDEST, OWN, DEFAULT, UNMAIL, TELL, DROP, KEYS, SURPLUS_KEY, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [OLDEST] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE id > ?1 AND id <= ?2"
                " ORDER BY id LIMIT ?3"),
    [OWN] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE own_ttl = 1 AND expires_at <= ?4"
             " AND expires_at >= ?5 AND (expires_at > ?5 OR id > ?1) AND id <= ?2"
             " ORDER BY expires_at, id LIMIT ?3"),
    [DEFAULT] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE id > ?1 AND id <= ?2"
                 " AND own_ttl = 0 ORDER BY id LIMIT ?3"),
    [UNMAIL] = "DELETE FROM mail WHERE address = ? AND id = ?",
    [TELL] = SQLITE_FILE_TELL,
    [DROP] = "DELETE FROM message WHERE id = ?",
    [KEYS] = "DELETE FROM key WHERE id IN (SELECT id FROM key WHERE id <= ? ORDER BY id LIMIT ?)",
    [SURPLUS_KEY] = "SELECT id FROM key ORDER BY id DESC LIMIT 1 OFFSET ?",
};

/* The steps of a round, in their order: what is over goes before what is merely old. */
enum step { IDLE, COLLECT_OWN, COLLECT_DEFAULT, COLLECT_OLDEST, UNFILE, REMOVE, KEYS_GO, VACUUM };

struct retention {
    sqlite3 *db;
    struct retention_limits limits;
    sqlite3_stmt *statements[STATEMENTS];
    enum step step;
    struct retention_look look; /* of this round */
    struct retention_look next_look;
    size_t share; /* so many it takes for want of room, what is over included; 0: there is room */
    bool full;    /* there may be more than this round takes */
    uint64_t gone_upto; /* up to here all have gone for want of room */
    uint64_t oldest;    /* the last one of this round that has to */
    uint64_t from;      /* where collecting goes on */
    int64_t from_ms;
    uint64_t young; /* up to here only messages with a longer ttl of their own are left */
    struct entry *entries;
    size_t entry_count;
    size_t entry_room;
    size_t next;
    uint64_t *ids;
    size_t id_count;
    size_t done; /* steps, for the pace */
    int64_t page_size;
    int64_t pages; /* in use */
    int64_t free_pages;
};

struct retention *retention_create(sqlite3 *db, const struct retention_limits *limits)
{
    struct retention *retention = mem_alloc(sizeof *retention);
    retention->db = db;
    retention->limits = *limits;
    retention->ids = mem_alloc(MAX_ROUND * sizeof *retention->ids);
    if (sqlite_file_prepare(db, texts, STATEMENTS, retention->statements))
        return retention;
    free(retention->ids);
    free(retention);
    return NULL;
}

void retention_destroy(struct retention *retention)
{
    if (!retention)
        return;
    sqlite_file_finalize(retention->statements, STATEMENTS);
    free(retention->entries);
    free(retention->ids);
    free(retention);
}

bool retention_busy(const struct retention *retention)
{
    return retention->step != IDLE;
}

uint64_t retention_gone_upto(const struct retention *retention)
{
    return retention->gone_upto;
}

uint64_t retention_bytes(const struct retention *retention)
{
    return (uint64_t)(retention->pages * retention->page_size);
}

/* ---- looking ---- */

static int measure(struct retention *retention)
{
    int64_t all = 0;
    int rc = sqlite_file_number(retention->db, "PRAGMA page_size", &retention->page_size);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(retention->db, "PRAGMA page_count", &all);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(retention->db, "PRAGMA freelist_count", &retention->free_pages);
    retention->pages = all - retention->free_pages;
    return rc;
}

static int first_number(sqlite3_stmt *statement, uint64_t *ret_number)
{
    int rc = sqlite3_step(statement);
    *ret_number = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void next_step(struct retention *retention, enum step step)
{
    retention->step = step;
    retention->from = step == COLLECT_DEFAULT ? retention->young : 0;
    retention->from_ms = INT64_MIN;
    retention->next = 0;
}

/* What the keys have is extra, and what has been taken already and lies there still will go. */
static uint64_t bytes_that_count(const struct retention *retention)
{
    const struct retention_look *look = &retention->look;
    uint64_t bytes = retention_bytes(retention), keys = look->keys * KEY_BYTES;
    bytes -= min_u64(bytes, keys);
    return look->messages > look->tombstones
               ? (uint64_t)((double)bytes * (double)(look->messages - look->tombstones) /
                            (double)look->messages)
               : 0;
}

/* Ids rise with time, but not evenly. So room is made in rounds of a thirty-second part of the
 * messages, until the file is small enough. */
static int begin_round(struct retention *retention)
{
    retention->look = retention->next_look;
    int rc = measure(retention);
    if (rc != SQLITE_OK)
        return rc;
    bool over = bytes_that_count(retention) > retention->limits.keep_total;
    retention->share = over ? (size_t)min_u64(retention->look.messages / 32 + 1, MAX_ROUND) : 0;
    retention->entry_count = retention->id_count = 0;
    retention->oldest = 0;
    retention->full = false;
    next_step(retention, COLLECT_OWN);
    return SQLITE_OK;
}

/* Keys that are too many go like those too old. */
static int judge_keys(struct retention *retention)
{
    uint64_t surplus = 0, most = retention->limits.idempotency_entries;
    sqlite3_stmt *statement = retention->statements[SURPLUS_KEY];
    if (retention->next_look.keys <= most + most / 16) /* it walks over all that may stay */
        return SQLITE_OK;
    sqlite3_bind_int64(statement, 1, (int64_t)most);
    int rc = first_number(statement, &surplus);
    retention->next_look.keys_upto = max_u64(retention->next_look.keys_upto, surplus);
    return rc;
}

int retention_look(struct retention *retention, const struct retention_look *look)
{
    retention->next_look = *look;
    int rc = judge_keys(retention);
    return rc == SQLITE_OK && retention->step == IDLE ? begin_round(retention) : rc;
}

bool retention_is_behind(const struct retention *retention)
{
    return retention->step != IDLE && (retention->full || retention->share);
}

/* ---- collecting ---- */

static bool add_entry(struct retention *retention, const struct entry *entry)
{
    if (retention->entry_count == retention->entry_room) {
        size_t room = retention->entry_room ? retention->entry_room * 2 : 1024;
        struct entry *entries = realloc(retention->entries, room * sizeof *entries);
        if (!entries)
            return false;
        retention->entries = entries;
        retention->entry_room = room;
    }
    retention->entries[retention->entry_count++] = *entry;
    return true;
}

/* What cannot be read leaves the log as others do; where it lies the index alone knows, and who
 * finds it there passes over it. False: out of memory. */
static bool collect(struct retention *retention, const struct row *row)
{
    const struct message *message = row->message;
    bool over = message && message->own_ttl && message_expired(message, retention->look.now_ms);
    size_t before = retention->entry_count;
    for (uint32_t i = 0; message && i < message->topic_count; i++) {
        struct entry entry = {(int64_t)message->topics[i].hash, row->id, !over};
        if (!add_entry(retention, &entry)) {
            retention->entry_count = before;
            return false;
        }
    }
    retention->ids[retention->id_count++] = row->id;
    return true;
}

/* One row. False: the step is at its end. */
static bool collect_row(struct retention *retention, const struct row *row)
{
    bool over = row->expires_at_ms <= retention->look.now_ms;
    retention->from = row->id;
    retention->from_ms = row->expires_at_ms;
    retention->done++;
    if (retention->step == COLLECT_OLDEST)
        retention->oldest = row->id;
    if (retention->step == COLLECT_OLDEST && over)
        return true; /* it has been collected */
    if (retention->step != COLLECT_OLDEST && !over)
        return false;
    /* Without memory the round is short; the next one finds the rest. */
    retention->full = !collect(retention, row) || retention->id_count == MAX_ROUND;
    return !retention->full &&
           !(retention->step == COLLECT_OLDEST && retention->id_count >= retention->share);
}

/* Steps through the rows of one chunk. *ret_end: this step has found all there is, or the round is
 * full. */
static int collect_rows(struct retention *retention, int which, bool *ret_end)
{
    sqlite3_stmt *statement = retention->statements[which];
    size_t rows = 0;
    int rc;
    *ret_end = false;
    sqlite3_bind_int64(statement, 1, (int64_t)retention->from);
    sqlite3_bind_int64(statement, 2, (int64_t)retention->look.indexed_upto);
    sqlite3_bind_int64(statement, 3, CHUNK);
    while (!*ret_end && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        bool damaged;
        struct message *message = sqlite_message_read(statement, &damaged);
        struct row row = {sqlite_message_id(statement), sqlite_message_expires_at_ms(statement),
                          message};
        rows++;
        *ret_end = (!message && !damaged) || !collect_row(retention, &row);
        message_unref(message);
    }
    sqlite3_reset(statement);
    *ret_end = *ret_end || rows < CHUNK;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash > y->hash ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static void finish_collecting(struct retention *retention)
{
    if (retention->entry_count)
        qsort(retention->entries, retention->entry_count, sizeof *retention->entries,
              compare_entries);
    next_step(retention, UNFILE);
}

static int collect_own(struct retention *retention)
{
    sqlite3_stmt *statement = retention->statements[OWN];
    bool end;
    sqlite3_bind_int64(statement, 4, retention->look.now_ms);
    sqlite3_bind_int64(statement, 5, retention->from_ms);
    int rc = collect_rows(retention, OWN, &end);
    if (retention->full)
        finish_collecting(retention);
    else if (end)
        next_step(retention, COLLECT_DEFAULT);
    return rc;
}

static int collect_default(struct retention *retention)
{
    size_t before = retention->id_count;
    bool end;
    int rc = collect_rows(retention, DEFAULT, &end);
    if (retention->id_count > before)
        retention->young = retention->ids[retention->id_count - 1];
    if (retention->full || (end && retention->id_count >= retention->share))
        finish_collecting(retention);
    else if (end)
        next_step(retention, COLLECT_OLDEST);
    return rc;
}

static int collect_oldest(struct retention *retention)
{
    bool end;
    int rc = collect_rows(retention, OLDEST, &end);
    if (end)
        finish_collecting(retention);
    return rc;
}

/* ---- removing ---- */

/* One topic's entries; the last loss of it is what is told. */
static int unfile(struct retention *retention)
{
    const struct entry *first = &retention->entries[retention->next];
    uint64_t reported_upto = 0;
    int rc = SQLITE_DONE;
    while (rc == SQLITE_DONE && retention->next < retention->entry_count) {
        const struct entry *entry = &retention->entries[retention->next];
        if (entry->hash != first->hash)
            break;
        rc = sqlite_file_run_for(retention->statements[UNMAIL], entry->hash, entry->id);
        if (entry->told)
            reported_upto = entry->id;
        retention->next++;
        retention->done++;
    }
    if (rc == SQLITE_DONE && reported_upto)
        rc = sqlite_file_run_for(retention->statements[TELL], first->hash, reported_upto);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int unfile_some(struct retention *retention)
{
    if (retention->next < retention->entry_count)
        return unfile(retention);
    next_step(retention, REMOVE);
    return SQLITE_OK;
}

static int remove_some(struct retention *retention, struct retention_gone *gone)
{
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < 16 && retention->next < retention->id_count; i++) {
        sqlite3_stmt *statement = retention->statements[DROP];
        sqlite3_bind_int64(statement, 1, (int64_t)retention->ids[retention->next++]);
        retention->done++;
        rc = sqlite_file_run(statement);
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        gone->messages += rc == SQLITE_OK ? (uint64_t)sqlite3_changes(retention->db) : 0;
    }
    if (rc == SQLITE_OK && retention->next == retention->id_count) {
        retention->gone_upto = max_u64(retention->gone_upto, retention->oldest);
        next_step(retention, KEYS_GO);
    }
    return rc;
}

static int remove_keys(struct retention *retention, struct retention_gone *gone)
{
    sqlite3_stmt *statement = retention->statements[KEYS];
    sqlite3_bind_int64(statement, 1, (int64_t)retention->look.keys_upto);
    sqlite3_bind_int(statement, 2, CHUNK);
    int rc = sqlite_file_run(statement);
    if (rc != SQLITE_DONE)
        return rc;
    gone->keys += (uint64_t)sqlite3_changes(retention->db);
    if (sqlite3_changes(retention->db) == CHUNK)
        return SQLITE_OK;
    /* While there is more to do, space that is free is wanted again. */
    if (retention->id_count && (retention->full || retention->share))
        return begin_round(retention);
    next_step(retention, VACUUM);
    return SQLITE_OK;
}

/* Keeps a sixteenth of the file for what comes next, and gives the rest back. */
static int vacuum(struct retention *retention)
{
    char sql[64];
    int rc = measure(retention);
    if (rc != SQLITE_OK)
        return rc;
    if (retention->free_pages <= retention->pages / 16 + 4 * VACUUM_CHUNK) {
        next_step(retention, IDLE);
        return SQLITE_OK;
    }
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", VACUUM_CHUNK);
    return sqlite3_exec(retention->db, sql, NULL, NULL, NULL);
}

static int take_step(struct retention *retention, struct retention_gone *gone)
{
    switch (retention->step) {
    case COLLECT_OWN:
        return collect_own(retention);
    case COLLECT_DEFAULT:
        return collect_default(retention);
    case COLLECT_OLDEST:
        return collect_oldest(retention);
    case UNFILE:
        return unfile_some(retention);
    case REMOVE:
        return remove_some(retention, gone);
    case KEYS_GO:
        return remove_keys(retention, gone);
    case VACUUM:
        return vacuum(retention);
    case IDLE:
        break;
    }
    return SQLITE_OK;
}

int retention_slice(struct retention *retention, int64_t until_us, size_t least,
                    struct retention_gone *gone)
{
    int rc = SQLITE_OK;
    retention->done = 0;
    while (rc == SQLITE_OK && retention->step != IDLE &&
           (retention->done < least || clock_mono_us() < until_us))
        rc = take_step(retention, gone);
    return rc;
}
