#include "net/api/messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "model/identity.h"
#include "model/message.h"
#include "net/exchange.h"
#include "net/receiving.h"

struct looking {
    struct lookup lookup; /* first: on_found finds the rest */
    struct exchange *exchange;
};

static void write_ack(struct buf *body, const struct acknowledgement *ack)
{
    char at[CLOCK_TEXT_SIZE];
    clock_format(ack->at_ms, at);
    buf_add_text(body, "{\"user\":");
    buf_add_json(body, ack->user->name, ack->user->length);
    buf_add_text(body, ",\"device\":");
    buf_add_json(body, ack->device, strlen(ack->device));
    buf_add_format(body, ",\"at\":\"%s\"}", at);
}

static bool may_read(const struct exchange *exchange, const struct address *address)
{
    return !identity_may(exchange_who(exchange), RIGHT_READ, address);
}

/* Is it at an address that these credentials reach? */
static bool is_in_reach(const struct exchange *exchange, const struct message *message)
{
    for (uint32_t i = 0; message && i < message->address_count; i++) {
        if (may_read(exchange, &message->addresses[i]))
            return true;
    }
    return false;
}

static void answer_found(struct exchange *exchange, const struct lookup *lookup)
{
    char id[TEXT_ID_SIZE];
    struct buf body;
    buf_init(&body);
    text_format_id(lookup->id, id);
    buf_add_format(&body, "{\"id\":\"%s\",\"kept\":true,\"durable\":%s,\"acks\":[", id,
                   lookup->durable ? "true" : "false");
    const char *comma = "";
    for (size_t i = 0; i < lookup->ack_count; i++) {
        if (!may_read(exchange, lookup->acks[i].user))
            continue;
        buf_add_text(&body, comma);
        write_ack(&body, &lookup->acks[i]);
        comma = ",";
    }
    buf_add_text(&body, "]}\n");
    exchange_answer(exchange, 200, "application/json", &body);
}

static void on_found(struct call *call)
{
    struct looking *looking = (struct looking *)call;
    const struct lookup *lookup = &looking->lookup;
    if (lookup->err)
        exchange_problem(looking->exchange, lookup->err, NULL, "Try again in a moment.");
    else if (!is_in_reach(looking->exchange,
                          lookup->message)) /* nor do others hear whether it is */
        exchange_problem(looking->exchange, ERR_NOT_FOUND, "id",
                         "No message with this id is kept.");
    else
        answer_found(looking->exchange, lookup);
    broker_lookup_finish(&looking->lookup);
    free(looking);
}

void messages_describe_serve(struct exchange *exchange)
{
    struct worker *worker = exchange_worker(exchange);
    uint64_t id;
    size_t length;
    if (!exchange_may_ask(exchange))
        return;
    if (!receiving_parse_cursor(exchange_id(exchange, &length), &id)) {
        exchange_problem(exchange, ERR_BAD_ID, NULL, "A message's id is a number.");
        return;
    }
    struct looking *looking = calloc(1, sizeof *looking);
    if (!looking) {
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    looking->exchange = exchange;
    looking->lookup.id = id;
    looking->lookup.call.done = on_found;
    int err = broker_lookup(worker->broker, worker->member, &looking->lookup);
    if (err == BROKER_PENDING)
        exchange_wait(exchange);
    else
        on_found(&looking->lookup.call);
}
