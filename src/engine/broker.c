#include "engine/broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/minmax.h"
#include "engine/broker_options.h"
#include "engine/sequencer.h"

/* ---- life ---- */

static const struct store_kind kinds[] = {
    {"sqlite", sqlite_store_open},
    {"memory", memory_store_open},
};

static const struct store_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

struct broker *broker_create(const char *kind, const struct broker_options *options,
                             char *ret_error, size_t ret_size)
{
    const struct store_kind *found = find_kind(kind);
    if (!found) {
        snprintf(ret_error, ret_size, "%s: there is no such broker", kind);
        return NULL;
    }
    struct broker *broker =
        sequencer_create(options->idempotency_entries, options->idempotency_ttl_ms,
                         options->wall_ms, options->mono_ms);
    broker->store = found->open(broker, options, ret_error, ret_size);
    if (!broker->store) {
        sequencer_destroy(broker);
        return NULL;
    }
    sequencer_start(broker);
    return broker;
}

/* Who reads may leave something to be written, so the readers first. */
void broker_destroy(struct broker *broker)
{
    if (!broker)
        return;
    struct store *store = broker->store;
    if (store->ops->stop)
        store->ops->stop(store);
    sequencer_stop(broker);
    store->ops->close(store);
    sequencer_destroy(broker);
}

/* ---- members, and who is there ---- */

int broker_join(struct broker *broker, struct inbox *inbox)
{
    sequencer_lock(broker);
    int member = dispatcher_join(&broker->dispatcher, inbox);
    sequencer_unlock(broker);
    return member;
}

/* Under the lock. */
static void note_departure(struct broker *broker, const struct topic *topic)
{
    if (topic->kind == TOPIC_USER && !dispatcher_sessions(&broker->dispatcher, topic))
        last_seen_note(&broker->last_seen, topic->hash, broker->wall_ms());
}

int broker_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                 int delta, uint64_t *ret_head)
{
    int err = 0;
    sequencer_lock(broker);
    if (delta < 0) {
        dispatcher_unwatch(&broker->dispatcher, member, topics, count);
        for (size_t i = 0; i < count; i++)
            note_departure(broker, &topics[i]);
    } else if (!dispatcher_watch(&broker->dispatcher, member, topics, count)) {
        err = ERR_OUT_OF_MEMORY;
    }
    if (ret_head)
        *ret_head = broker->head;
    sequencer_unlock(broker);
    return err;
}

void broker_linger(struct broker *broker, const struct topic *user)
{
    sequencer_lock(broker);
    lingering_note(&broker->dispatcher.lingering, user->hash, broker->mono_ms());
    note_departure(broker, user);
    sequencer_unlock(broker);
}

uint32_t broker_count(struct broker *broker, const struct topic *topic)
{
    sequencer_lock(broker);
    uint32_t sessions = dispatcher_sessions(&broker->dispatcher, topic);
    sequencer_unlock(broker);
    return sessions;
}

/* ---- calls ---- */

static void begin(struct call *call, int member)
{
    call->member = member;
    call->err = ERR_NONE;
}

/* A question was asked under the lock, and is answered by `end`. */
static enum broker_end end_question(struct broker *broker, enum broker_end end)
{
    sequencer_unlock(broker);
    if (end == BROKER_PENDING && broker->store->ops->asked)
        broker->store->ops->asked(broker->store);
    return end;
}

enum broker_end broker_control(struct broker *broker, int member, struct control_call *control)
{
    begin(&control->call, member);
    sequencer_lock(broker);
    enum broker_end end = dispatcher_control(&broker->dispatcher, control);
    sequencer_unlock(broker);
    return end;
}

void broker_reply(struct broker *broker, struct control_copy *copy)
{
    /* A poll that was answered while the order to close was on its way has left its user lingering.
     */
    if (copy->control.verb == CONTROL_CLOSE) {
        sequencer_lock(broker);
        lingering_forget(&broker->dispatcher.lingering, copy->control.topic.hash);
        sequencer_unlock(broker);
    }
    dispatcher_reply(&broker->dispatcher, copy);
}

enum broker_end broker_publish(struct broker *broker, int member, struct publish_call *publish)
{
    begin(&publish->call, member);
    publish->duplicate = publish->kept = publish->durable = false;
    /* Made outside the lock; nobody else sees it before it has its number. */
    struct message *message = publish->message = message_create(0, 0, &publish->draft);
    if (!message)
        return call_answer(&publish->call, ERR_OUT_OF_MEMORY);
    enum broker_end end = sequencer_take(broker, &publish->call, JOB_PUBLISH);
    if (end == BROKER_ANSWERED)
        message_unref(message);
    return end;
}

enum broker_end broker_erase(struct broker *broker, int member, struct erase_call *erase)
{
    begin(&erase->call, member);
    erase->erased = 0;
    return sequencer_take(broker, &erase->call, JOB_ERASE);
}

enum broker_end broker_read(struct broker *broker, int member, struct read_call *read)
{
    begin(&read->call, member);
    read->count = 0;
    read->more = false;
    for (size_t i = 0; i < read->topic_count; i++) {
        struct read_topic *from = &read->topics[i];
        from->gap = false;
        from->known = max_u64(read->after, max_u64(from->from, from->told));
    }
    sequencer_lock(broker);
    read->head = broker->head;
    read->above_head = !read->descending && read->after > broker->head;
    return end_question(broker, read->above_head ? BROKER_ANSWERED
                                                 : broker->store->ops->read(broker->store, read));
}

/* Under the lock. False: the store has to be asked when some of them were there last. */
static bool know_presence(struct broker *broker, struct inquiry *inquiry)
{
    bool all = true;
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct topic *user = &inquiry->topics[i];
        bool online = dispatcher_is_online(&broker->dispatcher, user, broker->mono_ms());
        int64_t seen_ms = online ? 0 : last_seen_find(&broker->last_seen, user->hash);
        inquiry->presence[i] = (struct presence){
            .online = online,
            .sessions = dispatcher_sessions(&broker->dispatcher, user),
            .last_seen_ms = seen_ms,
        };
        all = all && (online || seen_ms);
    }
    return all;
}

enum broker_end broker_inquire(struct broker *broker, int member, struct inquiry *inquiry)
{
    struct store *store = broker->store;
    begin(&inquiry->call, member);
    sequencer_lock(broker);
    bool known = know_presence(broker, inquiry) || !store->ops->last_seen || !store->up;
    return end_question(broker, known ? BROKER_ANSWERED : store->ops->last_seen(store, inquiry));
}

enum broker_end broker_device(struct broker *broker, int member, struct device_call *device)
{
    begin(&device->call, member);
    device->found = false;
    sequencer_lock(broker);
    device->cursor = min_u64(device->cursor, broker->head);
    return end_question(broker, broker->store->ops->device(broker->store, device));
}

enum broker_end broker_lookup(struct broker *broker, int member, struct lookup *lookup)
{
    begin(&lookup->call, member);
    lookup->message = NULL;
    lookup->acks = NULL;
    lookup->ack_count = 0;
    lookup->durable = broker->store->durable;
    sequencer_lock(broker);
    return end_question(broker, broker->store->ops->find(broker->store, lookup));
}

/* ---- time ---- */

void broker_flush(struct broker *broker)
{
    dispatcher_wake(&broker->dispatcher);
    sequencer_flush(broker);
}

void broker_tick(struct broker *broker)
{
    sequencer_lock(broker);
    broker->store->ops->tick(broker->store);
    sequencer_unlock(broker);
}

struct broker_stats broker_stats(struct broker *broker)
{
    const struct store *store = broker->store;
    sequencer_lock(broker);
    struct broker_stats stats = {
        .messages = store->messages,
        .bytes = store->bytes,
        .head = broker->head,
        .up = store->up,
        .disk_free = store->disk_free,
    };
    sequencer_unlock(broker);
    return stats;
}
