#include "session/publish_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/hash.h"
#include "base/text.h"
#include "model/identity.h"
#include "model/topic.h"
#include "session/publish_content.h"

#define MAX_RECEIVERS 1000
#define MAX_KEY       128

/* One reading: what every step needs. Each step sets the problem and returns false when it cannot.
 */
struct reading {
    struct publish_request *publish_request;
    const struct publish_source *source;
    const struct publish_options *options;
    struct publish_problem *problem;
};

static bool missing(struct reading *reading, const char *field, const char *detail)
{
    return publish_missing(reading->problem, field, detail);
}

static bool wrong(struct reading *reading, const char *field, const char *detail)
{
    return publish_wrong(reading->problem, field, detail);
}

static bool out_of_memory(struct reading *reading)
{
    return publish_out_of_memory(reading->problem);
}

static const json_t *field_of(const struct reading *reading, const char *name)
{
    return json_object_get(reading->publish_request->body, name);
}

static bool is_name(const json_t *value)
{
    return json_is_string(value) &&
           topic_is_name(json_string_value(value), json_string_length(value));
}

/* The one that key or token fixes; the object may repeat it. */
static bool use_fixed_sender(struct reading *reading, const char *fixed, const json_t *sender)
{
    struct draft *draft = &reading->publish_request->publish.draft;
    draft->sender = fixed;
    draft->sender_length = strlen(fixed);
    if (sender && (!json_is_string(sender) || strcmp(json_string_value(sender), fixed) != 0))
        return publish_refuse(reading->problem, ERR_FORBIDDEN, "sender",
                              "These credentials send as %s only.", fixed);
    return !strchr(fixed, ']') || wrong(reading, "sender", "A user whose id has a ] cannot send.");
}

static bool read_sender(struct reading *reading)
{
    struct draft *draft = &reading->publish_request->publish.draft;
    const json_t *sender = field_of(reading, "sender");
    const char *fixed = identity_sender(reading->source->who);
    if (!reading->source->sender && fixed)
        return use_fixed_sender(reading, fixed, sender);
    if (reading->source->sender) {
        draft->sender = reading->source->sender;
        draft->sender_length = reading->source->sender_length;
        return !memchr(draft->sender, ']', draft->sender_length) ||
               wrong(reading, "sender", "A user whose id has a ] cannot send.");
    }
    if (!sender)
        return missing(reading, "sender", "Say who sends it: \"sender\":\"bob\".");
    /* `]` ends the sender in the text form, `[bob]: hi`. */
    if (!is_name(sender) || strchr(json_string_value(sender), ']'))
        return wrong(reading, "sender",
                     "sender is 1 to 128 bytes of text without control characters, / or ].");
    draft->sender = json_string_value(sender);
    draft->sender_length = json_string_length(sender);
    return true;
}

/* ---- where it goes ---- */

static bool has_topic(const struct publish_request *publish_request, const struct topic *topic)
{
    for (size_t i = 0; i < publish_request->count; i++) {
        if (topic_equal(&publish_request->topics[i], topic))
            return true;
    }
    return false;
}

static bool add_topic(struct reading *reading, enum topic_kind kind, const json_t *name,
                      const char *field)
{
    struct publish_request *publish_request = reading->publish_request;
    if (!is_name(name))
        return publish_refuse(reading->problem, ERR_BAD_FIELD, field,
                              "%s is 1 to 128 bytes of UTF-8 without control characters or /.",
                              kind == TOPIC_CHANNEL ? "A channel's name" : "A user id");
    struct topic topic = topic_make(kind, json_string_value(name), json_string_length(name));
    if (!has_topic(publish_request, &topic)) /* named twice is meant once */
        publish_request->topics[publish_request->count++] = topic;
    return true;
}

static bool allocate_topics(struct reading *reading, size_t count)
{
    struct publish_request *publish_request = reading->publish_request;
    if (count == 1) {
        publish_request->topics = &publish_request->one_topic;
        publish_request->delivered = &publish_request->one_delivered;
        return true;
    }
    publish_request->topics = malloc(count * sizeof *publish_request->topics);
    publish_request->delivered = calloc(count, sizeof *publish_request->delivered);
    return (publish_request->topics && publish_request->delivered) || out_of_memory(reading);
}

static bool read_receiver(struct reading *reading, const json_t *value)
{
    return allocate_topics(reading, 1) && add_topic(reading, TOPIC_USER, value, "receiver");
}

static bool read_receivers(struct reading *reading, const json_t *value)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count == 0 || count > MAX_RECEIVERS)
        return wrong(reading, "receivers", "receivers is a list of 1 to 1000 user ids.");
    if (!allocate_topics(reading, count))
        return false;
    reading->publish_request->many = true;
    for (size_t i = 0; i < count; i++) {
        if (!add_topic(reading, TOPIC_USER, json_array_get(value, i), "receivers"))
            return false;
    }
    return true;
}

static bool read_channel(struct reading *reading, const json_t *value)
{
    return allocate_topics(reading, 1) && add_topic(reading, TOPIC_CHANNEL, value, "channel");
}

static bool read_broadcast(struct reading *reading, const json_t *value)
{
    if (!json_is_true(value))
        return wrong(reading, "broadcast", "broadcast can only be true.");
    if (!allocate_topics(reading, 1))
        return false;
    reading->publish_request->topics[reading->publish_request->count++] =
        topic_make(TOPIC_ALL, "", 0);
    return true;
}

struct destination {
    const char *field;
    bool (*read)(struct reading *reading, const json_t *value);
    bool for_clients;
};

static const struct destination destinations[] = {
    {"receiver", read_receiver, true},
    {"receivers", read_receivers, false},
    {"channel", read_channel, true},
    {"broadcast", read_broadcast, false},
};

#define DESTINATIONS (sizeof destinations / sizeof *destinations)

static bool read_destination(struct reading *reading)
{
    bool is_client = reading->source->is_client;
    const char *choice = is_client ? "Give exactly one of receiver, channel."
                                   : "Give exactly one of receiver, receivers, channel, broadcast.";
    const struct destination *found = NULL;
    for (size_t i = 0; i < DESTINATIONS; i++) {
        const struct destination *at = &destinations[i];
        if ((is_client && !at->for_clients) || !field_of(reading, at->field))
            continue;
        if (found)
            return wrong(reading, at->field, choice);
        found = at;
    }
    return found ? found->read(reading, field_of(reading, found->field))
                 : missing(reading, "receiver", choice);
}

static bool check_right(struct reading *reading)
{
    const struct publish_request *publish_request = reading->publish_request;
    for (size_t i = 0; i < publish_request->count; i++) {
        const struct topic *topic = &publish_request->topics[i];
        int err = identity_may_send(reading->source->who, topic);
        if (err && topic->kind == TOPIC_ALL)
            return publish_refuse(reading->problem, (enum err)err, "broadcast", "This needs %s.",
                                  identity_need(RIGHT_MANAGE_ALL));
        if (err)
            return publish_refuse(reading->problem, (enum err)err,
                                  topic->kind == TOPIC_CHANNEL ? "channel" : "receiver",
                                  "These credentials do not reach %.*s.", (int)topic->length,
                                  topic->name);
    }
    return true;
}

/* ---- what it says ---- */

static bool read_content(struct reading *reading)
{
    struct publish_request *publish_request = reading->publish_request;
    return publish_content_read(publish_request->body, reading->source->text, reading->source->size,
                                reading->options->max_message, &publish_request->content,
                                &publish_request->publish.draft, reading->problem);
}

/* A session that must not get it. */
static bool read_except(struct reading *reading)
{
    const json_t *except = field_of(reading, "except");
    return !except ||
           (json_is_string(except) &&
            text_parse_hex(json_string_value(except), json_string_length(except),
                           &reading->publish_request->publish.draft.except)) ||
           wrong(reading, "except", "except is the id of a session, 16 hex digits.");
}

static bool read_ttl(struct reading *reading)
{
    const json_t *ttl = field_of(reading, "ttl");
    double seconds = json_number_value(ttl);
    int64_t max_ms = reading->options->ttl_max_ms;
    struct draft *draft = &reading->publish_request->publish.draft;
    draft->ttl_ms = reading->options->ttl_ms;
    draft->own_ttl = ttl != NULL;
    if (!ttl)
        return true;
    if (!json_is_number(ttl) || seconds < 0 || seconds * 1000 > (double)max_ms ||
        seconds != (double)(int64_t)seconds)
        return publish_refuse(reading->problem, ERR_BAD_FIELD, "ttl",
                              "ttl is a whole number of seconds from 0 to %lld.",
                              (long long)(max_ms / 1000));
    draft->ttl_ms = (int64_t)seconds * 1000;
    return true;
}

/* ---- its key ---- */

/* Header or field; the header may carry the quotes of a structured string. */
static bool find_key(struct reading *reading, const char **ret_key, size_t *ret_length)
{
    const json_t *field = field_of(reading, "key");
    const char *header = reading->source->key;
    size_t length = header ? strlen(header) : 0;
    if (length >= 2 && header[0] == '"' && header[length - 1] == '"') {
        header++;
        length -= 2;
    }
    *ret_key = json_is_string(field) ? json_string_value(field) : header;
    *ret_length = json_is_string(field) ? json_string_length(field) : length;
    if ((field && !json_is_string(field)) ||
        (*ret_key && (*ret_length == 0 || *ret_length > MAX_KEY)))
        return wrong(reading, "key", "key is a text of 1 to 128 bytes.");
    if (field && header && (length != *ret_length || memcmp(header, *ret_key, length) != 0))
        return wrong(reading, "key", "key and Idempotency-Key differ.");
    return true;
}

/* What a retry must repeat: from whom, to whom and what. Not how it was written, nor the way it
 * came: a frame has fields that a request has not. A default ttl may be another by then, and so may
 * the session that is left out: a client that tries again may have come back meanwhile. */
static bool digest_meaning(struct reading *reading)
{
    struct publish_request *publish_request = reading->publish_request;
    const struct draft *draft = &publish_request->publish.draft;
    struct buf buf;
    buf_init(&buf);
    buf_add_json(&buf, draft->sender, draft->sender_length);
    for (size_t i = 0; i < publish_request->count; i++) {
        buf_add_format(&buf, ",%d", (int)publish_request->topics[i].kind);
        buf_add_json(&buf, publish_request->topics[i].name, publish_request->topics[i].length);
    }
    if (draft->own_ttl)
        buf_add_format(&buf, ",%lld", (long long)draft->ttl_ms);
    buf_add_text(&buf, draft->kind == MESSAGE_EVENT ? "!" : "=");
    buf_add(&buf, draft->body, draft->body_length);
    bool done = buf_ok(&buf) && digest_sha256(buf.data, buf.size, publish_request->key.body);
    buf_finish(&buf);
    return done;
}

/* The publisher: the key, the user, or, without credentials, whom the sender's name says. */
static uint64_t scope_of(const struct reading *reading)
{
    const struct draft *draft = &reading->publish_request->publish.draft;
    const char *key = identity_key_id(reading->source->who);
    if (key)
        return hash_bytes(key, strlen(key) + 1); /* its NUL sets it apart from senders */
    return hash_bytes(draft->sender, draft->sender_length);
}

static bool read_key(struct reading *reading)
{
    struct publish_request *publish_request = reading->publish_request;
    const char *key;
    size_t length;
    char scoped[sizeof(uint64_t) + MAX_KEY];
    if (!find_key(reading, &key, &length))
        return false;
    if (!key)
        return true;
    publish_request->key.scope = scope_of(reading);
    memcpy(scoped, &publish_request->key.scope, sizeof(uint64_t));
    memcpy(scoped + sizeof(uint64_t), key, length);
    publish_request->key.hash = hash_bytes(scoped, sizeof(uint64_t) + length);
    publish_request->publish.key = &publish_request->key;
    return digest_meaning(reading) || out_of_memory(reading);
}

int publish_request_read(struct publish_request *ret_request, json_t *body,
                         const struct publish_source *source, const struct publish_options *options,
                         struct publish_problem *ret_problem)
{
    struct publish_request *publish_request = ret_request;
    struct reading reading = {publish_request, source, options, ret_problem};
    memset(publish_request, 0, sizeof *publish_request);
    buf_init(&publish_request->content);
    publish_request->body = body;
    if (!read_sender(&reading) || !read_destination(&reading) || !check_right(&reading) ||
        !read_content(&reading) || !read_except(&reading) || !read_ttl(&reading) ||
        !read_key(&reading))
        return (int)ret_problem->err;
    struct publish_call *publish = &publish_request->publish;
    publish->delivered = publish_request->delivered;
    publish->draft.topics = publish_request->topics;
    publish->draft.topic_count = publish_request->count;
    return 0;
}

void publish_request_finish(struct publish_request *publish_request)
{
    json_decref(publish_request->body);
    buf_finish(&publish_request->content);
    if (publish_request->topics != &publish_request->one_topic) {
        free(publish_request->topics);
        free(publish_request->delivered);
    }
}

uint64_t publish_request_delivered(const struct publish_request *publish_request)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < publish_request->count; i++)
        sum += publish_request->delivered[i];
    return sum;
}

const char *publish_request_advice(enum err err)
{
    switch (err) {
    case ERR_KEY_CONFLICT:
        return "Use a new key for a new message.";
    case ERR_NO_ROOM:
        return "Send it with \"ttl\":0, or make room: on the disk, or by keep_total in memory.";
    default:
        return "Try again in a moment, with the same key.";
    }
}
