#include "net/api/devices.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "net/api/json_body.h"
#include "net/exchange.h"
#include "net/receiving.h"

#define RETRY "Try again in a moment."

struct asking {
    struct device_call call; /* first: the answers find the rest */
    struct exchange *exchange;
    char user[ADDRESS_NAME_MAX];
    char device[ADDRESS_NAME_MAX];
};

/* NULL: a problem was answered. */
static struct asking *asking_create(struct exchange *exchange, const char *device, size_t length)
{
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking) {
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, RETRY);
        return NULL;
    }
    size_t user_length;
    const char *user = exchange_id(exchange, &user_length);
    memcpy(asking->user, user, user_length);
    memcpy(asking->device, device, length);
    asking->exchange = exchange;
    asking->call.user = address_make(ADDRESS_USER, asking->user, user_length);
    asking->call.device = asking->device;
    asking->call.length = length;
    return asking;
}

static void answer(struct asking *asking, const char *name)
{
    const struct device_call *call = &asking->call;
    struct exchange *exchange = asking->exchange;
    if (call->err) {
        exchange_problem(exchange, call->err, NULL, RETRY);
    } else if (!call->found) {
        exchange_problem(exchange, ERR_NOT_FOUND, "device",
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
        exchange_answer(exchange, 200, "application/json", &body);
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
    struct worker *worker = exchange_worker(asking->exchange);
    asking->call.call.done = on_answer;
    int err = broker_device(worker->broker, worker->member, &asking->call);
    if (err == BROKER_PENDING)
        exchange_wait(asking->exchange);
    else
        on_answer(&asking->call.call);
}

/* False: a problem was answered. */
static bool check_ack(struct exchange *exchange, const json_t *device, const json_t *id,
                      uint64_t *ret_id)
{
    const struct worker *worker = exchange_worker(exchange);
    if (!device || !id) {
        exchange_problem(exchange, ERR_MISSING_FIELD, device ? "id" : "device",
                         "Say who has what: {\"device\":\"phone\",\"id\":\"…\"}.");
        return false;
    }
    if (!json_is_string(device) ||
        !address_is_name(json_string_value(device), json_string_length(device))) {
        exchange_problem(exchange, ERR_BAD_FIELD, "device",
                         "device is 1 to 128 bytes of UTF-8 without control characters or /.");
        return false;
    }
    if (json_is_string(id) && receiving_parse_cursor(json_string_value(id), ret_id) &&
        *ret_id <= broker_stats(worker->broker).head)
        return true;
    exchange_problem(exchange, ERR_BAD_FIELD, "id", "id is that of a message that was sent.");
    return false;
}

void devices_ack_serve(struct exchange *exchange)
{
    uint64_t id;
    json_t *body = exchange_may_ask(exchange) ? json_body_read(exchange) : NULL;
    if (!body)
        return;
    const json_t *device = json_object_get(body, "device");
    struct asking *asking =
        check_ack(exchange, device, json_object_get(body, "id"), &id)
            ? asking_create(exchange, json_string_value(device), json_string_length(device))
            : NULL;
    json_decref(body);
    if (!asking)
        return;
    asking->call.verb = DEVICE_ACK;
    asking->call.has_cursor = true;
    asking->call.cursor = id;
    ask(asking);
}

void devices_forget_serve(struct exchange *exchange)
{
    size_t length;
    const char *device = exchange_name(exchange, &length);
    struct asking *asking =
        exchange_may_ask(exchange) ? asking_create(exchange, device, length) : NULL;
    if (!asking)
        return;
    asking->call.verb = DEVICE_FORGET;
    ask(asking);
}
