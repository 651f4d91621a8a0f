/* desk.h - a libmicrohttpd daemon without a listener, and one client at the other end of a socket
 * pair. Nothing moves but by say() and run(). */
#ifndef UNIT_DESK_H
#define UNIT_DESK_H

#include "support.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_quota.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "http/request_in.h"
#include "http/requests.h"
#include "http/route.h"
#include "model/access.h"

#define HOST "Host: a\r\n"
#define END  "\r\n\r\n"

static struct {
    struct requests requests;
    struct byte_quota quota;
    struct reactor reactor; /* never runs; it only is asked for another round */
    struct access *access;
    struct MHD_Daemon *daemon;
    struct deadline deadline;
    int client; /* -1 once closed */
    bool gone;  /* the connection at the server's end */
    char heard[8192];
} desk;

/* ---- the daemon ---- */

static enum MHD_Result desk_on_request(void *cls, struct MHD_Connection *connection,
                                       const char *url, const char *method, const char *version,
                                       const char *upload_data, size_t *upload_data_size,
                                       void **request)
{
    return (enum MHD_Result)request_in_on_request(cls, connection, url, method, version,
                                                  upload_data, upload_data_size, request);
}

static void desk_on_completed(void *cls, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode code)
{
    request_in_on_completed(cls, connection, request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

static void desk_on_connection(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code)
{
    (void)cls;
    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        deadlines_remove(&desk.requests.deadlines, *context);
        desk.gone = true;
        return;
    }
    *context = &desk.deadline;
    deadlines_add(&desk.requests.deadlines, &desk.deadline, -1, 0);
}

static size_t desk_keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static inline bool desk_has_work(void)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    return desk.requests.run_again ||
           (MHD_get_timeout(desk.daemon, &timeout) == MHD_YES && timeout == 0);
}

static inline void run(void)
{
    for (int i = 0; i < 8 || desk_has_work(); i++) {
        assert_in_range(i, 0, 100000);
        desk.requests.run_again = false;
        assert_int_equal(MHD_run(desk.daemon), MHD_YES);
    }
}

/* The head may have 1024 bytes; everything else is the test's to set. */
static inline void desk_open(const struct route *routes, size_t count)
{
    static const int64_t limits[DEADLINE_PHASES] = {1000, 1000, 1000, 1000, 1000};
    struct sockaddr_in peer = {.sin_family = AF_INET};
    int pair[2];

    memset(&desk, 0, sizeof desk);
    desk.access = access_create(&(struct access_options){.open = true, .insecure_open = true});
    desk.quota.limit = (size_t)64 << 20;
    desk.requests = (struct requests){
        .reactor = &desk.reactor,
        .routes = routes,
        .route_count = count,
        .access = desk.access,
        .quota = &desk.quota,
        .limits = {.max_head = 1024},
    };
    deadlines_init(&desk.requests.deadlines, limits);
    desk.daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_TURBO,
        0, NULL, NULL, desk_on_request, &desk.requests, MHD_OPTION_NOTIFY_COMPLETED,
        desk_on_completed, &desk.requests, MHD_OPTION_NOTIFY_CONNECTION, desk_on_connection, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, request_in_on_target, &desk.requests,
        MHD_OPTION_UNESCAPE_CALLBACK, desk_keep_escapes, NULL, MHD_OPTION_END);
    assert_non_null(desk.daemon);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    desk.client = pair[0];
    assert_int_equal(
        MHD_add_connection(desk.daemon, pair[1], (struct sockaddr *)&peer, sizeof peer), MHD_YES);
}

static inline void hang_up(void)
{
    if (desk.client >= 0)
        close(desk.client);
    desk.client = -1;
    run();
}

static inline int desk_close(void **state)
{
    (void)state;
    hang_up();
    assert_true(desk.gone);
    assert_int_equal(desk.requests.deadlines.count, 0);
    MHD_stop_daemon(desk.daemon);
    requests_finish(&desk.requests);
    assert_int_equal(desk.quota.held, 0);
    access_unref(desk.access);
    return 0;
}

/* ---- the client ---- */

static inline void say(const char *text)
{
    assert_int_equal(send(desk.client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    run();
}

/* What has come since the last time. */
static inline const char *hear(void)
{
    ssize_t size = recv(desk.client, desk.heard, sizeof desk.heard - 1, 0);
    desk.heard[size > 0 ? size : 0] = '\0';
    return desk.heard;
}

static inline bool has_ended(void)
{
    char byte;
    return recv(desk.client, &byte, 1, 0) == 0;
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        print_error("no \"%s\" in:\n%s\n", part, text);
    assert_non_null(strstr(text, part));
}

static inline size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text++)
        count++;
    return count;
}

#endif
