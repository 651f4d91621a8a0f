/* fuzz_websocket_in.c - what a client sends after the handshake, through websocket.c itself, on
 * streams that only write down what they are given. However the bytes are cut, and whoever shares
 * the parser meanwhile: the same messages, the same answers, the same reason to close. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "engine/reactor.h"
#include "model/message.h"
#include "socket/websocket.h"

#define MAX_MESSAGE   300
#define MAX_FRAGMENTS 4

struct client {
    struct websocket websocket;
    struct buf seen; /* messages and answers, in order */
    enum err reason; /* why it left OPEN */
    bool freed;
};

/* ---- in the place of stream.c and the worker ---- */

void stream_hold(struct stream *stream, struct streams *streams, const struct stream_ops *ops)
{
    *stream = (struct stream){.ops = ops, .streams = streams, .fd = -1, .held = true};
}

bool stream_attach(struct stream *stream, int fd)
{
    stream->fd = fd;
    stream->held = false;
    return true;
}

void stream_fail(struct stream *stream, enum err reason)
{
    (void)stream;
    (void)reason;
    assert(false); /* nothing closes it before it is open */
}

enum err stream_take_failure(struct stream *stream)
{
    (void)stream;
    return ERR_NONE;
}

bool stream_send(struct stream *stream, struct chunk *frame)
{
    struct client *client = (struct client *)stream;
    assert(stream->fd >= 0);
    buf_add(&client->seen, frame->bytes, frame->size);
    return true;
}

void stream_pause(struct stream *stream)
{
    stream->paused = true;
}

void stream_resume(struct stream *stream)
{
    stream->paused = false;
}

void stream_drop_queue(struct stream *stream)
{
    (void)stream;
}

void stream_shutdown(struct stream *stream)
{
    buf_add_text(&((struct client *)stream)->seen, "FIN");
}

void stream_close(struct stream *stream)
{
    stream->fd = -1;
}

void reactor_on_second(struct reactor *reactor, struct reactor_hook *hook)
{
    (void)reactor;
    (void)hook;
}

/* ---- the role ---- */

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    struct client *client = (struct client *)websocket;
    assert(client->reason == ERR_NONE);
    assert(opcode == WEBSOCKET_TEXT ? text_is_utf8(bytes, size) : opcode == WEBSOCKET_BINARY);
    assert(size <= MAX_MESSAGE);
    buf_add_format(&client->seen, "<%d:%zu:", opcode, size);
    buf_add(&client->seen, bytes, size);
    if (size && bytes[0] == '!') /* as a role may close in the middle of what was read */
        websocket_close(websocket, ERR_KICKED);
}

static void on_drained(struct websocket *websocket)
{
    (void)websocket;
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    struct client *client = (struct client *)websocket;
    assert(client->reason == ERR_NONE && reason != ERR_NONE);
    client->reason = reason;
}

static void on_free(struct websocket *websocket)
{
    ((struct client *)websocket)->freed = true;
}

static const struct websocket_role role = {
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = on_free,
};

/* ---- runs ---- */

static void open_client(struct client *client, struct websockets *websockets)
{
    *client = (struct client){.reason = ERR_NONE};
    buf_init(&client->seen);
    websocket_prepare(&client->websocket, websockets, &role);
    websocket_open(&client->websocket, 1, "", 0);
}

/* In a block of its own, so that a sanitizer sees whoever keeps pointing into it. */
static void feed(struct client *client, const uint8_t *data, size_t size)
{
    struct stream *stream = &client->websocket.stream;
    char *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    if (stream->fd >= 0)
        stream->ops->on_data(stream, copy, size);
    free(copy);
}

static void close_client(struct client *client)
{
    struct stream *stream = &client->websocket.stream;
    stream->ops->on_end(stream, ERR_CONNECTION_LOST);
    assert(stream->fd < 0 && client->reason != ERR_NONE);
    stream->ops->free(stream);
    assert(client->freed);
}

static struct websockets *create(void)
{
    struct websockets_limits limits = {1000, MAX_MESSAGE, MAX_FRAGMENTS};
    return websockets_create(NULL, NULL, NULL, &limits); /* no client's message goes to a broker */
}

static void run_whole(struct client *client, const uint8_t *data, size_t size)
{
    struct websockets *websockets = create();
    open_client(client, websockets);
    feed(client, data, size);
    close_client(client);
    websockets_destroy(websockets);
}

/* Three of the same, each cut in its own way and fed by turns. */
static void run_cut(struct client clients[static 3], const uint8_t *data, size_t size,
                    uint32_t seed)
{
    struct websockets *websockets = create();
    size_t at[3] = {0};
    for (int i = 0; i < 3; i++)
        open_client(&clients[i], websockets);
    while (at[0] + at[1] + at[2] < 3 * size) {
        seed = seed * 1664525 + 1013904223;
        int i = (int)(seed >> 30) % 3;
        size_t cut = (seed >> 8) % (seed & 0x80000 ? 4 : 40) + 1;
        if (cut > size - at[i])
            cut = size - at[i];
        feed(&clients[i], data + at[i], cut);
        at[i] += cut;
    }
    for (int i = 0; i < 3; i++)
        close_client(&clients[i]);
    websockets_destroy(websockets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client whole, cut[3];

    if (size < 2)
        return 0;
    run_whole(&whole, data + 2, size - 2);
    run_cut(cut, data + 2, size - 2, data[0] | (uint32_t)data[1] << 8);
    for (int i = 0; i < 3; i++) {
        assert(cut[i].reason == whole.reason && cut[i].seen.size == whole.seen.size);
        assert(!whole.seen.size || !memcmp(cut[i].seen.data, whole.seen.data, whole.seen.size));
        buf_finish(&cut[i].seen);
    }
    buf_finish(&whole.seen);
    return 0;
}
