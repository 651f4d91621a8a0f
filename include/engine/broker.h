/* broker.h - the seam: numbers messages, keeps them, spreads them to the members.
 *
 * A member is a worker's inbox. Every call is made on the member's own thread and ends at once or
 * later: then its done() runs on that thread when the member drains its inbox and hands the record
 * to call_finish. Either way the record has what came of it, its error above all.
 *
 * Where messages are kept is the store's business: store.h.
 *
 * One sequencer: number, keep, look up the watchers and push to their inboxes is one critical
 * section, so each inbox is in id order over all topics. A message exists once it is in the
 * broker; nothing is delivered before. */
#ifndef ENGINE_BROKER_H
#define ENGINE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/call.h"

struct broker;
struct broker_options;

struct broker_stats {
    uint64_t messages;
    uint64_t bytes;
    uint64_t head;
    bool up; /* takes what must be kept */
    uint64_t disk_free;
};

/* By the word of the configuration for where messages are kept (store.h): "sqlite", "memory".
 * Before anything is hashed: where a store has made its own key of hash.h, it is the process's from
 * then on. NULL: there is no such kind, or ret_error, of ret_size bytes, says in a line why not. */
struct broker *broker_create(const char *kind, const struct broker_options *options,
                             char *ret_error, size_t ret_size);
void broker_destroy(struct broker *broker); /* after every member has stopped; NULL is fine */

/* Makes an inbox a member, before its thread starts. Returns the member's number. */
int broker_join(struct broker *broker, struct inbox *inbox);

/* Adds delta sessions (+1 or -1) of this member at all these topics, in one step; from then on
 * each message to them is pushed to its inbox. *ret_head, where asked for, is the last id
 * dispatched: whoever starts there misses nothing. */
int broker_watch(struct broker *broker, int member, const struct topic *topics, size_t count,
                 int delta, uint64_t *ret_head);

/* A user whose poll is answered counts as online a moment longer: see lingering.h. */
void broker_linger(struct broker *broker, const struct topic *user);

enum broker_end broker_publish(struct broker *broker, int member, struct publish_call *publish);
enum broker_end broker_read(struct broker *broker, int member, struct read_call *read);

/* Answered at once where nobody watches the topic. ERR_OUT_OF_MEMORY: some member's reply is
 * missing. */
enum broker_end broker_control(struct broker *broker, int member, struct control_call *control);

/* Gives a served control_copy back to who asked; whom it closed does not linger. The member's
 * thread. */
void broker_reply(struct broker *broker, struct control_copy *copy);

/* Sessions at the topic, over all members. */
uint32_t broker_count(struct broker *broker, const struct topic *topic);

enum broker_end broker_inquire(struct broker *broker, int member, struct inquiry *inquiry);
enum broker_end broker_erase(struct broker *broker, int member, struct erase_call *erase);

/* An acknowledgement of a device that was opened and is known to be there may be left to itself:
 * then `done` is NULL, the call ends at once, and nothing is borrowed. */
enum broker_end broker_device(struct broker *broker, int member, struct device_call *device);

enum broker_end broker_lookup(struct broker *broker, int member, struct lookup *lookup);

/* At the end of each turn of a member: whoever goes on with what it asked or sent is woken now,
 * once for all of it. Else that would wait until something else wakes them. */
void broker_flush(struct broker *broker);

/* Once a second, from one thread: lets go of what is past its time. */
void broker_tick(struct broker *broker);

struct broker_stats broker_stats(struct broker *broker);

#endif
