/* stream.h - an adopted socket: one way in, one queue out, one way to end.
 *
 * All streams of a worker hang in one epoll set of their own (a `streams`), which the worker's
 * libuv loop polls as a single descriptor: an idle stream costs neither a libuv handle nor a
 * buffer. Output is queued as references to shared frames and written once, at the end of the
 * loop's turn. Worker's thread only. */
#ifndef SOCKET_STREAM_H
#define SOCKET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct chunk;
struct reactor;
struct stream;
struct streams;

/* News from the socket. Each may call stream_send and stream_close. */
struct stream_ops {
    /* Bytes came in; they are gone when this returns. */
    void (*on_data)(struct stream *stream, const char *bytes, size_t size);
    /* The socket took something from the queue. */
    void (*on_drained)(struct stream *stream);
    /* The peer is gone (ERR_CONNECTION_LOST: close now) or took nothing for the stall time
     * (ERR_STALLED, said once; the other may follow while the owner says good-bye). */
    void (*on_end)(struct stream *stream, enum err reason);
    /* After stream_close, at the end of the turn: nothing refers to it any more. */
    void (*free)(struct stream *stream);
};

/* Embedded by its owner; the fields belong to stream.c. */
struct stream {
    const struct stream_ops *ops;
    struct streams *streams;
    struct queued *head; /* output, oldest first */
    struct queued *tail;
    struct list link; /* dirty, blocked or dead */
    int fd;
    uint32_t head_offset; /* bytes of the oldest frame already written */
    uint32_t queued;      /* memory that waits */
    uint32_t unacked;     /* bytes in the kernel when last looked, while blocked */
    uint16_t still_seconds;
    bool blocked; /* the socket takes nothing more for now */
    bool paused;
    bool ended;
    bool held;       /* its socket is still to come */
    uint8_t failure; /* enum err, by stream_fail */
};

struct streams_limits {
    int64_t stall_ms;
};

struct streams *streams_create(struct reactor *reactor, const struct streams_limits *limits);
/* Ends the polling; every stream has been closed. Its memory goes by streams_destroy once the loop
 * is empty. */
void streams_stop(struct streams *streams);
void streams_destroy(struct streams *streams);

/* Takes the socket over (non-blocking, TCP_NODELAY is set here). False: the kernel refuses; the
 * socket stays the caller's. */
bool stream_open(struct stream *stream, struct streams *streams, const struct stream_ops *ops,
                 int fd);

/* The same in two steps, where the socket is still somebody else's: what is sent in between waits,
 * and stream_fail's reason too. Attaching may fail as stream_open may; it may be closed instead. */
void stream_hold(struct stream *stream, struct streams *streams, const struct stream_ops *ops);
bool stream_attach(struct stream *stream, int fd);

/* Queues the frame, with a reference of its own; it is written at the end of the turn. False: out
 * of memory or closed, nothing queued. */
bool stream_send(struct stream *stream, struct chunk *frame);

/* Bytes of memory that wait for the socket: those to be written and what holds them, so that many
 * small frames cannot take more than a limit on it says. */
static inline size_t stream_queued(const struct stream *stream)
{
    return stream->queued;
}

/* Is its socket still to come? */
static inline bool stream_held(const struct stream *stream)
{
    return stream->held;
}

/* Does it wait for the socket? */
static inline bool stream_blocked(const struct stream *stream)
{
    return stream->blocked;
}

/* Has the peer closed its side, and nothing of it is left to read, though the loop has not told
 * yet?
 */
bool stream_is_left(const struct stream *stream);

/* Reads what has come now, though the loop has not told yet. */
void stream_look(struct stream *stream);

/* Stops and resumes reading; the kernel's window then slows the peer. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* Throws away whole frames not yet begun, so that what is sent next can follow at once. */
void stream_drop_queue(struct stream *stream);

/* No more output after what is queued: FIN to the peer once written. */
void stream_shutdown(struct stream *stream);

/* For who cannot close where it stands (in the middle of a delivery): on_end says the reason at the
 * end of the turn. */
void stream_fail(struct stream *stream, enum err reason);
/* Takes that reason back, so that on_end will not say it; ERR_NONE: there was none. */
enum err stream_take_failure(struct stream *stream);

/* Closes now; what is queued is lost. Twice is fine. ops->free follows. */
void stream_close(struct stream *stream);

/* The peer as `10.0.0.7:1234`, for logs. */
#define STREAM_PEER_SIZE 64
void stream_peer(const struct stream *stream, char ret_peer[static STREAM_PEER_SIZE]);

#endif
