/* transports.h - the ways in which a run's clients receive: what they ask for, and how they read
 * what comes. One thread. */
#ifndef TRANSPORTS_H
#define TRANSPORTS_H

#include <stddef.h>

struct receiver;

struct transport {
    const char *path; /* before the user's name */
    const char *query;
    const char *headers;
    /* Both return how much of "at" they used; 0: what began there is not all there. The first
     * is for what answers the handshake; NULL where that cannot be seen. */
    size_t (*take_opening)(struct receiver *r, const char *at, size_t size);
    size_t (*take)(struct receiver *r, const char *at, size_t size);
};

/* In text form. */
extern const struct transport transport_websocket;

/* The same, of a user who wants all that is kept first. */
extern const struct transport transport_return;

/* Server-Sent Events; their ids must rise and be those of the data. */
extern const struct transport transport_events;

/* One long poll, answered by one message. Its handshake shows nothing until then. */
extern const struct transport transport_poll;

#endif
