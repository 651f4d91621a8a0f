/* The listener with a real worker, whose loop is turned by hand, over a socket without a network.
 */
#include "support.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/byte_quota.h"
#include "base/clock.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/listener.h"
#include "http/parser.h"
#include "http/request.h"
#include "http/route.h"
#include "model/access.h"
#include "model/connection_limits.h"

#define TIMEOUT_MS 3000
#define MANY_TURNS 1000

/* ---- given time ---- */

static int64_t now_ms;

int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
    return now_ms;
}

static struct {
    struct broker *broker;
    struct reactor *reactor;
    struct connection_limits *connection_limits;
    struct byte_quota quota;
    struct parser parser;
    struct access *access;
    struct listener *listener;
    struct request *waiting[2];
    size_t waiting_count;
    struct sockaddr_un address;
    socklen_t address_size;
    int clients[2];
    bool ended;
} house;

static void serve_later(struct request *request)
{
    if (!request_may_ask(request))
        return;
    house.waiting[house.waiting_count++] = request;
    request_wait(request);
}

static const struct route routes[] = {
    {.method = "POST", .path = "/later", .serve = serve_later, .right = RIGHT_OPEN}};

static int listen_here(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    house.address_size = sizeof house.address;
    house.address.sun_family = AF_UNIX;
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&house.address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&house.address, &house.address_size), 0);
    return fd;
}

static int open_house(void **state)
{
    static const struct broker_options options = {
        .idempotency_entries = 1, .wall_ms = clock_mono_ms, .mono_ms = clock_mono_ms};
    (void)state;
    memset(&house, 0, sizeof house);
    now_ms = 1000;
    house.broker = broker_create("memory", &options, NULL, 0);
    house.reactor = reactor_create(0, house.broker, &(struct catch_up_limits){1, 1, 1});
    house.connection_limits = connection_limits_create(
        &(struct connection_limits_options){.max_sockets = 10, .max_sessions = 1});
    house.access = access_create(&(struct access_options){.open = true, .insecure_open = true});
    assert_true(parser_find(&house.parser));
    int fd = listen_here();
    house.listener = listener_create(
        &(struct listener_options){
            .reactor = house.reactor,
            .connection_limits = house.connection_limits,
            .access = house.access,
            .quota = &house.quota,
            .routes = routes,
            .route_count = COUNT_OF(routes),
            .parser = house.parser,
            .limits = {.max_head = 1024, .max_body = 1024},
            .head_timeout_ms = TIMEOUT_MS,
            .keepalive_ms = TIMEOUT_MS,
            .request_timeout_ms = TIMEOUT_MS,
        },
        &fd, 1);
    assert_non_null(house.listener);
    return 0;
}

static void turn(void)
{
    uv_run(&house.reactor->loop, UV_RUN_NOWAIT);
}

static void a_second_passes(void)
{
    now_ms += 1000;
    list_for_each(hook, &house.reactor->second_hooks, struct reactor_hook, link)
        hook->run(hook);
    turn();
}

static void ask(size_t client)
{
    static const char request[] = "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    house.clients[client] = fd;
    assert_int_equal(connect(fd, (struct sockaddr *)&house.address, house.address_size), 0);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    for (int i = 0; house.waiting_count <= client; i++) {
        assert_in_range(i, 0, MANY_TURNS);
        turn();
    }
}

/* All that comes until nothing does; ended says whether that was the end. */
static const char *hear(size_t client, bool *ret_ended)
{
    static char heard[4096];
    size_t size = 0;
    ssize_t now;
    for (int i = 0; i < 10; i++)
        turn();
    while ((now = recv(house.clients[client], heard + size, sizeof heard - 1 - size, 0)) > 0)
        size += (size_t)now;
    heard[size] = '\0';
    *ret_ended = now == 0;
    return heard;
}

static void end_listener(void)
{
    listener_drain(house.listener);
    for (int i = 0; listener_connections(house.listener); i++) {
        assert_in_range(i, 0, MANY_TURNS);
        turn();
    }
    listener_stop(house.listener);
    house.ended = true;
}

static int close_house(void **state)
{
    (void)state;
    if (!house.ended) { /* a test has failed */
        listener_abort(house.listener);
        end_listener();
    }
    reactor_stop(house.reactor);
    uv_run(&house.reactor->loop, UV_RUN_DEFAULT);
    reactor_destroy(house.reactor);
    broker_destroy(house.broker);
    listener_destroy(house.listener);
    connection_limits_destroy(house.connection_limits);
    access_unref(house.access);
    for (size_t i = 0; i < house.waiting_count; i++)
        close(house.clients[i]);
    return 0;
}

/* ---- tests ---- */

static void who_waits_too_long_for_the_broker_is_answered(void **state)
{
    bool ended;
    (void)state;

    ask(0);
    a_second_passes();
    ask(1);
    a_second_passes();
    assert_string_equal(hear(0, &ended), "");
    a_second_passes();
    assert_non_null(strstr(hear(0, &ended), "HTTP/1.1 503 "));
    assert_false(ended);
    assert_string_equal(hear(1, &ended), "");
    request_answer_static(house.waiting[1], 200, NULL, "", 0);
    assert_non_null(strstr(hear(1, &ended), "HTTP/1.1 200 "));
    request_answer_static(house.waiting[0], 200, NULL, "", 0);
    assert_string_equal(hear(0, &ended), "");
    end_listener();
}

/* libmicrohttpd ends the process when it is stopped while a connection is suspended. */
static void a_stop_waits_for_no_broker(void **state)
{
    bool ended;
    (void)state;

    ask(0);
    ask(1);
    listener_drain(house.listener);
    assert_string_equal(hear(0, &ended), "");
    assert_int_equal(listener_connections(house.listener), 2);
    listener_abort(house.listener);
    for (size_t i = 0; i < 2; i++) {
        const char *heard = hear(i, &ended);
        assert_non_null(strstr(heard, "HTTP/1.1 503 "));
        assert_non_null(strstr(heard, "\"code\":\"broker_down\""));
        assert_true(ended);
    }
    end_listener();
    for (size_t i = 0; i < 2; i++) /* the answers come at last */
        request_problem(house.waiting[i], ERR_NO_ROOM, NULL, "Too late.");
}

#define HOUSE_TEST(test) cmocka_unit_test_setup_teardown(test, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(who_waits_too_long_for_the_broker_is_answered),
        HOUSE_TEST(a_stop_waits_for_no_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
