/* route.h - the table of routes: who serves what.
 *
 * The rows are given at the start and never change. No state. */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/identity.h"

struct buf;
struct request;
struct target;

/* How a body is taken as it arrives. For each request there is a body reader, between open() and
 * close(), which answers it as serve() would, in end() or later. */
struct body_handler {
    size_t max_size; /* a Content-Length above this is refused */
    /* The head is whole. NULL: a problem was answered. */
    void *(*open)(struct request *request);
    /* Takes some of the body. Less than all of it: request_wait was called, and the rest is given
     * again after request_go_on. */
    size_t (*take)(void *body_reader, const char *bytes, size_t size);
    /* The body has come to its proper end. */
    void (*end)(void *body_reader);
    /* It has waited too long: to be answered as it stands, in end() if that is still to come. */
    void (*give_up)(void *body_reader);
    /* The request is over, answered or not: the client may leave at any time but while it waits.
     * True: the broker owes the body reader answers; the request stays until request_release. */
    bool (*close)(void *body_reader);
};

/* The path of a last row, for all paths that no other row knows. */
#define ROUTE_ANY "/*"

struct route {
    const char *method; /* GET also serves HEAD; "*": any, OPTIONS among them */
    const char *path;   /* `/users/:id/devices/:name`: two such segments at most; or ROUTE_ANY */
    void (*serve)(struct request *request);
    void *state;  /* the family's, see request_context */
    bool upgrade; /* a WebSocket handshake */
    enum right right;
    const struct body_handler *body_handler; /* or NULL; in place of serve() */
};

/* Routes that belong together; whoever adds them to a table gives them their state. */
struct route_family {
    const struct route *routes;
    size_t count;
};

/* The route for path and method; the target then knows its words. Where a path has two, one of them
 * for handshakes, it is the one that fits what this is. Else NULL, with the methods that the path
 * knows, parted by commas (none: no such path). */
const struct route *route_find(const struct route *routes, size_t count, const char *method,
                               bool is_handshake, struct target *target, struct buf *ret_allow);

#endif
