/* websocket.h - RFC 6455 over an adopted socket; what the frames mean is a role's business.
 *
 * Inwards a frame gate and wslay parse; one wslay context serves all connections of a worker that
 * are between messages. Outwards go ready-made frames through the stream's one queue. Heartbeats
 * and closing deadlines are counted in seconds the process really ran. Worker's thread only. */
#ifndef SOCKET_WEBSOCKET_H
#define SOCKET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "socket/framer.h"
#include "socket/stream.h"

struct byte_quota;
struct chunk;
struct parser;
struct reactor;
struct websocket;
struct websockets;

/* RFC 6455 section 11.8 */
enum websocket_opcode {
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

/* What a connection is for. */
struct websocket_role {
    bool heartbeat;         /* pings, and an end to whoever answers none */
    uint32_t max_fragments; /* 0: the configured limits for this one and max_message */
    uint64_t max_message;
    /* It has its socket, and nothing was read yet; NULL: of no interest. */
    void (*on_open)(struct websocket *websocket);
    /* A whole message; text is UTF-8. */
    void (*on_message)(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size);
    /* The socket took something. */
    void (*on_drained)(struct websocket *websocket);
    /* The connection leaves OPEN: said exactly once, before the Close frame is queued. */
    void (*on_closing)(struct websocket *websocket, enum err reason);
    /* It is over; nothing refers to the memory any more. */
    void (*free)(struct websocket *websocket);
};

/* First member of what a role allocates; the fields belong to websocket.c. */
struct websocket {
    struct stream stream;
    const struct websocket_role *role;
    struct websockets *all;
    struct parser *parser; /* of its own while in the middle of a message, else NULL */
    struct list link;      /* a spoke of the heartbeat wheel, or the closing ones */
    struct framer gate;
    uint32_t asked; /* bytes on their way to the broker */
    uint8_t state;
    uint8_t seconds; /* since it began to close */
    uint8_t missed;  /* pings without an answer */
    bool json;       /* the role's to use, these two; here they cost no memory */
    uint32_t max;
};

struct websockets_limits {
    int64_t heartbeat_ms;
    uint64_t max_message;
    uint32_t max_fragments;
};

/* streams and quota are borrowed. */
struct websockets *websockets_create(struct reactor *reactor, struct streams *streams,
                                     struct byte_quota *quota,
                                     const struct websockets_limits *limits);
/* Every connection has been closed and freed. */
void websockets_destroy(struct websockets *websockets);

/* Prepares one whose handshake is about to be answered: what is sent to it now waits, and so does
 * the reason of a websocket_close. One of the next two follows. */
void websocket_prepare(struct websocket *websocket, struct websockets *websockets,
                       const struct websocket_role *role);
/* Starts on its socket, which it takes, with the bytes that came behind the handshake. */
void websocket_open(struct websocket *websocket, int fd, const char *bytes, size_t size);
/* There will be no socket: the role hears on_closing (ERR_CONNECTION_LOST) at once. */
void websocket_abandon(struct websocket *websocket);

/* Sends a ready frame. False: out of memory or closing. */
bool websocket_send(struct websocket *websocket, struct chunk *frame);

/* So many bytes of the client's go to the broker: *ret_held counts them until they are answered.
 * While there are many of them nothing more is read from its socket. False: the worker holds too
 * much already; nothing is counted. */
bool websocket_ask(struct websocket *websocket, size_t size, size_t *ret_held);
/* The broker has answered. websocket NULL: it has closed meanwhile. */
void websocket_answered(struct websockets *websockets, struct websocket *websocket, size_t *held);

/* Begins the closing handshake with the reason's code, once; a lost connection just ends. The role
 * hears on_closing within this call. */
void websocket_close(struct websocket *websocket, enum err reason);

/* Closes every open connection; then, where time is up, whatever is still there. */
void websockets_close_all(struct websockets *websockets, enum err reason);
void websockets_abort_all(struct websockets *websockets);

/* A frame with its header and `size` bytes still to be filled in at *ret_payload; NULL: out of
 * memory. */
struct chunk *websocket_frame(enum websocket_opcode opcode, size_t size, char **ret_payload);

#endif
