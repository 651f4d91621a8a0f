#include "top/server.h"

#include <assert.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "api/status.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/need.h"
#include "base/notify.h"
#include "config/config.h"
#include "engine/broker.h"
#include "http/adoption.h"
#include "http/parser.h"
#include "model/access.h"
#include "model/connection_limits.h"
#include "model/revocations.h"
#include "socketio/engine_state.h"
#include "top/credentials.h"
#include "top/descriptors.h"
#include "top/endpoint.h"
#include "top/greeting.h"
#include "top/preflight.h"
#include "top/reload.h"
#include "top/storage.h"
#include "top/supervision.h"
#include "top/worker.h"

#define LAST_SECONDS 5 /* for what has to end by itself, once all else has */

struct server {
    const struct config *config;
    const struct config *started; /* what it was then */
    struct config *reloaded;      /* owned: what `config` is since the last SIGHUP */
    struct revocations *revocations;
    char folder[PATH_MAX]; /* the broker's */
    struct broker *broker;
    struct metrics broker_metrics;
    struct access *access;
    struct connection_limits *connection_limits;
    struct status status;
    struct endpoints endpoints;
    struct endpoints metrics_endpoints;
    struct worker_shared ground;
    struct engine_door doors[WORKER_DOORS];
    atomic_size_t draining; /* workers that ask others for nothing any more */
    struct worker **workers;
    size_t worker_count;
    const struct metrics **metrics;
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_timer_t second;
    uv_timer_t drain;
    uv_async_t worker_finished;
    bool stopping;
    bool ends_soon;
};

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP};

/* ---- stopping ---- */

static void call_workers(struct server *server, void (*call)(struct worker *worker))
{
    for (size_t i = 0; i < server->worker_count; i++)
        call(server->workers[i]);
}

/* Second by second: time in which the process itself stands still does not count. */
static void *end_at_last(void *context)
{
    (void)context;
    for (int i = 0; i < LAST_SECONDS; i++)
        sleep(1);
    log_error("ending without what does not end, perhaps for want of a disk that answers");
    log_stop();
    _exit(1);
}

/* Whatever still waits then, and on whatever thread, is not waited for: what was acknowledged is on
 * disk, and nobody is there for the rest. */
static void end_soon(struct server *server)
{
    pthread_t last;
    if (server->ends_soon)
        return;
    server->ends_soon = true;
    if (pthread_create(&last, NULL, end_at_last, NULL) == 0)
        pthread_detach(last);
    else
        log_warn("no thread for the last deadline, a disk that hangs is waited for");
}

static void on_drain_over(uv_timer_t *timer)
{
    end_soon(timer->data);
    call_workers(timer->data, worker_abort);
}

static void start_drain(uv_timer_t *timer)
{
    struct server *server = timer->data;
    call_workers(server, worker_drain);
    uv_timer_start(&server->drain, on_drain_over, (uint64_t)server->config->drain_ms, 0);
}

static void begin_stop(struct server *server, int signal_number)
{
    server->stopping = true;
    atomic_store(&server->status.stopping, true);
    notify_say("STOPPING=1\nSTATUS=stopping");
    log_info("stopping", LOG_TEXT("signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"),
             LOG_NUMBER("drain_ms", server->config->drain_ms));
    uv_timer_start(&server->drain, start_drain, (uint64_t)server->config->drain_delay_ms, 0);
}

/* ---- reloading ---- */

static void change_all(struct server *server, const struct config *config, struct access *access)
{
    access_unref(server->access);
    server->access = access;
    log_set_level((enum log_level)config->log_level);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_change(server->workers[i], config, access);
}

static void reload(struct server *server)
{
    struct access *access;
    struct config *config =
        reload_read(server->started, server->revocations, server->access, &access);
    if (!config)
        return;
    change_all(server, config, access);
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
        notify_reloading();
        reload(server);
        notify_say("READY=1");
    } else if (signal_number == SIGHUP) {
        log_warn("stopping, nothing is reloaded");
    } else if (server->stopping) {
        log_warn("stopping at once");
        log_stop();
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
    uv_close((uv_handle_t *)&server->worker_finished, NULL);
}

/* On the thread of the last of them. */
static void on_all_draining(void *context)
{
    call_workers(context, worker_let_go);
}

/* On the worker's thread. */
static void on_part_gone(void *context)
{
    struct server *server = context;
    uv_async_send(&server->worker_finished);
}

static void on_worker_finished(uv_async_t *handle)
{
    struct server *server = handle->data;
    for (size_t i = 0; i < server->worker_count; i++) {
        if (!worker_is_gone(server->workers[i]))
            return;
    }
    close_handles(server);
}

/* ---- starting ---- */

static void on_second(uv_timer_t *timer)
{
    struct server *server = timer->data;
    broker_tick(server->broker);
    log_tick();
    supervision_beat(server->workers, server->metrics, server->worker_count);
}

static void init_loop(struct server *server)
{
    need(uv_loop_init(&server->loop), "the main loop");
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++) {
        need(uv_signal_init(&server->loop, &server->signals[i]), "news of signals");
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, signal_numbers[i]);
    }
    uv_timer_init(&server->loop, &server->second);
    uv_timer_init(&server->loop, &server->drain);
    need(uv_async_init(&server->loop, &server->worker_finished, on_worker_finished),
         "the main loop's wake-up");
    server->second.data = server->drain.data = server->worker_finished.data = server;
    uv_timer_start(&server->second, on_second, 1000, 1000);
}

static bool bind_all(struct server *server)
{
    const struct config *config = server->config;
    char *const metrics[] = {config->metrics_listen};
    const char *only_loopback = preflight_only_loopback(config);
    int first;
    size_t inherited = notify_sockets(&first);
    if (inherited ? !endpoints_inherit(&server->endpoints, first, inherited,
                                       (size_t)config->workers, only_loopback)
                  : !endpoints_bind(&server->endpoints, config->listen.items, config->listen.count,
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

static bool find_parser(struct server *server)
{
    if (parser_find(&server->ground.parser))
        return true;
    log_error(
        "this libmicrohttpd lets heads through that cannot be judged: use 0.9.75, or 1.0.1 or "
        "later",
        LOG_TEXT("version", parser_version()));
    return false;
}

static bool build(struct server *server)
{
    const struct config *config = server->config;
    server->connection_limits = descriptors_limits(config, server->status.max_fds);
    server->worker_count = (size_t)config->workers;
    server->ground = (struct worker_shared){
        .config = config,
        .broker = server->broker,
        .connection_limits = server->connection_limits,
        .status = &server->status,
        .endpoints = &server->endpoints,
        .metrics_endpoints = &server->metrics_endpoints,
        .worker_count = server->worker_count,
        .doors = server->doors,
        .draining = &server->draining,
        .can_adopt = adoption_works(),
        .on_all_draining = on_all_draining,
        .on_gone = on_part_gone,
        .context = server,
    };
    if (!find_parser(server))
        return false;
    if (!server->ground.can_adopt)
        log_error("this libmicrohttpd keeps its sockets: no /sse, and /poll does not wait");
    server->workers = mem_alloc(server->worker_count * sizeof *server->workers);
    server->metrics = mem_alloc((server->worker_count + 1) * sizeof *server->metrics);
    server->metrics[server->worker_count] = &server->broker_metrics;
    server->status.broker = server->broker;
    server->status.metrics = server->metrics;
    server->status.metrics_count = server->worker_count + 1;
    for (size_t i = 0; i < server->worker_count; i++) {
        server->workers[i] = worker_create(&server->ground, i, server->access);
        if (!server->workers[i]) {
            log_error("libmicrohttpd does not start");
            return false;
        }
        server->metrics[i] = worker_metrics(server->workers[i]);
    }
    return true;
}

static void say_ready(const struct server *server)
{
    char text[ENDPOINT_TEXT_MAX];
    if (server->config->insecure_open && access_is_open(server->access))
        log_warn("INSECURE: everyone who reaches this server may send, receive and manage");
    storage_say(server->config, server->broker);
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
    notify_say("READY=1\nSTATUS=listening on %s", text);
    if (access_is_open(server->access))
        greeting_say(server->config, text);
}

/* The broker first: until its threads have ended it may put late answers into the workers' inboxes,
 * where they are found when these are destroyed. */
static void destroy(struct server *server)
{
    broker_destroy(server->broker);
    call_workers(server, worker_destroy);
    endpoints_finish(&server->endpoints);
    endpoints_finish(&server->metrics_endpoints);
    connection_limits_destroy(server->connection_limits);
    access_unref(server->access);
    revocations_close(server->revocations);
    if (server->reloaded)
        config_finish(server->reloaded);
    free(server->reloaded);
    free(server->metrics);
    free(server->workers);
}

static void run(struct server *server)
{
    init_loop(server);
    call_workers(server, worker_start);
    say_ready(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    end_soon(server);
    call_workers(server, worker_join);
    int busy = uv_loop_close(&server->loop);
    assert(busy == 0);
}

static int serve(const struct config *config)
{
    struct server server = {.config = config, .started = config};
    server.status.max_fds = descriptors_raise();
    server.status.started_ms = clock_wall_ms();
    /* The broker before the credentials: it says under which key names are hashed. */
    if (!descriptors_suffice(config, server.status.max_fds) || !bind_all(&server) ||
        !(server.broker = storage_open(config, &server.broker_metrics, server.folder)) ||
        !preflight_public(config) || !read_credentials(&server)) {
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

static void begin_log(const struct config *config)
{
    log_set_level((enum log_level)config->log_level);
    log_set_format((enum log_format)config->log_format);
    log_start();
}

bool server_check(const struct config *config)
{
    begin_log(config);
    bool good = preflight_check(config);
    log_stop();
    return good;
}

int server_run(const struct config *config)
{
    notify_init();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write(2), not the end */
    hash_seed();
    json_object_seed(0); /* jansson's own tables hash what clients choose, too */
    begin_log(config);
    int code = serve(config);
    log_stop();
    return code;
}
