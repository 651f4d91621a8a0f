/* listener.h - where connections come from: our own accept, a libmicrohttpd daemon, its pump.
 *
 * One for each worker, on its thread. We accept (at most 64 a turn, within the connection limits)
 * and hand over; libmicrohttpd parses and answers, driven by its epoll set in the worker's loop. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/requests.h"

struct access;
struct byte_quota;
struct connection_limits;
struct listener;
struct reactor;

struct listener_options {
    struct reactor *reactor;
    struct connection_limits *connection_limits;
    struct byte_quota *quota; /* borrowed */
    struct access *access;    /* borrowed, as requests.access */
    const struct route *routes;
    size_t route_count;
    struct request_limits limits;
    struct parser parser; /* as parser_find found it */
    int64_t head_timeout_ms;
    int64_t keepalive_ms;
    int64_t request_timeout_ms;
    bool access_log;
};

/* Opens a listening socket, to be shared by one socket a worker (SO_REUSEPORT). Port 0 becomes a
 * free one in *address. 0 and *ret_fd, or an errno. `probe` binds without SO_REUSEPORT and closes
 * again: proof that nobody else has the port. Any thread. */
int listener_bind(struct sockaddr_storage *address, bool probe, int *ret_fd);

/* Takes over count listening sockets. Before the worker starts. NULL: libmicrohttpd refuses. */
struct listener *listener_create(const struct listener_options *options, const int *fds,
                                 size_t count);
/* Once the loop is empty. */
void listener_destroy(struct listener *listener);

/* Accepts no more (what waits in the backlog is still taken); connections end with their answers.
 */
void listener_drain(struct listener *listener);
/* From now on other rights and limits count; access is borrowed. */
void listener_change(struct listener *listener, struct access *access,
                     const struct request_limits *limits, bool access_log);
/* Open HTTP connections. */
size_t listener_connections(const struct listener *listener);
/* Answers that the broker owes to requests which have ended without them. */
size_t listener_late_answers(const struct listener *listener);
/* Answers those who wait for the broker with 503 and cuts every connection off; they are gone a few
 * turns later. */
void listener_abort(struct listener *listener);
/* Once no connection is left: closes its handles. */
void listener_stop(struct listener *listener);

#endif
