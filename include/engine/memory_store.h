/* memory_store.h - messages kept in memory: a mailbox for each topic, one log of all.
 *
 * The memory broker's whole store and the SQLite broker's window on what is newest. Bounded by its
 * limits: what is over goes first, then the oldest, and these leave a gap. Not locked: the broker's
 * lock guards it. */
#ifndef ENGINE_MEMORY_STORE_H
#define ENGINE_MEMORY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/age.h"

struct memory_store;
struct message;
struct read_call;
struct topic;

struct memory_store_limits {
    size_t keep_messages; /* a topic */
    uint64_t keep_bytes;  /* a topic */
    uint64_t keep_total;
};

/* The memory broker's. floor: what lies at or below it is told as a gap at every topic (0:
 * nothing is). */
struct memory_store *memory_store_create(const struct memory_store_limits *limits, uint64_t floor);
/* The SQLite broker's: without limits and memory_store_find. What it forgets of a topic the file
 * knows, once it is filed. */
struct memory_store *memory_store_create_window(void);
void memory_store_destroy(struct memory_store *store);

/* What keeping a message costs, in bytes. */
uint64_t memory_store_charge(const struct message *message);

/* Could it be kept at all, within keep_total? */
bool memory_store_fits(const struct memory_store *store, const struct message *message);

/* Takes a reference; its id is above all others'. The limits prune what is oldest; what has expired
 * by now_ms does not count for them. False: out of memory, nothing changed. */
bool memory_store_add(struct memory_store *store, struct message *message, int64_t now_ms);

/* Appends to the page what broker_read asks for, but head and above_head; where it ascends, only
 * what lies above this id. What is over is let go first. False: out of memory. */
bool memory_store_read(struct memory_store *store, struct read_call *read, uint64_t above,
                       struct expiry expiry);

/* One message by its id, with a reference; NULL: it is not kept. */
struct message *memory_store_find(const struct memory_store *store, uint64_t id, int64_t now_ms);

/* Removes what is kept for the topic, up to and with this id; tells no gap. Returns how much. */
uint64_t memory_store_erase(struct memory_store *store, const struct topic *topic, uint64_t upto,
                            int64_t now_ms);

/* Removes what is kept for the topic with this hash, up to and with an id, and tells a gap. */
void memory_store_cut(struct memory_store *store, uint64_t hash, uint64_t upto);

/* Lets go of some of what has expired; few enough not to take long. */
void memory_store_expire(struct memory_store *store, int64_t now_ms);

/* A window's: the file has all up to this id. */
void memory_store_filed(struct memory_store *store, uint64_t upto);
/* A window's: what a topic has lost up to this id may have been forgotten: who reads from below
 * it has to ask the file. */
uint64_t memory_store_floor(const struct memory_store *store);

/* The oldest kept message, or NULL. */
const struct message *memory_store_oldest(const struct memory_store *store);
/* Forgets the oldest message without a word: it is kept elsewhere. */
void memory_store_forget_oldest(struct memory_store *store);

/* When a user's last session left. */
void memory_store_note_last_seen(struct memory_store *store, const struct topic *topic,
                                 int64_t wall_ms);
int64_t memory_store_last_seen(struct memory_store *store, const struct topic *topic);

uint64_t memory_store_count(const struct memory_store *store);
uint64_t memory_store_bytes(const struct memory_store *store);

#endif
