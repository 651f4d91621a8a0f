/* mailboxes.h - messages kept in memory: a mailbox for each topic, one log of all.
 *
 * All that the memory store keeps, and the SQLite store's window on what is newest. Bounded by its
 * limits: what is over goes first, then the oldest, and these leave a gap. Not locked: the broker's
 * lock guards it. */
#ifndef ENGINE_MAILBOXES_H
#define ENGINE_MAILBOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/age.h"

struct mailboxes;
struct message;
struct read_call;
struct topic;

struct mailboxes_limits {
    size_t keep_messages; /* a topic */
    uint64_t keep_bytes;  /* a topic */
    uint64_t keep_total;
};

/* The memory store's. floor: what lies at or below it is told as a gap at every topic (0:
 * nothing is). */
struct mailboxes *mailboxes_create(const struct mailboxes_limits *limits, uint64_t floor);
/* The SQLite store's: without limits and mailboxes_find. What it forgets of a topic the file
 * knows, once it is filed. */
struct mailboxes *mailboxes_create_window(void);
void mailboxes_destroy(struct mailboxes *store);

/* What keeping a message costs, in bytes. */
uint64_t mailboxes_charge(const struct message *message);

/* Could it be kept at all, within keep_total? */
bool mailboxes_fits(const struct mailboxes *store, const struct message *message);

/* Takes a reference; its id is above all others'. The limits prune what is oldest; what has expired
 * by now_ms does not count for them. False: out of memory, nothing changed. */
bool mailboxes_add(struct mailboxes *store, struct message *message, int64_t now_ms);

/* Appends to the page what broker_read asks for, but head and above_head; where it ascends, only
 * what lies above this id. What is over is let go first. False: out of memory. */
bool mailboxes_read(struct mailboxes *store, struct read_call *read, uint64_t above,
                    struct expiry expiry);

/* One message by its id, with a reference; NULL: it is not kept. */
struct message *mailboxes_find(const struct mailboxes *store, uint64_t id, int64_t now_ms);

/* Removes what is kept for the topic, up to and with this id; tells no gap. Returns how much. */
uint64_t mailboxes_erase(struct mailboxes *store, const struct topic *topic, uint64_t upto,
                         int64_t now_ms);

/* Removes what is kept for the topic with this hash, up to and with an id, and tells a gap. */
void mailboxes_cut(struct mailboxes *store, uint64_t hash, uint64_t upto);

/* Lets go of some of what has expired; few enough not to take long. */
void mailboxes_expire(struct mailboxes *store, int64_t now_ms);

/* A window's: the file has all up to this id. */
void mailboxes_filed(struct mailboxes *store, uint64_t upto);
/* A window's: what a topic has lost up to this id may have been forgotten: who reads from below
 * it has to ask the file. */
uint64_t mailboxes_floor(const struct mailboxes *store);

/* The oldest kept message, or NULL. */
const struct message *mailboxes_oldest(const struct mailboxes *store);
/* Forgets the oldest message without a word: it is kept elsewhere. */
void mailboxes_forget_oldest(struct mailboxes *store);

uint64_t mailboxes_count(const struct mailboxes *store);
uint64_t mailboxes_bytes(const struct mailboxes *store);

#endif
