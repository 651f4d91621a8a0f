#include "top/part.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/identity.h"
#include "net/api/channels.h"
#include "net/api/devices.h"
#include "net/api/messages.h"
#include "net/api/page.h"
#include "net/api/send.h"
#include "net/api/send_lines.h"
#include "net/api/status.h"
#include "net/api/tokens.h"
#include "net/api/users.h"
#include "net/door.h"
#include "net/listener.h"
#include "net/pass.h"
#include "net/poll.h"
#include "net/quota.h"
#include "net/room.h"
#include "net/route.h"
#include "net/sending.h"
#include "net/sse.h"
#include "net/stream.h"
#include "net/websocket.h"
#include "net/websocket_echo.h"
#include "net/websocket_session.h"
#include "top/endpoint.h"

#define MAX_ROUTES 32

struct part {
    const struct part_ground *ground;
    struct worker *worker;
    struct access *access; /* a reference; replaced by a reload */
    struct quota quota;
    struct sending_options send;
    struct door door;
    struct listener *listener;
    struct listener *metrics; /* of the first part, where metrics_listen is set */
    struct send_lines send_lines;
    struct route routes[MAX_ROUTES];
    size_t route_count;
    struct worker_hook turn;
    bool draining;
    bool aborted;
    bool finished;
    atomic_bool gone; /* said to the main thread */
};

/* ---- routes ---- */

static void add_route(struct part *part, struct route route)
{
    assert(part->route_count < MAX_ROUTES && route.right != RIGHT_NOT_SAID);
    part->routes[part->route_count++] = route;
}

static void add_routes(struct part *part)
{
    const struct part_ground *ground = part->ground;
    part->send_lines.sending = &part->send;
    const struct route routes[] = {
        {"POST", "/send-message", send_message_serve, &part->send, false, RIGHT_SEND},
        {"POST", "/send-messages", NULL, &part->send_lines, false, RIGHT_SEND, &send_lines_intake},
        {"GET", "/ws/:id", websocket_session_serve, &part->door, true, RIGHT_RECEIVE},
        {"GET", "/ws", room_lobby_serve, &part->door, true, RIGHT_RECEIVE},
        {"GET", "/rooms/:id", room_serve, &part->door, true, RIGHT_RECEIVE},
        {"GET", "/sse/:id", sse_serve, &part->door, false, RIGHT_RECEIVE},
        {"POST", "/sse/:id", sse_serve, &part->door, false, RIGHT_RECEIVE},
        {"GET", "/poll/:id", poll_serve, &part->door, false, RIGHT_RECEIVE},
        {"POST", "/poll/:id", poll_serve, &part->door, false, RIGHT_RECEIVE},
        {"GET", "/users", users_list_serve, NULL, false, RIGHT_MANAGE_ALL},
        {"POST", "/users/query", users_query_serve, NULL, false, RIGHT_READ},
        {"GET", "/users/:id", users_describe_serve, NULL, false, RIGHT_READ_USER},
        {"GET", "/users/:id/messages", users_messages_serve, NULL, false, RIGHT_READ_USER},
        {"DELETE", "/users/:id/messages", users_erase_messages_serve, NULL, false, RIGHT_MANAGE},
        {"POST", "/users/:id/ack", devices_ack_serve, NULL, false, RIGHT_OWN},
        {"DELETE", "/users/:id/devices/:name", devices_forget_serve, NULL, false, RIGHT_MANAGE},
        {"GET", "/messages/:id", messages_describe_serve, NULL, false, RIGHT_READ_MESSAGE},
        {"DELETE", "/users/:id/sessions", users_close_sessions_serve, NULL, false, RIGHT_MANAGE},
        {"POST", "/users/:id/revoke", users_revoke_serve, NULL, false, RIGHT_MANAGE},
        {"POST", "/tokens", tokens_serve, NULL, false, RIGHT_TOKEN},
        {"GET", "/channels/:id", channels_describe_serve, NULL, false, RIGHT_READ_CHANNEL},
        {"GET", "/channels/:id/messages", channels_messages_serve, NULL, false, RIGHT_READ_CHANNEL},
        {"GET", "/healthz", status_alive_serve, ground->status, false, RIGHT_OPEN},
        {"GET", "/readyz", status_ready_serve, ground->status, false, RIGHT_OPEN},
        {"GET", "/", page_serve, NULL, false, RIGHT_OPEN},
        {"GET", "/client.js", page_client_serve, NULL, false, RIGHT_OPEN},
        {"GET", "/docs/errors", page_errors_serve, NULL, false, RIGHT_OPEN},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        add_route(part, routes[i]);
    if (!ground->config->metrics_listen[0])
        add_route(part, (struct route){"GET", "/metrics", status_metrics_serve, ground->status,
                                       false, RIGHT_READ});
    if (ground->config->dev_echo)
        add_route(part, (struct route){"GET", "/ws-echo", websocket_echo_serve, &part->door, true,
                                       RIGHT_OPEN});
}

/* ---- building ---- */

static struct listener_options listener_options(struct part *part)
{
    const struct part_ground *ground = part->ground;
    const struct config *config = ground->config;
    return (struct listener_options){
        .worker = part->worker,
        .budget = ground->budget,
        .quota = &part->quota,
        .access = part->access,
        .routes = part->routes,
        .route_count = part->route_count,
        .parser = part->ground->parser,
        .limits = {.max_head = (size_t)config->max_head, .max_body = (size_t)config->max_body},
        .head_timeout_ms = config->head_timeout_ms,
        .keepalive_ms = config->keepalive_ms,
        .request_timeout_ms = config->request_timeout_ms,
        .access_log = config->access_log,
    };
}

static bool listen_for_metrics(struct part *part)
{
    static struct route routes[3];
    const struct part_ground *ground = part->ground;
    struct listener_options options = listener_options(part);
    routes[0] =
        (struct route){"GET", "/metrics", status_metrics_serve, ground->status, false, RIGHT_OPEN};
    routes[1] =
        (struct route){"GET", "/healthz", status_alive_serve, ground->status, false, RIGHT_OPEN};
    routes[2] =
        (struct route){"GET", "/readyz", status_ready_serve, ground->status, false, RIGHT_OPEN};
    options.routes = routes;
    options.route_count = 3;
    part->metrics =
        listener_create(&options, ground->metrics_endpoints->fds, ground->metrics_endpoints->count);
    return part->metrics != NULL;
}

/* What a reload may change, besides access. */
struct limits {
    struct exchange_limits http;
    struct sending_options send;
    int64_t poll_wait_ms;
    int64_t retry_spread_ms;
    int64_t auth_timeout_ms;
    uint32_t queue_high;
    bool access_log;
};

static struct limits limits_of(const struct config *config)
{
    return (struct limits){
        .http = {.max_head = (size_t)config->max_head, .max_body = (size_t)config->max_body},
        .send = {.max_message = (size_t)config->max_message,
                 .ttl_ms = config->ttl_ms,
                 .ttl_max_ms = config->ttl_max_ms},
        .poll_wait_ms = config->poll_wait_ms,
        .retry_spread_ms = config->retry_spread_ms,
        .auth_timeout_ms = config->auth_timeout_ms,
        .queue_high = (uint32_t)config->queue_high,
        .access_log = config->access_log,
    };
}

static void set_limits(struct part *part, const struct limits *limits)
{
    part->send = limits->send;
    part->door.poll_wait_ms = limits->poll_wait_ms;
    part->door.retry_spread_ms = limits->retry_spread_ms;
    passes_change(part->door.passes, part->access, limits->auth_timeout_ms);
    part->door.queue_high = limits->queue_high;
    listener_change(part->listener, part->access, &limits->http, limits->access_log);
    if (part->metrics)
        listener_change(part->metrics, part->access, &limits->http, limits->access_log);
}

/* ---- stopping ---- */

/* Late answers are waited for only while there is time. */
static bool is_idle(const struct part *part)
{
    return !listener_connections(part->listener) && !part->door.open &&
           (part->aborted || !listener_late_answers(part->listener)) &&
           !catch_up_in_flight(part->worker->catch_up) &&
           !(part->metrics && listener_connections(part->metrics));
}

/* Top-down: who brings in work first. */
static void finish(struct part *part)
{
    part->finished = true;
    listener_stop(part->listener);
    if (part->metrics)
        listener_stop(part->metrics);
    streams_stop(part->door.streams);
    worker_stop(part->worker);
    atomic_store(&part->gone, true);
    part->ground->on_gone(part->ground->context);
}

static void on_turn(struct worker_hook *hook)
{
    struct part *part = list_entry(hook, struct part, turn);
    if (part->draining && !part->finished && is_idle(part))
        finish(part);
}

static void drain(void *context)
{
    struct part *part = context;
    part->draining = part->door.stopping = true;
    listener_drain(part->listener);
    if (part->metrics)
        listener_drain(part->metrics);
    websockets_close_all(part->door.websockets, ERR_STOPPING);
    sse_close_all(part->door.sse, ERR_STOPPING);
    polls_answer_all(part->door.polls, ERR_STOPPING);
}

static void end_all(void *context)
{
    struct part *part = context;
    if (part->finished)
        return;
    part->aborted = true;
    log_warn("time is up, closing what is left",
             LOG_NUMBER("connections", listener_connections(part->listener)),
             LOG_NUMBER("sessions", part->door.open),
             LOG_NUMBER("late_answers", listener_late_answers(part->listener)));
    listener_abort(part->listener);
    if (part->metrics)
        listener_abort(part->metrics);
    websockets_abort_all(part->door.websockets);
    sse_abort_all(part->door.sse);
    polls_abort_all(part->door.polls);
}

void part_drain(struct part *part)
{
    worker_call(part->worker, drain, part);
}

void part_abort(struct part *part)
{
    worker_call(part->worker, end_all, part);
}

int64_t part_turned_ms(const struct part *part)
{
    return atomic_load_explicit(&part->worker->turned_ms, memory_order_relaxed);
}

bool part_is_gone(const struct part *part)
{
    return atomic_load(&part->gone);
}

/* ---- changing ---- */

struct change { /* on its way to a worker, by which it is freed */
    struct part *part;
    struct access *access; /* a reference */
    struct limits limits;
};

static void change(void *context)
{
    struct change *to = context;
    struct part *part = to->part;
    access_unref(part->access);
    part->access = to->access;
    set_limits(part, &to->limits);
    free(to);
}

void part_change(struct part *part, const struct config *config, struct access *access)
{
    struct change *to = mem_alloc(sizeof *to);
    *to = (struct change){part, access_ref(access), limits_of(config)};
    worker_call(part->worker, change, to);
}

/* ---- life ---- */

struct part *part_create(const struct part_ground *ground, size_t index, struct access *access)
{
    const struct config *config = ground->config;
    struct part *part = mem_alloc(sizeof *part);
    part->ground = ground;
    part->access = access_ref(access);
    part->quota.limit = (size_t)config->max_buffered / ground->part_count;
    part->worker = worker_create(
        (int)index, ground->broker,
        &(struct catch_up_limits){
            .sessions_per_user = (size_t)config->max_sessions_per_user,
            .channels_per_session = (size_t)config->max_channels_per_session,
            .channels = (size_t)(config->max_channels + config->workers - 1) / ground->part_count,
        });
    part->quota.gauge = &part->worker->metrics.buffered;
    /* Hooks run in this order: requests are served, then what they queued is written. */
    add_routes(part);
    struct listener_options options = listener_options(part);
    part->listener =
        listener_create(&options, ground->endpoints->fds + index * ground->endpoints->count,
                        ground->endpoints->count);
    if (!part->listener ||
        (index == 0 && ground->metrics_endpoints->count && !listen_for_metrics(part)))
        return NULL;
    struct streams *streams =
        streams_create(part->worker, &(struct streams_limits){config->stall_timeout_ms});
    struct websockets_limits limits_of_websockets = {
        .heartbeat_ms = config->heartbeat_ms,
        .max_message = (uint64_t)config->ws_max_message,
        .max_fragments = (uint32_t)config->ws_max_fragments,
    };
    part->door = (struct door){
        .worker = part->worker,
        .streams = streams,
        .websockets = websockets_create(part->worker, streams, &part->quota, &limits_of_websockets),
        .budget = ground->budget,
        .sending = &part->send,
        .heartbeat_ms = config->heartbeat_ms,
        .next_session = (uint64_t)index << 56 | (uint64_t)clock_wall_ms() << 12,
        .can_adopt = ground->can_adopt,
    };
    part->door.sse = sse_streams_create(part->worker);
    part->door.polls = polls_create(part->worker);
    part->door.passes = passes_create(part->worker, ground->budget);
    struct limits limits = limits_of(config);
    set_limits(part, &limits);
    part->turn.run = on_turn;
    worker_on_turn(part->worker, &part->turn);
    return part;
}

void part_destroy(struct part *part)
{
    if (!part)
        return;
    worker_destroy(part->worker);
    listener_destroy(part->listener);
    listener_destroy(part->metrics);
    websockets_destroy(part->door.websockets);
    sse_streams_destroy(part->door.sse);
    polls_destroy(part->door.polls);
    passes_destroy(part->door.passes);
    access_unref(part->access);
    streams_destroy(part->door.streams);
    free(part);
}

void part_start(struct part *part)
{
    worker_start(part->worker);
}

void part_join(struct part *part)
{
    worker_join(part->worker);
}

const struct metrics *part_metrics(const struct part *part)
{
    return &part->worker->metrics;
}
