#include "engine/mailbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/message.h"

#define MIN_CAPACITY 4

struct mailbox *mailbox_create(const struct topic *topic, uint64_t pruned_upto)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox + topic->length);
    if (!mailbox)
        return NULL;
    mailbox->hash = topic->hash;
    mailbox->kind = (uint8_t)topic->kind;
    mailbox->length = (uint8_t)topic->length;
    mailbox->pruned_upto = pruned_upto;
    mailbox->next_expiry_ms = INT64_MAX;
    list_init(&mailbox->idle);
    memcpy(mailbox->name, topic->name, topic->length);
    return mailbox;
}

void mailbox_destroy(struct mailbox *mailbox)
{
    assert(mailbox->count == 0);
    list_remove(&mailbox->idle);
    free(mailbox->ring);
    free(mailbox);
}

bool mailbox_is_at(const void *value, const void *key)
{
    const struct mailbox *mailbox = value;
    const struct topic *topic = key;
    return mailbox->kind == topic->kind && mailbox->length == topic->length &&
           memcmp(mailbox->name, topic->name, topic->length) == 0;
}

static struct kept **slot(const struct mailbox *mailbox, uint32_t i)
{
    return &mailbox->ring[(mailbox->first + i) & (mailbox->capacity - 1)];
}

struct kept *mailbox_at(const struct mailbox *mailbox, uint32_t i)
{
    assert(i < mailbox->count);
    return *slot(mailbox, i);
}

static bool resize(struct mailbox *mailbox, uint32_t capacity)
{
    struct kept **ring = malloc(capacity * sizeof *ring);
    if (!ring)
        return false;
    for (uint32_t i = 0; i < mailbox->count; i++)
        ring[i] = *slot(mailbox, i);
    free(mailbox->ring);
    mailbox->ring = ring;
    mailbox->first = 0;
    mailbox->capacity = capacity;
    return true;
}

bool mailbox_reserve(struct mailbox *mailbox)
{
    if (mailbox->count < mailbox->capacity)
        return true;
    return resize(mailbox, mailbox->capacity ? mailbox->capacity * 2 : MIN_CAPACITY);
}

/* Gives memory back once three quarters stand empty; all of it when nothing is left. */
static void shrink(struct mailbox *mailbox)
{
    if (mailbox->count == 0) {
        free(mailbox->ring);
        mailbox->ring = NULL;
        mailbox->capacity = mailbox->first = 0;
        mailbox->next_expiry_ms = INT64_MAX;
    } else if (mailbox->capacity > MIN_CAPACITY && mailbox->count * 4 <= mailbox->capacity) {
        resize(mailbox, mailbox->capacity / 2);
    }
}

void mailbox_push(struct mailbox *mailbox, struct kept *kept)
{
    assert(mailbox->count < mailbox->capacity);
    *slot(mailbox, mailbox->count++) = kept;
    kept->mailboxes++;
    mailbox->bytes += message_footprint(kept->message);
    if (kept->message->expires_at_ms < mailbox->next_expiry_ms)
        mailbox->next_expiry_ms = kept->message->expires_at_ms;
}

uint32_t mailbox_after(const struct mailbox *mailbox, uint64_t id)
{
    uint32_t low = 0, high = mailbox->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mailbox_at(mailbox, middle)->message->id > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void let_go(struct mailbox *mailbox, struct kept *kept)
{
    kept->mailboxes--;
    mailbox->bytes -= message_footprint(kept->message);
}

static void take_out(struct mailbox *mailbox, struct kept *kept, bool as_gap)
{
    let_go(mailbox, kept);
    if (as_gap && kept->message->id > mailbox->pruned_upto)
        mailbox->pruned_upto = kept->message->id;
    shrink(mailbox);
}

struct kept *mailbox_pop(struct mailbox *mailbox, bool as_gap)
{
    struct kept *kept = mailbox_at(mailbox, 0);
    mailbox->first = (mailbox->first + 1) & (mailbox->capacity - 1);
    mailbox->count--;
    take_out(mailbox, kept, as_gap);
    return kept;
}

void mailbox_remove(struct mailbox *mailbox, uint32_t i, bool as_gap)
{
    struct kept *kept = mailbox_at(mailbox, i);
    /* Most often it is one of the newest or of the oldest. */
    if (i < mailbox->count / 2) {
        for (; i; i--)
            *slot(mailbox, i) = *slot(mailbox, i - 1);
        *slot(mailbox, 0) = kept;
        mailbox_pop(mailbox, as_gap);
        return;
    }
    for (; i + 1 < mailbox->count; i++)
        *slot(mailbox, i) = *slot(mailbox, i + 1);
    mailbox->count--;
    take_out(mailbox, kept, as_gap);
}

void mailbox_remove_if(struct mailbox *mailbox,
                       bool (*wanted)(const struct kept *kept, const void *context),
                       const void *context, void (*released)(struct kept *kept, void *owner),
                       void *owner)
{
    uint32_t left = 0;
    mailbox->next_expiry_ms = INT64_MAX;
    for (uint32_t i = 0; i < mailbox->count; i++) {
        struct kept *kept = *slot(mailbox, i);
        if (wanted(kept, context)) {
            let_go(mailbox, kept);
            released(kept, owner);
            continue;
        }
        if (kept->message->expires_at_ms < mailbox->next_expiry_ms)
            mailbox->next_expiry_ms = kept->message->expires_at_ms;
        *slot(mailbox, left++) = kept;
    }
    mailbox->count = left;
    shrink(mailbox);
}
