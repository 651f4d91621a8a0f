/* fuzz_listener.c - a client's bytes at the real listener: libmicrohttpd, request_in, the routes
 * that send and read, a broker in memory. The first byte says in what pieces they come, and how the
 * client ends. Whatever it says, nothing of it is left once it has gone. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/messages.h"
#include "api/send.h"
#include "api/send_lines.h"
#include "api/users.h"
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
static struct send_lines send_lines = {.publish_options = &publish_request};

static const struct route routes[] = {
    {"POST", "/send-message", send_message_serve, &publish_request, false, RIGHT_SEND, NULL},
    {"POST", "/send-messages", NULL, &send_lines, false, RIGHT_SEND, &send_lines_body_handler},
    {"GET", "/users", users_list_serve, NULL, false, RIGHT_MANAGE_ALL, NULL},
    {"POST", "/users/query", users_query_serve, NULL, false, RIGHT_READ, NULL},
    {"GET", "/users/:id", users_describe_serve, NULL, false, RIGHT_READ_USER, NULL},
    {"GET", "/users/:id/messages", users_messages_serve, NULL, false, RIGHT_READ_USER, NULL},
    {"DELETE", "/users/:id/messages", users_erase_messages_serve, NULL, false, RIGHT_MANAGE, NULL},
    {"GET", "/messages/:id", messages_describe_serve, NULL, false, RIGHT_READ, NULL},
};

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
            .route_count = sizeof routes / sizeof *routes,
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
