#include "receivers.h"

#include "client.h"
#include "transports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OPENING_AT_ONCE 64
#define OPEN_LIMIT_NS   60000000000LL
#define INPUT_SIZE      (256 * 1024)

static void close_receiver(struct receiver *r)
{
    watch_close(&r->watch, true);
    free(r->rest);
    r->rest = NULL;
    r->rest_size = 0;
}

static void keep_rest(struct receiver *r, const char *at, size_t size)
{
    char *rest = NULL;

    if (size) {
        rest = must_alloc(size, 1);
        memcpy(rest, at, size);
    }
    free(r->rest);
    r->rest = rest;
    r->rest_size = (uint32_t)size;
}

static void on_input(struct watch *w)
{
    static char input[INPUT_SIZE];
    struct receiver *r = (struct receiver *)w;

    if (r->rest)
        memcpy(input, r->rest, r->rest_size);
    ssize_t got = recv(w->fd, input + r->rest_size, sizeof(input) - r->rest_size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        if (!r->open)
            die("the server ended a connection in its handshake");
        if (!r->answered)
            r->pool->faults->closed++;
        close_receiver(r);
        return;
    }

    const struct transport *transport = r->pool->transport;
    const char *at = input, *end = input + r->rest_size + got;
    while (at < end) {
        size_t left = (size_t)(end - at);
        size_t used = r->open ? transport->take(r, at, left) : transport->take_opening(r, at, left);
        if (used == 0)
            break;
        at += used;
    }
    if (r->rest || at < end)
        keep_rest(r, at, (size_t)(end - at));
}

static void start_receiver(struct receivers *pool, uint32_t index)
{
    const struct transport *transport = pool->transport;
    struct receiver *r = &pool->all[pool->count++];
    char request[512];
    uint32_t user = pool->first_user + index / pool->per_user;

    *r = (struct receiver){.pool = pool, .user = pool->channel ? 0 : user};
    r->watch = (struct watch){client_connect(pool->port), on_input};
    int size = snprintf(request, sizeof(request),
                        "GET %su%0*u%s%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", transport->path,
                        USER_DIGITS, user, transport->query,
                        pool->channel ? "?channels=" CHANNEL : "", pool->port, transport->headers);
    if (send(r->watch.fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        die("cannot send handshake %u", pool->count);
    loop_add(pool->loop, &r->watch);
    if (!transport->take_opening)
        receiver_opened(r);
}

void receiver_opened(struct receiver *r)
{
    r->open = true;
    r->pool->opened++;
}

void receivers_open(struct receivers *pool, uint32_t total)
{
    int64_t limit_ns = now_ns() + OPEN_LIMIT_NS;

    pool->all = must_alloc(total, sizeof(*pool->all));
    pool->count = pool->opened = 0;
    while (pool->opened < total) {
        while (pool->count < total && pool->count - pool->opened < OPENING_AT_ONCE)
            start_receiver(pool, pool->count);
        if (pool->opened < total)
            loop_turn(pool->loop, 1000000000);
        if (now_ns() > limit_ns)
            die("only %u of %u handshakes were answered in time", pool->opened, total);
    }
}

void receivers_close(struct receivers *pool)
{
    for (uint32_t i = 0; i < pool->count; i++)
        close_receiver(&pool->all[i]);
    free(pool->all);
    pool->all = NULL;
    pool->count = pool->opened = 0;
}
