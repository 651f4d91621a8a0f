/* The store that is this process's memory: it survives nothing and says so. Bounded by its limits:
 * per topic by count and bytes, in total by bytes; the oldest go first and leave a gap. Every
 * question is answered at once. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/broker_options.h"
#include "engine/devices.h"
#include "engine/mailboxes.h"
#include "engine/store.h"

#define MAX_DEVICES 100000

struct memory_store {
    struct store store;
    int64_t (*wall_ms)(void);
    struct mailboxes *mailboxes;
    struct devices devices;
};

static struct memory_store *self(struct store *store)
{
    return (struct memory_store *)store;
}

static void count(struct memory_store *memory)
{
    memory->store.messages = mailboxes_count(memory->mailboxes);
    memory->store.bytes = mailboxes_bytes(memory->mailboxes);
}

static int keep(struct memory_store *memory, struct message *message)
{
    if (!mailboxes_fits(memory->mailboxes, message))
        return ERR_NO_ROOM;
    return mailboxes_add(memory->mailboxes, message, store_age_ms(&memory->store))
               ? 0
               : ERR_OUT_OF_MEMORY;
}

static int memory_show(struct store *store, struct call *job, uint64_t last)
{
    struct memory_store *memory = self(store);
    int err = 0;
    if (job->record.kind == JOB_PUBLISH) {
        struct publish_call *publish = (struct publish_call *)job;
        err = publish->kept ? keep(memory, publish->message) : 0;
    } else {
        struct erase_call *erase = (struct erase_call *)job;
        erase->erased =
            mailboxes_erase(memory->mailboxes, &erase->topic, last, store_age_ms(store));
    }
    count(memory);
    return err;
}

static enum broker_end memory_read(struct store *store, struct read_call *read)
{
    struct memory_store *memory = self(store);
    int64_t now_ms = store_age_ms(store);
    bool done = mailboxes_read(memory->mailboxes, read, 0, (struct expiry){now_ms, now_ms});
    count(memory);
    return call_answer(&read->call, done ? 0 : ERR_OUT_OF_MEMORY);
}

static enum broker_end memory_find(struct store *store, struct lookup *lookup)
{
    struct memory_store *memory = self(store);
    lookup->message = mailboxes_find(memory->mailboxes, lookup->id, store_age_ms(store));
    bool done = !lookup->message || lookup_add_acks(lookup, &memory->devices);
    return call_answer(&lookup->call, done ? 0 : ERR_OUT_OF_MEMORY);
}

static enum broker_end memory_device(struct store *store, struct device_call *call)
{
    struct memory_store *memory = self(store);
    struct devices *devices = &memory->devices;
    int64_t now_ms = memory->wall_ms();
    const struct device *device =
        devices_find(devices, call->user.hash, call->device, call->length);
    call->found = device != NULL;
    if (call->verb == DEVICE_FORGET)
        devices_forget(devices, call->user.hash, call->device, call->length);
    else if (call->verb == DEVICE_ACK && device)
        devices_move(devices, call->user.hash, call->device, call->length, call->cursor, now_ms);
    if (call->verb != DEVICE_OPEN)
        return call_answer(&call->call, 0);
    if (!device)
        device = devices_move(devices, call->user.hash, call->device, call->length,
                              call->has_cursor ? call->cursor : 0, now_ms);
    if (device)
        call->cursor = device->cursor;
    return call_answer(&call->call, device ? 0 : ERR_OUT_OF_MEMORY);
}

static void memory_tick(struct store *store)
{
    struct memory_store *memory = self(store);
    mailboxes_expire(memory->mailboxes, store_age_ms(store));
    count(memory);
}

static void memory_close(struct store *store)
{
    struct memory_store *memory = self(store);
    mailboxes_destroy(memory->mailboxes);
    devices_finish(&memory->devices);
    free(memory);
}

static const struct store_ops ops = {
    .name = "memory",
    .close = memory_close,
    .show = memory_show,
    .read = memory_read,
    .find = memory_find,
    .device = memory_device,
    .tick = memory_tick,
};

struct store *memory_store_open(struct broker *broker, const struct broker_options *options,
                                char *ret_error, size_t ret_size)
{
    (void)ret_error;
    (void)ret_size;
    struct memory_store *memory = mem_alloc(sizeof *memory);
    memory->store = (struct store){.ops = &ops, .broker = broker, .up = true};
    memory->wall_ms = options->wall_ms;
    devices_init(&memory->devices, options->devices_per_user, MAX_DEVICES);
    /* An epoch begins: every cursor below this one was given by one whose store is gone, so the
     * first id of this epoch is the floor of all topics: a gap is told, never hidden. A wall clock
     * that is set later ages nothing. */
    uint64_t head = message_next_id(0, options->wall_ms());
    store_set_age(&memory->store, options->wall_ms() - options->mono_ms());
    store_begin(&memory->store, head);
    memory->mailboxes = mailboxes_create(
        &(struct mailboxes_limits){
            .keep_messages = options->keep_messages,
            .keep_bytes = options->keep_bytes,
            .keep_total = options->keep_total,
        },
        head);
    return &memory->store;
}
