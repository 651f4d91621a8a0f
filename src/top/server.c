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
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/broker.h"
#include "engine/broker_memory.h"
#include "engine/broker_sqlite.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/access.h"
#include "net/adoption.h"
#include "net/api/channels.h"
#include "net/api/devices.h"
#include "net/api/messages.h"
#include "net/api/page.h"
#include "net/api/send.h"
#include "net/api/send_lines.h"
#include "net/api/status.h"
#include "net/api/users.h"
#include "net/budget.h"
#include "net/door.h"
#include "net/listener.h"
#include "net/sending.h"
#include "net/poll.h"
#include "net/room.h"
#include "net/sse.h"
#include "net/stream.h"
#include "net/websocket.h"
#include "net/websocket_echo.h"
#include "net/websocket_session.h"
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
    struct broker *broker;
    struct metrics broker_metrics;
    struct access *access;
    struct budget *budget;
    struct sending_options send;
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
    assert(part->route_count < MAX_ROUTES);
    part->routes[part->route_count++] = route;
}

static void add_routes(struct part *part)
{
    struct server *server = part->server;
    part->send_lines.sending = &server->send;
    const struct route routes[] = {
        {"POST", "/send-message", send_message_serve, &server->send, false},
        {"POST", "/send-messages", NULL, &part->send_lines, false, &send_lines_intake},
        {"GET", "/ws/:id", websocket_session_serve, &part->door, true},
        {"GET", "/ws", room_lobby_serve, &part->door, true},
        {"GET", "/rooms/:id", room_serve, &part->door, true},
        {"GET", "/sse/:id", sse_serve, &part->door, false},
        {"GET", "/poll/:id", poll_serve, &part->door, false},
        {"GET", "/users", users_list_serve, NULL, false},
        {"POST", "/users/query", users_query_serve, NULL, false},
        {"GET", "/users/:id", users_describe_serve, NULL, false},
        {"GET", "/users/:id/messages", users_messages_serve, NULL, false},
        {"DELETE", "/users/:id/messages", users_erase_messages_serve, NULL, false},
        {"POST", "/users/:id/ack", devices_ack_serve, NULL, false},
        {"DELETE", "/users/:id/devices/:name", devices_forget_serve, NULL, false},
        {"GET", "/messages/:id", messages_describe_serve, NULL, false},
        {"DELETE", "/users/:id/sessions", users_close_sessions_serve, NULL, false},
        {"GET", "/channels/:id", channels_describe_serve, NULL, false},
        {"GET", "/channels/:id/messages", channels_messages_serve, NULL, false},
        {"GET", "/healthz", status_alive_serve, &server->status, false},
        {"GET", "/readyz", status_ready_serve, &server->status, false},
        {"GET", "/", page_serve, NULL, false},
        {"GET", "/client.js", page_client_serve, NULL, false},
        {"GET", "/docs/errors", page_errors_serve, NULL, false},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        add_route(part, routes[i]);
    if (!server->config->metrics_listen[0])
        add_route(part,
                  (struct route){"GET", "/metrics", status_metrics_serve, &server->status, false});
    if (server->config->dev_echo)
        add_route(part, (struct route){"GET", "/ws-echo", websocket_echo_serve, &part->door, true});
}

/* ---- parts ---- */

static struct listener_options listener_options(struct part *part)
{
    struct server *server = part->server;
    const struct config *config = server->config;
    return (struct listener_options){
        .worker = part->worker,
        .budget = server->budget,
        .access = server->access,
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
    routes[0] = (struct route){"GET", "/metrics", status_metrics_serve, &server->status, false};
    routes[1] = (struct route){"GET", "/healthz", status_alive_serve, &server->status, false};
    routes[2] = (struct route){"GET", "/readyz", status_ready_serve, &server->status, false};
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

static bool build_part(struct server *server, size_t index)
{
    const struct config *config = server->config;
    struct part *part = &server->parts[index];
    part->server = server;
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
    part->door = (struct door){
        .can_adopt = server->can_adopt,
        .sse = part->sse,
        .polls = part->polls,
        .poll_wait_ms = config->poll_wait_ms,
        .worker = part->worker,
        .streams = part->streams,
        .websockets = part->websockets,
        .budget = server->budget,
        .sending = &server->send,
        .queue_high = (uint32_t)config->queue_high,
        .heartbeat_ms = config->heartbeat_ms,
        .retry_spread_ms = config->retry_spread_ms,
        .next_session = (uint64_t)index << 56 | (uint64_t)clock_wall_ms() << 12,
    };
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

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct server *server = handle->data;
    if (signal_number == SIGHUP) {
        log_warn("SIGHUP changes nothing, restart to read the configuration again");
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
    struct broker *broker = broker_sqlite_create(
        &(struct broker_sqlite_options){
            .folder = data_folder(config),
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
    if (config->insecure_open)
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

static bool build(struct server *server)
{
    const struct config *config = server->config;
    if (!make_broker(server))
        return false;
    server->access = access_create(config->allowed_origins.items, config->allowed_origins.count,
                                   config->insecure_open);
    server->budget = make_budget(server);
    server->send = (struct sending_options){
        .max_message = (size_t)config->max_message,
        .ttl_ms = config->ttl_ms,
        .ttl_max_ms = config->ttl_max_ms,
    };
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
    if (server->config->insecure_open)
        log_warn("INSECURE: everyone who reaches this server may send, receive and manage");
    if (server->config->broker == CONFIG_BROKER_MEMORY)
        log_warn("messages are kept in memory and end with this process",
                 LOG_TEXT("broker", "memory"));
    else
        log_info("messages are kept on disk", LOG_TEXT("data_dir", data_folder(server->config)),
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
    access_destroy(server->access);
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
    struct server server = {.config = config};
    log_set_level((enum log_level)config->log_level);
    log_set_format(config->log_format == CONFIG_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT);
    signal(SIGPIPE, SIG_IGN);
    hash_seed();
    json_object_seed(0); /* jansson's own tables hash what clients choose, too */
    server.status.max_fds = raise_nofile();
    if (!bind_all(&server) || !build(&server)) {
        broker_destroy(server.broker);
        return 1;
    }
    run(&server);
    destroy(&server);
    log_info("stopped");
    return 0;
}
