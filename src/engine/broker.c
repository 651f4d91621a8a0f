#include "engine/broker.h"

#include <stdlib.h>

void broker_finish_call(struct inbox_record *record)
{
    struct call *call = (struct call *)record;
    call->done(call);
}

static void take_reply(struct call *call)
{
    struct signal_copy *copy = (struct signal_copy *)call;
    struct signal *signal = copy->signal;
    buf_add(&signal->replies, copy->reply.data, copy->reply.size);
    signal->number += copy->number;
    signal->failed = signal->failed || !buf_ok(&copy->reply) || !buf_ok(&signal->replies);
    buf_finish(&copy->reply);
    free(copy);
    if (--signal->outstanding == 0)
        signal->done(signal);
}

void broker_reply(struct signal_copy *copy)
{
    copy->call.record.kind = RECORD_CALL;
    copy->call.done = take_reply;
    inbox_push(copy->asker, &copy->call.record, false);
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

int broker_watch(struct broker *broker, int member, const struct address *addresses, size_t count,
                 int delta, uint64_t *ret_head)
{
    return broker->ops->watch(broker, member, addresses, count, delta, ret_head);
}

int broker_publish(struct broker *broker, int member, struct publish *publish)
{
    return broker->ops->publish(broker, member, publish);
}

int broker_read(struct broker *broker, int member, struct read *read)
{
    return broker->ops->read(broker, member, read);
}

int broker_signal(struct broker *broker, int member, struct signal *signal)
{
    return broker->ops->signal(broker, member, signal);
}

void broker_count(struct broker *broker, const struct address *addresses, size_t count,
                  struct presence *ret_presence)
{
    broker->ops->count(broker, addresses, count, ret_presence);
}

int broker_erase(struct broker *broker, const struct address *address, uint64_t *ret_erased)
{
    return broker->ops->erase(broker, address, ret_erased);
}

void broker_tick(struct broker *broker)
{
    broker->ops->tick(broker);
}

struct broker_stats broker_stats(struct broker *broker)
{
    return broker->ops->stats(broker);
}
