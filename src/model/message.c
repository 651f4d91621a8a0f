#include "model/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "model/event_body.h"

/* Room for what a frame adds around sender and body: id, time, names, quotes, header. */
#define FRAME_OVERHEAD 160

static size_t names_length(const struct draft *draft)
{
    size_t sum = 0;
    for (size_t i = 0; i < draft->topic_count; i++)
        sum += draft->topics[i].length;
    return sum;
}

static const char *copy(char **at, const char *bytes, size_t length)
{
    char *start = *at;
    memcpy(start, bytes, length);
    *at += length;
    return start;
}

struct message *message_create(uint64_t id, int64_t sent_at_ms, const struct draft *draft)
{
    size_t head = sizeof(struct message) + draft->topic_count * sizeof(struct topic);
    size_t size = head + names_length(draft) + draft->sender_length + draft->body_length;
    struct message *message = malloc(size);
    if (!message)
        return NULL;
    *message = (struct message){
        .kind = (uint16_t)draft->kind,
        .own_ttl = draft->own_ttl,
        .id = id,
        .sent_at_ms = sent_at_ms,
        .expires_at_ms = sent_at_ms + draft->ttl_ms,
        .except = draft->except,
        .sender_length = (uint32_t)draft->sender_length,
        .body_length = (uint32_t)draft->body_length,
        .topic_count = (uint32_t)draft->topic_count,
        .size = (uint32_t)size,
    };
    atomic_init(&message->refs, 1);
    char *at = (char *)message + head;
    for (size_t i = 0; i < draft->topic_count; i++) {
        message->topics[i] = draft->topics[i];
        message->topics[i].name = copy(&at, draft->topics[i].name, draft->topics[i].length);
    }
    message->sender = copy(&at, draft->sender, draft->sender_length);
    message->body = copy(&at, draft->body, draft->body_length);
    return message;
}

void message_number(struct message *message, uint64_t id, int64_t sent_at_ms, int64_t expires_at_ms)
{
    message->id = id;
    message->sent_at_ms = sent_at_ms;
    message->expires_at_ms = expires_at_ms;
}

struct message *message_ref(struct message *message)
{
    atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
    return message;
}

void message_unref(struct message *message)
{
    if (!message || atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < MESSAGE_FORMATS; i++)
        frame_unref(atomic_load_explicit(&message->frames[i], memory_order_relaxed));
    free(message);
}

bool message_expired(const struct message *message, int64_t wall_ms)
{
    return wall_ms >= message->expires_at_ms;
}

void message_split(const struct message *message, struct event_body *ret_event)
{
    bool is_event = message->kind == MESSAGE_EVENT &&
                    event_body_split(message->body, message->body_length, ret_event);
    assert(is_event); /* who makes a message of bytes from outside looks at them before */
}

size_t message_footprint(const struct message *message)
{
    return message->size + message->sender_length + message->body_length + FRAME_OVERHEAD;
}

static void write_first(const struct message *message, struct buf *buf)
{
    char id[TEXT_ID_SIZE];
    text_format_id(message->id, id);
    buf_add_text(buf, "\"id\":\"");
    buf_add(buf, id, TEXT_ID_SIZE - 1);
    buf_add_text(buf, "\",\"sender\":");
    buf_add_json(buf, message->sender, message->sender_length);
    if (message->topics[0].kind == TOPIC_CHANNEL) {
        buf_add_text(buf, ",\"channel\":");
        buf_add_json(buf, message->topics[0].name, message->topics[0].length);
    }
}

static void write_event(const struct message *message, struct buf *buf)
{
    struct event_body event;
    message_split(message, &event);
    bool single = event_body_is_single(&event);
    buf_add_text(buf, ",\"event\":");
    buf_add(buf, event.name, event.name_length);
    buf_add_text(buf, single ? ",\"message\":" : ",\"args\":[");
    buf_add(buf, event.args, event.args_length);
    buf_add_text(buf, single ? "" : "]");
    if (event.attachments) {
        buf_add_text(buf, ",\"attachments\":");
        buf_add(buf, event.attachments, event.attachments_length);
    }
}

static void write_last(const struct message *message, struct buf *buf)
{
    char sent_at[CLOCK_TEXT_SIZE];
    clock_format(message->sent_at_ms, sent_at);
    buf_add_text(buf, ",\"sent_at\":\"");
    buf_add(buf, sent_at, CLOCK_TEXT_SIZE - 1);
    buf_add_text(buf, "\"");
}

void message_write_members(const struct message *message, struct buf *buf)
{
    buf_reserve(buf, message->sender_length + message->body_length + FRAME_OVERHEAD);
    write_first(message, buf);
    if (message->kind == MESSAGE_EVENT) {
        write_event(message, buf);
    } else {
        buf_add_text(buf, ",\"message\":");
        buf_add(buf, message->body, message->body_length);
    }
    write_last(message, buf);
}

void message_write_outline(const struct message *message, struct buf *buf)
{
    char after[TEXT_ID_SIZE];
    text_format_id(message->id - 1, after);
    buf_add_text(buf, "\"type\":\"too_large\",");
    write_first(message, buf);
    if (message->kind == MESSAGE_EVENT) {
        struct event_body event;
        message_split(message, &event);
        buf_add_text(buf, ",\"event\":");
        buf_add(buf, event.name, event.name_length);
    }
    buf_add_format(buf, ",\"size\":%u,\"after\":\"%s\",\"kept\":%s", (unsigned)message->body_length,
                   after, message->expires_at_ms > message->sent_at_ms ? "true" : "false");
    write_last(message, buf);
}

struct chunk *message_frame(struct message *message, const struct message_format *format)
{
    assert(format->slot < MESSAGE_FORMATS);
    _Atomic(struct chunk *) *slot = &message->frames[format->slot];
    struct chunk *frame = atomic_load_explicit(slot, memory_order_acquire);
    if (frame)
        return frame;
    struct chunk *made = format->make(message);
    if (!made)
        return NULL;
    /* Two workers may make it at the same time; the first one's stays. */
    if (atomic_compare_exchange_strong_explicit(slot, &frame, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    frame_unref(made);
    return frame;
}

struct chunk *message_frame_within(struct message *message, const struct message_format *format,
                                   size_t max)
{
    struct chunk *frame = message_frame(message, format);
    return !frame || !max || frame->size <= max ? frame : message_frame(message, format->outline);
}

struct chunk *frame_create(size_t size)
{
    assert(size <= UINT32_MAX);
    struct chunk *frame = malloc(sizeof *frame + size);
    if (!frame)
        return NULL;
    atomic_init(&frame->refs, 1);
    frame->size = (uint32_t)size;
    return frame;
}

struct chunk *frame_from(const struct buf *buf)
{
    struct chunk *frame = buf_ok(buf) ? frame_create(buf->size) : NULL;
    if (frame && buf->size)
        memcpy(frame->bytes, buf->data, buf->size);
    return frame;
}

struct chunk *frame_ref(struct chunk *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}

void frame_unref(struct chunk *frame)
{
    if (frame && atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1)
        free(frame);
}

uint64_t message_next_id(uint64_t last, int64_t wall_ms)
{
    uint64_t by_clock = (uint64_t)wall_ms << MESSAGE_ID_CLOCK_SHIFT;
    return by_clock > last ? by_clock : last + 1;
}
