#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "http/route.h"
#include "http/target.h"
#include "model/identity.h"
#include "model/message.h"
#include "session/subscribe_request.h"

struct looking {
    struct lookup lookup; /* first: on_found finds the rest */
    struct request *request;
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

static bool may_read(const struct request *request, const struct topic *topic)
{
    return !identity_may(request_who(request), RIGHT_READ, topic);
}

/* Is it at a topic that these credentials reach? */
static bool is_in_reach(const struct request *request, const struct message *message)
{
    for (uint32_t i = 0; message && i < message->topic_count; i++) {
        if (may_read(request, &message->topics[i]))
            return true;
    }
    return false;
}

static void answer_found(struct request *request, const struct lookup *lookup)
{
    char id[TEXT_ID_SIZE];
    struct buf body;
    buf_init(&body);
    text_format_id(lookup->id, id);
    buf_add_format(&body, "{\"id\":\"%s\",\"kept\":true,\"durable\":%s,\"acks\":[", id,
                   lookup->durable ? "true" : "false");
    const char *comma = "";
    for (size_t i = 0; i < lookup->ack_count; i++) {
        if (!may_read(request, lookup->acks[i].user))
            continue;
        buf_add_text(&body, comma);
        write_ack(&body, &lookup->acks[i]);
        comma = ",";
    }
    buf_add_text(&body, "]}\n");
    request_answer(request, 200, "application/json", &body);
}

static void on_found(struct call *call)
{
    struct looking *looking = (struct looking *)call;
    const struct lookup *lookup = &looking->lookup;
    if (lookup->call.err)
        request_problem(looking->request, lookup->call.err, NULL, "Try again in a moment.");
    else if (!is_in_reach(looking->request, lookup->message)) /* nor do others hear whether it is */
        request_problem(looking->request, ERR_NOT_FOUND, "id", "No message with this id is kept.");
    else
        answer_found(looking->request, lookup);
    lookup_finish(&looking->lookup);
    free(looking);
}

static void messages_describe_serve(struct request *request)
{
    struct reactor *reactor = request_reactor(request);
    uint64_t id;
    size_t length;
    if (!request_may_ask(request))
        return;
    if (!subscribe_request_parse_cursor(target_id(request_target(request), &length), &id)) {
        request_problem(request, ERR_BAD_ID, NULL, "A message's id is a number.");
        return;
    }
    struct looking *looking = calloc(1, sizeof *looking);
    if (!looking) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    looking->request = request;
    looking->lookup.id = id;
    looking->lookup.call.done = on_found;
    request_await(request, &looking->lookup.call,
                  broker_lookup(reactor->broker, reactor->member, &looking->lookup));
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"GET", "/messages/:id", messages_describe_serve, NULL, false, RIGHT_READ_MESSAGE},
};

const struct route_family messages_routes = {routes, sizeof routes / sizeof *routes};
