/* POST /users/query: who of many is there, in one answer. */
#include <jansson.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/history.h"
#include "api/users.h"
#include "base/buf.h"
#include "engine/broker.h"
#include "engine/presence.h"
#include "engine/reactor.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/route.h"
#include "model/identity.h"
#include "model/topic.h"

#define JSON_TYPE "application/json"

static void out_of_memory(struct request *request)
{
    request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
}

static void write_presence(struct buf *body, const struct topic *user,
                           const struct presence *presence)
{
    buf_add_text(body, "{\"user\":");
    buf_add_json(body, user->name, user->length);
    buf_add_format(body, ",\"online\":%s,\"sessions\":%u", presence->online ? "true" : "false",
                   presence->sessions);
    users_add_last_seen(body, presence->online, presence->last_seen_ms);
    buf_add_text(body, "}");
}

/* One query: the names live in the body. */
struct query {
    struct inquiry inquiry;
    struct request *request;
    json_t *body;
    struct topic *topics;
    struct presence *presence;
};

static void query_destroy(struct query *query)
{
    json_decref(query->body);
    free(query->topics);
    free(query->presence);
    free(query);
}

static void answer_query(struct query *query)
{
    struct buf body;
    buf_init(&body);
    buf_add_text(&body, "{\"users\":[");
    for (size_t i = 0; i < query->inquiry.count; i++) {
        buf_add_text(&body, i ? "," : "");
        write_presence(&body, &query->topics[i], &query->presence[i]);
    }
    buf_add_text(&body, "]}\n");
    request_answer(query->request, 200, JSON_TYPE, &body);
}

static void on_presences(struct call *call)
{
    struct query *query = (struct query *)call;
    if (query->inquiry.call.err)
        request_problem(query->request, query->inquiry.call.err, NULL, "Try again in a moment.");
    else
        answer_query(query);
    query_destroy(query);
}

/* False: a problem was answered. */
static bool read_users(struct query *query)
{
    struct request *request = query->request;
    const json_t *users = json_object_get(query->body, "users");
    size_t count = json_array_size(users);
    if (!users) {
        request_problem(request, ERR_MISSING_FIELD, "users", "Give a list: \"users\":[\"alice\"].");
        return false;
    }
    if (!json_is_array(users) || count == 0 || count > HISTORY_MAX_LIMIT) {
        request_problem(request, ERR_BAD_FIELD, "users", "users is a list of 1 to %d user ids.",
                        HISTORY_MAX_LIMIT);
        return false;
    }
    query->topics = malloc(count * sizeof *query->topics);
    query->presence = malloc(count * sizeof *query->presence);
    if (!query->topics || !query->presence) {
        out_of_memory(request);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(users, i);
        if (!json_is_string(name) ||
            !topic_is_name(json_string_value(name), json_string_length(name))) {
            request_problem(request, ERR_BAD_FIELD, "users", "users[%zu] is no user id.", i);
            return false;
        }
        query->topics[i] =
            topic_make(TOPIC_USER, json_string_value(name), json_string_length(name));
        int err = identity_may(request_who(request), RIGHT_READ, &query->topics[i]);
        if (err) {
            request_refuse(request, (enum err)err, "a key whose prefix all these users have");
            return false;
        }
    }
    query->inquiry = (struct inquiry){
        .call = {.done = on_presences},
        .topics = query->topics,
        .count = count,
        .presence = query->presence,
    };
    return true;
}

static void users_query_serve(struct request *request)
{
    struct reactor *reactor = request_reactor(request);
    json_t *body = request_may_ask(request) ? json_body_read(request) : NULL;
    if (!body)
        return;
    struct query *query = calloc(1, sizeof *query);
    if (!query) {
        json_decref(body);
        out_of_memory(request);
        return;
    }
    query->request = request;
    query->body = body;
    if (!read_users(query)) {
        query_destroy(query);
        return;
    }
    request_await(request, &query->inquiry.call,
                  broker_inquire(reactor->broker, reactor->member, &query->inquiry));
}

static const struct route routes[] = {
    {"POST", "/users/query", users_query_serve, NULL, false, RIGHT_READ},
};

const struct route_family users_query_routes = {routes, sizeof routes / sizeof *routes};
