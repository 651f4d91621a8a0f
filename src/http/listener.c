#include "http/listener.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/minmax.h"
#include "engine/reactor.h"
#include "http/parking.h"
#include "http/parser.h"
#include "http/request_in.h"
#include "model/connection_limits.h"

#define BACKLOG     4096
#define MAX_ACCEPTS 64 /* a turn: a storm of connections must not starve those that are open */
#define MAX_RUNS    16 /* of libmicrohttpd a turn */
#define MAX_IDLE    2  /* of these in a row, in which nothing came further */
#define MAX_REST_MS 64 /* until it is run again then */
#define WAKE_MS     20 /* until it is looked after those who are parked */
#define SECOND_MS   1000
#define LINGER_MS   5000 /* to read why one was refused, and stop sending */

struct listen_socket { /* one listening socket */
    struct listener *listener;
    uv_poll_t poll;
    int fd; /* -1 once closed */
};

struct listener {
    struct requests requests;
    struct connection_limits *connection_limits;
    struct MHD_Daemon *daemon;
    uv_poll_t poll; /* on the daemon's epoll set */
    struct listen_socket *listen_sockets;
    size_t listen_socket_count;
    struct parking parking;
    uv_timer_t rest; /* until libmicrohttpd is run again, though nothing came further */
    uint64_t rest_ms;
    struct reactor_hook turn;
    struct reactor_hook second;
    int64_t second_ms; /* when it came last */
    bool announced;    /* on_connection was told of the connection being added */
    bool shut;         /* the listening sockets are not polled: no descriptor is left */
    bool draining;
};

int listener_bind(struct sockaddr_storage *address, bool probe, int *ret_fd)
{
    int one = 1, err = 0;
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!probe)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)address, size) != 0 || (!probe && listen(fd, BACKLOG) != 0) ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0)
        err = errno;
    if (err || probe)
        close(fd);
    else
        *ret_fd = fd;
    return err;
}

/* ---- the pump ---- */

static bool has_work(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    return listener->requests.run_again ||
           (MHD_get_timeout(listener->daemon, &timeout) == MHD_YES && timeout == 0);
}

static void pump(struct listener *listener);

static void on_rested(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    if (parking_wake(&listener->parking))
        listener->requests.run_again = true;
    pump(listener);
}

/* Some connection has work, says libmicrohttpd, but comes no further. It costs less and less until
 * something else happens. */
static void rest(struct listener *listener)
{
    listener->rest_ms = listener->rest_ms ? min_u64(2 * listener->rest_ms, MAX_REST_MS) : 1;
    uv_timer_start(&listener->rest, on_rested, listener->rest_ms, 0);
}

/* Runs libmicrohttpd until it has nothing to do. False: it still says that it has. */
static bool run(struct listener *listener, int *ret_idle)
{
    struct requests *requests = &listener->requests;
    *ret_idle = 0;
    for (int runs = 0; runs < MAX_RUNS && *ret_idle < MAX_IDLE; runs++) {
        uint64_t steps = requests->steps;
        requests->run_again = false;
        MHD_run(listener->daemon);
        if (!has_work(listener))
            return true;
        *ret_idle = requests->run_again || requests->steps != steps ? 0 : *ret_idle + 1;
    }
    return false;
}

/* 0.9.75 tells nobody of resumed, added and adopted connections: whoever makes such work sets
 * run_again. Never called from within libmicrohttpd. */
static void pump(struct listener *listener)
{
    int idle;
    if (run(listener, &idle)) {
        listener->rest_ms = 0;
        if (listener->parking.count)
            uv_timer_start(&listener->rest, on_rested, WAKE_MS, 0);
        return;
    }
    parking_look(&listener->parking, clock_mono_ms());
    if (idle == MAX_IDLE) {
        rest(listener);
        return;
    }
    listener->requests.run_again = true; /* what is left follows in this turn's next round */
    reactor_again(listener->requests.reactor);
}

static void on_daemon_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    pump(poll->data);
}

static void end_turn(struct reactor_hook *hook)
{
    struct listener *listener = list_entry(hook, struct listener, turn);
    if (!listener->daemon || !listener->requests.run_again)
        return;
    pump(listener);
    reactor_again(
        listener->requests.reactor); /* sockets that were taken over have something to say */
}

/* ---- accepting ---- */

static void set_listen_sockets(struct listener *listener, bool open);

static void end_connection(struct listener *listener, struct deadline *deadline);

static bool make_room(struct listener *listener)
{
    struct deadline *idle = deadlines_take_idle(&listener->requests.deadlines, clock_mono_ms());
    if (idle)
        end_connection(listener, idle);
    return idle != NULL;
}

/* Nothing is left for another connection. Whoever idles longest makes room, else who has said
 * nothing; the new ones wait in the backlog until something closes. */
static void wait_for_room(struct listener *listener)
{
    if (make_room(listener))
        return;
    log_warn("no room for connections, new ones wait",
             LOG_NUMBER("worker", listener->requests.reactor->index));
    set_listen_sockets(listener, false);
}

static bool accept_one(struct listen_socket *listen_socket)
{
    struct listener *listener = listen_socket->listener;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (!connection_limits_take_socket(listener->connection_limits)) {
        wait_for_room(listener);
        return false;
    }
    int fd =
        accept4(listen_socket->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        connection_limits_give_socket(listener->connection_limits);
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            wait_for_room(listener);
        return errno == ECONNABORTED || errno == EINTR;
    }
    if (peer.ss_family == AF_UNIX) { /* who comes by a Unix socket is on this machine */
        const struct sockaddr_in here = {.sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        memset(&peer, 0, sizeof peer);
        memcpy(&peer, &here, size = sizeof here);
    }
    /* When it refuses it closes the socket itself; on_connection hears of that only if it had
     * heard of the start. */
    listener->announced = false;
    if (MHD_add_connection(listener->daemon, fd, (struct sockaddr *)&peer, size) != MHD_YES &&
        !listener->announced)
        connection_limits_give_socket(listener->connection_limits);
    listener->requests.run_again = true;
    return true;
}

static void accept_some(struct listen_socket *listen_socket, int max)
{
    for (int i = 0; i < max && accept_one(listen_socket); i++)
        ;
    if (listen_socket->listener->requests.run_again)
        pump(listen_socket->listener);
}

static void on_listen_socket_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    accept_some(poll->data, MAX_ACCEPTS);
}

static void set_listen_sockets(struct listener *listener, bool open)
{
    if (listener->draining)
        return;
    for (size_t i = 0; i < listener->listen_socket_count; i++) {
        if (open)
            uv_poll_start(&listener->listen_sockets[i].poll, UV_READABLE, on_listen_socket_ready);
        else
            uv_poll_stop(&listener->listen_sockets[i].poll);
    }
    listener->shut = !open;
}

/* ---- connections and their deadlines ---- */

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = cls;
    struct deadlines *deadlines = &listener->requests.deadlines;
    listener->requests.steps++;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context) {
            deadlines_remove(deadlines, *context);
            free(*context);
        }
        metrics_add(&listener->requests.reactor->metrics.http_connections, -1);
        connection_limits_give_socket(listener->connection_limits);
        return;
    }
    listener->announced = true;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct deadline *deadline = calloc(1, sizeof *deadline);
    *context = deadline;
    metrics_add(&listener->requests.reactor->metrics.http_connections, 1);
    if (!deadline) { /* without one nobody may stay */
        shutdown(fd, SHUT_RDWR);
        return;
    }
    deadlines_add(deadlines, deadline, fd, clock_mono_ms());
    deadline->connection = connection;
}

/* Nothing has been answered in these phases, so these bytes cannot fall into another answer. */
static void say(struct listener *listener, int fd, enum err err, const char *detail)
{
    char body[256], response[512];
    int status = err_status(err);
    int length = snprintf(body, sizeof body,
                          "{\"type\":\"/docs/errors#%s\",\"title\":\"%s\",\"status\":%d,"
                          "\"code\":\"%s\",\"detail\":\"%s\"}\n",
                          err_code(err), err_title(err), status, err_code(err), detail);
    int size = snprintf(response, sizeof response,
                        "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
                        "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                        status, MHD_get_reason_phrase_for((unsigned)status), length, body);
    ssize_t sent = send(fd, response, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
    metrics_add(&listener->requests.reactor->metrics.refused[err], 1);
}

/* A connection whose bytes had all come when they were first read is not yet in libmicrohttpd's
 * epoll set, so that a shutdown alone would never be seen. It looks at one with a time of its own
 * in every run, whatever its state. */
static void end_connection(struct listener *listener, struct deadline *deadline)
{
    parking_release(&listener->parking, deadline);
    listener->requests.run_again = true;
    shutdown(deadline->fd, SHUT_RDWR);
    MHD_set_connection_option(deadline->connection, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
}

static void end_stuck(void *context, struct deadline *stuck)
{
    if (stuck->phase == DEADLINE_BODY)
        say(context, stuck->fd, ERR_BAD_REQUEST, "The size of a chunk has no end.");
    list_remove(&stuck->link);
    end_connection(context, stuck);
}

static void end_late(struct listener *listener, struct deadline *late)
{
    if (late->phase == DEADLINE_WAIT) {
        request_in_give_up(late->request);
        return;
    }
    if (late->phase == DEADLINE_FIRST_HEAD || late->phase == DEADLINE_BODY)
        say(listener, late->fd, ERR_REQUEST_TIMEOUT, "Send the whole request in time.");
    end_connection(listener, late);
}

static void end_if_left(const struct deadline *deadline)
{
    char byte;
    if (recv(deadline->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        shutdown(deadline->fd, SHUT_RDWR);
}

/* libmicrohttpd does not see a FIN that came together with the bytes before it: having read those,
 * it waits for news that will not come. So we look once more after those who wait to be heard. */
static void end_left(struct listener *listener, int64_t now_ms)
{
    const struct deadlines *deadlines = &listener->requests.deadlines;
    deadlines_visit_recent(deadlines, DEADLINE_FIRST_HEAD, 0, end_if_left);
    deadlines_visit_recent(deadlines, DEADLINE_BODY, 0, end_if_left);
    deadlines_visit_recent(deadlines, DEADLINE_LINGER, 0, end_if_left);
    /* There may be many of these, so each is looked at but once. */
    deadlines_visit_recent(deadlines, DEADLINE_NEXT_HEAD, now_ms - 2 * SECOND_MS, end_if_left);
}

/* libmicrohttpd hears nothing of a suspended connection, and must not be stopped with one. */
static void end_waiting(struct listener *listener)
{
    struct list *by_phase = listener->requests.deadlines.by_phase;
    list_for_each_safe(waiting, &by_phase[DEADLINE_WAIT], struct deadline, link)
        request_in_give_up(waiting->request); /* which may move it to another phase */
}

static void on_second(struct reactor_hook *hook)
{
    struct listener *listener = list_entry(hook, struct listener, second);
    int64_t now_ms = clock_mono_ms();
    if (!listener->daemon)
        return;
    if (now_ms - listener->second_ms > 2 * SECOND_MS)
        deadlines_forgive(&listener->requests.deadlines, now_ms - listener->second_ms - SECOND_MS);
    listener->second_ms = now_ms;
    for (struct deadline *late;
         (late = deadlines_take_late(&listener->requests.deadlines, now_ms));)
        end_late(listener, late);
    end_left(listener, now_ms);
    if (listener->requests.ended) /* a body may have come to a wait since */
        end_waiting(listener);
    if (listener->shut)
        set_listen_sockets(listener, true);
    pump(listener);
}

/* ---- life ---- */

static void on_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    char text[256];
    if (!log_wants(LOG_DEBUG))
        return;
    vsnprintf(text, sizeof text, format, args);
    log_debug("libmicrohttpd", LOG_TEXT("says", text));
}

/* Paths and queries reach us raw and are decoded once, by us. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **mhd_context)
{
    return (enum MHD_Result)request_in_on_request(cls, connection, url, method, version,
                                                  upload_data, upload_data_size, mhd_context);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **mhd_context,
                         enum MHD_RequestTerminationCode code)
{
    request_in_on_completed(cls, connection, mhd_context,
                            code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

static struct MHD_Daemon *start_daemon(struct listener *listener)
{
    const struct request_limits *limits = &listener->requests.limits;
    /* The pool holds the head as received, a copy of its cookies, its table of fields and the
     * answer's head. Where that does not fit, the connection ends without an answer. */
    size_t pool = 2 * limits->max_head + 4096;
    return MHD_start_daemon(
        PARSER_DAEMON_FLAGS, 0, NULL, NULL, on_request, &listener->requests,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        &listener->requests, MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
        MHD_OPTION_URI_LOG_CALLBACK, request_in_on_target, &listener->requests,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
        MHD_OPTION_CONNECTION_LIMIT, 1000000u, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_STRICT_FOR_CLIENT, (int)listener->requests.parser.strict, MHD_OPTION_END);
}

static void open_listen_sockets(struct listener *listener, const int *fds, size_t count)
{
    listener->listen_sockets = mem_alloc(count * sizeof *listener->listen_sockets);
    listener->listen_socket_count = count;
    for (size_t i = 0; i < count; i++) {
        struct listen_socket *listen_socket = &listener->listen_sockets[i];
        listen_socket->listener = listener;
        listen_socket->fd = fds[i];
        uv_poll_init(&listener->requests.reactor->loop, &listen_socket->poll, listen_socket->fd);
        listen_socket->poll.data = listen_socket;
    }
    set_listen_sockets(listener, true);
}

struct listener *listener_create(const struct listener_options *options, const int *fds,
                                 size_t count)
{
    struct listener *listener = mem_alloc(sizeof *listener);
    struct reactor *reactor = options->reactor;
    listener->connection_limits = options->connection_limits;
    listener->requests = (struct requests){
        .reactor = reactor,
        .routes = options->routes,
        .route_count = options->route_count,
        .access = options->access,
        .quota = options->quota,
        .limits = options->limits,
        .parser = options->parser,
        .next_id = hash_draw_number(),
        .access_log = options->access_log,
    };
    const int64_t limit_ms[] = {
        [DEADLINE_FIRST_HEAD] = options->head_timeout_ms,
        [DEADLINE_NEXT_HEAD] = options->keepalive_ms,
        [DEADLINE_BODY] = options->request_timeout_ms,
        [DEADLINE_ANSWER] = options->request_timeout_ms,
        [DEADLINE_WAIT] = options->request_timeout_ms,
        [DEADLINE_LINGER] = LINGER_MS,
    };
    deadlines_init(&listener->requests.deadlines, limit_ms);
    listener->parking = (struct parking){
        .deadlines = &listener->requests.deadlines, .end = end_stuck, .context = listener};
    listener->daemon = start_daemon(listener);
    if (!listener->daemon) {
        free(listener);
        return NULL;
    }
    int epoll = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    uv_poll_init(&reactor->loop, &listener->poll, epoll);
    listener->poll.data = listener;
    uv_timer_init(&reactor->loop, &listener->rest);
    listener->rest.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_daemon_ready);
    open_listen_sockets(listener, fds, count);
    listener->turn.run = end_turn;
    reactor_on_turn(reactor, TURN_SERVE, &listener->turn);
    listener->second.run = on_second;
    listener->second_ms = clock_mono_ms();
    reactor_on_second(reactor, &listener->second);
    return listener;
}

static void close_listen_socket(struct listen_socket *listen_socket)
{
    uv_poll_stop(&listen_socket->poll);
    uv_close((uv_handle_t *)&listen_socket->poll, NULL);
    close(listen_socket->fd);
    listen_socket->fd = -1;
}

/* Connections with nothing on their way end now: kept-alive ones, and those that browsers open in
 * case they need them. One whose request has already begun to reach us gets its answer. */
static void end_idle(struct listener *listener)
{
    struct list *by_phase = listener->requests.deadlines.by_phase;
    list_for_each(kept, &by_phase[DEADLINE_NEXT_HEAD], struct deadline, link) {
        if (!deadline_unread(kept))
            shutdown(kept->fd, SHUT_RDWR);
    }
    list_for_each(fresh, &by_phase[DEADLINE_FIRST_HEAD], struct deadline, link) {
        if (!deadline_heard(fresh))
            shutdown(fresh->fd, SHUT_RDWR);
    }
    listener->requests.run_again = true;
    reactor_again(listener->requests.reactor);
}

void listener_drain(struct listener *listener)
{
    if (listener->draining)
        return;
    /* All that the kernel took for us: a listening socket that closes resets them. */
    for (size_t i = 0; i < listener->listen_socket_count; i++)
        accept_some(&listener->listen_sockets[i], BACKLOG);
    listener->draining = true;
    listener->requests.stopping = true;
    for (size_t i = 0; i < listener->listen_socket_count; i++)
        close_listen_socket(&listener->listen_sockets[i]);
    end_idle(listener);
}

void listener_change(struct listener *listener, struct access *access,
                     const struct request_limits *limits, bool access_log)
{
    listener->requests.access = access;
    listener->requests.limits = *limits;
    listener->requests.access_log = access_log;
}

size_t listener_connections(const struct listener *listener)
{
    return listener->requests.deadlines.count;
}

size_t listener_late_answers(const struct listener *listener)
{
    return listener->requests.late;
}

void listener_abort(struct listener *listener)
{
    listener->requests.ended = true;
    end_waiting(listener);
    pump(listener);
    for (int phase = 0; phase < DEADLINE_PHASES; phase++) {
        list_for_each(deadline, &listener->requests.deadlines.by_phase[phase], struct deadline,
                      link)
            end_connection(listener, deadline);
    }
    listener->requests.run_again = true;
    reactor_again(listener->requests.reactor);
}

void listener_stop(struct listener *listener)
{
    uv_poll_stop(&listener->poll);
    uv_close((uv_handle_t *)&listener->poll, NULL);
    uv_close((uv_handle_t *)&listener->rest, NULL);
    MHD_stop_daemon(listener->daemon);
    listener->daemon = NULL;
}

void listener_destroy(struct listener *listener)
{
    if (!listener)
        return;
    requests_finish(&listener->requests);
    free(listener->listen_sockets);
    free(listener);
}
