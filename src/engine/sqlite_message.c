#include "engine/sqlite_message.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/event_body.h"
#include "model/message.h"
#include "model/topic.h"

enum { ID, KIND, SENT_AT, EXPIRES_AT, OWN_TTL, SHARED, EXEMPT, ADDRESSES, SENDER, BODY };

#define FEW_BYTES  256
#define MAX_TOPICS 1000

/* Each topic is its kind, the length of its name, and its name. */
static size_t topics_size(const struct message *message)
{
    size_t size = 0;
    for (uint32_t i = 0; i < message->topic_count; i++)
        size += 2 + message->topics[i].length;
    return size;
}

static void write_topics(const struct message *message, unsigned char *at)
{
    for (uint32_t i = 0; i < message->topic_count; i++) {
        const struct topic *topic = &message->topics[i];
        *at++ = (unsigned char)topic->kind;
        *at++ = (unsigned char)topic->length;
        memcpy(at, topic->name, topic->length);
        at += topic->length;
    }
}

static bool bind_topics(sqlite3_stmt *statement, const struct message *message)
{
    unsigned char few[FEW_BYTES];
    size_t size = topics_size(message);
    if (size <= sizeof few) {
        write_topics(message, few);
        return sqlite3_bind_blob(statement, ADDRESSES + 1, few, (int)size, SQLITE_TRANSIENT) ==
               SQLITE_OK;
    }
    unsigned char *many = malloc(size);
    if (!many)
        return false;
    write_topics(message, many);
    return sqlite3_bind_blob(statement, ADDRESSES + 1, many, (int)size, free) == SQLITE_OK;
}

bool sqlite_message_bind(sqlite3_stmt *statement, const struct message *message)
{
    sqlite3_bind_int64(statement, ID + 1, (int64_t)message->id);
    sqlite3_bind_int(statement, KIND + 1, message->kind);
    sqlite3_bind_int64(statement, SENT_AT + 1, message->sent_at_ms);
    sqlite3_bind_int64(statement, EXPIRES_AT + 1, message->expires_at_ms);
    sqlite3_bind_int(statement, OWN_TTL + 1, message->own_ttl);
    sqlite3_bind_int(statement, SHARED + 1, message->topic_count > 1);
    sqlite3_bind_int64(statement, EXEMPT + 1, (int64_t)message->except);
    sqlite3_bind_text(statement, SENDER + 1, message->sender, (int)message->sender_length,
                      SQLITE_STATIC);
    sqlite3_bind_text(statement, BODY + 1, message->body, (int)message->body_length, SQLITE_STATIC);
    return bind_topics(statement, message);
}

/* Returns how many there are; 0: damaged. */
static size_t read_topics(const unsigned char *at, size_t size, size_t most,
                          struct topic *ret_topics)
{
    const unsigned char *end = at + size;
    size_t count = 0;
    while (at < end) {
        if (count == most || end - at < 2 || at[0] >= TOPIC_GUEST || end - at < 2 + at[1] ||
            at[1] > TOPIC_NAME_MAX)
            return 0;
        ret_topics[count++] = topic_make(at[0], (const char *)at + 2, at[1]);
        at += 2 + at[1];
    }
    return count;
}

/* What later versions may know is none of ours. */
static bool is_readable(const struct draft *draft)
{
    struct event_body event;
    return (unsigned)draft->kind < MESSAGE_KINDS &&
           (draft->kind != MESSAGE_EVENT ||
            event_body_split(draft->body, draft->body_length, &event));
}

/* False: something is missing, or memory. */
static bool read_draft(sqlite3_stmt *statement, struct topic *topics, size_t most,
                       struct draft *ret_draft)
{
    const unsigned char *blob = sqlite3_column_blob(statement, ADDRESSES);
    size_t size = (size_t)sqlite3_column_bytes(statement, ADDRESSES);
    *ret_draft = (struct draft){
        .topics = topics,
        .topic_count = blob ? read_topics(blob, size, most, topics) : 0,
        .kind = (enum message_kind)sqlite3_column_int(statement, KIND),
        .sender = (const char *)sqlite3_column_text(statement, SENDER),
        .sender_length = (size_t)sqlite3_column_bytes(statement, SENDER),
        .body = (const char *)sqlite3_column_text(statement, BODY),
        .body_length = (size_t)sqlite3_column_bytes(statement, BODY),
        .own_ttl = sqlite3_column_int(statement, OWN_TTL),
        .except = (uint64_t)sqlite3_column_int64(statement, EXEMPT),
    };
    return ret_draft->topic_count && ret_draft->sender && ret_draft->body && is_readable(ret_draft);
}

/* Of a row that could not be read: not for want of memory? */
static bool is_damaged(sqlite3_stmt *statement)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (sqlite3_errcode(sqlite3_db_handle(statement)) == SQLITE_NOMEM)
        return false;
    if (!atomic_flag_test_and_set(&told))
        log_error("a message in the file cannot be read, and others may be like it: they are "
                  "passed over",
                  LOG_NUMBER("id", sqlite_message_id(statement)));
    return true;
}

struct message *sqlite_message_read(sqlite3_stmt *statement, bool *ret_damaged)
{
    struct topic one, *topics = &one;
    bool many = sqlite3_column_int(statement, SHARED);
    struct draft draft;
    struct message *message = NULL;
    *ret_damaged = false;
    if (many && !(topics = malloc(MAX_TOPICS * sizeof *topics)))
        return NULL;
    if (!read_draft(statement, topics, many ? MAX_TOPICS : 1, &draft))
        *ret_damaged = is_damaged(statement);
    else if ((message = message_create(0, 0, &draft)))
        message_number(message, sqlite_message_id(statement),
                       sqlite3_column_int64(statement, SENT_AT),
                       sqlite_message_expires_at_ms(statement));
    if (many)
        free(topics);
    return message;
}

uint64_t sqlite_message_id(sqlite3_stmt *statement)
{
    return (uint64_t)sqlite3_column_int64(statement, ID);
}

int64_t sqlite_message_expires_at_ms(sqlite3_stmt *statement)
{
    return sqlite3_column_int64(statement, EXPIRES_AT);
}
