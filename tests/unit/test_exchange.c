#include "support.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/worker.h"
#include "model/access.h"
#include "net/exchange.h"

#define MAX_BODY 100
#define HOST     "Host: a\r\n"
#define END      "\r\n\r\n"
#define UPGRADE  "GET /upgrade HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: x\r\n\r\n"

/* A daemon without a listener, and one client at the other end of a socket pair. */
static struct {
    struct exchanges exchanges;
    struct worker worker; /* never runs; it only is asked for another round */
    struct access *access;
    struct MHD_Daemon *daemon;
    struct deadline deadline;
    int client; /* -1 once closed */
    bool gone;  /* the connection at the server's end */
    char heard[4096];
    /* what the routes write down */
    unsigned served;
    struct exchange *waiting;
    char said[256];
    int adoptions;
    int adopted;
    char extra[64];
} desk;

/* ---- the routes ---- */

static void serve_now(struct exchange *exchange)
{
    desk.served++;
    exchange_answer_static(exchange, 200, "text/plain", "now\n", 4);
}

static void serve_later(struct exchange *exchange)
{
    desk.served++;
    desk.waiting = exchange;
    exchange_wait(exchange);
}

static void serve_body(struct exchange *exchange)
{
    size_t size;
    const char *body = exchange_body(exchange, &size);
    desk.served++;
    snprintf(desk.said, sizeof desk.said, "%.*s", (int)size, body);
    exchange_answer_static(exchange, 200, "text/plain", "read\n", 5);
}

static void serve_words(struct exchange *exchange)
{
    size_t length;
    const char *id = exchange_id(exchange, &length);
    const char *a = exchange_query(exchange, "a"), *lone = exchange_query(exchange, "lone");
    desk.served++;
    snprintf(desk.said, sizeof desk.said, "%.*s|%s|%s|%s", (int)length, id, a ? a : "-",
             lone ? lone : "-", exchange_query(exchange, "none") ? "?" : "-");
    serve_now(exchange);
}

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    assert_ptr_equal(context, &desk);
    desk.adoptions++;
    desk.adopted = fd;
    snprintf(desk.extra, sizeof desk.extra, "%.*s", (int)size, extra ? extra : "");
}

static void serve_upgrade(struct exchange *exchange)
{
    desk.served++;
    exchange_upgrade(exchange, "accepted", "protocol", on_adopted, &desk);
}

/* The client leaves while its handshake is looked at. */
static void serve_upgrade_of_nobody(struct exchange *exchange)
{
    close(desk.client);
    desk.client = -1;
    serve_upgrade(exchange);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/now", .serve = serve_now, .right = RIGHT_OPEN},
    {.method = "POST", .path = "/now", .serve = serve_body, .right = RIGHT_OPEN},
    {.method = "GET", .path = "/later", .serve = serve_later, .right = RIGHT_OPEN},
    {.method = "POST", .path = "/later", .serve = serve_later, .right = RIGHT_OPEN},
    {.method = "GET", .path = "/users/:id/words", .serve = serve_words, .right = RIGHT_OPEN},
    {.method = "GET",
     .path = "/upgrade",
     .serve = serve_upgrade,
     .upgrade = true,
     .right = RIGHT_OPEN},
    {.method = "GET",
     .path = "/nobody",
     .serve = serve_upgrade_of_nobody,
     .upgrade = true,
     .right = RIGHT_OPEN},
};

/* ---- the daemon ---- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **request)
{
    return (enum MHD_Result)exchange_on_request(cls, connection, url, method, version, upload_data,
                                                upload_data_size, request);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    exchange_on_completed(cls, connection, request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)cls;
    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        deadlines_remove(&desk.exchanges.deadlines, *context);
        desk.gone = true;
        return;
    }
    *context = &desk.deadline;
    deadlines_add(&desk.exchanges.deadlines, &desk.deadline, -1, 0);
}

static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static void run(void)
{
    for (int i = 0; i < 8 || desk.exchanges.run_again; i++) {
        desk.exchanges.run_again = false;
        assert_int_equal(MHD_run(desk.daemon), MHD_YES);
    }
}

static int open_desk(void **state)
{
    static const int64_t limits[DEADLINE_PAUSED] = {1000, 1000, 1000, 1000};
    struct sockaddr_in peer = {.sin_family = AF_INET};
    int pair[2];
    (void)state;

    memset(&desk, 0, sizeof desk);
    desk.access = access_create(&(struct access_options){.open = true, .insecure_open = true});
    desk.exchanges = (struct exchanges){
        .worker = &desk.worker,
        .routes = routes,
        .route_count = COUNT_OF(routes),
        .access = desk.access,
        .limits = {.max_head = 1024, .max_body = MAX_BODY},
    };
    deadlines_init(&desk.exchanges.deadlines, limits);
    desk.daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_UPGRADE |
                             MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO,
                         0, NULL, NULL, on_request, &desk.exchanges, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, &desk.exchanges, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                         NULL, MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, &desk.exchanges,
                         MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    assert_non_null(desk.daemon);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    desk.client = pair[0];
    assert_int_equal(
        MHD_add_connection(desk.daemon, pair[1], (struct sockaddr *)&peer, sizeof peer), MHD_YES);
    return 0;
}

static void hang_up(void)
{
    if (desk.client >= 0)
        close(desk.client);
    desk.client = -1;
    run();
}

static int close_desk(void **state)
{
    (void)state;
    hang_up();
    assert_true(desk.gone);
    assert_int_equal(desk.exchanges.deadlines.count, 0);
    MHD_stop_daemon(desk.daemon);
    exchanges_finish(&desk.exchanges);
    access_unref(desk.access);
    return 0;
}

/* ---- the client ---- */

static void say(const char *text)
{
    assert_int_equal(send(desk.client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    run();
}

/* What has come since the last time. */
static const char *hear(void)
{
    ssize_t size = recv(desk.client, desk.heard, sizeof desk.heard - 1, 0);
    desk.heard[size > 0 ? size : 0] = '\0';
    return desk.heard;
}

static bool has_ended(void)
{
    char byte;
    return recv(desk.client, &byte, 1, 0) == 0;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        print_error("no \"%s\" in:\n%s\n", part, text);
    assert_non_null(strstr(text, part));
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text++)
        count++;
    return count;
}

/* ---- tests ---- */

static void a_request_is_answered(void **state)
{
    (void)state;

    say("GET /now HTTP/1.1\r\n" HOST "X-Request-Id: r-1" END);
    assert_has(hear(), "HTTP/1.1 200 OK\r\n");
    assert_has(desk.heard, "Content-Type: text/plain\r\n");
    assert_has(desk.heard, "X-Request-Id: r-1\r\n");
    assert_has(desk.heard, "\r\n\r\nnow\n");
    assert_int_equal(desk.deadline.phase, DEADLINE_NEXT_HEAD);
    say("HEAD /now HTTP/1.1\r\n" HOST "X-Request-Id: {}" END);
    assert_has(hear(), "Content-Length: 4\r\n");
    assert_null(strstr(desk.heard, "now\n"));
    assert_null(strstr(desk.heard, "{}")); /* no token: another one was made */
    assert_has(desk.heard, "X-Request-Id: ");
    assert_int_equal(desk.served, 2);
}

static void a_head_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /now HTTP/1.1\r\n" HOST "Content-Length: 2" END "hi";
    (void)state;

    for (size_t i = 0; i + 1 < sizeof request; i++) {
        char byte[2] = {request[i], '\0'};
        assert_int_equal(desk.served, 0);
        say(byte);
    }
    assert_has(hear(), "200 OK");
    assert_string_equal(desk.said, "hi");
}

static void an_answer_may_come_later(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    assert_string_equal(hear(), "");
    assert_int_equal(desk.deadline.phase, DEADLINE_PAUSED);
    desk.worker.again = false;
    exchange_answer_static(desk.waiting, 200, "text/plain", "later\n", 6);
    assert_true(desk.worker.again && desk.exchanges.run_again); /* the pump must hear of it */
    run();
    assert_has(hear(), "\r\n\r\nlater\n");
    say("GET /now HTTP/1.1\r\n" HOST END); /* and the connection lives on */
    assert_has(hear(), "\r\n\r\nnow\n");
}

static void requests_in_a_row_are_answered_in_their_order(void **state)
{
    (void)state;

    say("GET /now HTTP/1.1\r\n" HOST "X-Request-Id: 1" END "POST /now HTTP/1.1\r\n" HOST
        "X-Request-Id: 2\r\nContent-Length: 3" END "two"
        "GET /none HTTP/1.1\r\n" HOST "X-Request-Id: 3" END "GET /later HTTP/1.1\r\n" HOST
        "X-Request-Id: 4" END "GET /now HTTP/1.1\r\n" HOST "X-Request-Id: 5" END);
    const char *at = hear();
    for (int i = 1; i <= 3; i++) {
        char line[32];
        snprintf(line, sizeof line, "X-Request-Id: %d\r\n", i);
        assert_has(at, line);
        at = strstr(at, line);
    }
    assert_int_equal(count_of(desk.heard, "HTTP/1.1 "), 3);
    assert_has(desk.heard, "HTTP/1.1 404 ");
    assert_string_equal(desk.said, "two");
    assert_int_equal(desk.served, 3); /* the fifth waits behind the fourth */
    exchange_answer_static(desk.waiting, 200, NULL, "", 0);
    run();
    assert_int_equal(count_of(hear(), "HTTP/1.1 200"), 2);
    assert_true(strstr(desk.heard, "Id: 4\r\n") < strstr(desk.heard, "Id: 5\r\n"));
    assert_int_equal(desk.served, 4);
}

/* Nobody tells us before the answer; then it has nowhere to go. */
static void the_client_may_leave_while_its_request_waits(void **state)
{
    (void)state;

    say("POST /later HTTP/1.1\r\n" HOST "Content-Length: 2" END "hi");
    assert_non_null(desk.waiting);
    hang_up();
    assert_false(desk.gone);
    exchange_problem(desk.waiting, ERR_BROKER_DOWN, NULL, "Gone.");
    run();
    assert_true(desk.gone);
}

static void the_client_may_leave_in_the_middle_of_a_request(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Content-Length: 20" END "half of");
    assert_int_equal(desk.deadline.phase, DEADLINE_BODY);
    hang_up();
    assert_true(desk.gone);
    assert_int_equal(desk.served, 0);
}

static void an_upgrade_hands_the_socket_over(void **state)
{
    (void)state;

    say(UPGRADE "and more");
    assert_has(hear(), "HTTP/1.1 101 ");
    assert_has(desk.heard, "Upgrade: websocket\r\n");
    assert_has(desk.heard, "Sec-WebSocket-Accept: accepted\r\n");
    assert_has(desk.heard, "Sec-WebSocket-Protocol: protocol\r\n");
    assert_int_equal(desk.adoptions, 1);
    assert_string_equal(desk.extra, "and more");
    assert_true(desk.gone); /* the daemon has let go of it */
    assert_true(fcntl(desk.adopted, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(send(desk.adopted, "hello", 5, 0), 5);
    assert_string_equal(hear(), "hello");
    assert_int_equal(send(desk.client, "hi", 2, 0), 2);
    run();
    assert_int_equal(recv(desk.adopted, desk.heard, sizeof desk.heard, 0), 2);
    close(desk.adopted);
    assert_true(has_ended()); /* no other descriptor of it is open */
}

static void an_upgrade_may_come_to_nothing(void **state)
{
    (void)state;

    say("GET /nobody HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: x" END);
    assert_int_equal(desk.served, 1);
    assert_int_equal(desk.adoptions, 1);
    assert_int_equal(desk.adopted, -1);
    assert_true(desk.gone);
}

static void http_1_0_is_not_upgraded(void **state)
{
    (void)state;

    say("GET /upgrade HTTP/1.0\r\n" HOST "Connection: Upgrade\r\nUpgrade: x" END);
    assert_int_equal(desk.adoptions, 1);
    assert_int_equal(desk.adopted, -1);
    assert_string_equal(hear(), "");
    assert_true(desk.gone);
}

static void a_body_is_gathered(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked" END "3\r\nabc\r\n");
    assert_int_equal(desk.served, 0);
    say("2\r\nde\r\n0\r\n\r\n");
    assert_has(hear(), "200 OK");
    assert_string_equal(desk.said, "abcde");
    say("POST /now HTTP/1.1\r\n" HOST "Content-Length: 0" END);
    assert_has(hear(), "200 OK");
    assert_string_equal(desk.said, "");
}

static void a_body_has_a_limit(void **state)
{
    char body[MAX_BODY + 2], request[512];
    (void)state;

    memset(body, 'x', sizeof body);
    body[MAX_BODY] = '\0';
    snprintf(request, sizeof request, "POST /now HTTP/1.1\r\n" HOST "Content-Length: %d" END "%s",
             MAX_BODY, body);
    say(request);
    assert_has(hear(), "200 OK");
    snprintf(request, sizeof request, "POST /now HTTP/1.1\r\n" HOST "Content-Length: %d" END "%sx",
             MAX_BODY + 1, body);
    say(request);
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "\"code\":\"body_too_large\"");
    snprintf(request, sizeof request,
             "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked" END
             "%x\r\n%s\r\n1\r\nx\r\n0\r\n\r\n",
             MAX_BODY, body);
    say(request);
    assert_has(hear(), "HTTP/1.1 413 ");
    say("GET /now HTTP/1.1\r\n" HOST END); /* both were read to their end */
    assert_has(hear(), "\r\n\r\nnow\n");
    assert_int_equal(desk.served, 2);
}

static void nobody_waits_for_a_body_that_is_not_wanted(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 101" END);
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "Connection: close\r\n");
    assert_true(has_ended());
}

static void words_of_the_address_are_decoded_once(void **state)
{
    static const struct {
        const char *target, *said;
    } cases[] = {
        {"/users/ann/words", "ann|-|-|-"},
        {"/users/caf%C3%a9/words?a=1", "caf\xc3\xa9|1|-|-"},
        {"/users/%2541/words?a=%2541+%2B&lone", "%41|%41 +||-"},
        {"/users/a+b/words?lone&a=&a=2", "a+b|||-"},
        {"/users/a/words?&&=x&a=b=c&&", "a|b=c|-|-"},
        {"/users/a/words?", "a|-|-|-"},
        {"/users/a/words?%61=%26", "a|&|-|-"},
        {"/users/.../words?a=?", "...|?|-|-"},
        {"/users/a/words?a&b&c&d&e&f&g&h&lone", "a|||-"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char request[256];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST END, cases[i].target);
        say(request);
        assert_has(hear(), "200 OK");
        assert_string_equal(desk.said, cases[i].said);
    }
}

static void refusals_leave_the_connection_open(void **state)
{
    static const struct {
        const char *line, *status, *code;
    } cases[] = {
        {"GET /none", "404", "not_found"},
        {"GET /now/", "404", "not_found"},
        {"GET /users/a/words/", "404", "not_found"},
        {"GET /users/a", "404", "not_found"},
        {"GET *", "404", "not_found"},
        {"DELETE /now", "405", "method_not_allowed"},
        {"HEAD /upgrade", "405", ""},
        {"GET /users//words", "400", "bad_id"},
        {"GET /users/%/words", "400", "bad_id"},
        {"GET /users/a%00/words", "400", "bad_id"},
        {"GET /users/%2f/words", "400", "bad_id"},
        {"GET /users/%2E%2e/words", "400", "bad_id"},
        {"GET /users/%ff/words", "400", "bad_id"},
        {"GET /now?a=%", "400", "bad_parameter"},
        {"GET /now?%00=b", "400", "bad_parameter"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char request[256], status[32];
        snprintf(request, sizeof request, "%s HTTP/1.1\r\n" HOST END, cases[i].line);
        snprintf(status, sizeof status, "HTTP/1.1 %s ", cases[i].status);
        say(request);
        assert_has(hear(), status);
        assert_has(desk.heard, cases[i].code);
        assert_null(strstr(desk.heard, "Connection: close"));
    }
    assert_int_equal(desk.served, 0);
    say("DELETE /now HTTP/1.1\r\n" HOST END);
    assert_has(hear(), "Allow: GET, HEAD, POST\r\n");
}

static void a_hidden_request_never_runs(void **state)
{
    (void)state;

    say("POST /none HTTP/1.1\r\n" HOST "Content-Length: 6\r\nTransfer-Encoding: chunked" END
        "0\r\n\r\nGET /now HTTP/1.1\r\n" HOST END);
    assert_has(hear(), "HTTP/1.1 400 ");
    assert_has(desk.heard, "Connection: close\r\n");
    assert_int_equal(count_of(desk.heard, "HTTP/1.1 "), 1);
    assert_true(has_ended());
    assert_int_equal(desk.served, 0);
}

static void a_stopping_server_closes_behind_its_answers(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    desk.exchanges.stopping = true;
    exchange_answer_static(desk.waiting, 200, NULL, "", 0);
    run();
    assert_has(hear(), "Connection: close\r\n");
    assert_true(has_ended());
}

/* Its sessions have been told to go; a new one would only hold it up. */
static void a_stopping_server_upgrades_nothing(void **state)
{
    (void)state;

    desk.exchanges.stopping = true;
    say(UPGRADE);
    assert_has(hear(), "HTTP/1.1 503 ");
    assert_has(desk.heard, "\"code\":\"stopping\"");
    assert_true(has_ended());
    assert_int_equal(desk.served, 0);
}

/* Bodies and heads of different sizes, for what is kept to be used again. */
static void what_is_used_again_remembers_nothing(void **state)
{
    char target[700], request[1000];
    (void)state;

    memset(target, 'x', sizeof target);
    target[sizeof target - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        say("POST /now HTTP/1.1\r\n" HOST "Content-Length: 5" END "first");
        assert_string_equal(desk.said, "first");
        say("POST /now HTTP/1.1\r\n" HOST END);
        assert_string_equal(desk.said, "");
        snprintf(request, sizeof request, "GET /users/a/words?a=%s HTTP/1.1\r\n" HOST END, target);
        say(request);
        say("GET /users/b/words HTTP/1.1\r\n" HOST END);
        assert_string_equal(desk.said, "b|-|-|-");
        assert_int_equal(count_of(hear(), "200 OK"), 4);
    }
}

#define DESK_TEST(test) cmocka_unit_test_setup_teardown(test, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_request_is_answered),
        DESK_TEST(a_head_may_come_byte_by_byte),
        DESK_TEST(an_answer_may_come_later),
        DESK_TEST(requests_in_a_row_are_answered_in_their_order),
        DESK_TEST(the_client_may_leave_while_its_request_waits),
        DESK_TEST(the_client_may_leave_in_the_middle_of_a_request),
        DESK_TEST(an_upgrade_hands_the_socket_over),
        DESK_TEST(an_upgrade_may_come_to_nothing),
        DESK_TEST(http_1_0_is_not_upgraded),
        DESK_TEST(a_body_is_gathered),
        DESK_TEST(a_body_has_a_limit),
        DESK_TEST(nobody_waits_for_a_body_that_is_not_wanted),
        DESK_TEST(words_of_the_address_are_decoded_once),
        DESK_TEST(refusals_leave_the_connection_open),
        DESK_TEST(a_hidden_request_never_runs),
        DESK_TEST(a_stopping_server_closes_behind_its_answers),
        DESK_TEST(a_stopping_server_upgrades_nothing),
        DESK_TEST(what_is_used_again_remembers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
