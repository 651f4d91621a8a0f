/* call.h - what the broker is asked, and what it answers: the records that travel.
 *
 * A record is its caller's, and the broker's until it is answered; by whom and when is said in
 * broker.h. */
#ifndef ENGINE_CALL_H
#define ENGINE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/inbox.h"
#include "model/message.h"
#include "model/topic.h"

struct devices;
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

struct publish_call {
    struct call call;
    struct draft draft;                /* borrowed until broker_publish returns */
    const struct idempotency_key *key; /* or NULL; borrowed until done */
    uint32_t *delivered;               /* the caller's array, one a topic: sessions watching */
    struct message *message;           /* the broker's until the answer */
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
    /* The answer; lookup_finish gives it back: */
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
    enum { CONTROL_CLOSE, CONTROL_DESCRIBE, CONTROL_USERS } verb;
    struct topic topic; /* its name is borrowed until done */
    enum err reason;    /* CONTROL_CLOSE */
    const char *from;   /* CONTROL_USERS: names after this one, borrowed until done */
    size_t from_length;
    size_t limit; /* CONTROL_USERS: at most so many from each member */
};

struct control_call {
    struct call call;
    struct control control;
    size_t outstanding; /* the broker's while PENDING */
    /* The answer; control_finish gives it back. What records of a verb are says presence.h. */
    struct buf records;
    uint64_t sessions;
};

/* What a member gets of it, and sends back: a copy, with nothing in it that another thread may
 * touch meanwhile. */
struct control_copy {
    struct call call; /* of whom the answer is for */
    struct control control;
    struct buf records;
    uint64_t sessions;
    struct control_call *asked; /* only the asker's thread looks there */
    char name[TOPIC_NAME_MAX];
    char from[TOPIC_NAME_MAX];
};

/* ---- for whoever answers ---- */

/* Ends a call at once. */
enum broker_end call_answer(struct call *call, int err);

/* Adds an acknowledgement, unless that device has one already: who knows best is asked first.
 * Beyond LOOKUP_MAX_ACKS none is added. False: out of memory. */
bool lookup_add_ack(struct lookup *lookup, const struct topic *user, const char *device,
                    size_t length, int64_t at_ms);
/* Those of a message that was found, by the devices given. */
bool lookup_add_acks(struct lookup *lookup, const struct devices *devices);

/* While a page is made: what lay at this topic up to an id is gone, and is to be told as a gap to
 * who did not ask for all that is kept. */
void read_tell_loss(struct read_topic *from, uint64_t upto);

/* Runs a RECORD_CALL taken from the inbox. */
void call_finish(struct inbox_record *record);

/* Gives an answer back. */
void lookup_finish(struct lookup *lookup);
void control_finish(struct control_call *control);

#endif
