/* store.h - the seam below the broker: what keeps messages, and finds them again.
 *
 * A store knows nothing of members, watches, keys or presence. It keeps what the broker
 * (sequencer.h) has numbered, shows it once it is kept, and answers what is asked about it; what it
 * cannot tell at once it answers later, from threads of its own. How to add one is told in
 * docs/adding.md. */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/call.h"

struct broker_options;
struct idempotency_key;
struct last_seen;
struct store;

/* What is written; a call's record.kind says which until it is answered. */
enum job {
    JOB_PUBLISH, /* struct publish_call, with a message that has its number */
    JOB_ERASE,   /* struct erase_call, alone in its batch: all that came before is kept by then */
    JOB_DEVICE,  /* struct device_call that store_write was given */
    JOB_COUNT,
};

/* What is written at once. */
struct batch {
    struct call **jobs;
    size_t count;
    uint64_t last; /* the last id given, in this batch or before */
};

/* Is it to be written? Else it has failed before, or repeats what was written long ago. */
bool batch_has(const struct call *job);

struct store_ops {
    const char *name;

    /* No question comes any more: returns once all are answered. Or NULL. */
    void (*stop)(struct store *store);
    void (*close)(struct store *store);

    /* Keeps all of the batch, by one commit if it can; whatever is not kept gets its err, and those
     * with a ttl of 0 need no keeping, only their keys are worth it. Between, and with a batch of
     * nothing, it keeps house. Runs on a thread of the broker's, outside the lock.
     * NULL: whatever there is to do show() does at once, so that nothing waits. */
    void (*write)(struct store *store, const struct batch *batch);
    /* Until when, on the monotonic clock, write() need not be called without anything to write. */
    int64_t (*due_ms)(const struct store *store);

    /* All that follows is called under the broker's lock, but asked(). */

    /* What was written is from now on what pages have; in id order. 0, or why it is not kept. */
    int (*show)(struct store *store, struct call *job, uint64_t last);

    /* Questions: answered at once, or by store_answer. A call is the store's in between. */
    enum broker_end (*read)(struct store *store, struct read_call *read);
    enum broker_end (*find)(struct store *store, struct lookup *lookup);
    enum broker_end (*device)(struct store *store, struct device_call *device);
    /* When those were last seen who are away and of whom it is not known. NULL: it never knows. */
    enum broker_end (*last_seen)(struct store *store, struct inquiry *inquiry);
    /* A question waits: outside the lock, so that whoever is woken does not run into it. */
    void (*asked)(struct store *store);

    /* Once a second: lets go of what memory has and is past its time. */
    void (*tick)(struct store *store);
};

/* First member of each implementation. */
struct store {
    const struct store_ops *ops;
    struct broker *broker;
    bool durable; /* what it keeps outlives the process */
    /* Under the lock: */
    bool up; /* takes what must be kept */
    uint64_t messages;
    uint64_t bytes;
    uint64_t disk_free;
};

/* A row for each kind of store: its word in the configuration, and how it is opened. NULL: why is
 * in ret_error. The broker is not used by anybody else yet. */
struct store_kind {
    const char *name;
    struct store *(*open)(struct broker *broker, const struct broker_options *options,
                          char *ret_error, size_t ret_size);
};

struct store *memory_store_open(struct broker *broker, const struct broker_options *options,
                                char *ret_error, size_t ret_size);
struct store *sqlite_store_open(struct broker *broker, const struct broker_options *options,
                                char *ret_error, size_t ret_size);

/* ---- for stores ---- */

void store_lock(struct store *store);
void store_unlock(struct store *store);
/* Leaves the lock until it is signalled. */
void store_wait(struct store *store, pthread_cond_t *condition);

/* While it is opened: the last id that is gone before, which is head; what messages age by, less
 * the monotonic clock; and the keys that are known, each `age_ms` old, the oldest first. False: out
 * of memory. */
void store_begin(struct store *store, uint64_t head);
void store_set_age(struct store *store, int64_t offset_ms); /* any time */
bool store_remember_key(struct store *store, const struct idempotency_key *key, uint64_t id,
                        bool kept, int64_t age_ms);

/* What messages age by. */
int64_t store_age_ms(const struct store *store);

/* Under the lock: a question is answered, on a thread of the store's, who then calls store_wake
 * outside of it. */
void store_answer(struct store *store, struct call *call);
void store_wake(struct store *store);

/* Under the lock: a device is to be written, and its call answered then. */
void store_write(struct store *store, struct device_call *device);

/* Under the lock: when users who are gone were last there; the store may take it over. */
struct last_seen *store_last_seen(struct store *store);

#endif
