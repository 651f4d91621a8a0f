/* broker.h - the seam: numbers messages, keeps them, spreads them to the members.
 *
 * A member is a worker's inbox. Every call is made on the member's own thread and ends at once or
 * later: then its done() runs on that thread when the member drains its inbox and hands the record
 * to broker_finish_call. Either way the record has what came of it, its error above all.
 *
 * One sequencer: number, keep, look up the watchers and push to their inboxes is one critical
 * section, so each inbox is in id order over all topics. A message exists once it is in the
 * broker; nothing is delivered before. */
#ifndef ENGINE_BROKER_H
#define ENGINE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/inbox.h"
#include "model/message.h"
#include "model/topic.h"

struct broker;
struct devices;
struct idempotency;
struct idempotency_key;

/* When a call ends. */
enum broker_end {
    BROKER_ANSWERED, /* it has: the record has the answer, and done() will not run */
    BROKER_PENDING,  /* done() will run */
};

/* What an inbox carries. */
enum record_kind {
    RECORD_MESSAGE,  /* struct message_record: the member's, who unrefs and frees */
    RECORD_CALL,     /* struct call: an answer to a publish, a read or a control message */
    RECORD_CONTROL,  /* struct control_copy: to be served and given back by broker_reply */
    RECORD_OVERFLOW, /* the inbox's own: you may have missed something */
};

struct message_record {
    struct inbox_record record;
    struct message *message; /* one reference */
};

/* First in the record of each call, so that an answer needs no memory. */
struct call {
    struct inbox_record record;
    int member;                      /* who made it; set by the broker */
    enum err err;                    /* the answer: why it failed */
    void (*done)(struct call *call); /* the member's thread; where it ends later */
};

/* Runs a RECORD_CALL taken from the inbox. */
void broker_finish_call(struct inbox_record *record);

struct publish_call {
    struct call call;
    struct draft draft;                /* borrowed until broker_publish returns */
    const struct idempotency_key *key; /* or NULL; borrowed until done */
    uint32_t *delivered;               /* the caller's array, one a topic: sessions watching */
    struct message *message;           /* the broker's while PENDING */
    /* The answer: */
    uint64_t id;
    bool duplicate; /* delivered is then not set */
    bool kept;
    bool durable;
};

/* One topic of a stream. What has a longer ttl than its neighbours may still be kept below
 * `told`, so only `from` says what not to read. All three at 0: there is no gap. The name is
 * borrowed until done. */
struct read_topic {
    struct topic topic;
    uint64_t from;  /* nothing up to here is asked for */
    uint64_t told;  /* in: losses up to here are known; out: and these, by limits or retention */
    bool gap;       /* out: something after all three of after, from and told is gone */
    uint64_t known; /* the broker's: the highest of the three as they came in */
};

struct read_call {
    struct call call;
    struct read_topic *topics;
    size_t topic_count;
    uint64_t after;  /* ascending: id > max(after, from) */
    uint64_t before; /* descending: id < before */
    bool descending;
    size_t max_count; /* room in messages */
    size_t max_bytes; /* at least one message comes whatever its size */
    struct message **messages;
    /* The answer: */
    size_t count;    /* each with a reference for the caller */
    bool more;       /* there was more when this page was cut */
    bool above_head; /* after is an id this broker never gave: head is the place to start */
    uint64_t head;
    uint64_t upto; /* the broker's while PENDING */
};

/* One device of a user, whose cursor the broker keeps. */
struct device_call {
    struct call call;
    enum {
        DEVICE_OPEN,   /* where it goes on; a new one begins at `cursor`, or has nothing yet: 0 */
        DEVICE_ACK,    /* it has everything up to `cursor`; only what was opened can say so */
        DEVICE_FORGET, /* it is no more */
    } verb;
    struct topic user; /* its name and `device` are borrowed until done */
    const char *device;
    size_t length;
    bool has_cursor;
    /* In as above; one above head was never given, and counts as head. Out, where found: the
     * device's. */
    uint64_t cursor;
    /* The answer: */
    bool found; /* it was known */
};

/* That a device has a message. */
struct acknowledgement {
    const struct topic *user; /* the message's */
    int64_t at_ms;            /* when its cursor last moved */
    char device[TOPIC_NAME_MAX + 1];
};

#define LOOKUP_MAX_ACKS 1000

/* One message by its id. */
struct lookup {
    struct call call;
    uint64_t id;
    /* The answer; broker_lookup_finish gives it back: */
    struct message *message; /* NULL: not kept */
    bool durable;
    struct acknowledgement *acks;
    size_t ack_count;
};

/* Who is there, and when they were. */
struct presence {
    bool online; /* with a session, or lingering */
    uint32_t sessions;
    int64_t last_seen_ms; /* wall clock; 0: not known, or online */
};

struct inquiry {
    struct call call;
    const struct topic *topics; /* borrowed until done, with their names */
    size_t count;
    struct presence *presence; /* the answer: the caller's array, one a topic */
};

/* Removes all that is kept for a topic; no gap is told for it. */
struct erase_call {
    struct call call;
    struct topic topic; /* its name is borrowed until done */
    /* The answer: */
    uint64_t erased; /* messages */
};

/* A question or an order to every member that watches a topic; not kept, not numbered. */
struct control {
    struct call call;
    enum { CONTROL_CLOSE, CONTROL_DESCRIBE, CONTROL_USERS } verb;
    struct topic topic; /* borrowed until done */
    enum err reason;    /* CONTROL_CLOSE */
    const char *from;   /* CONTROL_USERS: names after this one, borrowed until done */
    size_t from_length;
    size_t limit;       /* CONTROL_USERS: at most so many from each member */
    struct buf replies; /* the members' texts, one after the other */
    uint64_t number;    /* the sum of the members' numbers */
    size_t outstanding;
};

struct control_copy {
    struct call call;
    struct control *control; /* on the member's thread only the question may be read */
    struct inbox *asker;
    struct buf reply;
    uint64_t number;
};

struct broker_stats {
    uint64_t messages;
    uint64_t bytes;
    uint64_t head;
    bool up; /* takes what must be kept */
    uint64_t disk_free;
};

struct broker_ops {
    const char *name;
    void (*destroy)(struct broker *broker);
    int (*join)(struct broker *broker, struct inbox *inbox);
    int (*watch)(struct broker *broker, int member, const struct topic *topics, size_t count,
                 int delta, uint64_t *ret_head);
    void (*linger)(struct broker *broker, const struct topic *user);
    enum broker_end (*publish)(struct broker *broker, struct publish_call *publish);
    enum broker_end (*read)(struct broker *broker, struct read_call *read);
    enum broker_end (*control)(struct broker *broker, struct control *control);
    uint32_t (*count)(struct broker *broker, const struct topic *topic);
    enum broker_end (*inquire)(struct broker *broker, struct inquiry *inquiry);
    enum broker_end (*erase)(struct broker *broker, struct erase_call *erase);
    enum broker_end (*device)(struct broker *broker, struct device_call *device);
    enum broker_end (*lookup)(struct broker *broker, struct lookup *lookup);
    void (*flush)(struct broker *broker);
    void (*tick)(struct broker *broker);
    struct broker_stats (*stats)(struct broker *broker);
};

/* First member of each implementation. */
struct broker {
    const struct broker_ops *ops;
};

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
enum broker_end broker_control(struct broker *broker, int member, struct control *control);

/* Gives a served control_copy back to who asked. The member's thread. */
void broker_reply(struct control_copy *copy);

/* Sessions at the topic, over all members. */
uint32_t broker_count(struct broker *broker, const struct topic *topic);

enum broker_end broker_inquire(struct broker *broker, int member, struct inquiry *inquiry);
enum broker_end broker_erase(struct broker *broker, int member, struct erase_call *erase);

/* An acknowledgement of a device that was opened and is known to be there may be left to itself:
 * then `done` is NULL, the call ends at once, and nothing is borrowed. */
enum broker_end broker_device(struct broker *broker, int member, struct device_call *device);

enum broker_end broker_lookup(struct broker *broker, int member, struct lookup *lookup);
void broker_lookup_finish(struct lookup *lookup);

/* At the end of each turn of a member: whoever goes on with what it asked or sent is woken now,
 * once for all of it. Else that would wait until something else wakes them. */
void broker_flush(struct broker *broker);

/* Once a second, from one thread: lets go of what is past its time. */
void broker_tick(struct broker *broker);

struct broker_stats broker_stats(struct broker *broker);

/* ---- for the implementations ---- */

/* Ends a call at once. */
enum broker_end broker_answer(struct call *call, int err);

/* Adds an acknowledgement, unless that device has one already: who knows best is asked first.
 * Beyond LOOKUP_MAX_ACKS none is added. False: out of memory. */
bool broker_add_ack(struct lookup *lookup, const struct topic *user, const char *device,
                    size_t length, int64_t at_ms);
/* Those of a message that was found, by the devices given. */
bool broker_add_acks(struct lookup *lookup, const struct devices *devices);

/* Did this publish's key come before? ERR_KEY_CONFLICT, or 0: then publish->duplicate says it, with
 * id and kept. */
int broker_check_key(struct publish_call *publish, struct idempotency *keys, int64_t now_ms);

/* While a page is made: what lay at this topic up to an id is gone, and is to be told as a gap to
 * who did not ask for all that is kept. */
void broker_tell_loss(struct read_topic *from, uint64_t upto);

/* An id is a time, in milliseconds of the wall clock, above so many bits. */
#define BROKER_ID_CLOCK_SHIFT 20

/* The id after `last`: ids rise with time and never repeat, whatever the clock does. */
uint64_t broker_next_id(uint64_t last, int64_t wall_ms);

#endif
