#include "engine/sqlite_reader.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/minmax.h"
#include "engine/call.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_message.h"
#include "model/message.h"

enum {
    BEGIN,
    END,
    ASCENDING,
    DESCENDING,
    MESSAGE,
    ADDRESS,
    SEEN,
    DEVICE,
    ACKS,
    TOMBSTONES,
    STATEMENTS
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN",
    [END] = "COMMIT",
    [ASCENDING] = ("SELECT id FROM mail WHERE address = ? AND id > ? AND id <= ?"
                   " ORDER BY id LIMIT ?"),
    [DESCENDING] = ("SELECT id FROM mail WHERE address = ? AND id > ? AND id <= ?"
                    " ORDER BY id DESC LIMIT ?"),
    [MESSAGE] = ("SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE id = ?"),
    [ADDRESS] = ("SELECT pruned_upto, erased_upto FROM address WHERE hash = ?1"
                 " UNION ALL SELECT " SQLITE_FILE_FLOOR ", 0"
                 " WHERE NOT EXISTS (SELECT 1 FROM address WHERE hash = ?1)"),
    [SEEN] = "SELECT at FROM seen WHERE hash = ?",
    [DEVICE] = "SELECT cursor FROM device WHERE address = ? AND name = ?",
    [ACKS] = "SELECT name, moved_at FROM device WHERE address = ? AND cursor >= ?",
    [TOMBSTONES] = ("SELECT 1 FROM meta WHERE name = 'indexed_upto' AND value >= ?2"
                    " AND NOT EXISTS (SELECT 1 FROM mail WHERE address = ?1 AND id = ?2)"),
};

struct sqlite_reader {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t *ids; /* room for `room` */
    size_t room;
    size_t count;
};

struct sqlite_reader *sqlite_reader_open(const char *folder, struct sqlite_file_error *ret_error)
{
    struct sqlite_reader *reader = mem_alloc(sizeof *reader);
    reader->db = sqlite_file_open_to_read(folder, ret_error);
    if (reader->db && sqlite_file_prepare(reader->db, texts, STATEMENTS, reader->statements))
        return reader;
    sqlite_reader_close(reader);
    return NULL;
}

void sqlite_reader_close(struct sqlite_reader *reader)
{
    if (!reader)
        return;
    sqlite_file_finalize(reader->statements, STATEMENTS);
    sqlite_file_close(reader->db);
    free(reader->ids);
    free(reader);
}

/* One page in the making. */
struct paging {
    struct sqlite_reader *reader;
    struct read_call *read;
    struct expiry expiry;
    size_t bytes;
    uint64_t above;   /* ids go on above this one */
    uint64_t upto;    /* and end with this one */
    bool cut;         /* some topic has more than was asked of it */
    uint64_t horizon; /* up to here (descending: down to here) every topic is complete */
};

/* ---- gaps ---- */

static int read_limits(struct paging *paging, struct read_topic *from, uint64_t *ret_erased)
{
    sqlite3_stmt *statement = paging->reader->statements[ADDRESS];
    uint64_t pruned_upto = 0;
    *ret_erased = 0;
    sqlite3_bind_int64(statement, 1, (int64_t)from->topic.hash);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        pruned_upto = (uint64_t)sqlite3_column_int64(statement, 0);
        *ret_erased = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    read_tell_loss(from, pruned_upto);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : ERR_BROKER_DOWN;
}

/* The default retention has taken it, though it still lies there. */
static void tell_expired(struct paging *paging, const struct message *message)
{
    struct read_call *read = paging->read;
    for (size_t i = 0; !message->own_ttl && i < read->topic_count; i++) {
        struct read_topic *from = &read->topics[i];
        for (uint32_t a = 0; a < message->topic_count; a++) {
            if (topic_equal(&message->topics[a], &from->topic))
                read_tell_loss(from, message->id);
        }
    }
}

/* ---- ids ---- */

static bool make_room(struct sqlite_reader *reader, size_t more)
{
    if (reader->count + more <= reader->room)
        return true;
    size_t room = (reader->count + more) * 2;
    uint64_t *ids = realloc(reader->ids, room * sizeof *ids);
    if (!ids)
        return false;
    reader->ids = ids;
    reader->room = room;
    return true;
}

/* The next ids of one topic. */
static int list_ids(struct paging *paging, const struct read_topic *from, uint64_t erased,
                    size_t limit)
{
    struct sqlite_reader *reader = paging->reader;
    bool descending = paging->read->descending;
    sqlite3_stmt *statement = reader->statements[descending ? DESCENDING : ASCENDING];
    uint64_t above = max_u64(max_u64(paging->above, from->from), erased);
    size_t found = 0;
    int rc;
    if (!make_room(reader, limit))
        return ERR_OUT_OF_MEMORY;
    sqlite3_bind_int64(statement, 1, (int64_t)from->topic.hash);
    sqlite3_bind_int64(statement, 2, (int64_t)above);
    sqlite3_bind_int64(statement, 3, (int64_t)paging->upto);
    sqlite3_bind_int64(statement, 4, (int64_t)limit);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        reader->ids[reader->count++] = (uint64_t)sqlite3_column_int64(statement, 0);
        found++;
    }
    sqlite3_reset(statement);
    if (found == limit) {
        uint64_t last = reader->ids[reader->count - 1];
        if (!paging->cut || (descending ? last > paging->horizon : last < paging->horizon))
            paging->horizon = last;
        paging->cut = true;
    }
    return rc == SQLITE_DONE ? 0 : ERR_BROKER_DOWN;
}

static int compare_up(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int compare_down(const void *a, const void *b)
{
    return compare_up(b, a);
}

/* In the page's order, each once, and only as far as every topic is complete. */
static void arrange(struct paging *paging)
{
    struct sqlite_reader *reader = paging->reader;
    bool descending = paging->read->descending;
    size_t left = 0;
    if (paging->read->topic_count > 1)
        qsort(reader->ids, reader->count, sizeof *reader->ids,
              descending ? compare_down : compare_up);
    for (size_t i = 0; i < reader->count; i++) {
        uint64_t id = reader->ids[i];
        if (paging->cut && (descending ? id < paging->horizon : id > paging->horizon))
            break;
        if (!left || reader->ids[left - 1] != id)
            reader->ids[left++] = id;
    }
    reader->count = left;
}

/* ---- messages ---- */

/* Two names of one hash, or one that was erased: ids alone do not say. */
static bool is_asked_for(const struct read_call *read, const struct message *message)
{
    for (size_t i = 0; i < read->topic_count; i++) {
        for (uint32_t a = 0; a < message->topic_count; a++) {
            if (topic_equal(&message->topics[a], &read->topics[i].topic))
                return true;
        }
    }
    return false;
}

/* NULL and *ret_err 0: it is gone, or *ret_damaged, it cannot be read. */
static struct message *fetch(struct sqlite_reader *reader, uint64_t id, bool *ret_damaged,
                             int *ret_err)
{
    sqlite3_stmt *statement = reader->statements[MESSAGE];
    struct message *message = NULL;
    *ret_damaged = false;
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    int rc = sqlite3_step(statement);
    *ret_err = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : ERR_BROKER_DOWN;
    if (rc == SQLITE_ROW && !(message = sqlite_message_read(statement, ret_damaged)) &&
        !*ret_damaged)
        *ret_err = ERR_OUT_OF_MEMORY;
    sqlite3_reset(statement);
    return message;
}

static int add(struct paging *paging, uint64_t id)
{
    struct read_call *read = paging->read;
    bool damaged;
    int err;
    struct message *message = fetch(paging->reader, id, &damaged, &err);
    for (size_t i = 0; damaged && i < read->topic_count; i++)
        read_tell_loss(&read->topics[i], id); /* at which of them it lay is not known */
    if (!message)
        return err;
    bool expired = expiry_hides(&paging->expiry, message);
    if (expired)
        tell_expired(paging, message);
    if (expired || !is_asked_for(read, message)) {
        message_unref(message);
        return 0;
    }
    paging->bytes += message->size;
    if (read->count == read->max_count || (read->count && paging->bytes > read->max_bytes)) {
        read->more = true;
        message_unref(message);
        return 0;
    }
    read->messages[read->count++] = message;
    return 0;
}

/* One round; what it passed over may leave the page empty though there is more. */
static int fill(struct paging *paging, const uint64_t *erased)
{
    struct read_call *read = paging->read;
    struct sqlite_reader *reader = paging->reader;
    size_t wanted = read->max_count - read->count + 1;
    int err = 0;
    reader->count = 0;
    paging->cut = false;
    for (size_t i = 0; !err && i < read->topic_count; i++)
        err = list_ids(paging, &read->topics[i], erased[i], wanted);
    if (err)
        return err;
    arrange(paging);
    for (size_t i = 0; !err && !read->more && i < reader->count; i++)
        err = add(paging, reader->ids[i]);
    if (paging->cut && read->descending)
        paging->upto = paging->horizon - 1;
    else if (paging->cut)
        paging->above = paging->horizon;
    return err;
}

static int read_page(struct paging *paging)
{
    struct read_call *read = paging->read;
    uint64_t few[4], *erased = few;
    int err = 0;
    if (read->topic_count > sizeof few / sizeof *few &&
        !(erased = malloc(read->topic_count * sizeof *erased)))
        return ERR_OUT_OF_MEMORY;
    for (size_t i = 0; !err && i < read->topic_count; i++)
        err = read_limits(paging, &read->topics[i], &erased[i]);
    do {
        if (!err)
            err = fill(paging, erased);
    } while (!err && !read->more && paging->cut);
    if (erased != few)
        free(erased);
    return err;
}

int sqlite_reader_read(struct sqlite_reader *reader, struct read_call *read, uint64_t upto,
                       struct expiry expiry)
{
    struct paging paging = {
        .reader = reader,
        .read = read,
        .expiry = expiry,
        .above = read->descending ? 0 : read->after,
        .upto = read->descending && read->before <= upto ? read->before - 1 : upto,
    };
    for (size_t i = 0; i < read->count; i++)
        paging.bytes += read->messages[i]->size;
    if (sqlite_file_run(reader->statements[BEGIN]) != SQLITE_DONE)
        return ERR_BROKER_DOWN;
    int err = read_page(&paging);
    sqlite_file_run(reader->statements[END]);
    return err;
}

int sqlite_reader_device(struct sqlite_reader *reader, const struct device_call *call,
                         bool *ret_found, uint64_t *ret_cursor)
{
    sqlite3_stmt *statement = reader->statements[DEVICE];
    sqlite3_bind_int64(statement, 1, (int64_t)call->user.hash);
    sqlite3_bind_text(statement, 2, call->device, (int)call->length, SQLITE_STATIC);
    int rc = sqlite3_step(statement);
    *ret_found = rc == SQLITE_ROW;
    *ret_cursor = *ret_found ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : ERR_BROKER_DOWN;
}

static int add_acks(struct sqlite_reader *reader, struct lookup *lookup, const struct topic *user)
{
    sqlite3_stmt *statement = reader->statements[ACKS];
    int rc, err = 0;
    sqlite3_bind_int64(statement, 1, (int64_t)user->hash);
    sqlite3_bind_int64(statement, 2, (int64_t)lookup->id);
    while (!err && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        size_t length = (size_t)sqlite3_column_bytes(statement, 0);
        if (name && length <= TOPIC_NAME_MAX &&
            !lookup_add_ack(lookup, user, name, length, sqlite3_column_int64(statement, 1)))
            err = ERR_OUT_OF_MEMORY;
    }
    sqlite3_reset(statement);
    return err ? err : rc == SQLITE_DONE ? 0 : ERR_BROKER_DOWN;
}

/* The limits of its topic have taken it, though it still lies there. */
static bool is_tombstone(struct sqlite_reader *reader, const struct message *message)
{
    return message->topic_count == 1 &&
           sqlite_file_run_for(reader->statements[TOMBSTONES], (int64_t)message->topics[0].hash,
                               message->id) == SQLITE_ROW;
}

int sqlite_reader_lookup(struct sqlite_reader *reader, struct lookup *lookup, struct expiry expiry)
{
    bool damaged;
    int err;
    struct message *message = fetch(reader, lookup->id, &damaged, &err);
    if (message && (expiry_hides(&expiry, message) || is_tombstone(reader, message))) {
        message_unref(message);
        message = NULL;
    }
    lookup->message = message;
    return err;
}

int sqlite_reader_acks(struct sqlite_reader *reader, struct lookup *lookup)
{
    const struct message *message = lookup->message;
    int err = 0;
    for (uint32_t i = 0; !err && i < message->topic_count; i++) {
        if (message->topics[i].kind == TOPIC_USER)
            err = add_acks(reader, lookup, &message->topics[i]);
    }
    return err;
}

int64_t sqlite_reader_last_seen(struct sqlite_reader *reader, const struct topic *topic)
{
    sqlite3_stmt *statement = reader->statements[SEEN];
    sqlite3_bind_int64(statement, 1, (int64_t)topic->hash);
    int64_t at = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return at;
}
