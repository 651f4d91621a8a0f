#include "top/server.h"

#include <assert.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/config_row.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/broker.h"
#include "engine/broker_memory.h"
#include "engine/broker_sqlite.h"
#include "engine/sqlite_options.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/keys.h"
#include "model/revocations.h"
#include "net/adoption.h"
#include "net/api/channels.h"
#include "net/api/devices.h"
#include "net/api/messages.h"
#include "net/api/page.h"
#include "net/api/send.h"
#include "net/api/send_lines.h"
#include "net/api/status.h"
#include "net/api/tokens.h"
#include "net/api/users.h"
#include "net/budget.h"
#include "net/door.h"
#include "net/listener.h"
#include "net/pass.h"
#include "net/poll.h"
#include "net/room.h"
#include "net/route.h"
#include "net/sending.h"
#include "net/sse.h"
#include "net/stream.h"
#include "net/websocket.h"
#include "net/websocket_echo.h"
#include "net/websocket_session.h"
#include "top/credentials.h"
#include "top/data.h"
#include "top/endpoint.h"

#define MIB        ((uint64_t)1024 * 1024)
#define MAX_ROUTES 32
#define SPARE_FDS  8 /* each upgrade holds two descriptors for a moment */

struct server;

/* One worker and what stands on it. */
struct part {
    struct server *server;
    struct worker *worker;
    struct streams *streams;
    struct websockets *websockets;
    struct sse_streams *sse;
    struct polls *polls;
    struct passes *passes;
    struct access *access; /* a reference; replaced by a reload */
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

struct server {
    const struct config *config;
    const struct config *started; /* what it was then */
    struct config *reloaded;      /* owned: what `config` is since the last SIGHUP */
    struct revocations *revocations;
    char folder[PATH_MAX];
    struct broker *broker;
    struct metrics broker_metrics;
    struct access *access;
    struct budget *budget;
    struct status status;
    struct endpoints endpoints;
    struct endpoints metrics_endpoints;
    struct part *parts;
    size_t part_count;
    const struct metrics **metrics;
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_timer_t second;
    uv_timer_t drain;
    uv_async_t part_finished;
    bool can_adopt;
    bool stopping;
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};

/* ---- routes ---- */

static void add_route(struct part *part, struct route route)
{
    assert(part->route_count < MAX_ROUTES && route.right != RIGHT_NOT_SAID);
    part->routes[part->route_count++] = route;
}

static void add_routes(struct part *part)
{
    struct server *server = part->server;
    part->send_lines.sending = &part->send;
    const struct route routes[] = {
        {"POST", "/send-message", send_message_serve, &part->send, false, RIGHT_SEND},
        {"POST", "/send-messages", NULL, &part->send_lines, false, RIGHT_SEND, &send_lines_intake},
        {"GET", "/ws/:id", websocket_session_serve, &part->door, true, RIGHT_RECEIVE},
        {"GET", "/ws", room_lobby_serve, &part->door, true, RIGHT_RECEIVE},
        {"GET", "/rooms/:id", room_serve, &part->door, true, RIGHT_RECEIVE},
        {"GET", "/sse/:id", sse_serve, &part->door, false, RIGHT_RECEIVE},
        {"GET", "/poll/:id", poll_serve, &part->door, false, RIGHT_RECEIVE},
        {"GET", "/users", users_list_serve, NULL, false, RIGHT_MANAGE_ALL},
        {"POST", "/users/query", users_query_serve, NULL, false, RIGHT_READ},
        {"GET", "/users/:id", users_describe_serve, NULL, false, RIGHT_READ_USER},
        {"GET", "/users/:id/messages", users_messages_serve, NULL, false, RIGHT_READ_USER},
        {"DELETE", "/users/:id/messages", users_erase_messages_serve, NULL, false, RIGHT_MANAGE},
        {"POST", "/users/:id/ack", devices_ack_serve, NULL, false, RIGHT_OWN},
        {"DELETE", "/users/:id/devices/:name", devices_forget_serve, NULL, false, RIGHT_MANAGE},
        {"GET", "/messages/:id", messages_describe_serve, NULL, false, RIGHT_READ},
        {"DELETE", "/users/:id/sessions", users_close_sessions_serve, NULL, false, RIGHT_MANAGE},
        {"POST", "/users/:id/revoke", users_revoke_serve, NULL, false, RIGHT_MANAGE},
        {"POST", "/tokens", tokens_serve, NULL, false, RIGHT_TOKEN},
        {"GET", "/channels/:id", channels_describe_serve, NULL, false, RIGHT_READ_CHANNEL},
        {"GET", "/channels/:id/messages", channels_messages_serve, NULL, false, RIGHT_READ_CHANNEL},
        {"GET", "/healthz", status_alive_serve, &server->status, false, RIGHT_OPEN},
        {"GET", "/readyz", status_ready_serve, &server->status, false, RIGHT_OPEN},
        {"GET", "/", page_serve, NULL, false, RIGHT_OPEN},
        {"GET", "/client.js", page_client_serve, NULL, false, RIGHT_OPEN},
        {"GET", "/docs/errors", page_errors_serve, NULL, false, RIGHT_OPEN},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        add_route(part, routes[i]);
    if (!server->config->metrics_listen[0])
        add_route(part, (struct route){"GET", "/metrics", status_metrics_serve, &server->status,
                                       false, RIGHT_READ});
    if (server->config->dev_echo)
        add_route(part, (struct route){"GET", "/ws-echo", websocket_echo_serve, &part->door, true,
                                       RIGHT_OPEN});
}

/* ---- parts ---- */

static struct listener_options listener_options(struct part *part)
{
    struct server *server = part->server;
    const struct config *config = server->config;
    return (struct listener_options){
        .worker = part->worker,
        .budget = server->budget,
        .access = part->access,
        .routes = part->routes,
        .route_count = part->route_count,
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
    struct server *server = part->server;
    struct listener_options options = listener_options(part);
    routes[0] =
        (struct route){"GET", "/metrics", status_metrics_serve, &server->status, false, RIGHT_OPEN};
    routes[1] =
        (struct route){"GET", "/healthz", status_alive_serve, &server->status, false, RIGHT_OPEN};
    routes[2] =
        (struct route){"GET", "/readyz", status_ready_serve, &server->status, false, RIGHT_OPEN};
    options.routes = routes;
    options.route_count = 3;
    part->metrics =
        listener_create(&options, server->metrics_endpoints.fds, server->metrics_endpoints.count);
    return part->metrics != NULL;
}

/* Late answers are waited for only while there is time. */
static bool is_idle(const struct part *part)
{
    return !listener_connections(part->listener) && !part->door.open &&
           (part->aborted || !listener_late_answers(part->listener)) &&
           !catch_up_in_flight(part->worker->catch_up) &&
           !(part->metrics && listener_connections(part->metrics));
}

/* Top-down: who brings in work first. */
static void finish_part(struct part *part)
{
    part->finished = true;
    listener_stop(part->listener);
    if (part->metrics)
        listener_stop(part->metrics);
    streams_stop(part->streams);
    worker_stop(part->worker);
    atomic_store(&part->gone, true);
    uv_async_send(&part->server->part_finished);
}

static void on_turn(struct worker_hook *hook)
{
    struct part *part = list_entry(hook, struct part, turn);
    if (part->draining && !part->finished && is_idle(part))
        finish_part(part);
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
    passes_change(part->passes, part->access, limits->auth_timeout_ms);
    part->door.queue_high = limits->queue_high;
    listener_change(part->listener, part->access, &limits->http, limits->access_log);
    if (part->metrics)
        listener_change(part->metrics, part->access, &limits->http, limits->access_log);
}

static bool build_part(struct server *server, size_t index)
{
    const struct config *config = server->config;
    struct part *part = &server->parts[index];
    part->server = server;
    part->access = access_ref(server->access);
    part->worker = worker_create(
        (int)index, server->broker,
        &(struct catch_up_limits){
            .sessions_per_user = (size_t)config->max_sessions_per_user,
            .channels_per_session = (size_t)config->max_channels_per_session,
            .channels = (size_t)(config->max_channels + config->workers - 1) / server->part_count,
        });
    server->metrics[index] = &part->worker->metrics;
    /* Hooks run in this order: requests are served, then what they queued is written. */
    add_routes(part);
    struct listener_options options = listener_options(part);
    part->listener = listener_create(
        &options, server->endpoints.fds + index * server->endpoints.count, server->endpoints.count);
    if (!part->listener ||
        (index == 0 && server->metrics_endpoints.count && !listen_for_metrics(part)))
        return false;
    part->streams =
        streams_create(part->worker, &(struct streams_limits){config->stall_timeout_ms});
    part->websockets = websockets_create(part->worker, part->streams,
                                         &(struct websockets_limits){
                                             .heartbeat_ms = config->heartbeat_ms,
                                             .max_message = (uint64_t)config->ws_max_message,
                                             .max_fragments = (uint32_t)config->ws_max_fragments,
                                         });
    part->sse = sse_streams_create(part->worker);
    part->polls = polls_create(part->worker);
    part->passes = passes_create(part->worker, server->budget);
    part->door = (struct door){
        .passes = part->passes,
        .can_adopt = server->can_adopt,
        .sse = part->sse,
        .polls = part->polls,
        .worker = part->worker,
        .streams = part->streams,
        .websockets = part->websockets,
        .budget = server->budget,
        .sending = &part->send,
        .heartbeat_ms = config->heartbeat_ms,
        .next_session = (uint64_t)index << 56 | (uint64_t)clock_wall_ms() << 12,
    };
    struct limits limits = limits_of(config);
    set_limits(part, &limits);
    part->turn.run = on_turn;
    worker_on_turn(part->worker, &part->turn);
    return true;
}

static void destroy_part(struct part *part)
{
    worker_destroy(part->worker);
    listener_destroy(part->listener);
    listener_destroy(part->metrics);
    websockets_destroy(part->websockets);
    sse_streams_destroy(part->sse);
    polls_destroy(part->polls);
    passes_destroy(part->passes);
    access_unref(part->access);
    streams_destroy(part->streams);
}

/* ---- stopping ---- */

static void drain_part(void *context)
{
    struct part *part = context;
    part->draining = part->door.stopping = true;
    listener_drain(part->listener);
    if (part->metrics)
        listener_drain(part->metrics);
    websockets_close_all(part->websockets, ERR_STOPPING);
    sse_close_all(part->sse, ERR_STOPPING);
    polls_answer_all(part->polls, ERR_STOPPING);
}

static void abort_part(void *context)
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
    websockets_abort_all(part->websockets);
    sse_abort_all(part->sse);
    polls_abort_all(part->polls);
}

static void call_parts(struct server *server, void (*fn)(void *context))
{
    for (size_t i = 0; i < server->part_count; i++)
        worker_call(server->parts[i].worker, fn, &server->parts[i]);
}

static void on_drain_over(uv_timer_t *timer)
{
    call_parts(timer->data, abort_part);
}

static void start_drain(uv_timer_t *timer)
{
    struct server *server = timer->data;
    call_parts(server, drain_part);
    uv_timer_start(&server->drain, on_drain_over, (uint64_t)server->config->drain_ms, 0);
}

static void begin_stop(struct server *server, int signal_number)
{
    server->stopping = true;
    atomic_store(&server->status.stopping, true);
    log_info("stopping", LOG_TEXT("signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"),
             LOG_NUMBER("drain_ms", server->config->drain_ms));
    uv_timer_start(&server->drain, start_drain, (uint64_t)server->config->drain_delay_ms, 0);
}

/* ---- reloading ---- */

struct change { /* on its way to a worker, by which it is freed */
    struct part *part;
    struct access *access; /* a reference */
    struct limits limits;
};

/* On the worker's thread. Whom the old one let in keeps what it has. */
static void change_part(void *context)
{
    struct change *change = context;
    struct part *part = change->part;
    access_unref(part->access);
    part->access = change->access;
    set_limits(part, &change->limits);
    free(change);
}

static void change_all(struct server *server, const struct config *config, struct access *access)
{
    access_unref(server->access);
    server->access = access;
    log_set_level((enum log_level)config->log_level);
    for (size_t i = 0; i < server->part_count; i++) {
        struct change *change = mem_alloc(sizeof *change);
        *change = (struct change){&server->parts[i], access_ref(access), limits_of(config)};
        worker_call(server->parts[i].worker, change_part, change);
    }
}

static void name_restarts(const struct server *server, const struct config *config)
{
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const struct config_row *row = config_row(key);
        if (!row->can_reload && !config_row_same(server->started, config, row))
            log_warn("this needs a restart", LOG_TEXT("key", row->key));
    }
}

/* All or nothing. The files stay those named at start: only what they say is read again. */
static void reload(struct server *server)
{
    char *error = NULL;
    struct config *config = mem_alloc(sizeof *config);
    struct access *access = NULL;
    bool loaded = config_load_again(server->started, config, &error) == 0;
    if (loaded)
        access = credentials_read(server->started, config, server->revocations, &error);
    if (!access) {
        log_error("nothing was reloaded", LOG_TEXT("reason", error));
        if (loaded)
            config_finish(config);
        free(config);
        free(error);
        return;
    }
    if (access_keys(access) && access_keys(server->access))
        keys_inherit(access_keys(access), access_keys(server->access));
    change_all(server, config, access);
    name_restarts(server, config);
    if (server->reloaded)
        config_finish(server->reloaded);
    free(server->reloaded);
    server->config = server->reloaded = config;
    log_info("reloaded");
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct server *server = handle->data;
    if (signal_number == SIGHUP && !server->stopping) {
        reload(server);
    } else if (signal_number == SIGHUP) {
        log_warn("stopping, nothing is reloaded");
    } else if (server->stopping) {
        log_warn("stopping at once");
        _exit(128 + signal_number);
    } else {
        begin_stop(server, signal_number);
    }
}

static void close_handles(struct server *server)
{
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    uv_close((uv_handle_t *)&server->second, NULL);
    uv_close((uv_handle_t *)&server->drain, NULL);
    uv_close((uv_handle_t *)&server->part_finished, NULL);
}

static void on_part_finished(uv_async_t *handle)
{
    struct server *server = handle->data;
    for (size_t i = 0; i < server->part_count; i++) {
        if (!atomic_load(&server->parts[i].gone))
            return;
    }
    close_handles(server);
}

/* ---- starting ---- */

static void on_second(uv_timer_t *timer)
{
    struct server *server = timer->data;
    broker_tick(server->broker);
}

static void init_loop(struct server *server)
{
    uv_loop_init(&server->loop);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, signal_numbers[i]);
    }
    uv_timer_init(&server->loop, &server->second);
    uv_timer_init(&server->loop, &server->drain);
    uv_async_init(&server->loop, &server->part_finished, on_part_finished);
    server->second.data = server->drain.data = server->part_finished.data = server;
    uv_timer_start(&server->second, on_second, 1000, 1000);
}

static size_t raise_nofile(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur == RLIM_INFINITY ? 1048576 : (size_t)limit.rlim_cur;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct budget *make_budget(const struct server *server)
{
    const struct config *config = server->config;
    size_t nofile = server->status.max_fds;
    size_t kept_back = status_open_fds() + 8 * (size_t)config->workers + SPARE_FDS;
    size_t sockets = nofile > kept_back + 8 ? nofile - kept_back : 8;
    size_t sessions =
        config->max_sessions ? (size_t)config->max_sessions : nofile - min_size(64, nofile / 2);
    return budget_create(&(struct budget_limits){
        .max_sockets = sockets,
        .max_sessions = min_size(sessions, sockets - 4), /* leaves a few for HTTP */
        .max_sessions_per_ip = (size_t)config->max_sessions_per_ip,
        .max_unauthenticated = (size_t)config->max_unauthenticated,
    });
}

static struct broker *make_memory_broker(const struct config *config)
{
    return broker_memory_create(&(struct broker_memory_limits){
        .store =
            {
                .keep_messages = (size_t)config->keep_messages,
                .keep_bytes = config->keep_bytes ? (uint64_t)config->keep_bytes : 16 * MIB,
                .keep_total = config->keep_total ? (uint64_t)config->keep_total : 64 * MIB,
            },
        .devices_per_user = (size_t)config->devices_per_user,
        .idempotency_entries = (size_t)config->idempotency_entries,
        .idempotency_ttl_ms = config->idempotency_ttl_ms,
        .wall_ms = clock_wall_ms,
    });
}

/* NULL: why is in the log. */
static struct broker *make_sqlite_broker(struct server *server)
{
    const struct config *config = server->config;
    char error[512];
    if (!data_path(config, "", server->folder)) {
        log_error("data_dir: the path is too long");
        return NULL;
    }
    struct broker *broker = broker_sqlite_create(
        &(struct sqlite_options){
            .folder = server->folder,
            .full_sync = config->sync == CONFIG_SYNC_FULL,
            .recent_bytes = (uint64_t)config->recent_bytes,
            .keep_messages = (size_t)config->keep_messages,
            .keep_bytes = config->keep_bytes ? (uint64_t)config->keep_bytes : 64 * MIB,
            .keep_total = config->keep_total ? (uint64_t)config->keep_total : 4096 * MIB,
            .disk_reserve = (uint64_t)config->disk_reserve,
            .devices_per_user = (size_t)config->devices_per_user,
            .idempotency_entries = (size_t)config->idempotency_entries,
            .idempotency_ttl_ms = config->idempotency_ttl_ms,
            .wall_ms = clock_wall_ms,
            .metrics = &server->broker_metrics,
        },
        error, sizeof error);
    if (!broker)
        log_error("the data folder cannot be used", LOG_TEXT("why", error));
    return broker;
}

static bool make_broker(struct server *server)
{
    server->broker = server->config->broker == CONFIG_BROKER_MEMORY
                         ? make_memory_broker(server->config)
                         : make_sqlite_broker(server);
    return server->broker != NULL;
}

/* NULL: any address will do. */
static const char *why_only_loopback(const struct config *config)
{
    if (config->dev_echo)
        return "with dev_echo, which knows no limits, only loopback is served";
    if (config->insecure_open || credentials_configured(config))
        return NULL;
    return "without credentials only loopback is served; --insecure-open serves everyone who can "
           "reach this address";
}

static bool bind_all(struct server *server)
{
    const struct config *config = server->config;
    char *const metrics[] = {config->metrics_listen};
    const char *only_loopback = why_only_loopback(config);
    if (!endpoints_bind(&server->endpoints, config->listen.items, config->listen.count,
                        (size_t)config->workers, only_loopback))
        return false;
    return !config->metrics_listen[0] ||
           endpoints_bind(&server->metrics_endpoints, metrics, 1, 1, only_loopback);
}

static bool read_credentials(struct server *server)
{
    char *error = NULL;
    server->revocations = credentials_open_revocations(server->config, &error);
    if (server->revocations)
        server->access =
            credentials_read(server->config, server->config, server->revocations, &error);
    if (!server->access)
        log_error("cannot tell who may come in", LOG_TEXT("reason", error));
    free(error);
    return server->access != NULL;
}

static bool build(struct server *server)
{
    const struct config *config = server->config;
    server->budget = make_budget(server);
    server->can_adopt = adoption_works();
    if (!server->can_adopt)
        log_error("this libmicrohttpd keeps its sockets: no /sse, and /poll does not wait");
    server->part_count = (size_t)config->workers;
    server->parts = mem_alloc(server->part_count * sizeof *server->parts);
    server->metrics = mem_alloc((server->part_count + 1) * sizeof *server->metrics);
    server->metrics[server->part_count] = &server->broker_metrics;
    server->status.broker = server->broker;
    server->status.metrics = server->metrics;
    server->status.metrics_count = server->part_count + 1;
    for (size_t i = 0; i < server->part_count; i++) {
        if (!build_part(server, i)) {
            log_error("libmicrohttpd does not start");
            return false;
        }
    }
    return true;
}

static void say_ready(const struct server *server)
{
    char text[ENDPOINT_TEXT_MAX];
    if (server->config->insecure_open && access_is_open(server->access))
        log_warn("INSECURE: everyone who reaches this server may send, receive and manage");
    if (server->config->broker == CONFIG_BROKER_MEMORY)
        log_warn("messages are kept in memory and end with this process",
                 LOG_TEXT("broker", "memory"));
    else
        log_info("messages are kept on disk", LOG_TEXT("data_dir", server->folder),
                 LOG_NUMBER("messages", broker_stats(server->broker).messages),
                 LOG_TEXT("sync", server->config->sync == CONFIG_SYNC_FULL ? "full" : "normal"));
    for (size_t i = 0; i < server->metrics_endpoints.count; i++) {
        endpoint_format(&server->metrics_endpoints.addresses[i], text);
        log_info("metrics", LOG_TEXT("listen", text));
    }
    for (size_t i = 1; i < server->endpoints.count; i++) {
        endpoint_format(&server->endpoints.addresses[i], text);
        log_info("listening", LOG_TEXT("listen", text));
    }
    endpoint_format(&server->endpoints.addresses[0], text);
    log_info("ready", LOG_TEXT("listen", text));
}

/* The broker first: until its threads have ended it may put late answers into the workers' inboxes,
 * where they are found when these are destroyed. */
static void destroy(struct server *server)
{
    broker_destroy(server->broker);
    for (size_t i = 0; i < server->part_count; i++)
        destroy_part(&server->parts[i]);
    endpoints_finish(&server->endpoints);
    endpoints_finish(&server->metrics_endpoints);
    budget_destroy(server->budget);
    access_unref(server->access);
    revocations_close(server->revocations);
    if (server->reloaded)
        config_finish(server->reloaded);
    free(server->reloaded);
    free(server->metrics);
    free(server->parts);
}

static void run(struct server *server)
{
    init_loop(server);
    for (size_t i = 0; i < server->part_count; i++)
        worker_start(server->parts[i].worker);
    say_ready(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < server->part_count; i++)
        worker_join(server->parts[i].worker);
    int busy = uv_loop_close(&server->loop);
    assert(busy == 0);
}

int server_run(const struct config *config)
{
    struct server server = {.config = config, .started = config};
    log_set_level((enum log_level)config->log_level);
    log_set_format(config->log_format == CONFIG_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write(2), not the end */
    hash_seed();
    json_object_seed(0); /* jansson's own tables hash what clients choose, too */
    server.status.max_fds = raise_nofile();
    /* The broker first: it says under which key names are hashed. */
    if (!bind_all(&server) || !make_broker(&server) || !read_credentials(&server)) {
        destroy(&server);
        return 1;
    }
    if (!build(&server)) {
        broker_destroy(server.broker);
        return 1;
    }
    run(&server);
    destroy(&server);
    log_info("stopped");
    return 0;
}
