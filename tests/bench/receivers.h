/* receivers.h - the clients of a run that receive, all over the same transport. One thread.
 *
 * Pings are answered, a close or an end is a fault, and so is all that is not one of our
 * messages. */
#ifndef RECEIVERS_H
#define RECEIVERS_H

#include "bench.h"
#include "posts.h"

struct receivers;
struct transport;

struct receiver {
    struct watch watch;
    struct receivers *pool;
    uint32_t user;      /* whose messages it gets: a channel's are those of user 0 */
    uint32_t last;      /* the number of the message it got last */
    uint64_t last_id;   /* where the transport tells it */
    uint32_t rest_size; /* what came of a frame whose end is still to come */
    char *rest;
    bool open;     /* handshake done */
    bool answered; /* a poll: now the server may end the connection */
};

struct receivers {
    struct receiver *all;
    uint32_t count;  /* sockets started */
    uint32_t opened; /* of these, handshakes done */
    uint32_t first_user, per_user;
    bool channel; /* all are subscribed to CHANNEL */
    const struct transport *transport;
    int loop;
    uint16_t port;
    struct faults *faults; /* borrowed */
    void *owner;
    /* A message of ours came, whole. */
    void (*on_message)(void *owner, struct receiver *r, uint32_t number);
};

/* Fills in "all" and opens "total" sockets, per_user for each user from first_user on,
 * at most 64 handshakes at a time; the other fields are the caller's to set first. Ends the
 * process when that takes longer than 60 seconds or a handshake is refused. */
void receivers_open(struct receivers *pool, uint32_t total);

/* For transports: the handshake is done. */
void receiver_opened(struct receiver *r);

/* Resets every socket and empties the pool. */
void receivers_close(struct receivers *pool);

#endif
