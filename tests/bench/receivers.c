#include "receivers.h"

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OPENING_AT_ONCE 64
#define OPEN_LIMIT_NS   60000000000LL
#define INPUT_SIZE      (256 * 1024)
#define MASK_SIZE       4

/* The example of RFC 6455, so that the proof is known beforehand. */
#define KEY   "dGhlIHNhbXBsZSBub25jZQ=="
#define PROOF "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static const char text_head[] = "[" SENDER "]: ";

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

static void on_text(struct receiver *r, const char *text, size_t size)
{
    const size_t head = sizeof(text_head) - 1;
    char proper[MESSAGE_SIZE];

    if (size != head + MESSAGE_SIZE || memcmp(text, text_head, head) != 0) {
        r->pool->faults->corrupt++;
        return;
    }
    text += head;
    uint32_t number = (uint32_t)read_digits(text, MESSAGE_DIGITS);
    uint32_t user = (uint32_t)read_digits(text + MESSAGE_DIGITS + 2, USER_DIGITS);
    message_write(proper, number, user);
    if (memcmp(text, proper, MESSAGE_SIZE) != 0)
        r->pool->faults->corrupt++;
    else if (user != r->user)
        r->pool->faults->misdirected++;
    else
        r->pool->on_message(r->pool->owner, r, number);
}

/* A mask of zeros leaves the bytes as they are. */
static void send_pong(struct receiver *r, const char *payload, size_t size)
{
    char frame[2 + MASK_SIZE + 125] = {(char)(0x80 | OPCODE_PONG), (char)(0x80 | size)};

    memcpy(frame + 2 + MASK_SIZE, payload, size);
    send(r->watch.fd, frame, 2 + MASK_SIZE + size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void close_receiver(struct receiver *r)
{
    watch_close(&r->watch, true);
    free(r->rest);
    r->rest = NULL;
    r->rest_size = 0;
}

/* How much of "at" it used; 0: the frame is not all there. */
static size_t take_frame(struct receiver *r, const char *at, size_t size)
{
    size_t head = 2;

    if (size < head)
        return 0;
    int opcode = at[0] & 0x0f;
    size_t length = (unsigned char)at[1] & 0x7f;
    bool proper = (at[0] & 0xf0) == 0x80 && !(at[1] & 0x80) && length < 127;
    if (length == 126) {
        head = 4;
        if (size < head)
            return 0;
        length = (size_t)(unsigned char)at[2] << 8 | (unsigned char)at[3];
    }
    if (size < head + length)
        return 0;

    if (!proper)
        r->pool->faults->corrupt++;
    else if (opcode == OPCODE_TEXT)
        on_text(r, at + head, length);
    else if (opcode == OPCODE_PING && length < 126)
        send_pong(r, at + head, length);
    else if (opcode != OPCODE_CLOSE) /* that is counted when the connection ends */
        r->pool->faults->corrupt++;
    return head + length;
}

static size_t take_handshake(struct receiver *r, const char *at, size_t size)
{
    const char *end = memmem(at, size, "\r\n\r\n", 4);

    if (!end)
        return 0;
    size_t head = (size_t)(end + 4 - at);
    errno = 0;
    if (memcmp(at, "HTTP/1.1 101 ", 13) != 0)
        die("handshake %u was refused: %.*s", r->pool->opened, (int)head, at);
    if (!memmem(at, head, PROOF, sizeof(PROOF) - 1))
        die("handshake %u lacks its Sec-WebSocket-Accept", r->pool->opened);
    r->open = true;
    r->pool->opened++;
    return head;
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
        r->pool->faults->closed++;
        close_receiver(r);
        return;
    }

    const char *at = input, *end = input + r->rest_size + got;
    while (at < end) {
        size_t left = (size_t)(end - at);
        size_t used = r->open ? take_frame(r, at, left) : take_handshake(r, at, left);
        if (used == 0)
            break;
        at += used;
    }
    if (r->rest || at < end)
        keep_rest(r, at, (size_t)(end - at));
}

static void start_receiver(struct receivers *pool, uint32_t user)
{
    struct receiver *r = &pool->all[pool->count++];
    char request[512];

    *r = (struct receiver){.pool = pool, .user = user};
    r->watch = (struct watch){client_connect(pool->port), on_input};
    int size = snprintf(request, sizeof(request),
                        "GET /ws/u%0*u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        USER_DIGITS, user, pool->port);
    if (send(r->watch.fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        die("cannot send handshake %u", pool->count);
    loop_add(pool->loop, &r->watch);
}

void receivers_open(struct receivers *pool, uint32_t total)
{
    int64_t limit_ns = now_ns() + OPEN_LIMIT_NS;

    pool->all = must_alloc(total, sizeof(*pool->all));
    pool->count = pool->opened = 0;
    while (pool->opened < total) {
        while (pool->count < total && pool->count - pool->opened < OPENING_AT_ONCE)
            start_receiver(pool, pool->count / pool->per_user);
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
