/* fuzz_listener.c - a client's bytes at the real listener: libmicrohttpd, request_in, the routes
 * that send and read, a broker in memory. The first byte says in what pieces they come, and how the
 * client ends. Whatever it says, nothing of it is left once it has gone. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"
#include "api/status.h"
#include "base/byte_quota.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/listener.h"
#include "http/parser.h"
#include "http/route.h"
#include "model/access.h"
#include "model/connection_limits.h"
#include "session/publish_request.h"

#define KIB       ((size_t)1024)
#define LATEST_MS 30000
#define ENDS_FULL                                                                                  \
    0x80                /* of the first byte: it shuts down, and reads what comes; else it is gone \
                         */
#define PIECE_BITS 0x0f /* 1 byte to 32 KiB */

static struct publish_options publish_request = {
    .max_message = KIB, .ttl_ms = 1000, .ttl_max_ms = 60000};
static struct status status;
static struct api api = {&publish_request, &status};

static struct route routes[64];
static size_t route_count;

static void add_routes(void)
{
    for (size_t i = 0; i < api_count(); i++) {
        const struct route_family *family = api_at(i);
        for (size_t j = 0; j < family->count; j++) {
            assert(route_count < sizeof routes / sizeof *routes);
            routes[route_count] = family->routes[j];
            routes[route_count++].state = &api;
        }
    }
}

static struct {
    struct reactor *reactor;
    struct byte_quota quota;
    struct parser parser;
    struct listener *listener;
    struct sockaddr_un address;
    socklen_t address_size;
} house;

static int listen_here(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    house.address_size = sizeof house.address;
    house.address.sun_family = AF_UNIX;
    int failed = bind(fd, (struct sockaddr *)&house.address, sizeof(sa_family_t)) ||
                 listen(fd, 8) ||
                 getsockname(fd, (struct sockaddr *)&house.address, &house.address_size);
    assert(fd >= 0 && !failed);
    return fd;
}

static void open_house(void)
{
    log_set_level(LOG_ERROR);
    struct broker *broker = broker_create("memory",
                                          &(struct broker_options){
                                              .keep_messages = 100,
                                              .keep_bytes = 64 * KIB,
                                              .keep_total = 1024 * KIB,
                                              .devices_per_user = 10,
                                              .idempotency_entries = 1000,
                                              .idempotency_ttl_ms = 60000,
                                              .wall_ms = clock_wall_ms,
                                              .mono_ms = clock_mono_ms,
                                          },
                                          NULL, 0);
    house.quota.limit = 1024 * KIB;
    house.reactor = reactor_create(0, broker, &(struct catch_up_limits){1, 1, 1});
    status.broker = broker;
    add_routes();
    bool found = parser_find(&house.parser);
    assert(found);
    int fd = listen_here();
    house.listener = listener_create(
        &(struct listener_options){
            .reactor = house.reactor,
            .connection_limits = connection_limits_create(
                &(struct connection_limits_options){.max_sockets = 10, .max_sessions = 1}),
            .access = access_create(&(struct access_options){.open = true, .insecure_open = true}),
            .quota = &house.quota,
            .routes = routes,
            .route_count = route_count,
            .parser = house.parser,
            .limits = {.max_head = KIB, .max_body = 2 * KIB},
            .head_timeout_ms = 1000,
            .keepalive_ms = 1000,
            .request_timeout_ms = 1000,
        },
        &fd, 1);
    assert(house.listener);
}

static void turn(void)
{
    uv_run(&house.reactor->loop, UV_RUN_NOWAIT);
}

static void hear(int client)
{
    char heard[4096];
    while (recv(client, heard, sizeof heard, MSG_DONTWAIT) > 0)
        ;
}

static void say(int client, const uint8_t *bytes, size_t size, size_t piece)
{
    while (size) {
        size_t now = size < piece ? size : piece;
        ssize_t sent = send(client, bytes, now, MSG_NOSIGNAL | MSG_DONTWAIT);
        turn();
        turn();
        hear(client);
        if (sent <= 0) /* the server has had enough */
            return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!house.listener)
        open_house();
    if (!size)
        return 0;
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int failed = connect(client, (struct sockaddr *)&house.address, house.address_size);
    assert(!failed);
    turn();
    say(client, data + 1, size - 1, (size_t)1 << (data[0] & PIECE_BITS));
    if (data[0] & ENDS_FULL) {
        shutdown(client, SHUT_WR);
        turn();
        hear(client);
    }
    close(client);
    int64_t began_ms = clock_mono_ms();
    while (listener_connections(house.listener) || listener_late_answers(house.listener)) {
        assert(clock_mono_ms() - began_ms < LATEST_MS);
        uv_run(&house.reactor->loop, UV_RUN_ONCE);
    }
    assert(house.quota.held == 0);
    return 0;
}
