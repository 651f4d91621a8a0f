#include "engine/retention.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_message.h"
#include "model/message.h"

#define MAX_ROUND        20000 /* messages of one round */
#define CHUNK            200   /* rows between two looks at the clock */
#define VACUUM_CHUNK     32    /* pages */
#define COUNT_KEYS_EVERY 60

struct entry {
    int64_t hash;
    uint64_t id;
    bool told; /* its going is a loss that receivers are told */
};

enum { OVER, OWN, DEFAULT, UNMAIL, TELL, DROP, KEYS, SURPLUS_KEY, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [OVER] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE id > ?1 AND id <= ?2"
              " ORDER BY id LIMIT ?3"),
    [OWN] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE own_ttl = 1 AND expires_at <= ?1"
             " AND id <= ?2 ORDER BY expires_at LIMIT ?3"),
    [DEFAULT] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE id > ?1 AND id <= ?2"
                 " AND own_ttl = 0 ORDER BY id LIMIT ?3"),
    [UNMAIL] = "DELETE FROM mail WHERE address = ? AND id = ?",
    [TELL] = SQLITE_FILE_TELL,
    [DROP] = "DELETE FROM message WHERE id = ?",
    [KEYS] = "DELETE FROM key WHERE id IN (SELECT id FROM key WHERE id <= ? ORDER BY id LIMIT ?)",
    [SURPLUS_KEY] = "SELECT id FROM key ORDER BY id DESC LIMIT 1 OFFSET ?",
};

/* The steps of a round, in their order. */
enum step { IDLE, COLLECT_OVER, COLLECT_OWN, COLLECT_DEFAULT, UNFILE, REMOVE, KEYS_GO, VACUUM };

struct retention {
    sqlite3 *db;
    struct retention_limits limits;
    sqlite3_stmt *statements[STATEMENTS];
    enum step step;
    int64_t now_ms;
    uint64_t upto;      /* of this round: nothing beyond is touched */
    bool over;          /* it makes room: the oldest go, whatever they are */
    uint64_t gone_upto; /* up to here all have gone for that */
    uint64_t from;      /* where collecting goes on */
    uint64_t young;     /* up to here only messages with a longer ttl of their own are left */
    uint64_t keys_upto;
    struct entry *entries;
    size_t entry_count;
    size_t entry_room;
    size_t next;
    uint64_t *ids;
    size_t id_count;
    unsigned looks;
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

/* Ids rise with time, but not evenly. So room is made in rounds of the oldest messages, until the
 * file is small enough. */
static bool is_over(const struct retention *retention)
{
    return retention_bytes(retention) > retention->limits.keep_total;
}

/* Keys that are too old, or too many. */
static int judge_keys(struct retention *retention)
{
    uint64_t surplus = 0;
    int rc = SQLITE_OK;
    sqlite3_stmt *statement = retention->statements[SURPLUS_KEY];
    /* Walks over all the keys there may be, so not each time. */
    if (retention->looks++ % COUNT_KEYS_EVERY == 0) {
        sqlite3_bind_int64(statement, 1, (int64_t)retention->limits.idempotency_entries);
        rc = first_number(statement, &surplus);
    }
    if (surplus > retention->keys_upto)
        retention->keys_upto = surplus;
    return rc;
}

int retention_look(struct retention *retention, int64_t now_ms, uint64_t indexed_upto,
                   uint64_t keys_upto)
{
    if (retention->step != IDLE)
        return SQLITE_OK;
    retention->now_ms = now_ms;
    retention->upto = indexed_upto;
    retention->keys_upto = keys_upto;
    int rc = measure(retention);
    if (rc == SQLITE_OK)
        rc = judge_keys(retention);
    if (rc != SQLITE_OK)
        return rc;
    retention->entry_count = retention->id_count = retention->next = 0;
    retention->from = 0;
    retention->over = is_over(retention);
    retention->step = retention->over ? COLLECT_OVER : COLLECT_OWN;
    return SQLITE_OK;
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

/* False: out of memory. */
static bool collect(struct retention *retention, const struct message *message)
{
    bool over = message->own_ttl && message_expired(message, retention->now_ms);
    size_t before = retention->entry_count;
    for (uint32_t i = 0; i < message->address_count; i++) {
        struct entry entry = {(int64_t)message->addresses[i].hash, message->id, !over};
        if (!add_entry(retention, &entry)) {
            retention->entry_count = before;
            return false;
        }
    }
    retention->ids[retention->id_count++] = message->id;
    return true;
}

static bool is_due(const struct retention *retention, const struct message *message)
{
    return retention->step == COLLECT_OVER || message_expired(message, retention->now_ms);
}

/* Steps through the rows of one chunk. *ret_end: this step has found all there is. */
static int collect_rows(struct retention *retention, sqlite3_stmt *statement, size_t limit,
                        bool *ret_end)
{
    size_t rows = 0;
    int rc;
    *ret_end = false;
    while (!*ret_end && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct message *message = sqlite_message_read(statement);
        bool due = message && is_due(retention, message);
        rows++;
        if (message)
            retention->from = message->id;
        /* Without memory the round is short; the next one finds the rest. */
        *ret_end = !due || !collect(retention, message) || retention->id_count == MAX_ROUND;
        message_unref(message);
    }
    sqlite3_reset(statement);
    *ret_end = *ret_end || rows < limit;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void next_step(struct retention *retention, enum step step)
{
    retention->step = step;
    retention->from = step == COLLECT_DEFAULT ? retention->young : 0;
    retention->next = 0;
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

/* For want of room a round takes a thirty-second part of what is kept, or so: a page of 4 KiB
 * holds several messages. */
static int collect_over(struct retention *retention)
{
    size_t share = (size_t)(retention->pages / 32) + 1;
    size_t limit = share < CHUNK ? share : CHUNK;
    sqlite3_stmt *statement = retention->statements[OVER];
    bool end;
    sqlite3_bind_int64(statement, 1, (int64_t)retention->from);
    sqlite3_bind_int64(statement, 2, (int64_t)retention->upto);
    sqlite3_bind_int64(statement, 3, (int64_t)limit);
    int rc = collect_rows(retention, statement, limit, &end);
    if (end || retention->id_count >= share)
        finish_collecting(retention);
    return rc;
}

/* All of a chunk at once: the index is by time, and rows stay where they are until REMOVE. */
static int collect_own(struct retention *retention)
{
    sqlite3_stmt *statement = retention->statements[OWN];
    bool end;
    sqlite3_bind_int64(statement, 1, retention->now_ms);
    sqlite3_bind_int64(statement, 2, (int64_t)retention->upto);
    sqlite3_bind_int64(statement, 3, MAX_ROUND / 20);
    int rc = collect_rows(retention, statement, MAX_ROUND / 20, &end);
    next_step(retention, COLLECT_DEFAULT);
    return rc;
}

static int collect_default(struct retention *retention)
{
    sqlite3_stmt *statement = retention->statements[DEFAULT];
    size_t before = retention->id_count;
    uint64_t from = retention->from;
    bool end;
    sqlite3_bind_int64(statement, 1, (int64_t)from);
    sqlite3_bind_int64(statement, 2, (int64_t)retention->upto);
    sqlite3_bind_int64(statement, 3, CHUNK);
    int rc = collect_rows(retention, statement, CHUNK, &end);
    if (retention->id_count > before)
        retention->young = retention->ids[retention->id_count - 1];
    if (end || retention->id_count + CHUNK > MAX_ROUND)
        finish_collecting(retention);
    return rc;
}

/* ---- removing ---- */

/* One address's entries; the last loss of it is what is told. */
static int unfile(struct retention *retention)
{
    const struct entry *first = &retention->entries[retention->next];
    uint64_t told_upto = 0;
    int rc = SQLITE_DONE;
    while (rc == SQLITE_DONE && retention->next < retention->entry_count) {
        const struct entry *entry = &retention->entries[retention->next];
        if (entry->hash != first->hash)
            break;
        rc = sqlite_file_run_for(retention->statements[UNMAIL], entry->hash, entry->id);
        if (entry->told)
            told_upto = entry->id;
        retention->next++;
    }
    if (rc == SQLITE_DONE && told_upto)
        rc = sqlite_file_run_for(retention->statements[TELL], first->hash, told_upto);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int unfile_some(struct retention *retention)
{
    if (retention->next < retention->entry_count)
        return unfile(retention);
    next_step(retention, REMOVE);
    return SQLITE_OK;
}

static int remove_some(struct retention *retention, uint64_t *pruned)
{
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < 16 && retention->next < retention->id_count; i++) {
        sqlite3_stmt *statement = retention->statements[DROP];
        sqlite3_bind_int64(statement, 1, (int64_t)retention->ids[retention->next++]);
        rc = sqlite_file_run(statement);
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        *pruned += rc == SQLITE_OK ? (uint64_t)sqlite3_changes(retention->db) : 0;
    }
    if (rc == SQLITE_OK && retention->next == retention->id_count) {
        if (retention->over && retention->id_count)
            retention->gone_upto = retention->ids[retention->id_count - 1];
        next_step(retention, KEYS_GO);
    }
    return rc;
}

static int remove_keys(struct retention *retention)
{
    sqlite3_stmt *statement = retention->statements[KEYS];
    sqlite3_bind_int64(statement, 1, (int64_t)retention->keys_upto);
    sqlite3_bind_int(statement, 2, CHUNK);
    int rc = sqlite_file_run(statement);
    if (rc == SQLITE_DONE && sqlite3_changes(retention->db) < CHUNK)
        next_step(retention, VACUUM);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
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

static int take_step(struct retention *retention, uint64_t *pruned)
{
    switch (retention->step) {
    case COLLECT_OVER:
        return collect_over(retention);
    case COLLECT_OWN:
        return collect_own(retention);
    case COLLECT_DEFAULT:
        return collect_default(retention);
    case UNFILE:
        return unfile_some(retention);
    case REMOVE:
        return remove_some(retention, pruned);
    case KEYS_GO:
        return remove_keys(retention);
    case VACUUM:
        return vacuum(retention);
    case IDLE:
        break;
    }
    return SQLITE_OK;
}

int retention_slice(struct retention *retention, int64_t until_us, uint64_t *pruned)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && retention->step != IDLE && clock_mono_us() < until_us)
        rc = take_step(retention, pruned);
    return rc;
}
