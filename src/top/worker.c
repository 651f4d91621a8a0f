#include "top/worker.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/public.h"
#include "api/status.h"
#include "base/byte_quota.h"
#include "base/hash.h"
#include "config/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/listener.h"
#include "http/route.h"
#include "model/access.h"
#include "model/identity.h"
#include "session/protocols.h"
#include "session/room.h"
#include "session/publish_request.h"
#include "session/session_auth.h"
#include "session/sessions.h"
#include "session/websocket_echo.h"
#include "socket/stream.h"
#include "socket/websocket.h"
#include "socketio/engine_http.h"
#include "socketio/engine_state.h"
#include "socketio/engines.h"
#include "socketio/suites.h"
#include "top/endpoint.h"

#define MAX_ROUTES      48
#define PING_TIMEOUT_MS 20000 /* of Engine.IO, as its reference has it */

struct worker {
    const struct worker_shared *ground;
    struct reactor *reactor;
    struct access *access; /* a reference; replaced by a reload */
    struct byte_quota quota;
    struct publish_options send;
    struct sessions sessions;
    struct engines *engines[WORKER_DOORS]; /* NULL: no such door */
    struct listener *listener;
    struct listener *metrics; /* of the first worker, where metrics_listen is set */
    struct api api;
    struct route routes[MAX_ROUTES];
    size_t route_count;
    struct reactor_hook turn;
    bool draining;
    bool let_go; /* no other worker has anything left to hand over */
    bool aborted;
    bool finished;
    atomic_bool gone; /* said to the main thread */
};

/* ---- routes ---- */

static void add_route(struct worker *worker, struct route route)
{
    assert(worker->route_count < MAX_ROUTES && route.right != RIGHT_NOT_SAID);
    worker->routes[worker->route_count++] = route;
}

static void add_family(struct worker *worker, const struct route_family *family, void *state)
{
    for (size_t i = 0; i < family->count; i++) {
        struct route route = family->routes[i];
        route.state = state;
        add_route(worker, route);
    }
}

static void add_routes(struct worker *worker)
{
    const struct worker_shared *ground = worker->ground;
    worker->api = (struct api){
        .publish_options = &worker->send,
        .status = ground->status,
        .public_folder = ground->config->public,
    };
    for (size_t i = 0; i < api_count(); i++)
        add_family(worker, api_at(i), &worker->api);
    for (size_t i = 0; i < protocols_count(); i++)
        add_family(worker, &protocol_at(i)->routes, &worker->sessions);
    if (!ground->config->metrics_listen[0])
        add_route(worker, (struct route){"GET", "/metrics", status_metrics_serve, &worker->api,
                                         false, RIGHT_READ});
    if (ground->config->root_room != CONFIG_ROOT_ROOM_OFF)
        add_route(worker, (struct route){"GET", "/", room_serve_root, &worker->sessions, true,
                                         RIGHT_RECEIVE});
    if (ground->config->dev_echo)
        add_route(worker, (struct route){"GET", "/ws-echo", websocket_echo_serve, &worker->sessions,
                                         true, RIGHT_OPEN});
    if (ground->config->public[0])
        add_route(worker,
                  (struct route){"GET", ROUTE_ANY, public_serve, &worker->api, false, RIGHT_OPEN});
}

/* The suites' own short times, unless somebody has said otherwise. */
static struct engine_limits suite_limits(const struct config *config)
{
    struct engine_limits limits = suites_limits;
    struct config defaults;
    config_init_defaults(&defaults);
    if (config->heartbeat_ms != defaults.heartbeat_ms) {
        limits.ping_interval_ms = config->heartbeat_ms;
        limits.ping_timeout_ms = PING_TIMEOUT_MS;
    }
    config_finish(&defaults);
    return limits;
}

/* The suites of Engine.IO and of Socket.IO; a route's method is any, since even a wrong one is
 * answered in their own form. */
static void open_doors(struct worker *worker)
{
    struct engine_door *doors = worker->ground->doors;
    struct engine_limits limits = suite_limits(worker->ground->config);
    worker->engines[0] = engines_create(&worker->sessions, &doors[0], &suites_engine, &limits);
    worker->engines[1] = engines_create(&worker->sessions, &doors[1], &suites_socketio, &limits);
    add_route(worker, (struct route){"*", "/engine.io/", engine_http_serve, worker->engines[0],
                                     false, RIGHT_RECEIVE});
    add_route(worker, (struct route){"*", "/socket.io/", engine_http_serve, worker->engines[1],
                                     false, RIGHT_RECEIVE});
}

static void each_door(struct worker *worker, void (*call)(struct engines *engines))
{
    for (size_t i = 0; i < WORKER_DOORS; i++) {
        if (worker->engines[i])
            call(worker->engines[i]);
    }
}

/* ---- building ---- */

static struct listener_options listener_options(struct worker *worker)
{
    const struct worker_shared *ground = worker->ground;
    const struct config *config = ground->config;
    return (struct listener_options){
        .reactor = worker->reactor,
        .connection_limits = ground->connection_limits,
        .quota = &worker->quota,
        .access = worker->access,
        .routes = worker->routes,
        .route_count = worker->route_count,
        .parser = worker->ground->parser,
        .limits = {.max_head = (size_t)config->max_head, .max_body = (size_t)config->max_body},
        .head_timeout_ms = config->head_timeout_ms,
        .keepalive_ms = config->keepalive_ms,
        .request_timeout_ms = config->request_timeout_ms,
        .access_log = config->access_log,
    };
}

static bool listen_for_metrics(struct worker *worker)
{
    static struct route routes[3];
    const struct worker_shared *ground = worker->ground;
    struct listener_options options = listener_options(worker);
    routes[0] =
        (struct route){"GET", "/metrics", status_metrics_serve, &worker->api, false, RIGHT_OPEN};
    routes[1] =
        (struct route){"GET", "/healthz", status_alive_serve, &worker->api, false, RIGHT_OPEN};
    routes[2] =
        (struct route){"GET", "/readyz", status_ready_serve, &worker->api, false, RIGHT_OPEN};
    options.routes = routes;
    options.route_count = 3;
    worker->metrics =
        listener_create(&options, ground->metrics_endpoints->fds, ground->metrics_endpoints->count);
    return worker->metrics != NULL;
}

/* What a reload may change, besides access. */
struct limits {
    struct request_limits http;
    struct publish_options send;
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

static void set_limits(struct worker *worker, const struct limits *limits)
{
    worker->send = limits->send;
    worker->sessions.poll_wait_ms = limits->poll_wait_ms;
    worker->sessions.retry_spread_ms = limits->retry_spread_ms;
    session_auths_change(worker->sessions.auths, worker->access, limits->auth_timeout_ms);
    worker->sessions.queue_high = limits->queue_high;
    listener_change(worker->listener, worker->access, &limits->http, limits->access_log);
    if (worker->metrics)
        listener_change(worker->metrics, worker->access, &limits->http, limits->access_log);
}

/* ---- stopping ---- */

/* Late answers are waited for only while there is time. */
static bool is_idle(const struct worker *worker)
{
    return (worker->let_go || worker->aborted) && !listener_connections(worker->listener) &&
           !worker->sessions.open &&
           (worker->aborted || !listener_late_answers(worker->listener)) &&
           !catch_up_in_flight(worker->reactor->catch_up) &&
           !(worker->metrics && listener_connections(worker->metrics));
}

/* Top-down: who brings in work first. */
static void finish(struct worker *worker)
{
    worker->finished = true;
    listener_stop(worker->listener);
    if (worker->metrics)
        listener_stop(worker->metrics);
    each_door(worker, engines_stop);
    streams_stop(worker->sessions.streams);
    reactor_stop(worker->reactor);
    atomic_store(&worker->gone, true);
    worker->ground->on_gone(worker->ground->context);
}

static void on_turn(struct reactor_hook *hook)
{
    struct worker *worker = list_entry(hook, struct worker, turn);
    if (worker->draining && !worker->finished && is_idle(worker))
        finish(worker);
}

static void close_door(struct engines *engines)
{
    engines_close_all(engines, ERR_STOPPING);
}

/* From then on it hands nothing to another: each request is answered here. */
static void drain(void *context)
{
    struct worker *worker = context;
    const struct worker_shared *ground = worker->ground;
    if (worker->draining)
        return;
    worker->draining = worker->sessions.stopping = true;
    listener_drain(worker->listener);
    if (worker->metrics)
        listener_drain(worker->metrics);
    protocols_close_all(&worker->sessions, ERR_STOPPING);
    each_door(worker, close_door);
    if (atomic_fetch_add(ground->draining, 1) + 1 == ground->worker_count)
        ground->on_all_draining(ground->context);
}

static void let_go(void *context)
{
    ((struct worker *)context)->let_go = true;
}

void worker_let_go(struct worker *worker)
{
    reactor_call(worker->reactor, let_go, worker);
}

static void end_all(void *context)
{
    struct worker *worker = context;
    if (worker->finished)
        return;
    worker->aborted = true;
    log_warn("time is up, closing what is left",
             LOG_NUMBER("connections", listener_connections(worker->listener)),
             LOG_NUMBER("sessions", worker->sessions.open),
             LOG_NUMBER("late_answers", listener_late_answers(worker->listener)));
    listener_abort(worker->listener);
    if (worker->metrics)
        listener_abort(worker->metrics);
    protocols_abort_all(&worker->sessions);
    each_door(worker, engines_abort_all);
}

void worker_drain(struct worker *worker)
{
    reactor_call(worker->reactor, drain, worker);
}

void worker_abort(struct worker *worker)
{
    reactor_call(worker->reactor, end_all, worker);
}

int64_t worker_turned_ms(const struct worker *worker)
{
    return atomic_load_explicit(&worker->reactor->turned_ms, memory_order_relaxed);
}

bool worker_is_gone(const struct worker *worker)
{
    return atomic_load(&worker->gone);
}

/* ---- changing ---- */

struct change { /* on its way to a worker, by which it is freed */
    struct worker *worker;
    struct access *access; /* a reference */
    struct limits limits;
};

static void change(void *context)
{
    struct change *to = context;
    struct worker *worker = to->worker;
    access_unref(worker->access);
    worker->access = to->access;
    set_limits(worker, &to->limits);
    free(to);
}

void worker_change(struct worker *worker, const struct config *config, struct access *access)
{
    struct change *to = mem_alloc(sizeof *to);
    *to = (struct change){worker, access_ref(access), limits_of(config)};
    reactor_call(worker->reactor, change, to);
}

/* ---- life ---- */

struct worker *worker_create(const struct worker_shared *ground, size_t index,
                             struct access *access)
{
    const struct config *config = ground->config;
    struct worker *worker = mem_alloc(sizeof *worker);
    worker->ground = ground;
    worker->access = access_ref(access);
    worker->quota.limit = (size_t)config->max_buffered / ground->worker_count;
    worker->reactor = reactor_create(
        (int)index, ground->broker,
        &(struct catch_up_limits){
            .sessions_per_user = (size_t)config->max_sessions_per_user,
            .channels_per_session = (size_t)config->max_channels_per_session,
            .channels = (size_t)(config->max_channels + config->workers - 1) / ground->worker_count,
        });
    worker->quota.gauge = &worker->reactor->metrics.buffered;
    struct streams *streams =
        streams_create(worker->reactor, &(struct streams_limits){config->stall_timeout_ms});
    struct websockets_limits limits_of_websockets = {
        .heartbeat_ms = config->heartbeat_ms,
        .max_message = (uint64_t)config->ws_max_message,
        .max_fragments = (uint32_t)config->ws_max_fragments,
    };
    worker->sessions = (struct sessions){
        .reactor = worker->reactor,
        .streams = streams,
        .websockets =
            websockets_create(worker->reactor, streams, &worker->quota, &limits_of_websockets),
        .connection_limits = ground->connection_limits,
        .publish_options = &worker->send,
        .heartbeat_ms = config->heartbeat_ms,
        .next_session = hash_draw_number(),
        .root_greeting = config->root_greeting,
        .root_is_room = config->root_room == CONFIG_ROOT_ROOM_ROOM,
        .can_adopt = ground->can_adopt,
    };
    if (config->dev_socketio)
        open_doors(worker);
    add_routes(worker);
    struct listener_options options = listener_options(worker);
    worker->listener =
        listener_create(&options, ground->endpoints->fds + index * ground->endpoints->count,
                        ground->endpoints->count);
    if (!worker->listener ||
        (index == 0 && ground->metrics_endpoints->count && !listen_for_metrics(worker)))
        return NULL;
    protocols_create(&worker->sessions);
    worker->sessions.auths = session_auths_create(worker->reactor, ground->connection_limits);
    struct limits limits = limits_of(config);
    set_limits(worker, &limits);
    worker->turn.run = on_turn;
    reactor_on_turn(worker->reactor, TURN_CHECK, &worker->turn);
    return worker;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    reactor_destroy(worker->reactor);
    listener_destroy(worker->listener);
    listener_destroy(worker->metrics);
    each_door(worker, engines_destroy);
    websockets_destroy(worker->sessions.websockets);
    protocols_destroy(&worker->sessions);
    session_auths_destroy(worker->sessions.auths);
    access_unref(worker->access);
    streams_destroy(worker->sessions.streams);
    free(worker);
}

void worker_start(struct worker *worker)
{
    reactor_start(worker->reactor);
}

void worker_join(struct worker *worker)
{
    reactor_join(worker->reactor);
}

const struct metrics *worker_metrics(const struct worker *worker)
{
    return &worker->reactor->metrics;
}
