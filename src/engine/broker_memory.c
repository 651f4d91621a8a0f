#include "engine/broker_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/minmax.h"
#include "engine/broker.h"
#include "engine/devices.h"
#include "engine/dispatcher.h"
#include "engine/memory_store.h"
#include "model/idempotency.h"

#define MAX_DEVICES 100000

struct broker_memory {
    struct broker broker;
    struct broker_memory_limits limits;
    pthread_mutex_t mutex; /* guards all below: the sequencer */
    struct dispatcher dispatcher;
    struct memory_store *store;
    struct devices devices;
    struct idempotency *keys;
    uint64_t last;         /* last id given: head */
    int64_t age_offset_ms; /* what messages age by, less the monotonic clock */
};

static struct broker_memory *self(struct broker *broker)
{
    return (struct broker_memory *)broker;
}

/* A wall clock that is set ages nothing. */
static int64_t age_ms(const struct broker_memory *memory)
{
    return memory->limits.mono_ms() + memory->age_offset_ms;
}

/* ---- publish ---- */

/* Under the lock. Nothing has changed when it fails. */
static int sequence(struct broker_memory *memory, struct publish_call *publish,
                    struct message *message)
{
    int64_t wall_ms = memory->limits.wall_ms(), now_ms = memory->limits.mono_ms();
    bool keeps = publish->draft.ttl_ms > 0;
    int err = broker_check_key(publish, memory->keys, now_ms);
    if (err || publish->duplicate)
        return err;
    if (keeps && !memory_store_fits(memory->store, message))
        return ERR_NO_ROOM;
    message_number(message, broker_next_id(memory->last, wall_ms), wall_ms,
                   age_ms(memory) + publish->draft.ttl_ms);
    if (publish->key && !idempotency_add(memory->keys, publish->key, message->id, keeps, now_ms))
        return ERR_OUT_OF_MEMORY;
    if (keeps && !memory_store_add(memory->store, message, age_ms(memory))) {
        if (publish->key)
            idempotency_remove(memory->keys, publish->key);
        return ERR_OUT_OF_MEMORY;
    }
    publish->id = memory->last = message->id;
    publish->kept = keeps;
    dispatcher_send(&memory->dispatcher, publish->call.member, message, publish->delivered);
    return 0;
}

static enum broker_end memory_publish(struct broker *broker, struct publish_call *publish)
{
    struct broker_memory *memory = self(broker);
    /* Made outside the lock; nobody else sees it before it has its number. */
    struct message *message = message_create(0, 0, &publish->draft);
    if (!message)
        return broker_answer(&publish->call, ERR_OUT_OF_MEMORY);
    pthread_mutex_lock(&memory->mutex);
    int err = sequence(memory, publish, message);
    pthread_mutex_unlock(&memory->mutex);
    message_unref(message);
    return broker_answer(&publish->call, err);
}

/* ---- read ---- */

static enum broker_end memory_read(struct broker *broker, struct read_call *read)
{
    struct broker_memory *memory = self(broker);
    int64_t now_ms = age_ms(memory);
    bool done = true;
    pthread_mutex_lock(&memory->mutex);
    read->head = memory->last;
    read->above_head = !read->descending && read->after > memory->last;
    if (!read->above_head)
        done = memory_store_read(memory->store, read, 0, (struct expiry){now_ms, now_ms});
    pthread_mutex_unlock(&memory->mutex);
    return broker_answer(&read->call, done ? 0 : ERR_OUT_OF_MEMORY);
}

/* ---- watch, inquire, control, erase ---- */

static int memory_join(struct broker *broker, struct inbox *inbox)
{
    return dispatcher_join(&self(broker)->dispatcher, inbox);
}

static void note_departures(struct broker_memory *memory, const struct topic *topics, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (topics[i].kind == TOPIC_USER && !dispatcher_sessions(&memory->dispatcher, &topics[i]))
            memory_store_note_last_seen(memory->store, &topics[i], memory->limits.wall_ms());
    }
}

static int memory_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                        int delta, uint64_t *ret_head)
{
    struct broker_memory *memory = self(broker);
    int err = 0;
    pthread_mutex_lock(&memory->mutex);
    if (delta < 0) {
        dispatcher_unwatch(&memory->dispatcher, member, topics, count);
        note_departures(memory, topics, count);
    } else if (!dispatcher_watch(&memory->dispatcher, member, topics, count)) {
        err = ERR_OUT_OF_MEMORY;
    }
    if (ret_head)
        *ret_head = memory->last;
    pthread_mutex_unlock(&memory->mutex);
    return err;
}

static void memory_linger(struct broker *broker, const struct topic *user)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    lingering_note(&memory->dispatcher.lingering, user->hash, memory->limits.mono_ms());
    note_departures(memory, user, 1);
    pthread_mutex_unlock(&memory->mutex);
}

static uint32_t memory_count(struct broker *broker, const struct topic *topic)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    uint32_t sessions = dispatcher_sessions(&memory->dispatcher, topic);
    pthread_mutex_unlock(&memory->mutex);
    return sessions;
}

static enum broker_end memory_inquire(struct broker *broker, struct inquiry *inquiry)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct topic *topic = &inquiry->topics[i];
        bool online = dispatcher_is_online(&memory->dispatcher, topic, memory->limits.mono_ms());
        inquiry->presence[i] = (struct presence){
            .online = online,
            .sessions = dispatcher_sessions(&memory->dispatcher, topic),
            .last_seen_ms = online ? 0 : memory_store_last_seen(memory->store, topic),
        };
    }
    pthread_mutex_unlock(&memory->mutex);
    return BROKER_ANSWERED;
}

static enum broker_end memory_control(struct broker *broker, struct control *control)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    enum broker_end end = dispatcher_control(&memory->dispatcher, control);
    pthread_mutex_unlock(&memory->mutex);
    return end;
}

static enum broker_end memory_erase(struct broker *broker, struct erase_call *erase)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    erase->erased = memory_store_erase(memory->store, &erase->topic, memory->last, age_ms(memory));
    pthread_mutex_unlock(&memory->mutex);
    return BROKER_ANSWERED;
}

/* ---- devices ---- */

static int use_device(struct broker_memory *memory, struct device_call *call)
{
    struct devices *devices = &memory->devices;
    const struct device *device =
        devices_find(devices, call->user.hash, call->device, call->length);
    int64_t now_ms = memory->limits.wall_ms();
    call->cursor = min_u64(call->cursor, memory->last);
    call->found = device != NULL;
    if (call->verb == DEVICE_FORGET) {
        devices_forget(devices, call->user.hash, call->device, call->length);
        return 0;
    }
    if (call->verb == DEVICE_ACK) {
        if (device)
            devices_move(devices, call->user.hash, call->device, call->length, call->cursor,
                         now_ms);
        return 0;
    }
    if (!device)
        device = devices_move(devices, call->user.hash, call->device, call->length,
                              call->has_cursor ? call->cursor : 0, now_ms);
    if (!device)
        return ERR_OUT_OF_MEMORY;
    call->cursor = device->cursor;
    return 0;
}

static enum broker_end memory_device(struct broker *broker, struct device_call *call)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    int err = use_device(memory, call);
    pthread_mutex_unlock(&memory->mutex);
    return broker_answer(&call->call, err);
}

static enum broker_end memory_lookup(struct broker *broker, struct lookup *lookup)
{
    struct broker_memory *memory = self(broker);
    bool done = true;
    pthread_mutex_lock(&memory->mutex);
    lookup->durable = false;
    lookup->message = memory_store_find(memory->store, lookup->id, age_ms(memory));
    if (lookup->message)
        done = broker_add_acks(lookup, &memory->devices);
    pthread_mutex_unlock(&memory->mutex);
    return broker_answer(&lookup->call, done ? 0 : ERR_OUT_OF_MEMORY);
}

static void memory_flush(struct broker *broker)
{
    dispatcher_wake(&self(broker)->dispatcher);
}

static void memory_tick(struct broker *broker)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    memory_store_expire(memory->store, age_ms(memory));
    pthread_mutex_unlock(&memory->mutex);
}

static struct broker_stats memory_stats(struct broker *broker)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    struct broker_stats stats = {
        .messages = memory_store_count(memory->store),
        .bytes = memory_store_bytes(memory->store),
        .head = memory->last,
        .up = true,
    };
    pthread_mutex_unlock(&memory->mutex);
    return stats;
}

static void memory_destroy(struct broker *broker)
{
    struct broker_memory *memory = self(broker);
    memory_store_destroy(memory->store);
    devices_finish(&memory->devices);
    dispatcher_finish(&memory->dispatcher);
    idempotency_destroy(memory->keys);
    pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

static const struct broker_ops ops = {
    .name = "memory",
    .destroy = memory_destroy,
    .join = memory_join,
    .watch = memory_watch,
    .linger = memory_linger,
    .publish = memory_publish,
    .read = memory_read,
    .control = memory_control,
    .count = memory_count,
    .inquire = memory_inquire,
    .erase = memory_erase,
    .device = memory_device,
    .lookup = memory_lookup,
    .flush = memory_flush,
    .tick = memory_tick,
    .stats = memory_stats,
};

struct broker *broker_memory_create(const struct broker_memory_limits *limits)
{
    struct broker_memory *memory = mem_alloc(sizeof *memory);
    memory->broker.ops = &ops;
    memory->limits = *limits;
    pthread_mutex_init(&memory->mutex, NULL);
    dispatcher_init(&memory->dispatcher);
    devices_init(&memory->devices, limits->devices_per_user, MAX_DEVICES);
    memory->keys = idempotency_create(limits->idempotency_entries, limits->idempotency_ttl_ms);
    /* An epoch begins: every cursor below this one was given by one whose store is gone, so the
     * first id of this epoch is the floor of all topics: a gap is told, never hidden. */
    memory->age_offset_ms = limits->wall_ms() - limits->mono_ms();
    memory->last = broker_next_id(0, limits->wall_ms());
    memory->store = memory_store_create(&limits->store, memory->last);
    return &memory->broker;
}
