#include "engine/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/minmax.h"
#include "engine/devices.h"

enum broker_end call_answer(struct call *call, int err)
{
    call->err = (enum err)err;
    return BROKER_ANSWERED;
}

void call_finish(struct inbox_record *record)
{
    struct call *call = (struct call *)record;
    call->done(call);
}

void read_tell_loss(struct read_topic *from, uint64_t upto)
{
    from->gap = from->gap || (from->known > 0 && from->known < upto);
    from->told = max_u64(from->told, upto);
}

void lookup_finish(struct lookup *lookup)
{
    message_unref(lookup->message);
    free(lookup->acks);
}

bool lookup_add_ack(struct lookup *lookup, const struct topic *user, const char *device,
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

bool lookup_add_acks(struct lookup *lookup, const struct devices *devices)
{
    for (uint32_t i = 0; i < lookup->message->topic_count; i++) {
        const struct topic *user = &lookup->message->topics[i];
        const struct list *list = devices_of(devices, user->hash);
        if (user->kind != TOPIC_USER || !list)
            continue;
        list_for_each(device, list, struct device, link) {
            if (device->cursor >= lookup->id &&
                !lookup_add_ack(lookup, user, device->name, device->length, device->moved_at_ms))
                return false;
        }
    }
    return true;
}

void control_finish(struct control_call *control)
{
    buf_finish(&control->records);
}
