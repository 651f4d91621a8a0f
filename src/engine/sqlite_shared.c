#include "engine/sqlite_shared.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/need.h"
#include "engine/broker.h"
#include "engine/memory_store.h"

void sqlite_shared_init(struct sqlite_shared *shared, const struct sqlite_options *options)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    *shared = (struct sqlite_shared){.options = *options};
    pthread_cond_init(&shared->has_jobs, &monotonic);
    pthread_cond_init(&shared->has_reads, NULL);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&shared->mutex, NULL);
    dispatcher_init(&shared->dispatcher);
    last_seen_init(&shared->last_seen);
    devices_init(&shared->devices, SIZE_MAX, SIZE_MAX);
    list_init(&shared->jobs);
    list_init(&shared->read_queue);
}

void sqlite_shared_finish(struct sqlite_shared *shared)
{
    last_seen_finish(&shared->last_seen);
    devices_finish(&shared->devices);
    memory_store_destroy(shared->window);
    dispatcher_finish(&shared->dispatcher);
    free(shared->epochs);
    pthread_cond_destroy(&shared->has_jobs);
    pthread_cond_destroy(&shared->has_reads);
    pthread_mutex_destroy(&shared->mutex);
}

void sqlite_shared_lock(struct sqlite_shared *shared)
{
    pthread_mutex_lock(&shared->mutex);
}

void sqlite_shared_unlock(struct sqlite_shared *shared)
{
    bool answers = shared->wakes_readers;
    shared->wakes_readers = false;
    pthread_mutex_unlock(&shared->mutex);
    if (answers)
        pthread_cond_signal(&shared->has_reads);
    dispatcher_wake(&shared->dispatcher);
}

void sqlite_shared_flush(struct sqlite_shared *shared)
{
    if (atomic_load_explicit(&shared->has_new_job, memory_order_relaxed) &&
        atomic_exchange_explicit(&shared->has_new_job, false, memory_order_relaxed))
        pthread_cond_signal(&shared->has_jobs);
}

int64_t sqlite_shared_age_ms(const struct sqlite_shared *shared)
{
    return shared->options.mono_ms() +
           atomic_load_explicit(&shared->age_offset_ms, memory_order_relaxed);
}

int64_t sqlite_shared_expiry_ms(const struct sqlite_shared *shared)
{
    int64_t until_ms = atomic_load_explicit(&shared->doubted_until_ms, memory_order_relaxed);
    return shared->options.mono_ms() < until_ms ? 0 : sqlite_shared_age_ms(shared);
}

struct expiry sqlite_shared_expiry(const struct sqlite_shared *shared)
{
    return (struct expiry){sqlite_shared_expiry_ms(shared), sqlite_shared_age_ms(shared)};
}

void sqlite_shared_commit(struct sqlite_shared *shared, struct call *call, enum sqlite_job job)
{
    if (list_empty(&shared->jobs))
        atomic_store_explicit(&shared->has_new_job, true, memory_order_relaxed);
    call->record.kind = (int)job;
    list_append(&shared->jobs, &call->record.link);
}

void sqlite_shared_ask(struct sqlite_shared *shared, struct call *call, enum sqlite_job job)
{
    call->record.kind = (int)job;
    list_append(&shared->read_queue, &call->record.link);
    shared->wakes_readers = true;
}

void sqlite_shared_start(pthread_t *thread, void *(*loop)(void *context), void *context)
{
    need(pthread_create(thread, NULL, loop, context), "the broker's thread");
}
