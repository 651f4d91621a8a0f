/* engine_poll.h - a GET of Engine.IO on its own socket, until it is answered.
 *
 * The socket was taken over from the request, perhaps at another worker; the heads of both possible
 * answers were written there. Its owner hears when the client is gone. Worker's thread only. */
#ifndef SOCKETIO_ENGINE_POLL_H
#define SOCKETIO_ENGINE_POLL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/list.h"
#include "engine/reactor.h"
#include "socketio/engine_refusal.h"

struct engine_poll;
struct request;
struct sessions;

/* All of one kind at a worker; embedded. */
struct engine_polls {
    struct sessions *sessions;
    void (*on_lost)(void *owner); /* nothing can be answered any more */
    struct list closing;          /* answered, and not closed yet */
    struct reactor_hook second;
};

void engine_polls_init(struct engine_polls *polls, struct sessions *sessions,
                       void (*on_lost)(void *owner));
/* Ends those that are answered, where time is up. */
void engine_polls_abort(struct engine_polls *polls);

/* What the answer begins with. */
struct engine_poll_heads {
    struct buf answer;  /* 200 */
    struct buf refusal; /* 400 */
};
void engine_poll_heads_write(struct engine_poll_heads *ret_heads, const struct request *request);
void engine_poll_heads_finish(struct engine_poll_heads *heads);

#define ENGINE_POLL_TYPE    "text/plain; charset=UTF-8"
#define ENGINE_REFUSAL_TYPE "application/json"

/* Takes the socket over; heads change hands. NULL: no memory, or no place is left, and the socket
 * is closed. */
struct engine_poll *engine_poll_open(struct engine_polls *polls, int fd,
                                     struct engine_poll_heads *heads, void *owner);

/* Is the client gone, though the loop has not told yet? */
bool engine_poll_is_left(const struct engine_poll *poll);

/* Each ends it: its owner hears no more of it, and forgets it. The body is emptied. */
void engine_poll_answer(struct engine_poll *poll, struct buf *body);
void engine_poll_refuse(struct engine_poll *poll, enum engine_refusal refusal);
void engine_poll_drop(struct engine_poll *poll);

#endif
