#include "engine/broker.h"

#include <stdlib.h>
#include <string.h>

#include "base/minmax.h"
#include "engine/devices.h"
#include "model/idempotency.h"

void broker_tell_loss(struct read_topic *from, uint64_t upto)
{
    from->gap = from->gap || (from->known > 0 && from->known < upto);
    from->told = max_u64(from->told, upto);
}

uint64_t broker_next_id(uint64_t last, int64_t wall_ms)
{
    uint64_t by_clock = (uint64_t)wall_ms << BROKER_ID_CLOCK_SHIFT;
    return by_clock > last ? by_clock : last + 1;
}

enum broker_end broker_answer(struct call *call, int err)
{
    call->err = (enum err)err;
    return BROKER_ANSWERED;
}

void broker_finish_call(struct inbox_record *record)
{
    struct call *call = (struct call *)record;
    call->done(call);
}

static void take_reply(struct call *call)
{
    struct control_copy *copy = (struct control_copy *)call;
    struct control *control = copy->control;
    buf_add(&control->replies, copy->reply.data, copy->reply.size);
    control->number += copy->number;
    if (!buf_ok(&copy->reply) || !buf_ok(&control->replies))
        control->call.err = ERR_OUT_OF_MEMORY;
    buf_finish(&copy->reply);
    free(copy);
    if (--control->outstanding == 0)
        control->call.done(&control->call);
}

void broker_reply(struct control_copy *copy)
{
    copy->call.record.kind = RECORD_CALL;
    copy->call.done = take_reply;
    struct inbox *asker = copy->asker;
    inbox_push(asker, &copy->call.record, false);
    inbox_wake(asker);
}

void broker_destroy(struct broker *broker)
{
    if (broker)
        broker->ops->destroy(broker);
}

int broker_join(struct broker *broker, struct inbox *inbox)
{
    return broker->ops->join(broker, inbox);
}

int broker_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                 int delta, uint64_t *ret_head)
{
    return broker->ops->watch(broker, member, topics, count, delta, ret_head);
}

void broker_linger(struct broker *broker, const struct topic *user)
{
    broker->ops->linger(broker, user);
}

static void begin(struct call *call, int member)
{
    call->member = member;
    call->err = ERR_NONE;
}

enum broker_end broker_publish(struct broker *broker, int member, struct publish_call *publish)
{
    begin(&publish->call, member);
    publish->duplicate = publish->kept = publish->durable = false;
    return broker->ops->publish(broker, publish);
}

enum broker_end broker_read(struct broker *broker, int member, struct read_call *read)
{
    begin(&read->call, member);
    read->count = 0;
    read->more = read->above_head = false;
    for (size_t i = 0; i < read->topic_count; i++) {
        struct read_topic *from = &read->topics[i];
        from->gap = false;
        from->known = max_u64(read->after, max_u64(from->from, from->told));
    }
    return broker->ops->read(broker, read);
}

enum broker_end broker_control(struct broker *broker, int member, struct control *control)
{
    begin(&control->call, member);
    return broker->ops->control(broker, control);
}

uint32_t broker_count(struct broker *broker, const struct topic *topic)
{
    return broker->ops->count(broker, topic);
}

enum broker_end broker_inquire(struct broker *broker, int member, struct inquiry *inquiry)
{
    begin(&inquiry->call, member);
    return broker->ops->inquire(broker, inquiry);
}

enum broker_end broker_erase(struct broker *broker, int member, struct erase_call *erase)
{
    begin(&erase->call, member);
    erase->erased = 0;
    return broker->ops->erase(broker, erase);
}

enum broker_end broker_device(struct broker *broker, int member, struct device_call *device)
{
    begin(&device->call, member);
    device->found = false;
    return broker->ops->device(broker, device);
}

enum broker_end broker_lookup(struct broker *broker, int member, struct lookup *lookup)
{
    begin(&lookup->call, member);
    lookup->message = NULL;
    lookup->acks = NULL;
    lookup->ack_count = 0;
    return broker->ops->lookup(broker, lookup);
}

void broker_lookup_finish(struct lookup *lookup)
{
    message_unref(lookup->message);
    free(lookup->acks);
}

bool broker_add_ack(struct lookup *lookup, const struct topic *user, const char *device,
                    size_t length, int64_t at_ms)
{
    for (size_t i = 0; i < lookup->ack_count; i++) {
        struct acknowledgement *ack = &lookup->acks[i];
        if (ack->user == user && strlen(ack->device) == length &&
            memcmp(ack->device, device, length) == 0)
            return true;
    }
    if (lookup->ack_count == LOOKUP_MAX_ACKS)
        return true;
    if (!lookup->acks && !(lookup->acks = malloc(LOOKUP_MAX_ACKS * sizeof *lookup->acks)))
        return false;
    struct acknowledgement *ack = &lookup->acks[lookup->ack_count++];
    ack->user = user;
    ack->at_ms = at_ms;
    memcpy(ack->device, device, length);
    ack->device[length] = '\0';
    return true;
}

bool broker_add_acks(struct lookup *lookup, const struct devices *devices)
{
    for (uint32_t i = 0; i < lookup->message->topic_count; i++) {
        const struct topic *user = &lookup->message->topics[i];
        const struct list *list = devices_of(devices, user->hash);
        if (user->kind != TOPIC_USER || !list)
            continue;
        list_for_each(device, list, struct device, link) {
            if (device->cursor >= lookup->id &&
                !broker_add_ack(lookup, user, device->name, device->length, device->moved_at_ms))
                return false;
        }
    }
    return true;
}

int broker_check_key(struct publish_call *publish, struct idempotency *keys, int64_t now_ms)
{
    if (!publish->key)
        return 0;
    switch (idempotency_find(keys, publish->key, now_ms, &publish->id, &publish->kept)) {
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

void broker_flush(struct broker *broker)
{
    broker->ops->flush(broker);
}

void broker_tick(struct broker *broker)
{
    broker->ops->tick(broker);
}

struct broker_stats broker_stats(struct broker *broker)
{
    return broker->ops->stats(broker);
}
