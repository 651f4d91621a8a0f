/* route.h - the table of routes: who serves what.
 *
 * The rows are given at the start and never change. No state. */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/identity.h"

struct buf;
struct exchange;
struct target;

/* How a body is taken as it arrives. For each request there is a taker, between open() and close(),
 * which answers it as serve() would, in end() or later. */
struct intake {
    size_t max_size; /* a Content-Length above this is refused */
    /* The head is whole. NULL: a problem was answered. */
    void *(*open)(struct exchange *exchange);
    /* Takes some of the body. Less than all of it: exchange_wait was called, and the rest is given
     * again after exchange_go_on. */
    size_t (*take)(void *taker, const char *bytes, size_t size);
    /* The body has come to its proper end. */
    void (*end)(void *taker);
    /* It has waited too long: to be answered as it stands, in end() if that is still to come. */
    void (*give_up)(void *taker);
    /* The request is over, answered or not: the client may leave at any time but while it waits.
     * True: the broker owes the taker answers; the exchange stays until exchange_release. */
    bool (*close)(void *taker);
};

struct route {
    const char *method; /* GET also serves HEAD */
    const char *path;   /* `/users/:id/devices/:name`: two such segments at most */
    void (*serve)(struct exchange *exchange);
    void *state;  /* the family's, see exchange_state */
    bool upgrade; /* a WebSocket handshake */
    enum right right;
    const struct intake *intake; /* or NULL; in place of serve() */
};

/* The route for path and method; the target then knows its words. Else NULL, with the methods that
 * the path knows, parted by commas (none: no such path). */
const struct route *route_find(const struct route *routes, size_t count, const char *method,
                               struct target *target, struct buf *ret_allow);

#endif
