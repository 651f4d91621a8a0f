#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/route.h"
#include "http/target.h"
#include "session/subscribe_request.h"

#define RETRY "Try again in a moment."

struct asking {
    struct device_call call; /* first: the answers find the rest */
    struct request *request;
    char user[TOPIC_NAME_MAX];
    char device[TOPIC_NAME_MAX];
};

/* NULL: a problem was answered. */
static struct asking *asking_create(struct request *request, const char *device, size_t length)
{
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, RETRY);
        return NULL;
    }
    size_t user_length;
    const char *user = target_id(request_target(request), &user_length);
    memcpy(asking->user, user, user_length);
    memcpy(asking->device, device, length);
    asking->request = request;
    asking->call.user = topic_make(TOPIC_USER, asking->user, user_length);
    asking->call.device = asking->device;
    asking->call.length = length;
    return asking;
}

static void answer(struct asking *asking, const char *name)
{
    const struct device_call *call = &asking->call;
    struct request *request = asking->request;
    if (call->call.err) {
        request_problem(request, call->call.err, NULL, RETRY);
    } else if (!call->found) {
        request_problem(request, ERR_NOT_FOUND, "device",
                        "This user has no such device; receive with ?device= first.");
    } else {
        struct buf body;
        buf_init(&body);
        buf_add_text(&body, "{\"user\":");
        buf_add_json(&body, call->user.name, call->user.length);
        buf_add_format(&body, ",\"%s\":", name);
        buf_add_json(&body, call->device, call->length);
        if (call->verb == DEVICE_ACK) {
            char id[TEXT_ID_SIZE];
            text_format_id(call->cursor, id);
            buf_add_format(&body, ",\"id\":\"%s\"", id);
        }
        buf_add_text(&body, "}\n");
        request_answer(request, 200, "application/json", &body);
    }
    free(asking);
}

static void on_answer(struct call *call)
{
    struct asking *asking = (struct asking *)call;
    answer(asking, asking->call.verb == DEVICE_ACK ? "device" : "forgotten");
}

static void ask(struct asking *asking)
{
    struct reactor *reactor = request_reactor(asking->request);
    asking->call.call.done = on_answer;
    request_await(asking->request, &asking->call.call,
                  broker_device(reactor->broker, reactor->member, &asking->call));
}

/* False: a problem was answered. */
static bool check_ack(struct request *request, const json_t *device, const json_t *id,
                      uint64_t *ret_id)
{
    const struct reactor *reactor = request_reactor(request);
    if (!device || !id) {
        request_problem(request, ERR_MISSING_FIELD, device ? "id" : "device",
                        "Say who has what: {\"device\":\"phone\",\"id\":\"…\"}.");
        return false;
    }
    if (!json_is_string(device) ||
        !topic_is_name(json_string_value(device), json_string_length(device))) {
        request_problem(request, ERR_BAD_FIELD, "device",
                        "device is 1 to 128 bytes of UTF-8 without control characters or /.");
        return false;
    }
    if (json_is_string(id) && subscribe_request_parse_cursor(json_string_value(id), ret_id) &&
        *ret_id <= broker_stats(reactor->broker).head)
        return true;
    request_problem(request, ERR_BAD_FIELD, "id", "id is that of a message that was sent.");
    return false;
}

static void devices_ack_serve(struct request *request)
{
    uint64_t id;
    json_t *body = request_may_ask(request) ? json_body_read(request) : NULL;
    if (!body)
        return;
    const json_t *device = json_object_get(body, "device");
    struct asking *asking =
        check_ack(request, device, json_object_get(body, "id"), &id)
            ? asking_create(request, json_string_value(device), json_string_length(device))
            : NULL;
    json_decref(body);
    if (!asking)
        return;
    asking->call.verb = DEVICE_ACK;
    asking->call.has_cursor = true;
    asking->call.cursor = id;
    ask(asking);
}

static void devices_forget_serve(struct request *request)
{
    size_t length;
    const char *device = target_name(request_target(request), &length);
    struct asking *asking =
        request_may_ask(request) ? asking_create(request, device, length) : NULL;
    if (!asking)
        return;
    asking->call.verb = DEVICE_FORGET;
    ask(asking);
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"POST", "/users/:id/ack", devices_ack_serve, NULL, false, RIGHT_OWN},
    {"DELETE", "/users/:id/devices/:name", devices_forget_serve, NULL, false, RIGHT_MANAGE},
};

const struct route_family devices_routes = {routes, sizeof routes / sizeof *routes};
