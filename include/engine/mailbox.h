/* mailbox.h - what is kept for one topic, in id order.
 *
 * Part of mailboxes.h; guarded by the broker's lock. An entry `kept` may lie in several mailboxes
 * (a message with several receivers); whoever takes it out of the last one frees it. */
#ifndef ENGINE_MAILBOX_H
#define ENGINE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "model/topic.h"

struct message;

struct kept {
    struct message *message; /* one reference */
    struct list log;         /* the broker's, all kept messages in id order */
    uint32_t mailboxes;      /* how many hold it */
    size_t expiry;           /* its place among the expiries */
};

struct mailbox {
    uint64_t hash;
    struct kept **ring;
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* 0 or a power of two */
    uint8_t kind;
    uint8_t length;
    uint64_t bytes;         /* footprints of what it holds */
    uint64_t pruned_upto;   /* limits or default retention took something with this id */
    int64_t next_expiry_ms; /* nothing in it expires earlier */
    struct list idle;       /* the broker's list of empty mailboxes */
    char name[];
};

/* NULL: out of memory. */
struct mailbox *mailbox_create(const struct topic *topic, uint64_t pruned_upto);
/* It is empty. */
void mailbox_destroy(struct mailbox *mailbox);
bool mailbox_is_at(const void *mailbox, const void *topic); /* a map_equal */

/* Makes room for one more. False: out of memory. */
bool mailbox_reserve(struct mailbox *mailbox);
/* Appends; there is room. */
void mailbox_push(struct mailbox *mailbox, struct kept *kept);

struct kept *mailbox_at(const struct mailbox *mailbox, uint32_t i);

/* The index of the first message with an id above this one; count if there is none. */
uint32_t mailbox_after(const struct mailbox *mailbox, uint64_t id);

/* Takes out the oldest; as_gap: its loss must be told. */
struct kept *mailbox_pop(struct mailbox *mailbox, bool as_gap);

/* Takes out the one at an index; as_gap: its loss must be told. */
void mailbox_remove(struct mailbox *mailbox, uint32_t i, bool as_gap);

/* Takes out all that `wanted` says and calls `released` for each; order stays. */
void mailbox_remove_if(struct mailbox *mailbox,
                       bool (*wanted)(const struct kept *kept, const void *context),
                       const void *context, void (*released)(struct kept *kept, void *owner),
                       void *owner);

#endif
