#include "engine/broker_memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "engine/broker.h"
#include "engine/mailbox.h"
#include "engine/watch_table.h"
#include "model/idempotency.h"

#define MAX_MEMBERS    64  /* one bit each in a word */
#define ADDRESS_COST   192 /* a mailbox and its ring, charged for each receiver of a message */
#define MAX_IDLE       65536
#define ID_CLOCK_SHIFT 20

struct broker_memory {
    struct broker broker;
    struct broker_memory_limits limits;
    pthread_mutex_t mutex; /* guards all below: the sequencer */
    struct inbox *members[MAX_MEMBERS];
    size_t member_count;
    struct watch_table watches;
    struct map mailboxes; /* owned */
    struct list idle;     /* empty mailboxes worth remembering, oldest first */
    size_t idle_count;
    struct list log; /* every kept message in id order */
    uint64_t log_count;
    uint64_t log_bytes;
    uint64_t last;  /* last id given: head */
    uint64_t floor; /* pruned_upto of every address without a mailbox */
    struct idempotency *keys;
};

static struct broker_memory *self(struct broker *broker)
{
    return (struct broker_memory *)broker;
}

/* ---- what is kept ---- */

static uint64_t charge(const struct message *message)
{
    return message_footprint(message) + (uint64_t)message->address_count * ADDRESS_COST;
}

static void release(struct kept *kept, void *owner)
{
    struct broker_memory *memory = owner;
    if (kept->mailboxes)
        return;
    list_remove(&kept->log);
    memory->log_count--;
    memory->log_bytes -= charge(kept->message);
    message_unref(kept->message);
    free(kept);
}

static struct mailbox *find_mailbox(struct broker_memory *memory, const struct address *address)
{
    return map_find(&memory->mailboxes, address->hash, mailbox_is_at, address);
}

static struct mailbox *get_mailbox(struct broker_memory *memory, const struct address *address)
{
    struct mailbox *mailbox = find_mailbox(memory, address);
    if (mailbox)
        return mailbox;
    mailbox = mailbox_create(address, memory->floor);
    if (!mailbox)
        return NULL;
    if (map_add(&memory->mailboxes, mailbox->hash, mailbox))
        return mailbox;
    mailbox_destroy(mailbox);
    return NULL;
}

static void forget_mailbox(struct broker_memory *memory, struct mailbox *mailbox)
{
    if (!list_empty(&mailbox->idle))
        memory->idle_count--;
    if (mailbox->pruned_upto > memory->floor)
        memory->floor = mailbox->pruned_upto;
    map_remove(&memory->mailboxes, mailbox->hash, mailbox);
    mailbox_destroy(mailbox);
}

/* An empty mailbox is remembered only for what it still knows, and only so many are. */
static void settle(struct broker_memory *memory, struct mailbox *mailbox)
{
    if (mailbox->count)
        return;
    if (mailbox->pruned_upto <= memory->floor && !mailbox->last_seen_ms) {
        forget_mailbox(memory, mailbox);
        return;
    }
    if (list_empty(&mailbox->idle))
        memory->idle_count++;
    list_remove(&mailbox->idle);
    list_append(&memory->idle, &mailbox->idle);
    if (memory->idle_count > MAX_IDLE)
        forget_mailbox(memory, list_first(&memory->idle, struct mailbox, idle));
}

static void wake_mailbox(struct broker_memory *memory, struct mailbox *mailbox)
{
    if (list_empty(&mailbox->idle))
        return;
    list_remove(&mailbox->idle);
    memory->idle_count--;
}

/* Must its going be told? A publisher's own ttl that has run out is no loss. */
static bool is_loss(const struct message *message, int64_t now_ms)
{
    return !(message->own_ttl && message_expired(message, now_ms));
}

/* Takes the oldest message of all out of every mailbox that holds it: being the oldest, it is the
 * first of each. */
static void drop_oldest(struct broker_memory *memory, int64_t now_ms)
{
    struct kept *kept = list_first(&memory->log, struct kept, log);
    bool as_gap = is_loss(kept->message, now_ms);
    for (uint32_t i = 0, n = kept->message->address_count; i < n; i++) {
        struct mailbox *mailbox = find_mailbox(memory, &kept->message->addresses[i]);
        if (!mailbox || !mailbox->count || mailbox_at(mailbox, 0) != kept)
            continue; /* erased, or pruned there by that address's own limit */
        bool last = kept->mailboxes == 1;
        mailbox_pop(mailbox, as_gap);
        settle(memory, mailbox);
        if (last)
            break;
    }
    release(kept, memory);
}

static bool is_expired(const struct kept *kept, const void *now_ms)
{
    return message_expired(kept->message, *(const int64_t *)now_ms);
}

/* Lets go of what is past its time at one address. The default retention's work is told as a gap,
 * a publisher's own ttl is not. */
static void expire(struct broker_memory *memory, struct mailbox *mailbox, int64_t now_ms)
{
    if (now_ms < mailbox->next_expiry_ms)
        return;
    for (uint32_t i = 0; i < mailbox->count; i++) {
        const struct message *message = mailbox_at(mailbox, i)->message;
        if (!message->own_ttl && message_expired(message, now_ms) &&
            message->id > mailbox->pruned_upto)
            mailbox->pruned_upto = message->id;
    }
    mailbox_remove_if(mailbox, is_expired, &now_ms, release, memory);
}

static void prune_address(struct broker_memory *memory, struct mailbox *mailbox, int64_t now_ms)
{
    const struct broker_memory_limits *limits = &memory->limits;
    while (mailbox->count > 1 &&
           (mailbox->count > limits->keep_messages || mailbox->bytes > limits->keep_bytes)) {
        bool as_gap = is_loss(mailbox_at(mailbox, 0)->message, now_ms);
        release(mailbox_pop(mailbox, as_gap), memory);
    }
}

/* Makes every mailbox and all room a message needs, so that keeping it cannot fail half-way. */
static bool reserve(struct broker_memory *memory, const struct message *message)
{
    for (uint32_t i = 0; i < message->address_count; i++) {
        struct mailbox *mailbox = get_mailbox(memory, &message->addresses[i]);
        if (!mailbox || !mailbox_reserve(mailbox))
            return false;
    }
    return true;
}

static void keep(struct broker_memory *memory, struct message *message, struct kept *kept)
{
    *kept = (struct kept){.message = message_ref(message)};
    list_append(&memory->log, &kept->log);
    memory->log_count++;
    memory->log_bytes += charge(message);
    for (uint32_t i = 0; i < message->address_count; i++) {
        struct mailbox *mailbox = find_mailbox(memory, &message->addresses[i]);
        wake_mailbox(memory, mailbox);
        mailbox_push(mailbox, kept);
        prune_address(memory, mailbox, message->sent_at_ms);
    }
    while (memory->log_bytes > memory->limits.keep_total && memory->log_count > 1)
        drop_oldest(memory, message->sent_at_ms);
}

/* Undoes what reserve may have made before it failed. */
static void unreserve(struct broker_memory *memory, const struct message *message)
{
    for (uint32_t i = 0; i < message->address_count; i++) {
        struct mailbox *mailbox = find_mailbox(memory, &message->addresses[i]);
        if (mailbox)
            settle(memory, mailbox);
    }
}

/* ---- publish ---- */

static uint64_t next_id(const struct broker_memory *memory, int64_t now_ms)
{
    uint64_t by_clock = (uint64_t)now_ms << ID_CLOCK_SHIFT;
    return by_clock > memory->last ? by_clock : memory->last + 1;
}

static void push_to(struct broker_memory *memory, size_t to, int from, struct message *message)
{
    bool own = (int)to == from;
    struct message_record *record = malloc(sizeof *record);
    if (!record) {
        inbox_doubt(memory->members[to], own);
        return;
    }
    record->record.kind = RECORD_MESSAGE;
    record->record.bytes = sizeof *record + message->size;
    record->message = message_ref(message);
    if (!inbox_offer(memory->members[to], &record->record, own)) {
        message_unref(record->message);
        free(record);
    }
}

static void dispatch(struct broker_memory *memory, int from, struct message *message,
                     uint32_t *ret_delivered)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < message->address_count; i++) {
        uint32_t sessions = 0;
        size_t cursor = 0;
        const struct watch *watch;
        while ((watch = watch_table_next(&memory->watches, message->addresses[i].hash, &cursor))) {
            members |= (uint64_t)1 << watch->member;
            sessions += watch->sessions;
        }
        if (ret_delivered)
            ret_delivered[i] = sessions;
    }
    for (; members; members &= members - 1)
        push_to(memory, (size_t)__builtin_ctzll(members), from, message);
}

/* Did this key come before? 0: no. */
static int check_key(struct broker_memory *memory, struct publish *publish, int64_t now_ms)
{
    if (!publish->key)
        return 0;
    switch (idempotency_find(memory->keys, publish->key, now_ms, &publish->id, &publish->kept)) {
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

/* Under the lock; `kept` is NULL for what is not kept. Nothing has changed when it fails. */
static int sequence(struct broker_memory *memory, int member, struct publish *publish,
                    struct message *message, struct kept *kept)
{
    int64_t now_ms = memory->limits.wall_ms();
    int err = check_key(memory, publish, clock_mono_ms());
    if (err || publish->duplicate)
        return err;
    uint64_t id = next_id(memory, now_ms);
    if (kept && charge(message) > memory->limits.keep_total)
        return ERR_NO_ROOM;
    if ((kept && !reserve(memory, message)) ||
        (publish->key &&
         !idempotency_add(memory->keys, publish->key, id, kept != NULL, clock_mono_ms()))) {
        unreserve(memory, message);
        return ERR_OUT_OF_MEMORY;
    }
    message->id = publish->id = memory->last = id;
    message->sent_at_ms = now_ms;
    message->expires_at_ms = now_ms + publish->draft.ttl_ms;
    if (kept)
        keep(memory, message, kept);
    publish->kept = kept != NULL;
    dispatch(memory, member, message, publish->delivered);
    return 0;
}

static int memory_publish(struct broker *broker, int member, struct publish *publish)
{
    struct broker_memory *memory = self(broker);
    bool keeps = publish->draft.ttl_ms > 0;
    publish->duplicate = publish->kept = publish->durable = false;
    /* Made outside the lock; nobody else sees it before it has its number. */
    struct message *message = message_create(0, 0, &publish->draft);
    struct kept *kept = keeps ? malloc(sizeof *kept) : NULL;
    int err = ERR_OUT_OF_MEMORY;
    bool used = false;
    if (message && (kept || !keeps)) {
        pthread_mutex_lock(&memory->mutex);
        err = sequence(memory, member, publish, message, kept);
        used = err == 0 && !publish->duplicate;
        pthread_mutex_unlock(&memory->mutex);
    }
    if (!used)
        free(kept);
    message_unref(message);
    publish->err = (enum err)err;
    return err;
}

/* ---- read ---- */

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Where one address's part of the page goes on. */
struct source {
    const struct mailbox *mailbox; /* NULL: nothing kept */
    uint32_t next;                 /* ascending: index; descending: one past it */
};

static struct source open_source(struct broker_memory *memory, const struct read *read,
                                 struct read_address *from, int64_t now_ms)
{
    struct mailbox *mailbox = find_mailbox(memory, &from->address);
    if (mailbox)
        expire(memory, mailbox, now_ms);
    uint64_t pruned_upto = mailbox ? mailbox->pruned_upto : memory->floor;
    if (mailbox && !mailbox->count) {
        settle(memory, mailbox);
        mailbox = NULL;
    }
    uint64_t start = max_u64(read->after, from->from);
    uint64_t known = max_u64(start, from->told);
    from->gap = known > 0 && known < pruned_upto;
    from->told = max_u64(from->told, pruned_upto);
    if (!mailbox)
        return (struct source){NULL, 0};
    uint32_t next =
        read->descending ? mailbox_after(mailbox, read->before - 1) : mailbox_after(mailbox, start);
    return (struct source){mailbox, next};
}

static struct message *peek(const struct source *source, bool descending)
{
    if (!source->mailbox)
        return NULL;
    if (descending)
        return source->next ? mailbox_at(source->mailbox, source->next - 1)->message : NULL;
    return source->next < source->mailbox->count
               ? mailbox_at(source->mailbox, source->next)->message
               : NULL;
}

/* The source whose message comes next in the page's order; -1: all are at their end. */
static int choose(const struct source *sources, size_t count, bool descending)
{
    int best = -1;
    uint64_t best_id = 0;
    for (size_t i = 0; i < count; i++) {
        const struct message *message = peek(&sources[i], descending);
        if (!message)
            continue;
        if (best < 0 || (descending ? message->id > best_id : message->id < best_id)) {
            best = (int)i;
            best_id = message->id;
        }
    }
    return best;
}

static void fill(struct read *read, struct source *sources)
{
    size_t bytes = 0;
    for (int i; (i = choose(sources, read->address_count, read->descending)) >= 0;) {
        struct message *message = peek(&sources[i], read->descending);
        sources[i].next += read->descending ? -1u : 1u;
        if (read->count && read->messages[read->count - 1] == message)
            continue; /* it is in two of the mailboxes, and comes once */
        bytes += message->size;
        if (read->count == read->max_count || (read->count && bytes > read->max_bytes)) {
            read->more = true;
            return;
        }
        read->messages[read->count++] = message_ref(message);
    }
}

static int memory_read(struct broker *broker, int member, struct read *read)
{
    (void)member;
    struct broker_memory *memory = self(broker);
    struct source few[4];
    struct source *sources = few;
    read->count = 0;
    read->more = read->above_head = false;
    read->err = ERR_NONE;
    if (read->address_count > sizeof few / sizeof *few) {
        sources = malloc(read->address_count * sizeof *sources);
        if (!sources)
            return read->err = ERR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&memory->mutex);
    read->head = memory->last;
    read->above_head = !read->descending && read->after > memory->last;
    int64_t now_ms = memory->limits.wall_ms();
    for (size_t i = 0; i < read->address_count; i++)
        sources[i] = open_source(memory, read, &read->addresses[i], now_ms);
    if (!read->above_head)
        fill(read, sources);
    pthread_mutex_unlock(&memory->mutex);
    if (sources != few)
        free(sources);
    return 0;
}

/* ---- watch, count, signal, erase ---- */

static int memory_join(struct broker *broker, struct inbox *inbox)
{
    struct broker_memory *memory = self(broker);
    assert(memory->member_count < MAX_MEMBERS);
    memory->members[memory->member_count] = inbox;
    return (int)memory->member_count++;
}

static void note_departure(struct broker_memory *memory, const struct address *address)
{
    if (address->kind != ADDRESS_USER || watch_table_sessions(&memory->watches, address->hash))
        return;
    struct mailbox *mailbox = get_mailbox(memory, address);
    if (!mailbox)
        return; /* no memory: the time is not known then */
    mailbox->last_seen_ms = memory->limits.wall_ms();
    settle(memory, mailbox);
}

static bool watch_all(struct broker_memory *memory, int member, const struct address *addresses,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (watch_table_add(&memory->watches, addresses[i].hash, (uint32_t)member))
            continue;
        while (i-- > 0)
            watch_table_remove(&memory->watches, addresses[i].hash, (uint32_t)member);
        return false;
    }
    return true;
}

static void unwatch_all(struct broker_memory *memory, int member, const struct address *addresses,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        watch_table_remove(&memory->watches, addresses[i].hash, (uint32_t)member);
        note_departure(memory, &addresses[i]);
    }
}

static int memory_watch(struct broker *broker, int member, const struct address *addresses,
                        size_t count, int delta, uint64_t *ret_head)
{
    struct broker_memory *memory = self(broker);
    int err = 0;
    pthread_mutex_lock(&memory->mutex);
    if (delta > 0)
        err = watch_all(memory, member, addresses, count) ? 0 : ERR_OUT_OF_MEMORY;
    else
        unwatch_all(memory, member, addresses, count);
    if (ret_head)
        *ret_head = memory->last;
    pthread_mutex_unlock(&memory->mutex);
    return err;
}

static void memory_count(struct broker *broker, const struct address *addresses, size_t count,
                         struct presence *ret_presence)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    for (size_t i = 0; i < count; i++) {
        const struct mailbox *mailbox = find_mailbox(memory, &addresses[i]);
        uint32_t sessions = watch_table_sessions(&memory->watches, addresses[i].hash);
        ret_presence[i] = (struct presence){
            .sessions = sessions,
            .last_seen_ms = mailbox && !sessions ? mailbox->last_seen_ms : 0,
        };
    }
    pthread_mutex_unlock(&memory->mutex);
}

static int memory_signal(struct broker *broker, int member, struct signal *signal)
{
    struct broker_memory *memory = self(broker);
    signal->outstanding = 0;
    signal->number = 0;
    signal->failed = false;
    buf_init(&signal->replies);
    pthread_mutex_lock(&memory->mutex);
    size_t cursor = 0;
    const struct watch *watch;
    while ((watch = watch_table_next(&memory->watches, signal->address.hash, &cursor))) {
        struct signal_copy *copy = calloc(1, sizeof *copy);
        if (!copy) {
            signal->failed = true;
            continue;
        }
        copy->call.record.kind = RECORD_SIGNAL;
        copy->signal = signal;
        copy->asker = memory->members[member];
        signal->outstanding++;
        inbox_push(memory->members[watch->member], &copy->call.record,
                   (int)watch->member == member);
    }
    pthread_mutex_unlock(&memory->mutex);
    if (signal->outstanding)
        return BROKER_PENDING;
    return signal->failed ? ERR_OUT_OF_MEMORY : 0;
}

static bool is_any(const struct kept *kept, const void *context)
{
    (void)kept;
    (void)context;
    return true;
}

static int memory_erase(struct broker *broker, const struct address *address, uint64_t *ret_erased)
{
    struct broker_memory *memory = self(broker);
    *ret_erased = 0;
    pthread_mutex_lock(&memory->mutex);
    struct mailbox *mailbox = find_mailbox(memory, address);
    if (mailbox) {
        expire(memory, mailbox, memory->limits.wall_ms());
        *ret_erased = mailbox->count;
        mailbox_remove_if(mailbox, is_any, NULL, release, memory);
        settle(memory, mailbox);
    }
    pthread_mutex_unlock(&memory->mutex);
    return 0;
}

static void memory_tick(struct broker *broker)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    int64_t now_ms = memory->limits.wall_ms();
    /* In slices, so that publishers never wait long for the lock. */
    for (int i = 0; i < 10000 && memory->log_count; i++) {
        const struct message *oldest = list_first(&memory->log, struct kept, log)->message;
        if (!message_expired(oldest, now_ms))
            break;
        drop_oldest(memory, now_ms);
    }
    pthread_mutex_unlock(&memory->mutex);
}

static struct broker_stats memory_stats(struct broker *broker)
{
    struct broker_memory *memory = self(broker);
    pthread_mutex_lock(&memory->mutex);
    struct broker_stats stats = {memory->log_count, memory->log_bytes, memory->last};
    pthread_mutex_unlock(&memory->mutex);
    return stats;
}

static void memory_destroy(struct broker *broker)
{
    struct broker_memory *memory = self(broker);
    size_t cursor = 0;
    for (struct mailbox *mailbox; (mailbox = map_next(&memory->mailboxes, &cursor));) {
        mailbox_remove_if(mailbox, is_any, NULL, release, memory);
        mailbox_destroy(mailbox);
    }
    assert(list_empty(&memory->log));
    map_finish(&memory->mailboxes);
    watch_table_finish(&memory->watches);
    idempotency_destroy(memory->keys);
    pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

static const struct broker_ops ops = {
    .name = "memory",
    .destroy = memory_destroy,
    .join = memory_join,
    .watch = memory_watch,
    .publish = memory_publish,
    .read = memory_read,
    .signal = memory_signal,
    .count = memory_count,
    .erase = memory_erase,
    .tick = memory_tick,
    .stats = memory_stats,
};

struct broker *broker_memory_create(const struct broker_memory_limits *limits)
{
    struct broker_memory *memory = mem_alloc(sizeof *memory);
    memory->broker.ops = &ops;
    memory->limits = *limits;
    pthread_mutex_init(&memory->mutex, NULL);
    watch_table_init(&memory->watches);
    map_init(&memory->mailboxes);
    list_init(&memory->idle);
    list_init(&memory->log);
    memory->keys = idempotency_create(limits->idempotency_entries, limits->idempotency_ttl_ms);
    /* A life begins: every cursor below this one was given by a life whose store is gone, so the
     * first id of this life is the floor of all addresses: a gap is told, never hidden. */
    memory->last = memory->floor = (uint64_t)limits->wall_ms() << ID_CLOCK_SHIFT;
    return &memory->broker;
}
