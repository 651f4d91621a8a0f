#include "engine/sqlite_loader.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/mail_index.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_message.h"
#include "model/idempotency.h"
#include "model/message.h"
#include "model/topic.h"

/* Which topics were erased after the index was last complete. */
struct erased {
    int64_t hash;
    uint64_t upto;
};

static int load_erased(sqlite3 *db, uint64_t above, struct erased **ret_list, size_t *ret_count)
{
    sqlite3_stmt *statement;
    size_t room = 0;
    int rc = sqlite3_prepare_v2(
        db, "SELECT hash, erased_upto FROM address WHERE erased_upto > ? ORDER BY hash", -1,
        &statement, NULL);
    *ret_list = NULL;
    *ret_count = 0;
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_int64(statement, 1, (int64_t)above);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        if (*ret_count == room) {
            room = room ? room * 2 : 64;
            struct erased *list = realloc(*ret_list, room * sizeof *list);
            if (!list) {
                sqlite3_finalize(statement);
                return SQLITE_NOMEM;
            }
            *ret_list = list;
        }
        (*ret_list)[(*ret_count)++] = (struct erased){sqlite3_column_int64(statement, 0),
                                                      (uint64_t)sqlite3_column_int64(statement, 1)};
    }
    return sqlite3_finalize(statement);
}

static int compare_erased(const void *a, const void *b)
{
    const struct erased *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static const struct erased *find_erased(const struct erased *list, size_t count,
                                        const struct message *message, uint32_t i)
{
    struct erased key = {(int64_t)message->topics[i].hash, 0};
    const struct erased *found =
        count ? bsearch(&key, list, count, sizeof *list, compare_erased) : NULL;
    return found && found->upto >= message->id ? found : NULL;
}

int sqlite_loader_tail(sqlite3 *db, struct mail_index *index, uint64_t above,
                       bool (*take)(void *context, struct message *message),
                       void (*erased)(void *context, const struct topic *topic, uint64_t upto),
                       void *context)
{
    struct erased *list;
    size_t count;
    sqlite3_stmt *statement;
    int rc = load_erased(db, above, &list, &count);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(
            db, "SELECT " SQLITE_MESSAGE_COLUMNS " FROM message WHERE id > ? ORDER BY id", -1,
            &statement, NULL);
    if (rc != SQLITE_OK) {
        free(list);
        return rc;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)above);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        bool damaged;
        struct message *message = sqlite_message_read(statement, &damaged);
        if (damaged)
            continue;
        if (!message || !take(context, message) || !mail_index_note(index, message)) {
            message_unref(message);
            rc = SQLITE_NOMEM;
            break;
        }
        for (uint32_t i = 0; i < message->topic_count; i++) {
            const struct erased *found = find_erased(list, count, message, i);
            if (!found)
                continue;
            mail_index_unnote(index, message, i);
            erased(context, &message->topics[i], found->upto);
        }
        message_unref(message);
    }
    sqlite3_finalize(statement);
    free(list);
    return rc;
}

int sqlite_loader_keys(sqlite3 *db, uint64_t above, size_t count,
                       bool (*take)(void *context, const struct idempotency_key *key, uint64_t id,
                                    bool kept),
                       void *context)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT id, scope, hash, body, kept FROM key WHERE id > ?1 AND id >"
                                " coalesce((SELECT id FROM key ORDER BY id DESC LIMIT 1 OFFSET ?2),"
                                " 0) ORDER BY id",
                                -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_int64(statement, 1, (int64_t)above);
    sqlite3_bind_int64(statement, 2, (int64_t)count);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct idempotency_key key = {
            .scope = (uint64_t)sqlite3_column_int64(statement, 1),
            .hash = (uint64_t)sqlite3_column_int64(statement, 2),
        };
        if (sqlite3_column_bytes(statement, 3) != DIGEST_SIZE)
            continue;
        memcpy(key.body, sqlite3_column_blob(statement, 3), DIGEST_SIZE);
        if (take(context, &key, (uint64_t)sqlite3_column_int64(statement, 0),
                 sqlite3_column_int(statement, 4)))
            continue;
        rc = SQLITE_NOMEM;
        break;
    }
    sqlite3_finalize(statement);
    return rc;
}

int sqlite_loader_epochs(sqlite3 *db, struct epoch **ret_epochs, size_t *ret_count)
{
    sqlite3_stmt *statement;
    int64_t count = 0;
    int rc = sqlite_file_number(db, "SELECT count(*) FROM life", &count);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "SELECT last, first FROM life ORDER BY first", -1, &statement,
                                NULL);
    *ret_epochs = NULL;
    *ret_count = 0;
    if (rc != SQLITE_OK)
        return rc;
    *ret_epochs = mem_alloc((size_t)(count + 1) * sizeof **ret_epochs);
    while (*ret_count < (size_t)count && sqlite3_step(statement) == SQLITE_ROW) {
        struct epoch *epoch = &(*ret_epochs)[(*ret_count)++];
        epoch->last = (uint64_t)sqlite3_column_int64(statement, 0);
        epoch->first = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    return sqlite3_finalize(statement);
}
