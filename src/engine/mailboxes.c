#include "engine/mailboxes.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/minmax.h"
#include "engine/call.h"
#include "engine/expiries.h"
#include "engine/mailbox.h"

#define TOPIC_COST   192 /* a mailbox and its ring, charged for each receiver of a message */
#define MAX_IDLE     65536
#define EXPIRE_SLICE 10000
#define EXPIRE_PACE  2 /* as one comes, so many go that are over */

struct mailboxes {
    struct mailboxes_limits limits;
    struct map mailboxes; /* owned */
    struct list idle;     /* empty mailboxes worth remembering, oldest first */
    size_t idle_count;
    struct list log; /* every kept message in id order */
    struct expiries expiries;
    struct map ids; /* every kept message by its id; not of a window */
    uint64_t log_count;
    uint64_t log_bytes;
    uint64_t floor; /* the greatest pruned_upto of a mailbox that was forgotten */
    bool is_window;
    uint64_t filed_upto; /* a window's */
};

/* ---- what is kept ---- */

uint64_t mailboxes_charge(const struct message *message)
{
    return message_footprint(message) + (uint64_t)message->topic_count * TOPIC_COST;
}

/* Ids follow each other: they are spread over the map. */
static uint64_t place_of(uint64_t id)
{
    id *= 0x9E3779B97F4A7C15u;
    return id ^ id >> 32;
}

/* No two ids have the same place, and hashes of topics are keyed. */
static bool is_any(const void *value, const void *key)
{
    (void)value;
    (void)key;
    return true;
}

static void release(struct kept *kept, void *owner)
{
    struct mailboxes *store = owner;
    if (kept->mailboxes)
        return;
    list_remove(&kept->log);
    expiries_remove(&store->expiries, kept);
    if (!store->is_window)
        map_remove(&store->ids, place_of(kept->message->id), kept);
    store->log_count--;
    store->log_bytes -= mailboxes_charge(kept->message);
    message_unref(kept->message);
    free(kept);
}

static struct mailbox *find_mailbox(struct mailboxes *store, const struct topic *topic)
{
    return map_find(&store->mailboxes, topic->hash, mailbox_is_at, topic);
}

/* What a topic without a mailbox may have lost. */
static uint64_t lost_upto(const struct mailboxes *store)
{
    return store->is_window ? 0 : store->floor;
}

static struct mailbox *get_mailbox(struct mailboxes *store, const struct topic *topic)
{
    struct mailbox *mailbox = find_mailbox(store, topic);
    if (mailbox)
        return mailbox;
    mailbox = mailbox_create(topic, lost_upto(store));
    if (!mailbox)
        return NULL;
    if (map_add(&store->mailboxes, mailbox->hash, mailbox))
        return mailbox;
    mailbox_destroy(mailbox);
    return NULL;
}

static void forget_mailbox(struct mailboxes *store, struct mailbox *mailbox)
{
    if (!list_empty(&mailbox->idle))
        store->idle_count--;
    if (mailbox->pruned_upto > store->floor)
        store->floor = mailbox->pruned_upto;
    map_remove(&store->mailboxes, mailbox->hash, mailbox);
    mailbox_destroy(mailbox);
}

/* Only so many empty mailboxes are remembered, and those of which the file does not know. */
static void forget_idle(struct mailboxes *store)
{
    while (store->idle_count > MAX_IDLE) {
        struct mailbox *mailbox = list_first(&store->idle, struct mailbox, idle);
        if (store->is_window && mailbox->pruned_upto > store->filed_upto)
            return;
        forget_mailbox(store, mailbox);
    }
}

/* An empty mailbox is remembered only for what it still knows. */
static void settle(struct mailboxes *store, struct mailbox *mailbox)
{
    if (mailbox->count)
        return;
    if (mailbox->pruned_upto <= store->floor) {
        forget_mailbox(store, mailbox);
        return;
    }
    if (list_empty(&mailbox->idle))
        store->idle_count++;
    list_remove(&mailbox->idle);
    list_append(&store->idle, &mailbox->idle);
    forget_idle(store);
}

static void wake_mailbox(struct mailboxes *store, struct mailbox *mailbox)
{
    if (list_empty(&mailbox->idle))
        return;
    list_remove(&mailbox->idle);
    store->idle_count--;
}

static struct kept *oldest(const struct mailboxes *store)
{
    return list_first(&store->log, struct kept, log);
}

/* Takes the oldest message of all out of every mailbox that holds it: being the oldest, it is the
 * first of each. */
static void drop_oldest(struct mailboxes *store, bool as_gap)
{
    struct kept *kept = oldest(store);
    for (uint32_t i = 0, n = kept->message->topic_count; i < n; i++) {
        struct mailbox *mailbox = find_mailbox(store, &kept->message->topics[i]);
        if (!mailbox || !mailbox->count || mailbox_at(mailbox, 0) != kept)
            continue; /* erased, or pruned there by that topic's own limit */
        bool last = kept->mailboxes == 1;
        mailbox_pop(mailbox, as_gap);
        settle(store, mailbox);
        if (last)
            break;
    }
    release(kept, store);
}

static bool is_expired(const struct kept *kept, const void *now_ms)
{
    return message_expired(kept->message, *(const int64_t *)now_ms);
}

/* What is past its time next; NULL: nothing is. */
static struct kept *first_over(const struct mailboxes *store, int64_t now_ms)
{
    struct kept *kept = expiries_first(&store->expiries);
    return kept && message_expired(kept->message, now_ms) ? kept : NULL;
}

/* Takes a message out of every mailbox that holds it. A publisher's own ttl is no loss. */
static void drop_over(struct mailboxes *store, struct kept *kept)
{
    const struct message *message = kept->message;
    bool as_gap = !message->own_ttl;
    for (uint32_t i = 0; i < message->topic_count && kept->mailboxes; i++) {
        struct mailbox *mailbox = find_mailbox(store, &message->topics[i]);
        uint32_t at = mailbox ? mailbox_after(mailbox, message->id - 1) : 0;
        if (!mailbox || at == mailbox->count || mailbox_at(mailbox, at) != kept)
            continue; /* erased, or pruned there */
        mailbox_remove(mailbox, at, as_gap);
        settle(store, mailbox);
    }
    release(kept, store);
}

static bool drop_one_over(struct mailboxes *store, int64_t now_ms)
{
    struct kept *kept = first_over(store, now_ms);
    if (kept)
        drop_over(store, kept);
    return kept != NULL;
}

/* Lets go of what is past its time at one topic. The default retention's work is told as a gap,
 * a publisher's own ttl is not. */
static void expire(struct mailboxes *store, struct mailbox *mailbox, int64_t now_ms)
{
    if (now_ms < mailbox->next_expiry_ms)
        return;
    for (uint32_t i = 0; i < mailbox->count; i++) {
        const struct message *message = mailbox_at(mailbox, i)->message;
        if (!message->own_ttl && message_expired(message, now_ms) &&
            message->id > mailbox->pruned_upto)
            mailbox->pruned_upto = message->id;
    }
    mailbox_remove_if(mailbox, is_expired, &now_ms, release, store);
}

static bool is_beyond(const struct mailboxes *store, const struct mailbox *mailbox)
{
    const struct mailboxes_limits *limits = &store->limits;
    return mailbox->count > 1 &&
           (mailbox->count > limits->keep_messages || mailbox->bytes > limits->keep_bytes);
}

/* What is over does not count, though it lies there still. */
static void prune_topic(struct mailboxes *store, struct mailbox *mailbox, int64_t now_ms)
{
    if (is_beyond(store, mailbox) && first_over(store, now_ms))
        expire(store, mailbox, now_ms);
    while (is_beyond(store, mailbox))
        release(mailbox_pop(mailbox, true), store);
}

static void prune_all(struct mailboxes *store, int64_t now_ms)
{
    const struct mailboxes_limits *limits = &store->limits;
    for (int i = 0; i < EXPIRE_PACE && drop_one_over(store, now_ms); i++)
        continue;
    while (store->log_bytes > limits->keep_total && store->log_count > 1) {
        if (!drop_one_over(store, now_ms))
            drop_oldest(store, true);
    }
}

bool mailboxes_fits(const struct mailboxes *store, const struct message *message)
{
    return mailboxes_charge(message) <= store->limits.keep_total;
}

/* Undoes what mailboxes_reserve made before it failed. */
static void unreserve(struct mailboxes *store, const struct message *message)
{
    for (uint32_t i = 0; i < message->topic_count; i++) {
        struct mailbox *mailbox = find_mailbox(store, &message->topics[i]);
        if (mailbox)
            settle(store, mailbox);
    }
}

/* Every mailbox and all other room, so that adding cannot fail half-way. */
static bool reserve(struct mailboxes *store, const struct message *message)
{
    for (uint32_t i = 0; i < message->topic_count; i++) {
        struct mailbox *mailbox = get_mailbox(store, &message->topics[i]);
        if (!mailbox || !mailbox_reserve(mailbox))
            return false;
    }
    return expiries_reserve(&store->expiries);
}

static bool add_id(struct mailboxes *store, const struct message *message, struct kept *kept)
{
    return store->is_window || map_add(&store->ids, place_of(message->id), kept);
}

bool mailboxes_add(struct mailboxes *store, struct message *message, int64_t now_ms)
{
    struct kept *kept = malloc(sizeof *kept);
    if (!kept || !reserve(store, message) || !add_id(store, message, kept)) {
        unreserve(store, message);
        free(kept);
        return false;
    }
    *kept = (struct kept){.message = message_ref(message)};
    list_append(&store->log, &kept->log);
    expiries_add(&store->expiries, kept);
    store->log_count++;
    store->log_bytes += mailboxes_charge(message);
    for (uint32_t i = 0; i < message->topic_count; i++) {
        struct mailbox *mailbox = find_mailbox(store, &message->topics[i]);
        wake_mailbox(store, mailbox);
        mailbox_push(mailbox, kept);
        prune_topic(store, mailbox, now_ms);
    }
    prune_all(store, now_ms);
    return true;
}

/* ---- read ---- */

/* Where one topic's part of the page goes on. */
struct source {
    const struct mailbox *mailbox; /* NULL: nothing kept */
    uint32_t next;                 /* ascending: index; descending: one past it */
};

static struct source open_source(struct mailboxes *store, const struct read_call *read,
                                 struct read_topic *from, uint64_t above, int64_t now_ms)
{
    struct mailbox *mailbox = find_mailbox(store, &from->topic);
    if (mailbox)
        expire(store, mailbox, now_ms);
    uint64_t pruned_upto = mailbox ? mailbox->pruned_upto : lost_upto(store);
    if (mailbox && !mailbox->count) {
        settle(store, mailbox);
        mailbox = NULL;
    }
    read_tell_loss(from, pruned_upto);
    if (!mailbox)
        return (struct source){NULL, 0};
    uint64_t start = max_u64(max_u64(read->after, from->from), above);
    uint32_t next = mailbox_after(mailbox, read->descending ? read->before - 1 : start);
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

static void fill(struct read_call *read, struct source *sources, const struct expiry *expiry)
{
    size_t bytes = 0;
    for (size_t i = 0; i < read->count; i++)
        bytes += read->messages[i]->size;
    for (int i; (i = choose(sources, read->topic_count, read->descending)) >= 0;) {
        struct message *message = peek(&sources[i], read->descending);
        sources[i].next += read->descending ? -1u : 1u;
        if (read->count && read->messages[read->count - 1] == message)
            continue; /* it is in two of the mailboxes, and comes once */
        if (expiry_hides(expiry, message))
            continue;
        bytes += message->size;
        if (read->count == read->max_count || (read->count && bytes > read->max_bytes)) {
            read->more = true;
            return;
        }
        read->messages[read->count++] = message_ref(message);
    }
}

bool mailboxes_read(struct mailboxes *store, struct read_call *read, uint64_t above,
                    struct expiry expiry)
{
    struct source few[4];
    struct source *sources = few;
    if (read->topic_count > sizeof few / sizeof *few) {
        sources = malloc(read->topic_count * sizeof *sources);
        if (!sources)
            return false;
    }
    for (size_t i = 0; i < read->topic_count; i++)
        sources[i] = open_source(store, read, &read->topics[i], above, expiry.any_ms);
    fill(read, sources, &expiry);
    if (sources != few)
        free(sources);
    return true;
}

struct message *mailboxes_find(const struct mailboxes *store, uint64_t id, int64_t now_ms)
{
    assert(!store->is_window);
    const struct kept *kept = map_find(&store->ids, place_of(id), is_any, NULL);
    return kept && !message_expired(kept->message, now_ms) ? message_ref(kept->message) : NULL;
}

/* ---- letting go ---- */

static bool is_upto(const struct kept *kept, const void *upto)
{
    return kept->message->id <= *(const uint64_t *)upto;
}

uint64_t mailboxes_erase(struct mailboxes *store, const struct topic *topic, uint64_t upto,
                         int64_t now_ms)
{
    struct mailbox *mailbox = find_mailbox(store, topic);
    if (!mailbox)
        return 0;
    expire(store, mailbox, now_ms);
    uint64_t before = mailbox->count;
    mailbox_remove_if(mailbox, is_upto, &upto, release, store);
    uint64_t erased = before - mailbox->count;
    settle(store, mailbox);
    return erased;
}

void mailboxes_cut(struct mailboxes *store, uint64_t hash, uint64_t upto)
{
    struct mailbox *mailbox = map_find(&store->mailboxes, hash, is_any, NULL);
    if (!mailbox)
        return;
    mailbox->pruned_upto = max_u64(mailbox->pruned_upto, upto);
    while (mailbox->count && mailbox_at(mailbox, 0)->message->id <= upto)
        release(mailbox_pop(mailbox, false), store);
    settle(store, mailbox);
}

void mailboxes_expire(struct mailboxes *store, int64_t now_ms)
{
    /* In slices, so that publishers never wait long for the lock. */
    for (int i = 0; i < EXPIRE_SLICE && drop_one_over(store, now_ms); i++)
        continue;
}

void mailboxes_filed(struct mailboxes *store, uint64_t upto)
{
    store->filed_upto = upto;
    forget_idle(store);
}

uint64_t mailboxes_floor(const struct mailboxes *store)
{
    return store->floor;
}

const struct message *mailboxes_oldest(const struct mailboxes *store)
{
    return store->log_count ? oldest(store)->message : NULL;
}

void mailboxes_forget_oldest(struct mailboxes *store)
{
    drop_oldest(store, false);
}

uint64_t mailboxes_count(const struct mailboxes *store)
{
    return store->log_count;
}

uint64_t mailboxes_bytes(const struct mailboxes *store)
{
    return store->log_bytes;
}

struct mailboxes *mailboxes_create(const struct mailboxes_limits *limits, uint64_t floor)
{
    struct mailboxes *store = mem_alloc(sizeof *store);
    store->limits = *limits;
    store->floor = floor;
    map_init(&store->mailboxes);
    list_init(&store->idle);
    list_init(&store->log);
    expiries_init(&store->expiries);
    map_init(&store->ids);
    return store;
}

struct mailboxes *mailboxes_create_window(void)
{
    static const struct mailboxes_limits none = {SIZE_MAX, UINT64_MAX, UINT64_MAX};
    struct mailboxes *store = mailboxes_create(&none, 0);
    store->is_window = true;
    return store;
}

void mailboxes_destroy(struct mailboxes *store)
{
    static const uint64_t all = UINT64_MAX;
    size_t cursor = 0;
    if (!store)
        return;
    for (struct mailbox *mailbox; (mailbox = map_next(&store->mailboxes, &cursor));) {
        mailbox_remove_if(mailbox, is_upto, &all, release, store);
        mailbox_destroy(mailbox);
    }
    assert(list_empty(&store->log));
    expiries_finish(&store->expiries);
    map_finish(&store->ids);
    map_finish(&store->mailboxes);
    free(store);
}
