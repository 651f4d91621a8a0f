/* reactor.h - one thread: a libuv loop, a connection manager, an inbox.
 *
 * A worker is to the broker what a node is. What stands above (listeners, sockets) hooks into its
 * turn: at the end of each turn of the loop the inbox is drained into the connection manager, then
 * the hooks run (they write what has been queued), until nothing new has come up. */
#ifndef ENGINE_REACTOR_H
#define ENGINE_REACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/inbox.h"
#include "base/list.h"
#include "base/metrics.h"

struct broker;
struct catch_up;
struct catch_up_limits;
struct connection_manager;

/* The end of a turn goes through these in this order, after the inbox was drained into sessions. */
enum reactor_phase {
    TURN_ANSWER, /* what is due this turn is made ready: polls */
    TURN_WRITE,  /* what is queued is written, one write a socket: receivers first ... */
    TURN_SERVE,  /* ... and then the publishers, whose answers go out as libmicrohttpd runs */
    TURN_CHECK,  /* is there anything left to do for this worker? */
    TURN_PHASES
};

/* Runs on the worker's thread; embedded by its owner, who unhooks before it is freed. */
struct reactor_hook {
    struct list link;
    void (*run)(struct reactor_hook *hook);
};

struct reactor {
    uv_loop_t loop;
    int index;
    struct broker *broker; /* borrowed */
    int member;            /* its number at the broker */
    struct connection_manager *manager;
    struct catch_up *catch_up;
    struct metrics metrics;
    _Atomic int64_t turned_ms; /* when its loop came to its last second; anybody may look */
    /* Private to reactor.c: */
    struct inbox inbox;
    uv_poll_t wake;
    int wake_fd;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t second;
    struct list turn_hooks[TURN_PHASES];
    struct list second_hooks;
    uv_thread_t thread;
    bool again;
    bool stopping;
};

/* Makes a worker and joins it to the broker; its thread does not run yet. */
struct reactor *reactor_create(int index, struct broker *broker,
                               const struct catch_up_limits *limits);
/* After reactor_join, or when it was never started. NULL is fine. */
void reactor_destroy(struct reactor *reactor);

void reactor_start(struct reactor *reactor);

/* Runs fn(context) on the worker's thread, in order with everything else in its inbox. Any
 * thread. */
void reactor_call(struct reactor *reactor, void (*fn)(void *context), void *context);

/* The same for a task that is embedded in a record of the caller's, and so needs no memory; run()
 * has the record. What is left when the worker has ended runs when it is destroyed. */
struct reactor_task {
    struct inbox_record record;
    void (*run)(struct reactor_task *task);
};
void reactor_hand(struct reactor *reactor, struct reactor_task *task);

/* On the worker's thread: closes the worker's own handles. Its thread ends once every other handle
 * of the loop is closed too. */
void reactor_stop(struct reactor *reactor);
/* Waits for the thread's end. */
void reactor_join(struct reactor *reactor);

/* At the end of each turn, in its phase; a hook that made new work asks for another round by
 * reactor_again. */
void reactor_on_turn(struct reactor *reactor, enum reactor_phase phase, struct reactor_hook *hook);
void reactor_again(struct reactor *reactor);

/* Once a second while the process runs (seconds in which it was stopped do not count). */
void reactor_on_second(struct reactor *reactor, struct reactor_hook *hook);

#endif
