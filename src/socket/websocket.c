#include "socket/websocket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/byte_quota.h"
#include "base/mem.h"
#include "base/need.h"
#include "base/timer_wheel.h"
#include "engine/reactor.h"
#include "model/message.h"

#define MAX_MISSED      2            /* pings */
#define CLOSING_SECONDS 5            /* for the peer's Close, and for its FIN */
#define OUTPUT_CAP      (256 * 1024) /* answers that wait before we stop listening */
#define ASKED_CAP       (256 * 1024) /* likewise, of what is on its way to the broker */
#define ASKED_COST      1024         /* of each, besides its bytes */

enum state {
    OPEN,
    CLOSING,   /* our Close is queued, the peer's has not come */
    LINGERING, /* both are through: waiting for the peer's FIN */
    ENDED,
};

/* A wslay context and what it works on. */
struct parser {
    wslay_event_context_ptr wslay;
    struct websocket *websocket;
    const char *bytes;
    size_t size;
    uint16_t close_code; /* of the peer's Close; 0: it carried none */
    bool closed;         /* the peer's Close came */
};

struct websockets {
    struct reactor *reactor;
    struct streams *streams;
    struct byte_quota *quota;
    struct websockets_limits limits;
    struct parser *scratch; /* serves whoever is between messages; NULL for want of memory */
    struct buf pongs;       /* wait for the end of what was read, or for an answer to follow */
    struct chunk *ping;
    struct timer_wheel beats; /* the open connections */
    size_t heartbeat_seconds;
    struct list closing;
    struct reactor_hook second;
    enum err ended; /* why all were closed; ERR_NONE: they were not */
};

/* ---- frames ---- */

struct chunk *websocket_frame(enum websocket_opcode opcode, size_t size, char **ret_payload)
{
    size_t header = size < 126 ? 2 : size <= UINT16_MAX ? 4 : 10;
    struct chunk *frame = frame_create(header + size);
    if (!frame)
        return NULL;
    unsigned char *at = (unsigned char *)frame->bytes;
    at[0] = (unsigned char)(0x80 | opcode); /* FIN: we never fragment */
    at[1] = (unsigned char)(header == 2 ? size : header == 4 ? 126 : 127);
    for (size_t i = 2; i < header; i++)
        at[i] = (unsigned char)(size >> 8 * (header - 1 - i));
    *ret_payload = frame->bytes + header;
    return frame;
}

bool websocket_send(struct websocket *websocket, struct chunk *frame)
{
    return websocket->state == OPEN && stream_send(&websocket->stream, frame);
}

static bool send_now(struct websocket *websocket, enum websocket_opcode opcode, const void *bytes,
                     size_t size)
{
    char *payload;
    struct chunk *frame = websocket_frame(opcode, size, &payload);
    if (!frame)
        return false;
    memcpy(payload, bytes, size);
    bool sent = stream_send(&websocket->stream, frame);
    frame_unref(frame);
    return sent;
}

/* ---- closing ---- */

static void send_close(struct websocket *websocket, int code, const char *why)
{
    char payload[125];
    size_t length = strlen(why);
    assert(length <= sizeof payload - 2);
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    memcpy(payload + 2, why, length);
    send_now(websocket, WEBSOCKET_CLOSE, payload, code ? 2 + length : 0);
}

static void leave_open(struct websocket *websocket, enum err reason)
{
    list_remove(&websocket->link);
    list_append(&websocket->all->closing, &websocket->link);
    websocket->role->on_closing(websocket, reason);
    websocket->seconds = 0;
    stream_resume(&websocket->stream);
}

static void end(struct websocket *websocket)
{
    websocket->state = ENDED;
    stream_close(&websocket->stream);
}

/* Once all is written, our FIN goes out; the peer's ends it. Closing at once with bytes of theirs
 * unread would make the kernel answer RST, and our last words could be lost. */
static void linger(struct websocket *websocket)
{
    websocket->state = LINGERING;
    websocket->seconds = 0;
    if (!stream_queued(&websocket->stream))
        stream_shutdown(&websocket->stream);
}

static bool peer_is_wrong(enum err reason)
{
    return reason == ERR_PROTOCOL || reason == ERR_BAD_UTF8 || reason == ERR_FRAME_TOO_LARGE ||
           reason == ERR_TOO_MANY_FRAGMENTS;
}

void websocket_abandon(struct websocket *websocket)
{
    leave_open(websocket, ERR_CONNECTION_LOST);
    end(websocket);
}

void websocket_close(struct websocket *websocket, enum err reason)
{
    if (websocket->state != OPEN)
        return;
    if (stream_held(&websocket->stream)) {
        stream_fail(&websocket->stream, reason);
        return;
    }
    if (reason == ERR_CONNECTION_LOST) {
        websocket_abandon(websocket);
        return;
    }
    if (reason == ERR_STALLED) /* it reads nothing: what waits would only be in the way */
        stream_drop_queue(&websocket->stream);
    leave_open(websocket, reason);
    send_close(websocket, err_close_code(reason), err_code(reason));
    websocket->state = CLOSING;
    if (peer_is_wrong(reason)) /* nothing it says can be understood any more */
        linger(websocket);
}

/* The peer's Close: answered with its own code (RFC 6455 section 5.5.1), or an answer to ours. */
static void on_peer_close(struct websocket *websocket, uint16_t code)
{
    if (websocket->state == OPEN) {
        leave_open(websocket, ERR_PEER_CLOSED);
        send_close(websocket, code, "");
    }
    linger(websocket);
}

/* ---- wslay ---- */

static ssize_t give_bytes(wslay_event_context_ptr wslay, uint8_t *bytes, size_t size, int flags,
                          void *context)
{
    (void)flags;
    struct parser *parser = context;
    if (!parser->size) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t taken = size < parser->size ? size : parser->size;
    memcpy(bytes, parser->bytes, taken);
    parser->bytes += taken;
    parser->size -= taken;
    return (ssize_t)taken;
}

/* wslay queues its answer to a ping; it must not reach the socket by a path of its own. */
static ssize_t take_pong(wslay_event_context_ptr wslay, const uint8_t *bytes, size_t size,
                         int flags, void *context)
{
    (void)flags;
    struct buf *pongs = &((struct parser *)context)->websocket->all->pongs;
    buf_add(pongs, bytes, size);
    if (buf_ok(pongs))
        return (ssize_t)size;
    wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* As one frame's worth of queue, however many they are: who sends pings without end and never reads
 * shall not cost more than their bytes. After our Close reading goes on however much is queued, so
 * then they are answered (RFC 6455 section 5.5.2) only while there is room. */
static bool send_pongs(struct websocket *websocket)
{
    struct buf *pongs = &websocket->all->pongs;
    bool sent = buf_ok(pongs);
    bool room = websocket->state == OPEN || stream_queued(&websocket->stream) <= OUTPUT_CAP;
    if (sent && pongs->size && room) {
        struct chunk *frame = frame_from(pongs);
        sent = frame && stream_send(&websocket->stream, frame);
        frame_unref(frame);
    }
    pongs->size = 0;
    if (pongs->failed)
        buf_finish(pongs);
    return sent;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *context)
{
    (void)wslay;
    struct parser *parser = context;
    struct websocket *websocket = parser->websocket;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
        parser->closed = true;
        parser->close_code = arg->status_code == WSLAY_CODE_NO_STATUS_RCVD ? 0 : arg->status_code;
    } else if (websocket->state == OPEN &&
               (arg->opcode == WSLAY_TEXT_FRAME || arg->opcode == WSLAY_BINARY_FRAME)) {
        if (send_pongs(websocket)) /* answers keep the order of what they answer */
            websocket->role->on_message(websocket, (enum websocket_opcode)arg->opcode,
                                        arg->msg ? (const char *)arg->msg : "", arg->msg_length);
        else
            websocket_close(websocket, ERR_OUT_OF_MEMORY);
    }
}

static void parser_destroy(struct parser *parser)
{
    if (!parser)
        return;
    wslay_event_context_free(parser->wslay);
    free(parser);
}

static struct parser *parser_create(void)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give_bytes,
        .send_callback = take_pong,
        .on_msg_recv_callback = on_message,
    };
    struct parser *parser = calloc(1, sizeof *parser);
    if (parser && wslay_event_context_server_init(&parser->wslay, &callbacks, parser) != 0) {
        free(parser);
        parser = NULL;
    }
    return parser;
}

static uint64_t max_message(const struct websocket *websocket)
{
    const struct websocket_role *role = websocket->role;
    return role->max_message ? role->max_message : websocket->all->limits.max_message;
}

/* wslay says why by the Close it has queued, if it says anything at all. */
static enum err why_failed(const struct parser *parser, int result)
{
    if (result == WSLAY_ERR_NOMEM)
        return ERR_OUT_OF_MEMORY;
    switch (wslay_event_get_status_code_sent(parser->wslay)) {
    case WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA:
        return ERR_BAD_UTF8;
    case WSLAY_CODE_MESSAGE_TOO_BIG:
        return ERR_FRAME_TOO_LARGE;
    default:
        return ERR_PROTOCOL;
    }
}

/* Hands one piece to wslay. 0, or the reason to close; ERR_PEER_CLOSED after the peer's Close. */
static enum err parse(struct websocket *websocket, struct parser *parser,
                      const struct frame_piece *piece)
{
    int result = 0;
    parser->websocket = websocket;
    parser->bytes = piece->bytes;
    parser->size = piece->size;
    wslay_event_config_set_max_recv_msg_length(parser->wslay, max_message(websocket));
    /* It may return early on a short header, so until it has everything or wants no more. */
    while (result == 0 && parser->size && wslay_event_want_read(parser->wslay))
        result = wslay_event_recv(parser->wslay);
    while (result == 0 && wslay_event_want_write(parser->wslay))
        result = wslay_event_send(parser->wslay);
    if (parser->closed)
        return ERR_PEER_CLOSED;
    if (result != 0 || !wslay_event_get_read_enabled(parser->wslay))
        return why_failed(parser, result);
    return ERR_NONE;
}

/* A context that met an error or a Close is of no more use to anybody. */
static void discard_parser(struct websocket *websocket, struct parser *parser)
{
    if (websocket->parser == parser)
        websocket->parser = NULL;
    else
        websocket->all->scratch = NULL;
    parser_destroy(parser);
}

/* In the middle of a message the scratch context becomes the connection's own; afterwards it goes
 * back, or away. */
static void settle_parser(struct websocket *websocket, struct parser *parser)
{
    struct websockets *all = websocket->all;
    bool idle = framer_idle(&websocket->gate);
    if (!idle && !websocket->parser) {
        websocket->parser = parser;
        all->scratch = NULL;
    } else if (idle && websocket->parser) {
        websocket->parser = NULL;
        if (all->scratch)
            parser_destroy(parser);
        else
            all->scratch = parser;
    }
}

static enum err parse_piece(struct websocket *websocket, const struct frame_piece *piece,
                            uint16_t *ret_close_code)
{
    struct websockets *all = websocket->all;
    if (!websocket->parser && !all->scratch)
        all->scratch = parser_create();
    struct parser *parser = websocket->parser ? websocket->parser : all->scratch;
    if (!parser)
        return ERR_OUT_OF_MEMORY;
    size_t pongs = all->pongs.size;
    enum err err = parse(websocket, parser, piece);
    if (!err) {
        settle_parser(websocket, parser);
        return ERR_NONE;
    }
    if (all->pongs.size > pongs)
        all->pongs.size = pongs; /* wslay's own Close: ours says more */
    *ret_close_code = parser->close_code;
    discard_parser(websocket, parser);
    return err;
}

/* ---- the stream's news ---- */

static struct websocket *from_stream(struct stream *stream)
{
    return (struct websocket *)stream;
}

/* Who does not read, or says more than the broker takes, is not listened to for a while. */
static void regulate(struct websocket *websocket)
{
    size_t queued = stream_queued(&websocket->stream);
    if (websocket->state != OPEN)
        return;
    if (queued > OUTPUT_CAP || websocket->asked > ASKED_CAP)
        stream_pause(&websocket->stream);
    else if (queued <= OUTPUT_CAP / 2 && websocket->asked <= ASKED_CAP / 2)
        stream_resume(&websocket->stream);
}

bool websocket_ask(struct websocket *websocket, size_t size, size_t *ret_held)
{
    size_t cost = size + ASKED_COST;
    *ret_held = 0;
    if (!byte_quota_try(websocket->all->quota, ret_held, cost))
        return false;
    websocket->asked += (uint32_t)cost;
    return true;
}

void websocket_answered(struct websockets *websockets, struct websocket *websocket, size_t *held)
{
    if (websocket) {
        websocket->asked -= (uint32_t)*held;
        regulate(websocket);
    }
    byte_quota_set(websockets->quota, held, 0);
}

static void feed(struct websocket *websocket, const char *bytes, size_t size)
{
    const struct websocket_role *role = websocket->role;
    uint32_t max_fragments =
        role->max_fragments ? role->max_fragments : websocket->all->limits.max_fragments;
    struct frame_piece piece;
    uint16_t close_code = 0;
    int result = 0;
    websocket->missed = 0;
    /* While CLOSING, frames are still read for the peer's Close; afterwards nothing is. */
    while (websocket->state <= CLOSING &&
           (result = framer_next(&websocket->gate, &bytes, &size, max_fragments, &piece)) > 0) {
        result = -(int)parse_piece(websocket, &piece, &close_code);
        if (result < 0)
            break;
    }
    if (!send_pongs(websocket) && result == 0)
        result = -ERR_OUT_OF_MEMORY;
    if (result == -ERR_PEER_CLOSED)
        on_peer_close(websocket, close_code);
    else if (result < 0 && websocket->state == CLOSING)
        linger(websocket);
    else if (result < 0)
        websocket_close(websocket, (enum err) - result);
    regulate(websocket);
}

static void on_data(struct stream *stream, const char *bytes, size_t size)
{
    struct websocket *websocket = from_stream(stream);
    if (websocket->state <= CLOSING)
        feed(websocket, bytes, size);
}

static void on_drained(struct stream *stream)
{
    struct websocket *websocket = from_stream(stream);
    if (websocket->state == LINGERING && !stream_queued(stream))
        stream_shutdown(stream);
    if (websocket->state != OPEN)
        return;
    regulate(websocket);
    websocket->role->on_drained(websocket);
}

static void on_end(struct stream *stream, enum err reason)
{
    struct websocket *websocket = from_stream(stream);
    if (websocket->state == OPEN)
        websocket_close(websocket, reason);
    if (reason == ERR_CONNECTION_LOST || websocket->state != CLOSING)
        end(websocket);
}

static void free_websocket(struct stream *stream)
{
    struct websocket *websocket = from_stream(stream);
    list_remove(&websocket->link);
    parser_destroy(websocket->parser);
    framer_finish(&websocket->gate);
    websocket->role->free(websocket);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
    .free = free_websocket,
};

void websocket_prepare(struct websocket *websocket, struct websockets *websockets,
                       const struct websocket_role *role)
{
    stream_hold(&websocket->stream, websockets->streams, &stream_ops);
    websocket->role = role;
    websocket->all = websockets;
    websocket->parser = NULL;
    websocket->state = OPEN;
    websocket->seconds = websocket->missed = 0;
    websocket->asked = 0;
    framer_init(&websocket->gate);
    list_init(&websocket->link);
}

void websocket_open(struct websocket *websocket, int fd, const char *bytes, size_t size)
{
    struct websockets *all = websocket->all;
    if (!stream_attach(&websocket->stream, fd)) {
        close(fd);
        websocket_abandon(websocket);
        return;
    }
    timer_wheel_add(&all->beats, &websocket->link, all->heartbeat_seconds);
    if (websocket->role->on_open)
        websocket->role->on_open(websocket);
    enum err reason = stream_take_failure(&websocket->stream);
    if (reason || all->ended)
        websocket_close(websocket, reason ? reason : all->ended);
    feed(websocket, bytes, size);
}

/* ---- once a second ---- */

static void beat(struct websocket *websocket)
{
    /* A blocked socket would get the ping no sooner; the stall time looks after it. */
    if (!websocket->role->heartbeat || stream_blocked(&websocket->stream))
        return;
    if (websocket->missed >= MAX_MISSED) {
        websocket_close(websocket, ERR_NO_HEARTBEAT);
        return;
    }
    websocket->missed++;
    stream_send(&websocket->stream, websocket->all->ping);
}

static void on_second(struct reactor_hook *hook)
{
    struct websockets *all = list_entry(hook, struct websockets, second);
    struct list due;
    list_init(&due);
    timer_wheel_turn(&all->beats, &due);
    for (struct websocket *websocket; (websocket = list_first(&due, struct websocket, link));) {
        list_remove(&websocket->link);
        timer_wheel_add(&all->beats, &websocket->link, all->heartbeat_seconds);
        beat(websocket);
    }
    list_for_each_safe(closing, &all->closing, struct websocket, link) {
        if (closing->state != ENDED && ++closing->seconds > CLOSING_SECONDS)
            end(closing);
    }
}

void websockets_close_all(struct websockets *websockets, enum err reason)
{
    struct list open;
    list_init(&open);
    websockets->ended = reason;
    timer_wheel_empty(&websockets->beats, &open);
    for (struct websocket *websocket; (websocket = list_first(&open, struct websocket, link));)
        websocket_close(websocket, reason); /* which takes it off this list */
}

void websockets_abort_all(struct websockets *websockets)
{
    websockets_close_all(websockets, ERR_STOPPING);
    list_for_each_safe(websocket, &websockets->closing, struct websocket, link)
        end(websocket);
}

struct websockets *websockets_create(struct reactor *reactor, struct streams *streams,
                                     struct byte_quota *quota,
                                     const struct websockets_limits *limits)
{
    char *payload;
    struct websockets *websockets = mem_alloc(sizeof *websockets);
    websockets->reactor = reactor;
    websockets->streams = streams;
    websockets->quota = quota;
    websockets->limits = *limits;
    websockets->ping = websocket_frame(WEBSOCKET_PING, 0, &payload);
    need(websockets->ping ? 0 : ENOMEM, "memory for a ping");
    buf_init(&websockets->pongs);
    list_init(&websockets->closing);
    websockets->heartbeat_seconds = (size_t)((limits->heartbeat_ms + 999) / 1000);
    timer_wheel_init(&websockets->beats, websockets->heartbeat_seconds);
    websockets->second.run = on_second;
    reactor_on_second(reactor, &websockets->second);
    return websockets;
}

void websockets_destroy(struct websockets *websockets)
{
    if (!websockets)
        return;
    parser_destroy(websockets->scratch);
    frame_unref(websockets->ping);
    buf_finish(&websockets->pongs);
    timer_wheel_finish(&websockets->beats);
    free(websockets);
}
