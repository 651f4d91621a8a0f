#include "engine/sequencer.h"

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/need.h"
#include "model/idempotency.h"

#define MAX_BATCH 2000
#define LET_IN    128

/* A batch on its way through. */
struct sequence {
    struct batch batch;
    uint64_t last_before; /* the last id given before it */
    int err;              /* why one of it failed */
    bool by_thread;       /* then whoever asked hears of it through the inbox */
};

void sequencer_lock(struct broker *broker)
{
    pthread_mutex_lock(&broker->mutex);
}

void sequencer_unlock(struct broker *broker)
{
    pthread_mutex_unlock(&broker->mutex);
}

/* ---- numbers and keys ---- */

/* Did this publish's key come before? */
static int check_key(struct broker *broker, struct publish_call *publish, int64_t now_ms)
{
    if (!publish->key)
        return 0;
    switch (idempotency_find(broker->keys, publish->key, now_ms, &publish->id, &publish->kept)) {
    case IDEMPOTENCY_NEW:
        return 0;
    case IDEMPOTENCY_CONFLICT:
        return ERR_KEY_CONFLICT;
    case IDEMPOTENCY_DUPLICATE:
        publish->duplicate = true;
        return 0;
    }
    return 0;
}

/* Gives the message its number. Nothing has changed when it fails. */
static int number(struct broker *broker, struct publish_call *publish)
{
    int64_t wall_ms = broker->wall_ms(), now_ms = broker->mono_ms();
    bool keeps = publish->draft.ttl_ms > 0;
    int err = check_key(broker, publish, now_ms);
    if (err || publish->duplicate)
        return err;
    uint64_t id = message_next_id(broker->last, wall_ms);
    if (publish->key && !idempotency_add(broker->keys, publish->key, id, keeps, now_ms))
        return ERR_OUT_OF_MEMORY;
    message_number(publish->message, id, wall_ms,
                   store_age_ms(broker->store) + publish->draft.ttl_ms);
    publish->id = broker->last = id;
    publish->kept = keeps;
    return 0;
}

bool batch_has(const struct call *job)
{
    return !job->err &&
           (job->record.kind != JOB_PUBLISH || !((const struct publish_call *)job)->duplicate);
}

static void number_all(struct broker *broker, struct sequence *sequence)
{
    sequence->last_before = broker->last;
    for (size_t i = 0; i < sequence->batch.count; i++) {
        struct call *job = sequence->batch.jobs[i];
        if (job->record.kind == JOB_PUBLISH)
            job->err = (enum err)number(broker, (struct publish_call *)job);
    }
    sequence->batch.last = broker->last;
}

/* ---- what came of it, under the lock ---- */

static void spread(struct broker *broker, const struct sequence *sequence,
                   struct publish_call *publish)
{
    int from = sequence->by_thread ? DISPATCHER_NOBODY : publish->call.member;
    broker->head = publish->id;
    dispatcher_send(&broker->dispatcher, from, publish->message, publish->delivered);
}

/* Does it repeat what failed in this very batch? Then its key is new again. */
static bool repeats_nothing(struct broker *broker, const struct sequence *sequence,
                            const struct publish_call *publish)
{
    uint64_t id;
    bool kept;
    return publish->id > sequence->last_before &&
           idempotency_find(broker->keys, publish->key, broker->mono_ms(), &id, &kept) ==
               IDEMPOTENCY_NEW;
}

static void conclude_publish(struct broker *broker, struct sequence *sequence,
                             struct publish_call *publish)
{
    struct call *call = &publish->call;
    if (publish->duplicate) {
        if (repeats_nothing(broker, sequence, publish))
            call->err = (enum err)sequence->err;
    } else if (publish->message->id) { /* it got so far as to have a number */
        if (!call->err)
            call->err = (enum err)broker->store->ops->show(broker->store, call, 0);
        if (!call->err)
            spread(broker, sequence, publish);
        else if (publish->key)
            idempotency_remove(broker->keys, publish->key);
    }
    if (call->err)
        sequence->err = (int)call->err;
    publish->durable = publish->kept && broker->store->durable;
}

static void conclude(struct broker *broker, struct sequence *sequence, struct call *job)
{
    if (job->record.kind == JOB_PUBLISH)
        conclude_publish(broker, sequence, (struct publish_call *)job);
    else if (!job->err)
        job->err = (enum err)broker->store->ops->show(broker->store, job, sequence->batch.last);
}

/* ---- by the thread ---- */

/* An answer is behind the message, in each inbox; once it is given the record is another's. */
static void conclude_and_answer(struct broker *broker, struct sequence *sequence, struct call *job)
{
    struct message *message = NULL;
    if (job->record.kind == JOB_PUBLISH)
        message = ((struct publish_call *)job)->message;
    conclude(broker, sequence, job);
    message_unref(message);
    dispatcher_answer(&broker->dispatcher, job);
}

static void write_batch(struct broker *broker, struct sequence *sequence)
{
    const struct batch *batch = &sequence->batch;
    number_all(broker, sequence);
    broker->store->ops->write(broker->store, batch);
    sequencer_lock(broker);
    for (size_t i = 0; i < batch->count; i++) {
        conclude_and_answer(broker, sequence, batch->jobs[i]);
        if (i % LET_IN == LET_IN - 1) { /* whoever waits for the lock */
            sequencer_unlock(broker);
            store_wake(broker->store);
            sequencer_lock(broker);
        }
    }
    sequencer_unlock(broker);
    store_wake(broker->store);
}

/* Under the lock. An erase is a batch of its own: what came before it must be there to be erased.
 */
static void take_batch(struct broker *broker, struct batch *batch)
{
    batch->count = 0;
    while (batch->count < MAX_BATCH && !list_empty(&broker->jobs)) {
        struct call *call = list_first(&broker->jobs, struct call, record.link);
        bool alone = call->record.kind == JOB_ERASE;
        if (alone && batch->count)
            return;
        list_remove(&call->record.link);
        batch->jobs[batch->count++] = call;
        if (alone)
            return;
    }
}

/* Under the lock. */
static void wait_for_jobs(struct broker *broker)
{
    struct timespec until;
    int64_t due_ms = broker->store->ops->due_ms(broker->store);
    if (due_ms <= 0)
        return;
    until.tv_sec = (time_t)(due_ms / 1000);
    until.tv_nsec = (long)(due_ms % 1000) * 1000000;
    pthread_cond_timedwait(&broker->has_jobs, &broker->mutex, &until);
}

static void *sequence_loop(void *context)
{
    struct broker *broker = context;
    struct call *jobs[MAX_BATCH];
    for (;;) {
        struct sequence sequence = {.batch = {.jobs = jobs}, .by_thread = true};
        sequencer_lock(broker);
        if (!broker->stopping && list_empty(&broker->jobs))
            wait_for_jobs(broker);
        take_batch(broker, &sequence.batch);
        bool stop = broker->stopping && !sequence.batch.count;
        sequencer_unlock(broker);
        if (stop)
            return NULL;
        write_batch(broker, &sequence);
    }
}

/* ---- whoever asks ---- */

/* Under the lock. */
static void enqueue(struct broker *broker, struct call *call, enum job job)
{
    if (list_empty(&broker->jobs))
        atomic_store_explicit(&broker->has_new_job, true, memory_order_relaxed);
    call->record.kind = (int)job;
    list_append(&broker->jobs, &call->record.link);
}

/* Under the lock: a batch of one. */
static void sequence_now(struct broker *broker, struct call *call, enum job job)
{
    struct sequence sequence = {.batch = {.jobs = &call, .count = 1}};
    call->record.kind = (int)job;
    number_all(broker, &sequence);
    conclude(broker, &sequence, call);
}

enum broker_end sequencer_take(struct broker *broker, struct call *call, enum job job)
{
    bool waits = broker->store->ops->write != NULL;
    sequencer_lock(broker);
    if (waits)
        enqueue(broker, call, job);
    else
        sequence_now(broker, call, job);
    sequencer_unlock(broker);
    return waits ? BROKER_PENDING : BROKER_ANSWERED;
}

void sequencer_flush(struct broker *broker)
{
    if (atomic_load_explicit(&broker->has_new_job, memory_order_relaxed) &&
        atomic_exchange_explicit(&broker->has_new_job, false, memory_order_relaxed))
        pthread_cond_signal(&broker->has_jobs);
}

/* ---- for stores ---- */

void store_lock(struct store *store)
{
    sequencer_lock(store->broker);
}

void store_unlock(struct store *store)
{
    sequencer_unlock(store->broker);
}

void store_wait(struct store *store, pthread_cond_t *condition)
{
    pthread_cond_wait(condition, &store->broker->mutex);
}

void store_begin(struct store *store, uint64_t head)
{
    store->broker->head = store->broker->last = head;
}

void store_set_age(struct store *store, int64_t offset_ms)
{
    atomic_store_explicit(&store->broker->age_offset_ms, offset_ms, memory_order_relaxed);
}

int64_t store_age_ms(const struct store *store)
{
    const struct broker *broker = store->broker;
    return broker->mono_ms() + atomic_load_explicit(&broker->age_offset_ms, memory_order_relaxed);
}

bool store_remember_key(struct store *store, const struct idempotency_key *key, uint64_t id,
                        bool kept, int64_t age_ms)
{
    struct broker *broker = store->broker;
    int64_t then_ms = broker->mono_ms() - (age_ms > 0 ? age_ms : 0);
    uint64_t known_id;
    bool known_kept;
    if (idempotency_find(broker->keys, key, then_ms, &known_id, &known_kept) != IDEMPOTENCY_NEW)
        return true;
    return idempotency_add(broker->keys, key, id, kept, then_ms);
}

void store_answer(struct store *store, struct call *call)
{
    dispatcher_answer(&store->broker->dispatcher, call);
}

void store_wake(struct store *store)
{
    dispatcher_wake(&store->broker->dispatcher);
    sequencer_flush(store->broker); /* there is no turn of a member's to end here */
}

void store_write(struct store *store, struct device_call *device)
{
    enqueue(store->broker, &device->call, JOB_DEVICE);
}

struct last_seen *store_last_seen(struct store *store)
{
    return &store->broker->last_seen;
}

/* ---- life ---- */

struct broker *sequencer_create(size_t idempotency_entries, int64_t idempotency_ttl_ms,
                                int64_t (*wall_ms)(void), int64_t (*mono_ms)(void))
{
    struct broker *broker = mem_alloc(sizeof *broker);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&broker->has_jobs, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&broker->mutex, NULL);
    dispatcher_init(&broker->dispatcher);
    last_seen_init(&broker->last_seen);
    list_init(&broker->jobs);
    broker->keys = idempotency_create(idempotency_entries, idempotency_ttl_ms);
    broker->wall_ms = wall_ms;
    broker->mono_ms = mono_ms;
    return broker;
}

void sequencer_destroy(struct broker *broker)
{
    idempotency_destroy(broker->keys);
    last_seen_finish(&broker->last_seen);
    dispatcher_finish(&broker->dispatcher);
    pthread_cond_destroy(&broker->has_jobs);
    pthread_mutex_destroy(&broker->mutex);
    free(broker);
}

void sequencer_start(struct broker *broker)
{
    if (broker->store->ops->write)
        need(pthread_create(&broker->thread, NULL, sequence_loop, broker), "the broker's thread");
}

void sequencer_stop(struct broker *broker)
{
    if (!broker->store->ops->write)
        return;
    sequencer_lock(broker);
    broker->stopping = true;
    pthread_cond_broadcast(&broker->has_jobs);
    sequencer_unlock(broker);
    pthread_join(broker->thread, NULL);
}
