/* stream_client.h - a client on the socket of its HTTP request: the answer that goes on.
 *
 * What event streams and waiting polls have in common: the request's socket is taken over, the
 * client says nothing more, it is due from time to time, and at its end what is queued is written
 * and followed by a FIN, for which there is a limit. Worker's thread only. */
#ifndef SESSION_STREAM_CLIENT_H
#define SESSION_STREAM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/timer_wheel.h"
#include "engine/reactor.h"
#include "session/client.h"
#include "socket/stream.h"

struct buf;
struct request;
struct stream_client;
struct subscribe_request;
struct topic;

/* What a protocol does with one. */
struct stream_client_ops {
    struct session_ops session;
    const char *content_type; /* of the answer */
    /* Refuses who may not receive. NULL: by a problem, as elsewhere. */
    void (*refuse)(struct request *request, enum err err, const char *why);
    /* It is open by stream_client_serve: writes the head of the answer, and what it hears first. */
    void (*on_open)(struct stream_client *client, const struct request *request,
                    const struct topic *user);
    /* The seconds it asked for are over; it is in no list, or calls stream_client_wait again. */
    void (*on_due)(struct stream_client *client);
    /* Open, and its peer is gone (ERR_CONNECTION_LOST) or takes nothing (ERR_STALLED), or memory
     * is. It leaves. */
    void (*on_lost)(struct stream_client *client, enum err reason);
    /* It is over, and nothing refers to its memory any more; that is all there is left to do. */
    void (*free)(struct stream_client *client);
};

/* All clients of one protocol at a worker. */
struct stream_clients {
    const struct stream_client_ops *ops;
    struct timer_wheel due;
    struct list closing;
    struct reactor_hook second;
};

struct stream_client {
    struct stream stream; /* first: the stream's callbacks find the rest */
    struct client client;
    struct stream_clients *all;
    struct list
        link;     /* the wheel, or those closing, or while it is open a list of the protocol's */
    uint32_t max; /* bytes its reader takes at once; 0: any number */
    uint8_t state;
    uint8_t closing_seconds;
};

static inline struct stream_client *stream_client_of(const struct session *session)
{
    return list_entry(client_of(session), struct stream_client, client);
}

void stream_clients_init(struct stream_clients *all, const struct stream_client_ops *ops,
                         size_t max_seconds, struct reactor *reactor);
/* Every client has been freed. */
void stream_clients_finish(struct stream_clients *all);
/* For a struct protocol, whose state is a struct stream_clients or begins with one. Closes all that
 * wait to be due; then, where time is up, whatever is still there. */
void stream_clients_close_all(void *state, enum err reason);
void stream_clients_abort_all(void *state);

/* Serves a request for a struct stream_client: what it asks for is read and admitted, its device
 * found; then it is open, and due in so many seconds, or the request is answered. */
void stream_client_serve(struct request *request, struct stream_clients *all, size_t seconds);

/* For those who have done the first half themselves: comes in, opens, takes the socket over and is
 * due in so many seconds. Else an error, all of it is undone, and the request is still to be
 * answered. */
int stream_client_open(struct stream_client *client, struct stream_clients *all,
                       struct request *request, const struct subscribe_request *wanted,
                       size_t seconds);
bool stream_client_is_open(const struct stream_client *client);

/* Due again in so many seconds. */
void stream_client_wait(struct stream_client *client, size_t seconds);

/* Sends and empties the buffer. False: there was no memory. */
bool stream_client_send(struct stream_client *client, struct buf *buf);

/* Messages find an open one no more; what is sent to it now is its last, after which it ends. */
void stream_client_leave(struct stream_client *client, enum err reason);
/* Ends at once; what is queued is lost. */
void stream_client_end(struct stream_client *client);

/* session_ops.queued, for those who queue what they are given. */
size_t stream_client_queued(const struct session *session);

#endif
