#include "engine/sqlite_writer.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/minmax.h"
#include "engine/age.h"
#include "engine/devices.h"
#include "engine/remnants.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_loader.h"
#include "engine/sqlite_message.h"
#include "engine/tombstones.h"
#include "model/idempotency.h"
#include "model/message.h"
#include "model/topic.h"

#define BULK_ENTRIES    100000
#define TOMBSTONE_SHARE 8 /* of what is kept, at most one in so many is tombstones */
#define MAX_TOMBSTONES  250000
#define TRIM_EVERY      60 /* looks */
#define LOG_FRAME       (4096 + 24)
#define PACE            2 /* of what is over, at least so many go while one is added */
#define MAX_OWED        40000
#define RESTART_MS      50 /* readers end a page well within */

enum {
    BEGIN,
    COMMIT,
    ADD,
    ADD_KEY,
    SAW,
    SET,
    ERASED,
    MAIL_OF,
    UNMAIL,
    DROP,
    OPEN_DEVICE,
    TRIM_DEVICES,
    MOVE_DEVICE,
    FORGET_DEVICE,
    STATEMENTS
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ADD] = SQLITE_MESSAGE_INSERT,
    [ADD_KEY] = "INSERT INTO key(id, scope, hash, body, kept) VALUES (?,?,?,?,?)",
    [SAW] = "INSERT OR REPLACE INTO seen(hash, at) VALUES (?,?)",
    [SET] = "INSERT OR REPLACE INTO meta(name, value) VALUES (?,?)",
    [ERASED] = ("INSERT INTO address(hash, pruned_upto, erased_upto)"
                " VALUES (?1, " SQLITE_FILE_FLOOR ", ?2) ON CONFLICT(hash)"
                " DO UPDATE SET erased_upto = max(erased_upto, ?2)"),
    [MAIL_OF] = "SELECT id FROM mail WHERE address = ? ORDER BY id",
    [UNMAIL] = "DELETE FROM mail WHERE address = ?",
    [DROP] = "DELETE FROM message WHERE id = ? AND shared = 0 RETURNING expires_at > ?",
    [OPEN_DEVICE] = ("INSERT OR IGNORE INTO device(address, name, cursor, moved_at)"
                     " VALUES (?1,?2,?3,?4)"),
    [TRIM_DEVICES] = ("DELETE FROM device WHERE address = ?1 AND name IN (SELECT name FROM device"
                      " WHERE address = ?1 ORDER BY moved_at DESC, name <> ?2 LIMIT -1 OFFSET ?3)"),
    [MOVE_DEVICE] = ("UPDATE device SET cursor = ?3, moved_at = ?4 WHERE address = ?1 AND name = ?2"
                     " AND cursor < ?3"),
    [FORGET_DEVICE] = "DELETE FROM device WHERE address = ?1 AND name = ?2",
};

struct sqlite_writer {
    struct sqlite_writer_options options;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    struct tombstones *tombstones;
    struct mail_index *index;
    struct retention *retention;
    struct remnants *remnants;
    unsigned looks;
    bool in_transaction;
    uint64_t last;
    uint64_t newest; /* message, when it was opened */
    uint64_t indexed_upto;
    uint64_t next_indexed_upto; /* once this transaction is through */
    int64_t messages;
    int64_t more_messages; /* by this transaction */
    int64_t newest_ms;
    int64_t keys;
    int64_t more_keys;               /* by this transaction */
    struct retention_look last_look; /* as far as the caller says it */
    uint64_t looked_upto;
    size_t owed; /* steps of housekeeping, for what was added since the last */
    int log_pages;
    int64_t log_length; /* in bytes, as far as is known */
};

/* ---- errors ---- */

static int fail(struct sqlite_writer *writer, int rc, const char *doing)
{
    const char *why = sqlite3_errstr(rc);
    if ((rc & 0xff) == SQLITE_FULL)
        return ERR_NO_ROOM;
    if ((rc & 0xff) == SQLITE_NOMEM)
        return ERR_OUT_OF_MEMORY;
    log_error("the data folder cannot be written", LOG_TEXT("doing", doing), LOG_TEXT("why", why),
              LOG_NUMBER("code", rc), LOG_TEXT("detail", sqlite3_errmsg(writer->db)));
    return ERR_BROKER_DOWN;
}

static int judge(struct sqlite_writer *writer, int rc, const char *doing)
{
    return rc == SQLITE_OK || rc == SQLITE_DONE ? 0 : fail(writer, rc, doing);
}

/* ---- opening ---- */

static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_writer *writer = context;
    (void)db;
    (void)name;
    writer->log_pages = pages;
    return SQLITE_OK;
}

static int read_state(struct sqlite_writer *writer)
{
    int64_t keyed = 0, given = 0, indexed = 0, newest = 0, tail = 0;
    char sql[96];
    int rc = sqlite_file_get(writer->db, "last", &given);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(writer->db, "SELECT max(id) FROM key", &keyed);
    if (rc == SQLITE_OK)
        rc = sqlite_file_get(writer->db, "indexed_upto", &indexed);
    if (rc == SQLITE_OK)
        rc = sqlite_file_get(writer->db, "messages", &writer->messages);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(writer->db, "SELECT max(id) FROM message", &newest);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(writer->db, "SELECT sent_at FROM message ORDER BY id DESC LIMIT 1",
                                &writer->newest_ms);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(writer->db, "SELECT count(*) FROM key", &writer->keys);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM message WHERE id > %lld", (long long)indexed);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(writer->db, sql, &tail);
    writer->newest = (uint64_t)newest;
    writer->last = max_u64(max_u64((uint64_t)given, (uint64_t)newest), (uint64_t)keyed);
    writer->indexed_upto = (uint64_t)indexed;
    writer->messages += tail; /* the number was noted together with indexed_upto */
    return rc;
}

struct sqlite_writer *sqlite_writer_open(const struct sqlite_writer_options *options,
                                         struct sqlite_file_error *ret_error)
{
    struct sqlite_writer *writer = mem_alloc(sizeof *writer);
    struct remnants_limits remnants = remnants_limits_of(options->retention.keep_total);
    writer->options = *options;
    writer->db = sqlite_file_open(options->folder, options->full_sync, ret_error);
    if (!writer->db) {
        free(writer);
        return NULL;
    }
    if (sqlite_file_prepare(writer->db, texts, STATEMENTS, writer->statements) &&
        (writer->tombstones = tombstones_create(writer->db)) &&
        (writer->index = mail_index_create(writer->db, &options->index, writer->tombstones)) &&
        (writer->retention = retention_create(writer->db, &options->retention)) &&
        (writer->remnants = remnants_create(writer->db, &remnants)) &&
        read_state(writer) == SQLITE_OK) {
        sqlite3_wal_hook(writer->db, on_commit, writer);
        return writer;
    }
    snprintf(ret_error->text, sizeof ret_error->text, "%s/%s: %s; `pushwire check-data` says more",
             options->folder, SQLITE_FILE_NAME, sqlite3_errmsg(writer->db));
    sqlite_writer_close(writer);
    return NULL;
}

void sqlite_writer_close(struct sqlite_writer *writer)
{
    if (!writer)
        return;
    mail_index_destroy(writer->index);
    tombstones_destroy(writer->tombstones);
    retention_destroy(writer->retention);
    remnants_destroy(writer->remnants);
    sqlite_file_finalize(writer->statements, STATEMENTS);
    sqlite_file_close(writer->db);
    free(writer);
}

bool sqlite_writer_use_hash_key(struct sqlite_writer *writer, bool adopt)
{
    static const char *const names[] = {"hash_key_0", "hash_key_1"};
    uint64_t ours[2], theirs[2];
    hash_get_key(ours);
    for (int i = 0; i < 2; i++) {
        if (sqlite_file_get(writer->db, names[i], (int64_t *)&theirs[i]) != SQLITE_OK)
            return false;
    }
    if (!theirs[0] && !theirs[1])
        return sqlite_file_set(writer->db, names[0], (int64_t)ours[0]) == SQLITE_OK &&
               sqlite_file_set(writer->db, names[1], (int64_t)ours[1]) == SQLITE_OK;
    bool same = ours[0] == theirs[0] && ours[1] == theirs[1];
    if (!same && adopt)
        hash_set_key(theirs);
    return same || adopt;
}

uint64_t sqlite_writer_last(const struct sqlite_writer *writer)
{
    return writer->last;
}

uint64_t sqlite_writer_indexed_upto(const struct sqlite_writer *writer)
{
    return writer->indexed_upto;
}

uint64_t sqlite_writer_messages(const struct sqlite_writer *writer)
{
    return (uint64_t)writer->messages;
}

uint64_t sqlite_writer_bytes(const struct sqlite_writer *writer)
{
    return retention_bytes(writer->retention);
}

int64_t sqlite_writer_newest_ms(const struct sqlite_writer *writer)
{
    return writer->newest_ms;
}

int sqlite_writer_get_age(struct sqlite_writer *writer, struct age *ret_age)
{
    int64_t doubted = 0;
    int rc = sqlite_file_get(writer->db, "age", &ret_age->last_ms);
    if (rc == SQLITE_OK)
        rc = sqlite_file_get(writer->db, "age_lag", &ret_age->lag_ms);
    if (rc == SQLITE_OK)
        rc = sqlite_file_get(writer->db, "age_doubted", &doubted);
    ret_age->doubted = doubted != 0;
    return judge(writer, rc, "load age");
}

/* ---- loading ---- */

int sqlite_writer_load_tail(struct sqlite_writer *writer,
                            bool (*take)(void *context, struct message *message),
                            void (*erased)(void *context, const struct topic *topic, uint64_t upto),
                            void *context)
{
    return judge(
        writer,
        sqlite_loader_tail(writer->db, writer->index, writer->indexed_upto, take, erased, context),
        "load");
}

int sqlite_writer_load_keys(struct sqlite_writer *writer, uint64_t above, size_t count,
                            bool (*take)(void *context, const struct idempotency_key *key,
                                         uint64_t id, bool kept),
                            void *context)
{
    return judge(writer, sqlite_loader_keys(writer->db, above, count, take, context), "load keys");
}

int sqlite_writer_load_epochs(struct sqlite_writer *writer, struct epoch **ret_epochs,
                              size_t *ret_count)
{
    return judge(writer, sqlite_loader_epochs(writer->db, ret_epochs, ret_count), "load epochs");
}

/* ---- after a failure ---- */

int sqlite_writer_leave_log(struct sqlite_writer *writer)
{
    return judge(
        writer, sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
        "copy the log");
}

int sqlite_writer_take_back(struct sqlite_writer *writer, uint64_t upto)
{
    char sql[128];
    if (writer->newest <= upto)
        return 0;
    snprintf(
        sql, sizeof sql,
        "BEGIN IMMEDIATE; DELETE FROM key WHERE id > %lld; DELETE FROM message WHERE id > %lld;",
        (long long)upto, (long long)upto);
    int rc = sqlite3_exec(writer->db, sql, NULL, NULL, NULL);
    int64_t removed = sqlite3_changes(writer->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(writer->db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite_file_number(writer->db, "SELECT count(*) FROM key", &writer->keys);
    if (rc == SQLITE_OK)
        writer->messages -= removed;
    return judge(writer, rc, "take back");
}

/* ---- writing ---- */

static int run(struct sqlite_writer *writer, int statement, const char *doing)
{
    return judge(writer, sqlite_file_run(writer->statements[statement]), doing);
}

bool sqlite_writer_in_transaction(const struct sqlite_writer *writer)
{
    return writer->in_transaction;
}

int sqlite_writer_begin(struct sqlite_writer *writer)
{
    if (writer->in_transaction)
        return 0;
    int err = run(writer, BEGIN, "begin");
    writer->in_transaction = err == 0;
    writer->more_messages = writer->more_keys = 0;
    writer->next_indexed_upto = 0;
    return err;
}

static int set(struct sqlite_writer *writer, const char *name, uint64_t value)
{
    sqlite3_stmt *statement = writer->statements[SET];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)value);
    return run(writer, SET, "note");
}

int sqlite_writer_commit(struct sqlite_writer *writer)
{
    assert(writer->in_transaction);
    if (writer->options.full_sync)
        sqlite_file_lengthen_log(writer->db, (int64_t)writer->log_pages * LOG_FRAME,
                                 &writer->log_length);
    int err = run(writer, COMMIT, "commit");
    writer->in_transaction = err != 0;
    if (err)
        return err;
    writer->messages += writer->more_messages;
    writer->keys += writer->more_keys;
    if (writer->next_indexed_upto)
        writer->indexed_upto = writer->next_indexed_upto;
    return 0;
}

int sqlite_writer_add(struct sqlite_writer *writer, const struct message *message)
{
    sqlite3_stmt *statement = writer->statements[ADD];
    if (!sqlite_message_bind(statement, message))
        return ERR_OUT_OF_MEMORY;
    writer->more_messages++;
    writer->owed += PACE * (2 + (size_t)message->topic_count);
    return run(writer, ADD, "add");
}

int sqlite_writer_add_key(struct sqlite_writer *writer, uint64_t id,
                          const struct idempotency_key *key, bool kept)
{
    sqlite3_stmt *statement = writer->statements[ADD_KEY];
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int64(statement, 2, (int64_t)key->scope);
    sqlite3_bind_int64(statement, 3, (int64_t)key->hash);
    sqlite3_bind_blob(statement, 4, key->body, DIGEST_SIZE, SQLITE_STATIC);
    sqlite3_bind_int(statement, 5, kept);
    writer->more_keys++;
    return run(writer, ADD_KEY, "add key");
}

int sqlite_writer_add_epoch(struct sqlite_writer *writer, const struct epoch *epoch)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(writer->db, "INSERT OR REPLACE INTO life(first, last) VALUES (?,?)",
                                -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return fail(writer, rc, "add epoch");
    sqlite3_bind_int64(statement, 1, (int64_t)epoch->first);
    sqlite3_bind_int64(statement, 2, (int64_t)epoch->last);
    sqlite3_step(statement);
    return judge(writer, sqlite3_finalize(statement), "add epoch");
}

int sqlite_writer_lower_devices(struct sqlite_writer *writer, uint64_t head)
{
    char sql[120];
    snprintf(sql, sizeof sql, "UPDATE device SET cursor = %lld WHERE cursor > %lld OR cursor < 0",
             (long long)head, (long long)head);
    return judge(writer, sqlite3_exec(writer->db, sql, NULL, NULL, NULL), "lower devices");
}

int sqlite_writer_set_age(struct sqlite_writer *writer, const struct age *age)
{
    int err = set(writer, "age", (uint64_t)age->last_ms);
    if (!err)
        err = set(writer, "age_lag", (uint64_t)age->lag_ms);
    return err ? err : set(writer, "age_doubted", age->doubted);
}

int sqlite_writer_note_last_seen(struct sqlite_writer *writer, uint64_t hash, int64_t at_ms)
{
    sqlite3_stmt *statement = writer->statements[SAW];
    sqlite3_bind_int64(statement, 1, (int64_t)hash);
    sqlite3_bind_int64(statement, 2, at_ms);
    return run(writer, SAW, "note who left");
}

static sqlite3_stmt *bind_device(struct sqlite_writer *writer, int which,
                                 const struct device *device)
{
    sqlite3_stmt *statement = writer->statements[which];
    sqlite3_bind_int64(statement, 1, (int64_t)device->user);
    sqlite3_bind_text(statement, 2, device->name, (int)device->length, SQLITE_STATIC);
    return statement;
}

int sqlite_writer_open_device(struct sqlite_writer *writer, const struct device *device,
                              size_t per_user)
{
    sqlite3_stmt *statement = bind_device(writer, OPEN_DEVICE, device);
    sqlite3_bind_int64(statement, 3, (int64_t)device->cursor);
    sqlite3_bind_int64(statement, 4, device->moved_at_ms);
    int err = run(writer, OPEN_DEVICE, "open a device");
    if (err)
        return err;
    sqlite3_bind_int64(bind_device(writer, TRIM_DEVICES, device), 3, (int64_t)per_user);
    return run(writer, TRIM_DEVICES, "open a device");
}

int sqlite_writer_move_device(struct sqlite_writer *writer, const struct device *device)
{
    sqlite3_stmt *statement = bind_device(writer, MOVE_DEVICE, device);
    sqlite3_bind_int64(statement, 3, (int64_t)device->cursor);
    sqlite3_bind_int64(statement, 4, device->moved_at_ms);
    return run(writer, MOVE_DEVICE, "move a device");
}

int sqlite_writer_forget_device(struct sqlite_writer *writer, const struct device *device,
                                bool *ret_found)
{
    bind_device(writer, FORGET_DEVICE, device);
    int err = run(writer, FORGET_DEVICE, "forget a device");
    *ret_found = !err && sqlite3_changes(writer->db);
    return err;
}

int sqlite_writer_reserve(struct sqlite_writer *writer, uint64_t last)
{
    return set(writer, "last", last);
}

/* The number of messages belongs to those up to indexed_upto: see read_state. */
static int note_progress(struct sqlite_writer *writer, uint64_t upto)
{
    int64_t unfiled = (int64_t)mail_index_unfiled(writer->index);
    int err =
        set(writer, "messages", (uint64_t)(writer->messages + writer->more_messages - unfiled));
    if (!err && upto) {
        writer->next_indexed_upto = upto;
        err = set(writer, "indexed_upto", upto);
    }
    return err;
}

static int drop_unshared(struct sqlite_writer *writer, uint64_t id, int64_t now_ms,
                         uint64_t *erased)
{
    sqlite3_stmt *statement = writer->statements[DROP];
    int rc;
    bool dropped = false, young = false;
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int64(statement, 2, now_ms);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        dropped = true;
        young = sqlite3_column_int(statement, 0);
    }
    sqlite3_reset(statement);
    writer->more_messages -= dropped;
    if (dropped && id > max_u64(writer->indexed_upto, writer->next_indexed_upto))
        mail_index_lose(writer->index, id);
    *erased += !dropped || young; /* one that others share is erased here all the same */
    return rc;
}

/* What is in the index already. */
static int erase_filed(struct sqlite_writer *writer, const struct topic *topic, int64_t now_ms,
                       uint64_t *erased)
{
    sqlite3_stmt *mail = writer->statements[MAIL_OF];
    int rc, dropped = SQLITE_DONE;
    sqlite3_bind_int64(mail, 1, (int64_t)topic->hash);
    while ((rc = sqlite3_step(mail)) == SQLITE_ROW && dropped == SQLITE_DONE)
        dropped = drop_unshared(writer, (uint64_t)sqlite3_column_int64(mail, 0), now_ms, erased);
    sqlite3_reset(mail);
    if (dropped != SQLITE_DONE)
        return dropped;
    sqlite3_bind_int64(writer->statements[UNMAIL], 1, (int64_t)topic->hash);
    return rc == SQLITE_DONE ? sqlite_file_run(writer->statements[UNMAIL]) : rc;
}

int sqlite_writer_erase(struct sqlite_writer *writer, const struct topic *topic, uint64_t upto,
                        int64_t now_ms, uint64_t *ret_erased)
{
    sqlite3_stmt *note = writer->statements[ERASED];
    uint64_t id;
    *ret_erased = 0;
    int rc = erase_filed(writer, topic, now_ms, ret_erased);
    for (size_t at = 0; rc == SQLITE_DONE && mail_index_each(writer->index, topic->hash, &at, &id);)
        rc = drop_unshared(writer, id, now_ms, ret_erased);
    mail_index_forget(writer->index, topic->hash);
    if (rc == SQLITE_DONE) {
        sqlite3_bind_int64(note, 1, (int64_t)topic->hash);
        sqlite3_bind_int64(note, 2, (int64_t)upto);
        rc = sqlite_file_run(note);
    }
    int err = judge(writer, rc, "erase");
    return err ? err : note_progress(writer, 0);
}

bool sqlite_writer_note(struct sqlite_writer *writer, const struct message *message)
{
    return mail_index_note(writer->index, message);
}

/* ---- housekeeping ---- */

/* What the index does not have cannot go: it is a small part of all. */
static bool wants_bulk(const struct sqlite_writer *writer, bool quiet)
{
    const struct sqlite_writer_options *options = &writer->options;
    size_t noted = mail_index_noted(writer->index);
    return noted >= BULK_ENTRIES ||
           mail_index_noted_bytes(writer->index) >=
               min_u64(options->recent_bytes / 2, options->retention.keep_total / 16) ||
           (quiet && noted);
}

static bool wants_removal(const struct sqlite_writer *writer, bool quiet)
{
    size_t count = tombstones_count(writer->tombstones);
    return count && !mail_index_busy(writer->index) &&
           (quiet || count >= MAX_TOMBSTONES ||
            count >= (uint64_t)writer->messages / TOMBSTONE_SHARE ||
            retention_bytes(writer->retention) > writer->options.retention.keep_total);
}

/* The index has got further since it was looked for what is over. */
static bool wants_look(const struct sqlite_writer *writer)
{
    return writer->indexed_upto > writer->looked_upto && !retention_busy(writer->retention);
}

bool sqlite_writer_has_work(const struct sqlite_writer *writer, bool quiet)
{
    return mail_index_busy(writer->index) || retention_busy(writer->retention) ||
           tombstones_busy(writer->tombstones) || wants_removal(writer, quiet) ||
           wants_bulk(writer, quiet) || wants_look(writer);
}

static int look(struct sqlite_writer *writer)
{
    struct retention_look *look = &writer->last_look;
    look->indexed_upto = writer->looked_upto = writer->indexed_upto;
    look->messages = (uint64_t)writer->messages;
    look->tombstones = tombstones_count(writer->tombstones);
    look->keys = (uint64_t)writer->keys;
    return judge(writer, retention_look(writer->retention, look), "look for what is over");
}

int sqlite_writer_look(struct sqlite_writer *writer, int64_t now_ms, uint64_t keys_upto)
{
    writer->last_look.now_ms = now_ms;
    writer->last_look.keys_upto = keys_upto;
    int err = look(writer);
    if (!err && writer->looks++ % TRIM_EVERY == 0)
        err = judge(writer, remnants_trim(writer->remnants, writer->indexed_upto), "trim");
    return err;
}

/* Whoever is behind does as much as was added, however little time there is: the index when the
 * next bulk has gathered before this one is filed, or what stands in its way. What is not indexed
 * cannot go, so retention is no faster than the index. */
static size_t pace(const struct sqlite_writer *writer, bool behind)
{
    return behind ? min_u64(writer->owed, MAX_OWED) : 0;
}

/* Either the index or the tombstones has its turn, and only a whole bulk or all of the tombstones
 * ends it.
 */
static int file_or_remove(struct sqlite_writer *writer, int64_t until_us, int64_t now_ms,
                          uint64_t *ret_upto, uint64_t *pruned)
{
    size_t least = pace(writer, wants_bulk(writer, false));
    if (tombstones_busy(writer->tombstones))
        return tombstones_slice(writer->tombstones, until_us, least, pruned);
    return mail_index_busy(writer->index)
               ? mail_index_slice(writer->index, until_us, least, now_ms, ret_upto)
               : SQLITE_OK;
}

int sqlite_writer_work(struct sqlite_writer *writer, int64_t until_us, int64_t now_ms, bool quiet)
{
    uint64_t upto = 0;
    struct retention_gone gone = {0};
    if (wants_removal(writer, quiet))
        tombstones_begin(writer->tombstones);
    else if (!tombstones_busy(writer->tombstones) && wants_bulk(writer, quiet) &&
             !mail_index_begin(writer->index))
        return ERR_OUT_OF_MEMORY;
    int err = wants_look(writer) ? look(writer) : 0;
    if (err)
        return err;
    int rc = file_or_remove(writer, until_us, now_ms, &upto, &gone.messages);
    if (rc == SQLITE_OK)
        rc = retention_slice(writer->retention, until_us,
                             pace(writer, retention_is_behind(writer->retention)), &gone);
    writer->owed = 0;
    writer->more_messages -= (int64_t)gone.messages;
    writer->more_keys -= (int64_t)gone.keys;
    if (rc != SQLITE_OK)
        return fail(writer, rc, "index");
    return upto || gone.messages ? note_progress(writer, upto) : 0;
}

const struct mail_cut *sqlite_writer_take_cuts(struct sqlite_writer *writer, size_t *ret_count)
{
    *ret_count = 0;
    return writer->in_transaction ? NULL : mail_index_take_cuts(writer->index, ret_count);
}

uint64_t sqlite_writer_gone_upto(const struct sqlite_writer *writer)
{
    return writer->in_transaction ? 0 : retention_gone_upto(writer->retention);
}

int sqlite_writer_log_pages(const struct sqlite_writer *writer)
{
    return writer->log_pages;
}

void sqlite_writer_restart_log(struct sqlite_writer *writer)
{
    sqlite3_busy_timeout(writer->db, RESTART_MS);
    if (sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) ==
        SQLITE_OK)
        writer->log_pages = 0;
    sqlite3_busy_timeout(writer->db, SQLITE_FILE_BUSY_MS);
}
