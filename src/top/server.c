#include "top/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "api/status.h"
#include "base/clock.h"
#include "config/config.h"
#include "config/config_row.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/need.h"
#include "base/notify.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/sqlite_file.h"
#include "http/adoption.h"
#include "http/parser.h"
#include "model/access.h"
#include "model/api_keys.h"
#include "model/connection_limits.h"
#include "model/revocations.h"
#include "top/credentials.h"
#include "top/data.h"
#include "top/endpoint.h"
#include "top/greeting.h"
#include "top/supervision.h"
#include "top/worker.h"

#define MIB ((uint64_t)1024 * 1024)
/* What is held besides sockets of clients. */
#define LOOP_FDS    8  /* of the main thread's loop, or of a worker */
#define BROKER_FDS  10 /* the lock, the file and its log, thrice */
#define SPARE_FDS   8  /* each upgrade holds two descriptors for a moment */
#define SOCKETS_MIN 8

#define LAST_SECONDS 5 /* for what has to end by itself, once all else has */

struct server {
    const struct config *config;
    const struct config *started; /* what it was then */
    struct config *reloaded;      /* owned: what `config` is since the last SIGHUP */
    struct revocations *revocations;
    char folder[PATH_MAX];
    struct broker *broker;
    struct metrics broker_metrics;
    struct access *access;
    struct connection_limits *connection_limits;
    struct status status;
    struct endpoints endpoints;
    struct endpoints metrics_endpoints;
    struct worker_shared ground;
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

/* From the very start: a library without one fails in ways of its own. */
static bool has_descriptors(const struct server *server)
{
    const struct config *config = server->config;
    size_t listening = config->listen.count + 1; /* localhost is two */
    size_t needed = status_open_fds() + LOOP_FDS + BROKER_FDS +
                    (size_t)config->workers * (LOOP_FDS + listening) + SPARE_FDS + SOCKETS_MIN;
    if (server->status.max_fds >= needed)
        return true;
    log_error("too few descriptors, raise `ulimit -n` or the unit's LimitNOFILE",
              LOG_NUMBER("limit", server->status.max_fds), LOG_NUMBER("needed", needed));
    return false;
}

static struct connection_limits *make_connection_limits(const struct server *server)
{
    const struct config *config = server->config;
    size_t nofile = server->status.max_fds;
    size_t kept_back =
        status_open_fds() + LOOP_FDS + LOOP_FDS * (size_t)config->workers + SPARE_FDS;
    size_t sockets = nofile > kept_back + SOCKETS_MIN ? nofile - kept_back : SOCKETS_MIN;
    size_t sessions =
        config->max_sessions ? (size_t)config->max_sessions : nofile - min_size(64, nofile / 2);
    return connection_limits_create(&(struct connection_limits_options){
        .max_sockets = sockets,
        .max_sessions = min_size(sessions, sockets - 4), /* leaves a few for HTTP */
        .max_sessions_per_ip = (size_t)config->max_sessions_per_ip,
        .max_unauthenticated = (size_t)config->max_unauthenticated,
    });
}

static void judge_folder(const char *folder)
{
    struct stat found;
    if (stat(folder, &found) == 0 && found.st_mode & (S_IRWXG | S_IRWXO))
        log_warn("the data folder is open to others on this machine, chmod 700 closes it",
                 LOG_TEXT("data_dir", folder));
}

static bool is_in_memory(const struct config *config)
{
    return config->broker == CONFIG_BROKER_MEMORY;
}

/* By the words of the table. */
static const char *broker_kind(const struct config *config)
{
    return is_in_memory(config) ? "memory" : "sqlite";
}

/* False: why is in the log. */
static bool make_broker(struct server *server)
{
    const struct config *config = server->config;
    bool in_memory = is_in_memory(config);
    char error[512];
    if (!in_memory && !data_path(config, "", server->folder)) {
        log_error("data_dir: the path is too long");
        return false;
    }
    server->broker =
        broker_create(broker_kind(config),
                      &(struct broker_options){
                          .keep_messages = (size_t)config->keep_messages,
                          .keep_bytes = (uint64_t)config->keep_bytes ? (uint64_t)config->keep_bytes
                                        : in_memory                  ? 16 * MIB
                                                                     : 64 * MIB,
                          .keep_total = config->keep_total ? (uint64_t)config->keep_total
                                        : in_memory        ? 64 * MIB
                                                           : 4096 * MIB,
                          .devices_per_user = (size_t)config->devices_per_user,
                          .idempotency_entries = (size_t)config->idempotency_entries,
                          .idempotency_ttl_ms = config->idempotency_ttl_ms,
                          .wall_ms = clock_wall_ms,
                          .mono_ms = clock_mono_ms,
                          .folder = server->folder,
                          .full_sync = config->sync == CONFIG_SYNC_FULL,
                          .recent_bytes = (uint64_t)config->recent_bytes,
                          .disk_reserve = (uint64_t)config->disk_reserve,
                          .metrics = &server->broker_metrics,
                      },
                      error, sizeof error);
    if (!server->broker)
        log_error("the data folder cannot be used", LOG_TEXT("why", error));
    else if (!in_memory)
        judge_folder(server->folder);
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

static bool check_topics(const struct config *config)
{
    char *const metrics[] = {config->metrics_listen};
    const char *only_loopback = why_only_loopback(config);
    return endpoints_check(config->listen.items, config->listen.count, only_loopback) &&
           (!config->metrics_listen[0] || endpoints_check(metrics, 1, only_loopback));
}

static bool bind_all(struct server *server)
{
    const struct config *config = server->config;
    char *const metrics[] = {config->metrics_listen};
    const char *only_loopback = why_only_loopback(config);
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

/* Of the broker, or of what is revoked. */
static bool check_folder(const struct config *config)
{
    struct sqlite_file_error error = {"data_dir: the path is too long"};
    char folder[PATH_MAX];
    if (is_in_memory(config) && !credentials_configured(config))
        return true;
    if (data_path(config, "", folder) && sqlite_folder_usable(folder, &error))
        return true;
    log_error("the data folder cannot be used", LOG_TEXT("why", error.text));
    return false;
}

static bool check_public(const struct config *config)
{
    if (!config->public[0])
        return true;
    int fd = open(config->public, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        log_error("the folder of public cannot be opened", LOG_TEXT("folder", config->public),
                  LOG_TEXT("why", strerror(errno)));
    else
        close(fd);
    return fd >= 0;
}

static bool check_credentials(const struct config *config)
{
    char *error = NULL;
    bool good = credentials_check(config, &error);
    if (!good)
        log_error("cannot tell who may come in", LOG_TEXT("reason", error));
    free(error);
    return good;
}

static bool build(struct server *server)
{
    const struct config *config = server->config;
    server->connection_limits = make_connection_limits(server);
    server->worker_count = (size_t)config->workers;
    server->ground = (struct worker_shared){
        .config = config,
        .broker = server->broker,
        .connection_limits = server->connection_limits,
        .status = &server->status,
        .endpoints = &server->endpoints,
        .metrics_endpoints = &server->metrics_endpoints,
        .worker_count = server->worker_count,
        .can_adopt = adoption_works(),
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
    if (is_in_memory(server->config))
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
    server.status.max_fds = raise_nofile();
    server.status.started_ms = clock_wall_ms();
    /* The broker first: it says under which key names are hashed. */
    if (!has_descriptors(&server) || !bind_all(&server) || !make_broker(&server) ||
        !check_public(config) || !read_credentials(&server)) {
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

static enum log_format log_format_of(const struct config *config)
{
    if (config->log_format == CONFIG_LOG_JSON)
        return LOG_FORMAT_JSON;
    bool journal = config->log_format == CONFIG_LOG_AUTO && log_goes_to_journal();
    return journal ? LOG_FORMAT_JOURNAL : LOG_FORMAT_LOGFMT;
}

static void begin_log(const struct config *config)
{
    log_set_level((enum log_level)config->log_level);
    log_set_format(log_format_of(config));
}

bool server_check(const struct config *config)
{
    struct server server = {.config = config};
    begin_log(config);
    log_start();
    server.status.max_fds = raise_nofile();
    bool good = has_descriptors(&server) && check_topics(config) && check_folder(config) &&
                check_public(config) && check_credentials(config);
    log_stop();
    return good;
}

int server_run(const struct config *config)
{
    notify_init();
    begin_log(config);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write(2), not the end */
    hash_seed();
    json_object_seed(0); /* jansson's own tables hash what clients choose, too */
    log_start();
    int code = serve(config);
    log_stop();
    return code;
}
