/* dispatcher.h - the members of a broker, what they watch, who lingers, and the way to the inboxes.
 *
 * The part of a sequencer that all brokers share. Not locked: the broker's own lock guards it, so
 * that number, keep and push are one step. */
#ifndef ENGINE_DISPATCHER_H
#define ENGINE_DISPATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/call.h"
#include "engine/lingering.h"
#include "engine/watch_table.h"
#include "model/topic.h"

#define DISPATCHER_MAX_MEMBERS 64 /* one bit each in a word */
#define DISPATCHER_NOBODY      (-1)

struct dispatcher {
    struct inbox *members[DISPATCHER_MAX_MEMBERS];
    size_t member_count;
    _Atomic uint64_t pushed; /* members, as bits, since the last dispatcher_wake */
    struct watch_table watches;
    struct lingering lingering;
};

void dispatcher_init(struct dispatcher *dispatcher);
void dispatcher_finish(struct dispatcher *dispatcher);

/* Returns the new member's number. */
int dispatcher_join(struct dispatcher *dispatcher, struct inbox *inbox);

/* One session more at each topic, or at none of them. False: out of memory. */
bool dispatcher_watch(struct dispatcher *dispatcher, int member, const struct topic *topics,
                      size_t count);
void dispatcher_unwatch(struct dispatcher *dispatcher, int member, const struct topic *topics,
                        size_t count);

/* Sessions at a topic, over all members. */
uint32_t dispatcher_sessions(const struct dispatcher *dispatcher, const struct topic *topic);

/* Is there a session of this user, or will there be in a moment? */
bool dispatcher_is_online(const struct dispatcher *dispatcher, const struct topic *user,
                          int64_t mono_ms);

/* Pushes to the inbox of every member that watches one of the message's topics. `from` is the
 * member on whose thread this runs, or DISPATCHER_NOBODY. ret_delivered, one a topic: sessions
 * watching; may be NULL. */
void dispatcher_send(struct dispatcher *dispatcher, int from, struct message *message,
                     uint32_t *ret_delivered);

/* broker_control, on the asking member's thread. Who is sent away does not linger either. */
enum broker_end dispatcher_control(struct dispatcher *dispatcher, struct control_call *control);

/* broker_reply: takes a control message back to whom it came from, and wakes them. */
void dispatcher_reply(struct dispatcher *dispatcher, struct control_copy *copy);

/* Takes a finished call back to the member that made it. From another thread than the member's. */
void dispatcher_answer(struct dispatcher *dispatcher, struct call *call);

/* Wakes all members whom something was pushed to. Outside of the lock, and once for many pushes:
 * who was woken earlier would run into the lock, and be woken again for the next message. */
void dispatcher_wake(struct dispatcher *dispatcher);

#endif
