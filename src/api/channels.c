#include "api/api.h"

#include "api/history.h"
#include "base/buf.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "http/route.h"
#include "http/target.h"

static void channels_describe_serve(struct request *request)
{
    size_t length;
    const char *name = target_id(request_target(request), &length);
    struct topic channel = topic_make(TOPIC_CHANNEL, name, length);
    struct buf body;
    buf_init(&body);
    buf_add_text(&body, "{\"channel\":");
    buf_add_json(&body, name, length);
    buf_add_format(&body, ",\"sessions\":%u}\n",
                   broker_count(request_reactor(request)->broker, &channel));
    request_answer(request, 200, "application/json", &body);
}

static void channels_messages_serve(struct request *request)
{
    history_serve(request, TOPIC_CHANNEL);
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"GET", "/channels/:id", channels_describe_serve, NULL, false, RIGHT_READ_CHANNEL},
    {"GET", "/channels/:id/messages", channels_messages_serve, NULL, false, RIGHT_READ_CHANNEL},
};

const struct route_family channels_routes = {routes, sizeof routes / sizeof *routes};
