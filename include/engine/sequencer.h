/* sequencer.h - the broker's one critical section: number, keep, look up the watchers, push.
 *
 * Where the store waits for a disk or another process, a thread takes whatever has come since its
 * last batch, numbers it, has it kept by one commit, then pushes the messages to the members, in id
 * order, and the answers behind them. Where it does not, whoever publishes does the same for a
 * batch of one, under the lock. Private to broker.c. */
#ifndef ENGINE_SEQUENCER_H
#define ENGINE_SEQUENCER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/dispatcher.h"
#include "engine/last_seen.h"
#include "engine/store.h"

struct idempotency;

struct broker {
    struct store *store;
    int64_t (*wall_ms)(void);
    int64_t (*mono_ms)(void);
    atomic_int_least64_t age_offset_ms; /* what messages age by, less the monotonic clock */

    /* Whoever sequences: the thread, or who has the lock. */
    struct idempotency *keys;
    uint64_t last; /* last id given */

    pthread_mutex_t mutex; /* guards all that follows */
    struct dispatcher dispatcher;
    struct last_seen last_seen;
    uint64_t head; /* last id dispatched */
    struct list jobs;
    pthread_cond_t has_jobs;
    bool stopping;
    atomic_bool has_new_job; /* of which the thread was not told */
    pthread_t thread;
};

/* Makes a broker without a store. */
struct broker *sequencer_create(size_t idempotency_entries, int64_t idempotency_ttl_ms,
                                int64_t (*wall_ms)(void), int64_t (*mono_ms)(void));
/* After sequencer_stop, and once the store is closed. */
void sequencer_destroy(struct broker *broker);

/* Once it has its store: starts the thread, if there is one to be. */
void sequencer_start(struct broker *broker);
/* Writes what waits, and ends the thread. */
void sequencer_stop(struct broker *broker);

/* The lock. store_lock takes the same. */
void sequencer_lock(struct broker *broker);
void sequencer_unlock(struct broker *broker);

/* Sequences a call, at once or later; not under the lock. */
enum broker_end sequencer_take(struct broker *broker, struct call *call, enum job job);

/* Tells the thread of what came, if nobody has: outside the lock, and at the end of a turn, so that
 * one commit is of all that came in it. */
void sequencer_flush(struct broker *broker);

#endif
