/* sqlite_shared.h - what the threads of the SQLite broker share: the sequencer's state and its
 * lock.
 *
 * The workers' threads ask, the committer's thread (sqlite_committer.h) writes, those of the
 * answers (sqlite_reader_pool.h) read. Private to these and to broker_sqlite.c. */
#ifndef ENGINE_SQLITE_SHARED_H
#define ENGINE_SQLITE_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/age.h"
#include "engine/devices.h"
#include "engine/dispatcher.h"
#include "engine/last_seen.h"
#include "engine/sqlite_options.h"

struct call;
struct epoch;
struct memory_store;

/* What waits for the committer, and for the readers. */
enum sqlite_job {
    SQLITE_PUBLISH,
    SQLITE_ERASE,
    SQLITE_DEVICE,
    SQLITE_READ,
    SQLITE_INQUIRY,
    SQLITE_FIND_DEVICE,
    SQLITE_LOOKUP,
};

struct sqlite_shared {
    /* These never change after the start. */
    struct sqlite_options options;
    struct epoch *epochs;
    size_t epoch_count;

    /* The committer's, and read by all. */
    atomic_int_least64_t age_offset_ms; /* the messages' age less the monotonic clock */
    atomic_int_least64_t doubted_until_ms;

    pthread_mutex_t mutex; /* guards all that follows */
    struct dispatcher dispatcher;
    struct memory_store *window; /* all that is kept and above window_floor */
    uint64_t window_floor;       /* never above indexed_upto */
    uint64_t indexed_upto;
    uint64_t head;         /* last id dispatched */
    uint64_t visible_upto; /* the last of those that are kept */
    struct list jobs;
    struct list read_queue;
    pthread_cond_t has_jobs;
    pthread_cond_t has_reads;
    struct last_seen last_seen;
    struct devices devices; /* that moved since they were last written */
    uint64_t messages;
    uint64_t bytes;
    uint64_t disk_free;
    unsigned generation; /* of the open file; whoever reads it follows */
    bool up;
    bool stopping;
    bool wakes_readers;      /* at the end of the lock */
    atomic_bool has_new_job; /* of which the committer was not told */
};

void sqlite_shared_init(struct sqlite_shared *shared, const struct sqlite_options *options);
void sqlite_shared_finish(struct sqlite_shared *shared);

void sqlite_shared_lock(struct sqlite_shared *shared);
/* And wakes, now that they will not run into the lock, the members something was pushed to, and
 * whoever answers. */
void sqlite_shared_unlock(struct sqlite_shared *shared);

/* What messages age by: see age.h. */
int64_t sqlite_shared_age_ms(const struct sqlite_shared *shared);
/* What has expired by then is past its time; 0, and nothing is, while the clock is in doubt. */
int64_t sqlite_shared_expiry_ms(const struct sqlite_shared *shared);
/* The same for who reads. */
struct expiry sqlite_shared_expiry(const struct sqlite_shared *shared);

/* Under the lock: gives a call to the committer, who is told by sqlite_shared_flush, or to the
 * answers. */
void sqlite_shared_commit(struct sqlite_shared *shared, struct call *call, enum sqlite_job job);
void sqlite_shared_ask(struct sqlite_shared *shared, struct call *call, enum sqlite_job job);

/* Tells the committer, if nobody has: outside the lock, and at the end of a turn, so that one
 * commit is of all that came in it. */
void sqlite_shared_flush(struct sqlite_shared *shared);

/* To be joined. Without a thread there is no broker: it asserts. */
void sqlite_shared_start(pthread_t *thread, void *(*loop)(void *context), void *context);

#endif
