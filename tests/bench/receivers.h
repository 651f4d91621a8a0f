/* receivers.h - the WebSocket clients of a run, in text form. One thread.
 *
 * Pings are answered, a close or an end is a fault, and so is any frame that is not one of
 * our messages. */
#ifndef RECEIVERS_H
#define RECEIVERS_H

#include "bench.h"
#include "posts.h"

struct receivers;

struct receiver {
    struct watch watch;
    struct receivers *pool;
    uint32_t user;
    uint32_t last;      /* the number of the message it got last */
    uint32_t rest_size; /* what came of a frame whose end is still to come */
    char *rest;
    bool open; /* handshake done */
};

struct receivers {
    struct receiver *all;
    uint32_t count;  /* sockets started */
    uint32_t opened; /* of these, handshakes done */
    uint32_t per_user;
    int loop;
    uint16_t port;
    struct faults *faults; /* borrowed */
    void *owner;
    /* A message of ours came, whole. */
    void (*on_message)(void *owner, struct receiver *r, uint32_t number);
};

/* Fills in "all" and opens "total" sockets, per_user for each user from 0 on, at most 64
 * handshakes at a time; the other fields are the caller's to set first. Ends the process when
 * that takes longer than 60 seconds or a handshake is refused. */
void receivers_open(struct receivers *pool, uint32_t total);

/* Resets every socket and empties the pool. */
void receivers_close(struct receivers *pool);

#endif
