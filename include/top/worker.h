/* reactor.h - one worker: a reactor and what stands on it: routes, listeners, streams, sessions.
 *
 * The server makes and destroys workers on the main thread, and calls from there while they run;
 * what it says reaches a worker on its worker's thread. A worker stops itself once it is drained.
 */
#ifndef TOP_WORKER_H
#define TOP_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/parser.h"

struct access;
struct broker;
struct config;
struct connection_limits;
struct endpoints;
struct engine_door;
struct metrics;
struct status;
struct worker;

/* How many kinds of connections of Engine.IO there may be. */
#define WORKER_DOORS 2

/* What all workers stand on; borrowed. */
struct worker_shared {
    const struct config *config;
    struct broker *broker;
    struct connection_limits *connection_limits;
    struct status *status;
    const struct endpoints *endpoints; /* a socket of each for each worker, which takes it */
    const struct endpoints *metrics_endpoints; /* the first worker's; count 0: none */
    size_t worker_count;
    struct engine_door *doors; /* WORKER_DOORS of them, through which workers find each other's */
    atomic_size_t *draining;   /* how many workers are */
    bool can_adopt;            /* see adoption.h */
    struct parser parser;      /* see parser.h */
    /* On the thread of the last worker that drains: each may be let go. */
    void (*on_all_draining)(void *context);
    /* On the worker's thread, when it has ended: its worker can be joined. */
    void (*on_gone)(void *context);
    void *context;
};

/* NULL: libmicrohttpd does not start, and this process ends. The worker has a reference of its own
 * to access. */
struct worker *worker_create(const struct worker_shared *ground, size_t index,
                             struct access *access);
/* NULL is fine. Joined, or never started. */
void worker_destroy(struct worker *worker);

void worker_start(struct worker *worker);
/* From now on this access and these limits count. Whom the old access let in keeps what it has. */
void worker_change(struct worker *worker, const struct config *config, struct access *access);
/* Nobody comes in any more; sessions are told to go, and answers close their connections. */
void worker_drain(struct worker *worker);
/* All of them drain: nobody asks this one for anything any more, beyond what is in its inbox. Only
 * now it may end. Any thread. */
void worker_let_go(struct worker *worker);
/* Closes what is left. */
void worker_abort(struct worker *worker);
/* When its loop came to its last second, by clock_mono_ms. */
int64_t worker_turned_ms(const struct worker *worker);
/* Has on_gone been called? */
bool worker_is_gone(const struct worker *worker);
void worker_join(struct worker *worker);

const struct metrics *worker_metrics(const struct worker *worker);

#endif
