/* message.h - one notification: numbered, immutable, counted.
 *
 * A broker makes it once it has its number; from then on any thread may read it and hold
 * references. Frames, the ready-made bytes that a transport writes, are made on first use and
 * shared by every session of that format. */
#ifndef MODEL_MESSAGE_H
#define MODEL_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/topic.h"

struct buf;
struct event_body;

enum message_kind {
    MESSAGE_NOTIFICATION, /* the body is any JSON */
    MESSAGE_EVENT,        /* it is as model/event_body.h says */
    MESSAGE_KINDS
};

/* Everything a publisher brings; all borrowed until the call it is handed to returns. */
struct draft {
    const struct topic *topics; /* 1 to 1000, no two equal */
    size_t topic_count;
    enum message_kind kind;
    const char *sender;
    size_t sender_length;
    const char *body; /* compact JSON, UTF-8 */
    size_t body_length;
    int64_t ttl_ms;  /* 0: offered to live sessions only, never kept */
    bool own_ttl;    /* the publisher's own, not the default: its end is no gap */
    uint64_t except; /* id of a session that must not get it, or 0 */
};

/* Bytes shared by many sockets. */
struct chunk {
    atomic_uint refs;
    uint32_t size;
    char bytes[];
};

/* Room for so many ready forms; which they are, session/protocols.h says. */
#define MESSAGE_FORMATS 10

struct message {
    atomic_uint refs;
    uint16_t kind;
    bool own_ttl;
    uint64_t id;
    int64_t sent_at_ms;    /* wall clock */
    int64_t expires_at_ms; /* wall clock; equal to sent_at_ms when it is not kept */
    uint64_t except;
    _Atomic(struct chunk *) frames[MESSAGE_FORMATS];
    const char *sender;
    const char *body;
    uint32_t sender_length;
    uint32_t body_length;
    uint32_t topic_count;
    uint32_t size;         /* bytes of this allocation */
    struct topic topics[]; /* their names, sender and body follow in the same allocation */
};

/* A message with one reference, copied from the draft; NULL: out of memory. */
struct message *message_create(uint64_t id, int64_t sent_at_ms, const struct draft *draft);
/* Gives a message its number, before anybody else can see it. */
void message_number(struct message *message, uint64_t id, int64_t sent_at_ms,
                    int64_t expires_at_ms);
struct message *message_ref(struct message *message);
void message_unref(struct message *message);

/* Is it past its ttl? */
bool message_expired(const struct message *message, int64_t wall_ms);

/* The parts of the body of an event, borrowed from the message. */
void message_split(const struct message *message, struct event_body *ret_event);

/* What it costs to keep: the message and one ready frame. */
size_t message_footprint(const struct message *message);

/* Writes the members `"id":…,"sender":…,"message":…,"sent_at":…` without braces, and
 * `"channel":…` when it went to one. An event has `"event":…` before its message, which is the one
 * argument, or `"args":[…]` in its place, and may have `"attachments":[…]`. */
void message_write_members(const struct message *message, struct buf *buf);

/* What is told of a message to who cannot take it: `"type":"too_large"`, all members but what it
 * says, and how many bytes that has, after which cursor it is to be found, and whether it is kept.
 */
void message_write_outline(const struct message *message, struct buf *buf);

/* A way to write a message on the wire. The slot is its index below MESSAGE_FORMATS; make returns
 * a frame with one reference, or NULL: out of memory. */
struct message_format {
    size_t slot;
    struct chunk *(*make)(const struct message *message);
    const struct message_format *outline; /* for who cannot take it; NULL: there is none */
};

/* The frame in this format, borrowed from the message; NULL: out of memory. Any thread. */
struct chunk *message_frame(struct message *message, const struct message_format *format);

/* The same for a reader that takes `max` bytes at once, or with 0 any number: a larger frame is
 * replaced by its outline. */
struct chunk *message_frame_within(struct message *message, const struct message_format *format,
                                   size_t max);

/* A frame with one reference and `size` bytes to fill; NULL: out of memory. */
struct chunk *frame_create(size_t size);
/* A frame of what is in the buffer, which stays the caller's; NULL also if that has failed. */
struct chunk *frame_from(const struct buf *buf);
struct chunk *frame_ref(struct chunk *frame);
void frame_unref(struct chunk *frame);

/* An id is a time, in milliseconds of the wall clock, above so many bits. */
#define MESSAGE_ID_CLOCK_SHIFT 20

/* The id after `last`: ids rise with time and never repeat, whatever the clock does. */
uint64_t message_next_id(uint64_t last, int64_t wall_ms);

#endif
