#include "engine/dispatcher.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void dispatcher_init(struct dispatcher *dispatcher)
{
    dispatcher->member_count = 0;
    atomic_init(&dispatcher->pushed, 0);
    watch_table_init(&dispatcher->watches);
    lingering_init(&dispatcher->lingering);
}

void dispatcher_finish(struct dispatcher *dispatcher)
{
    watch_table_finish(&dispatcher->watches);
    lingering_finish(&dispatcher->lingering);
}

int dispatcher_join(struct dispatcher *dispatcher, struct inbox *inbox)
{
    assert(dispatcher->member_count < DISPATCHER_MAX_MEMBERS);
    dispatcher->members[dispatcher->member_count] = inbox;
    return (int)dispatcher->member_count++;
}

bool dispatcher_watch(struct dispatcher *dispatcher, int member, const struct topic *topics,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (watch_table_add(&dispatcher->watches, topics[i].hash, (uint32_t)member))
            continue;
        dispatcher_unwatch(dispatcher, member, topics, i);
        return false;
    }
    return true;
}

void dispatcher_unwatch(struct dispatcher *dispatcher, int member, const struct topic *topics,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        watch_table_remove(&dispatcher->watches, topics[i].hash, (uint32_t)member);
}

uint32_t dispatcher_sessions(const struct dispatcher *dispatcher, const struct topic *topic)
{
    return watch_table_sessions(&dispatcher->watches, topic->hash);
}

bool dispatcher_is_online(const struct dispatcher *dispatcher, const struct topic *user,
                          int64_t mono_ms)
{
    return dispatcher_sessions(dispatcher, user) ||
           lingering_has(&dispatcher->lingering, user->hash, mono_ms);
}

/* Notes that something was pushed to a member. After the push, never before: whoever leaves the
 * lock meanwhile takes the note, and would find an inbox with nothing to say. */
static void note(struct dispatcher *dispatcher, size_t member)
{
    atomic_fetch_or_explicit(&dispatcher->pushed, (uint64_t)1 << member, memory_order_release);
}

static void push(struct dispatcher *dispatcher, size_t to, bool own, struct inbox_record *record)
{
    inbox_push(dispatcher->members[to], record, own);
    note(dispatcher, to);
}

static void offer(struct dispatcher *dispatcher, size_t to, bool own, struct message *message)
{
    struct inbox *inbox = dispatcher->members[to];
    struct message_record *record = malloc(sizeof *record);
    if (!record) {
        inbox_overflow(inbox, own);
        note(dispatcher, to);
        return;
    }
    record->record.kind = RECORD_MESSAGE;
    record->record.bytes = sizeof *record + message->size;
    record->message = message_ref(message);
    if (!inbox_offer(inbox, &record->record, own)) {
        message_unref(record->message);
        free(record);
    }
    note(dispatcher, to);
}

void dispatcher_send(struct dispatcher *dispatcher, int from, struct message *message,
                     uint32_t *ret_delivered)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < message->topic_count; i++) {
        uint32_t sessions = 0;
        size_t cursor = 0;
        const struct watch *watch;
        while ((watch = watch_table_next(&dispatcher->watches, message->topics[i].hash, &cursor))) {
            members |= (uint64_t)1 << watch->member;
            sessions += watch->sessions;
        }
        if (ret_delivered)
            ret_delivered[i] = sessions;
    }
    for (; members; members &= members - 1) {
        int to = __builtin_ctzll(members);
        offer(dispatcher, (size_t)to, to == from, message);
    }
}

static struct control_copy *copy_control(struct control_call *asked)
{
    const struct control *control = &asked->control;
    struct control_copy *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    copy->call.record.kind = RECORD_CONTROL;
    copy->call.member = asked->call.member;
    copy->asked = asked;
    copy->control = *control;
    copy->control.topic.name = memcpy(copy->name, control->topic.name, control->topic.length);
    if (control->from_length)
        copy->control.from = memcpy(copy->from, control->from, control->from_length);
    buf_init(&copy->records);
    return copy;
}

enum broker_end dispatcher_control(struct dispatcher *dispatcher, struct control_call *control)
{
    const struct topic *topic = &control->control.topic;
    control->outstanding = 0;
    control->sessions = 0;
    buf_init(&control->records);
    if (control->control.verb == CONTROL_CLOSE)
        lingering_forget(&dispatcher->lingering, topic->hash);
    size_t cursor = 0;
    const struct watch *watch;
    while ((watch = watch_table_next(&dispatcher->watches, topic->hash, &cursor))) {
        struct control_copy *copy = copy_control(control);
        if (!copy) {
            control->call.err = ERR_OUT_OF_MEMORY;
            continue;
        }
        control->outstanding++;
        push(dispatcher, watch->member, (int)watch->member == control->call.member,
             &copy->call.record);
    }
    return control->outstanding ? BROKER_PENDING : BROKER_ANSWERED;
}

static void take_reply(struct call *call)
{
    struct control_copy *copy = (struct control_copy *)call;
    struct control_call *asked = copy->asked;
    buf_add(&asked->records, copy->records.data, copy->records.size);
    asked->sessions += copy->sessions;
    if (!buf_ok(&copy->records) || !buf_ok(&asked->records))
        asked->call.err = ERR_OUT_OF_MEMORY;
    buf_finish(&copy->records);
    free(copy);
    if (--asked->outstanding == 0)
        asked->call.done(&asked->call);
}

void dispatcher_reply(struct dispatcher *dispatcher, struct control_copy *copy)
{
    struct inbox *asker = dispatcher->members[copy->call.member];
    copy->call.record.kind = RECORD_CALL;
    copy->call.done = take_reply;
    inbox_push(asker, &copy->call.record, false);
    inbox_wake(asker);
}

void dispatcher_answer(struct dispatcher *dispatcher, struct call *call)
{
    call->record.kind = RECORD_CALL;
    call->record.bytes = 0;
    push(dispatcher, (size_t)call->member, false, &call->record);
}

void dispatcher_wake(struct dispatcher *dispatcher)
{
    if (!atomic_load_explicit(&dispatcher->pushed, memory_order_relaxed))
        return;
    uint64_t members = atomic_exchange_explicit(&dispatcher->pushed, 0, memory_order_acquire);
    for (; members; members &= members - 1)
        inbox_wake(dispatcher->members[__builtin_ctzll(members)]);
}
