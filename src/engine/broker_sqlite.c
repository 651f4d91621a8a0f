#include "engine/broker_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/broker.h"
#include "engine/memory_store.h"
#include "engine/sqlite_committer.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_reader_pool.h"
#include "engine/sqlite_shared.h"

struct broker_sqlite {
    struct broker broker;
    struct sqlite_shared shared;
    struct sqlite_committer *committer;
    struct sqlite_reader_pool *answers;
};

static struct broker_sqlite *self(struct broker *broker)
{
    return (struct broker_sqlite *)broker;
}

static struct sqlite_shared *shared_of(struct broker *broker)
{
    return &self(broker)->shared;
}

static enum broker_end sqlite_publish(struct broker *broker, struct publish_call *publish)
{
    struct sqlite_shared *shared = shared_of(broker);
    publish->message = message_create(0, 0, &publish->draft);
    if (!publish->message)
        return broker_answer(&publish->call, ERR_OUT_OF_MEMORY);
    sqlite_shared_lock(shared);
    sqlite_shared_commit(shared, &publish->call, SQLITE_PUBLISH);
    sqlite_shared_unlock(shared);
    return BROKER_PENDING;
}

static enum broker_end sqlite_erase(struct broker *broker, struct erase_call *erase)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    sqlite_shared_commit(shared, &erase->call, SQLITE_ERASE);
    sqlite_shared_unlock(shared);
    return BROKER_PENDING;
}

static enum broker_end sqlite_read(struct broker *broker, struct read_call *read)
{
    return sqlite_reader_pool_read(self(broker)->answers, read);
}

static enum broker_end sqlite_inquire(struct broker *broker, struct inquiry *inquiry)
{
    return sqlite_reader_pool_inquire(self(broker)->answers, inquiry);
}

static enum broker_end sqlite_device(struct broker *broker, struct device_call *call)
{
    return sqlite_reader_pool_device(self(broker)->answers, call);
}

static enum broker_end sqlite_lookup(struct broker *broker, struct lookup *lookup)
{
    return sqlite_reader_pool_lookup(self(broker)->answers, lookup);
}

static int sqlite_join(struct broker *broker, struct inbox *inbox)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    int member = dispatcher_join(&shared->dispatcher, inbox);
    sqlite_shared_unlock(shared);
    return member;
}

/* Under the lock. */
static void note_departure(struct sqlite_shared *shared, const struct topic *topic)
{
    if (topic->kind == TOPIC_USER && !dispatcher_sessions(&shared->dispatcher, topic))
        last_seen_note(&shared->last_seen, topic->hash, shared->options.wall_ms());
}

static int sqlite_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                        int delta, uint64_t *ret_head)
{
    struct sqlite_shared *shared = shared_of(broker);
    int err = 0;
    sqlite_shared_lock(shared);
    if (delta < 0) {
        dispatcher_unwatch(&shared->dispatcher, member, topics, count);
        for (size_t i = 0; i < count; i++)
            note_departure(shared, &topics[i]);
    } else if (!dispatcher_watch(&shared->dispatcher, member, topics, count)) {
        err = ERR_OUT_OF_MEMORY;
    }
    if (ret_head)
        *ret_head = shared->head;
    sqlite_shared_unlock(shared);
    return err;
}

static void sqlite_linger(struct broker *broker, const struct topic *user)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    lingering_note(&shared->dispatcher.lingering, user->hash, shared->options.mono_ms());
    note_departure(shared, user);
    sqlite_shared_unlock(shared);
}

static uint32_t sqlite_count(struct broker *broker, const struct topic *topic)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    uint32_t sessions = dispatcher_sessions(&shared->dispatcher, topic);
    sqlite_shared_unlock(shared);
    return sessions;
}

static enum broker_end sqlite_control(struct broker *broker, struct control *control)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    enum broker_end end = dispatcher_control(&shared->dispatcher, control);
    sqlite_shared_unlock(shared);
    return end;
}

static void sqlite_flush(struct broker *broker)
{
    sqlite_shared_flush(shared_of(broker));
}

static void sqlite_tick(struct broker *broker)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    memory_store_expire(shared->window, sqlite_shared_expiry_ms(shared));
    sqlite_shared_unlock(shared);
}

static struct broker_stats sqlite_stats(struct broker *broker)
{
    struct sqlite_shared *shared = shared_of(broker);
    sqlite_shared_lock(shared);
    struct broker_stats stats = {
        .messages = shared->messages,
        .bytes = shared->bytes,
        .head = shared->head,
        .up = shared->up,
        .disk_free = shared->disk_free,
    };
    sqlite_shared_unlock(shared);
    return stats;
}

/* ---- life ---- */

static void destroy(struct broker_sqlite *sqlite)
{
    sqlite_committer_destroy(sqlite->committer);
    sqlite_shared_finish(&sqlite->shared);
    free(sqlite);
}

static void sqlite_destroy(struct broker *broker)
{
    struct broker_sqlite *sqlite = self(broker);
    struct sqlite_shared *shared = &sqlite->shared;
    sqlite_shared_lock(shared);
    shared->stopping = true;
    pthread_cond_broadcast(&shared->has_jobs);
    pthread_cond_broadcast(&shared->has_reads);
    sqlite_shared_unlock(shared);
    sqlite_committer_join(sqlite->committer);
    sqlite_reader_pool_destroy(sqlite->answers);
    destroy(sqlite);
}

static const struct broker_ops ops = {
    .name = "sqlite",
    .destroy = sqlite_destroy,
    .join = sqlite_join,
    .watch = sqlite_watch,
    .linger = sqlite_linger,
    .publish = sqlite_publish,
    .read = sqlite_read,
    .control = sqlite_control,
    .count = sqlite_count,
    .inquire = sqlite_inquire,
    .erase = sqlite_erase,
    .device = sqlite_device,
    .lookup = sqlite_lookup,
    .flush = sqlite_flush,
    .tick = sqlite_tick,
    .stats = sqlite_stats,
};

struct broker *broker_sqlite_create(const struct sqlite_options *options, char *ret_error,
                                    size_t ret_size)
{
    struct sqlite_file_error error = {""};
    struct broker_sqlite *sqlite = mem_alloc(sizeof *sqlite);
    sqlite->broker.ops = &ops;
    sqlite_shared_init(&sqlite->shared, options);
    sqlite->committer = sqlite_committer_create(&sqlite->shared, &error);
    if (!sqlite->committer) {
        snprintf(ret_error, ret_size, "%s", error.text);
        destroy(sqlite);
        return NULL;
    }
    sqlite_committer_start(sqlite->committer);
    sqlite->answers = sqlite_reader_pool_create(&sqlite->shared);
    return &sqlite->broker;
}
