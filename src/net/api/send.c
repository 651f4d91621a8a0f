#include "net/api/send.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "model/address.h"
#include "model/idempotency.h"
#include "net/api/json_body.h"
#include "net/exchange.h"

#define MAX_RECEIVERS 1000
#define MAX_KEY       128

/* One request; lives until it is answered, for the broker may take its time. */
struct sending {
    struct publish publish;
    struct exchange *exchange;
    json_t *body; /* names are borrowed from it */
    struct buf message;
    struct idempotency_key key;
    bool many; /* it came with `receivers` */
    size_t count;
    struct address *addresses;  /* count of them */
    uint32_t *delivered;        /* likewise */
    struct address one_address; /* where there is but one */
    uint32_t one_delivered;
};

static void sending_destroy(struct sending *sending)
{
    json_decref(sending->body);
    buf_finish(&sending->message);
    if (sending->addresses != &sending->one_address) {
        free(sending->addresses);
        free(sending->delivered);
    }
    free(sending);
}

/* ---- reading the fields; each answers a problem and returns false when it cannot ---- */

static bool missing(struct exchange *exchange, const char *field, const char *detail)
{
    exchange_problem(exchange, ERR_MISSING_FIELD, field, "%s", detail);
    return false;
}

static bool wrong(struct exchange *exchange, const char *field, const char *detail)
{
    exchange_problem(exchange, ERR_BAD_FIELD, field, "%s", detail);
    return false;
}

static bool out_of_memory(struct exchange *exchange)
{
    exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    return false;
}

static bool is_name(const json_t *value)
{
    return json_is_string(value) &&
           address_is_name(json_string_value(value), json_string_length(value));
}

static bool read_sender(struct sending *sending)
{
    const json_t *sender = json_object_get(sending->body, "sender");
    if (!sender)
        return missing(sending->exchange, "sender", "Say who sends it: \"sender\":\"bob\".");
    /* `]` ends the sender in the text form, `[bob]: hi`. */
    if (!is_name(sender) || strchr(json_string_value(sender), ']'))
        return wrong(sending->exchange, "sender",
                     "sender is 1 to 128 bytes of text without control characters, / or ].");
    sending->publish.draft.sender = json_string_value(sender);
    sending->publish.draft.sender_length = json_string_length(sender);
    return true;
}

static bool has_address(const struct sending *sending, const struct address *address)
{
    for (size_t i = 0; i < sending->count; i++) {
        if (address_equal(&sending->addresses[i], address))
            return true;
    }
    return false;
}

static bool add_receiver(struct sending *sending, const json_t *name, const char *field)
{
    if (!is_name(name))
        return wrong(sending->exchange, field,
                     "A user id is 1 to 128 bytes of UTF-8 without control characters or /.");
    struct address address =
        address_make(ADDRESS_USER, json_string_value(name), json_string_length(name));
    if (!has_address(sending, &address)) /* named twice is meant once */
        sending->addresses[sending->count++] = address;
    return true;
}

static bool allocate_addresses(struct sending *sending, size_t count)
{
    if (count == 1) {
        sending->addresses = &sending->one_address;
        sending->delivered = &sending->one_delivered;
        return true;
    }
    sending->addresses = malloc(count * sizeof *sending->addresses);
    sending->delivered = calloc(count, sizeof *sending->delivered);
    return (sending->addresses && sending->delivered) || out_of_memory(sending->exchange);
}

static bool read_receivers(struct sending *sending)
{
    const json_t *one = json_object_get(sending->body, "receiver");
    const json_t *many = json_object_get(sending->body, "receivers");
    size_t count = many ? json_array_size(many) : 1;
    if (!one && !many)
        return missing(sending->exchange, "receiver", "Give exactly one of receiver, receivers.");
    if (one && many)
        return wrong(sending->exchange, "receivers", "Give exactly one of receiver, receivers.");
    if (many && (!json_is_array(many) || count == 0 || count > MAX_RECEIVERS))
        return wrong(sending->exchange, "receivers", "receivers is a list of 1 to 1000 user ids.");
    if (!allocate_addresses(sending, count))
        return false;
    sending->many = many != NULL;
    if (one)
        return add_receiver(sending, one, "receiver");
    for (size_t i = 0; i < count; i++) {
        if (!add_receiver(sending, json_array_get(many, i), "receivers"))
            return false;
    }
    return true;
}

/* The value as it was written, so that no number changes on its way; borrowed from the request
 * where it has no white space to lose. */
static bool cut_message(struct sending *sending)
{
    struct draft *draft = &sending->publish.draft;
    size_t size;
    const char *text = exchange_body(sending->exchange, &size);
    if (!json_text_member(text, size, "message", &draft->body, &draft->body_length))
        return false; /* cannot be: it has been parsed */
    if (json_text_is_compact(draft->body, draft->body_length))
        return true;
    json_text_compact(&sending->message, draft->body, draft->body_length);
    draft->body = sending->message.data;
    draft->body_length = sending->message.size;
    return buf_ok(&sending->message);
}

static bool read_message(struct sending *sending)
{
    const struct send_options *options = exchange_state(sending->exchange);
    const json_t *message = json_object_get(sending->body, "message");
    if (!message)
        return missing(sending->exchange, "message", "Say what to send: \"message\":\"hi\".");
    if (!cut_message(sending))
        return out_of_memory(sending->exchange);
    size_t size = sending->publish.draft.body_length;
    if (size > options->max_message) {
        exchange_problem(sending->exchange, ERR_MESSAGE_TOO_LARGE, "message",
                         "The message is %zu bytes of JSON, max_message is %zu.", size,
                         options->max_message);
        return false;
    }
    return true;
}

static bool read_ttl(struct sending *sending)
{
    const struct send_options *options = exchange_state(sending->exchange);
    const json_t *ttl = json_object_get(sending->body, "ttl");
    double seconds = json_number_value(ttl);
    struct draft *draft = &sending->publish.draft;
    draft->ttl_ms = options->ttl_ms;
    draft->own_ttl = ttl != NULL;
    if (!ttl)
        return true;
    if (!json_is_number(ttl) || seconds < 0 || seconds * 1000 > (double)options->ttl_max_ms ||
        seconds != (double)(int64_t)seconds) {
        exchange_problem(sending->exchange, ERR_BAD_FIELD, "ttl",
                         "ttl is a whole number of seconds from 0 to %lld.",
                         (long long)(options->ttl_max_ms / 1000));
        return false;
    }
    draft->ttl_ms = (int64_t)seconds * 1000;
    return true;
}

/* Header or field; the header may carry the quotes of a structured string. */
static bool find_key(struct sending *sending, const char **ret_key, size_t *ret_length)
{
    const json_t *field = json_object_get(sending->body, "key");
    const char *header = exchange_header(sending->exchange, "Idempotency-Key");
    size_t length = header ? strlen(header) : 0;
    if (length >= 2 && header[0] == '"' && header[length - 1] == '"') {
        header++;
        length -= 2;
    }
    *ret_key = json_is_string(field) ? json_string_value(field) : header;
    *ret_length = json_is_string(field) ? json_string_length(field) : length;
    if ((field && !json_is_string(field)) ||
        (*ret_key && (*ret_length == 0 || *ret_length > MAX_KEY)))
        return wrong(sending->exchange, "key", "key is a text of 1 to 128 bytes.");
    if (field && header && (length != *ret_length || memcmp(header, *ret_key, length) != 0))
        return wrong(sending->exchange, "key", "key and Idempotency-Key differ.");
    return true;
}

/* The publisher is whom the sender's name says, as long as there are no credentials. */
static bool read_key(struct sending *sending)
{
    const char *key;
    size_t length, size;
    if (!find_key(sending, &key, &length))
        return false;
    if (!key)
        return true;
    char scoped[sizeof(uint64_t) + MAX_KEY];
    const struct draft *draft = &sending->publish.draft;
    sending->key.scope = hash_bytes(draft->sender, draft->sender_length);
    memcpy(scoped, &sending->key.scope, sizeof(uint64_t));
    memcpy(scoped + sizeof(uint64_t), key, length);
    sending->key.hash = hash_bytes(scoped, sizeof(uint64_t) + length);
    const char *body = exchange_body(sending->exchange, &size);
    sending->publish.key = &sending->key;
    return digest_sha256(body, size, sending->key.body) || out_of_memory(sending->exchange);
}

/* ---- answering ---- */

static void write_receivers(struct buf *buf, const struct sending *sending)
{
    buf_add_text(buf, ",\"receivers\":[");
    for (size_t i = 0; i < sending->count; i++) {
        buf_add_text(buf, i ? ",{\"receiver\":" : "{\"receiver\":");
        buf_add_json(buf, sending->addresses[i].name, sending->addresses[i].length);
        buf_add_text(buf, ",\"delivered\":");
        buf_add_number(buf, sending->delivered[i]);
        buf_add_text(buf, "}");
    }
    buf_add_text(buf, "]");
}

/* A misspelt field is easily overlooked, so the answer names what was not understood. */
static void write_ignored(struct buf *buf, const struct sending *sending)
{
    static const char *const known[] = {"sender", "receiver", "receivers", "message", "ttl", "key"};
    bool any = false;
    const char *name;
    json_t *value;
    json_object_foreach(sending->body, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (is_known)
            continue;
        buf_add_text(buf, any ? "," : ",\"ignored\":[");
        buf_add_json(buf, name, strlen(name));
        any = true;
    }
    buf_add_text(buf, any ? "]" : "");
}

static void write_answer(struct buf *buf, const struct sending *sending)
{
    const struct publish *publish = &sending->publish;
    char id[TEXT_ID_SIZE];
    uint64_t delivered = 0;
    text_format_id(publish->id, id);
    buf_add_text(buf, "{\"status\":\"Message sent\",\"id\":\"");
    buf_add(buf, id, TEXT_ID_SIZE - 1);
    if (!publish->duplicate) {
        for (size_t i = 0; i < sending->count; i++)
            delivered += sending->delivered[i];
        buf_add_text(buf, "\",\"delivered\":");
        buf_add_number(buf, delivered);
    } else {
        buf_add_text(buf, "\",\"duplicate\":true");
    }
    buf_add_text(buf, publish->kept ? ",\"kept\":true" : ",\"kept\":false");
    buf_add_text(buf, publish->durable ? ",\"durable\":true" : ",\"durable\":false");
    if (sending->many && !publish->duplicate)
        write_receivers(buf, sending);
    write_ignored(buf, sending);
    buf_add_text(buf, "}\n");
}

static void refuse(struct exchange *exchange, enum err err)
{
    switch (err) {
    case ERR_KEY_CONFLICT:
        exchange_problem(exchange, err, "key", "Use a new key for a new message.");
        break;
    case ERR_NO_ROOM:
        exchange_problem(exchange, err, NULL, "Send it with \"ttl\":0, or raise keep_total.");
        break;
    default:
        exchange_problem(exchange, err, NULL, "Try again in a moment, with the same key.");
    }
}

static void finish(struct sending *sending)
{
    struct exchange *exchange = sending->exchange;
    struct metrics *metrics = &exchange_worker(exchange)->metrics;
    if (sending->publish.err) {
        refuse(exchange, sending->publish.err);
    } else {
        struct buf body;
        buf_init(&body);
        write_answer(&body, sending);
        if (!sending->publish.duplicate)
            metrics_add(&metrics->published_message, 1);
        metrics_observe(&metrics->publish_seconds, clock_mono_us() - exchange_began_us(exchange));
        exchange_answer(exchange, 200, "application/json", &body);
    }
    sending_destroy(sending);
}

static void on_published(struct call *call)
{
    finish((struct sending *)call);
}

void send_message_serve(struct exchange *exchange)
{
    json_t *body = json_body_read_around(exchange, "message");
    if (!body)
        return;
    struct sending *sending = calloc(1, sizeof *sending);
    if (!sending) {
        json_decref(body);
        out_of_memory(exchange);
        return;
    }
    sending->exchange = exchange;
    sending->body = body;
    buf_init(&sending->message);
    if (!read_sender(sending) || !read_receivers(sending) || !read_message(sending) ||
        !read_ttl(sending) || !read_key(sending)) {
        sending_destroy(sending);
        return;
    }
    struct publish *publish = &sending->publish;
    struct worker *worker = exchange_worker(exchange);
    publish->call.done = on_published;
    publish->delivered = sending->delivered;
    publish->draft.kind = MESSAGE_NOTIFICATION;
    publish->draft.addresses = sending->addresses;
    publish->draft.address_count = sending->count;
    int err = broker_publish(worker->broker, worker->member, publish);
    if (err == BROKER_PENDING) {
        exchange_wait(exchange);
        return;
    }
    publish->err = (enum err)err;
    finish(sending);
}
