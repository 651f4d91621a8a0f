/* support.h - what the unit tests share: cmocka, messages, and sessions that remember. */
#ifndef UNIT_SUPPORT_H
#define UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "model/message.h"
#include "model/session.h"
#include "model/topic.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static inline struct topic a_user(const char *name)
{
    return topic_make(TOPIC_USER, name, strlen(name));
}

static inline struct topic a_channel(const char *name)
{
    return topic_make(TOPIC_CHANNEL, name, strlen(name));
}

static inline struct topic all_of_them(void)
{
    return topic_make(TOPIC_ALL, "", 0);
}

/* A draft from bob; the topics are borrowed. */
static inline struct draft a_draft(const struct topic *topics, size_t count, int64_t ttl_ms)
{
    return (struct draft){
        .topics = topics,
        .topic_count = count,
        .sender = "bob",
        .sender_length = 3,
        .body = "\"hi\"",
        .body_length = 4,
        .ttl_ms = ttl_ms,
    };
}

static inline struct message *a_message_to(const struct topic *topic, uint64_t id)
{
    struct draft draft = a_draft(topic, 1, 60000);
    struct message *message = message_create(id, 1769860800000, &draft);
    assert_non_null(message);
    return message;
}

static inline struct message *a_message_for(const char *user, uint64_t id)
{
    struct topic topic = a_user(user);
    return a_message_to(&topic, id);
}

/* A call to a broker ends at once, and so: 0 or an error. */
#define assert_answers(broker_call, record, error)                                                 \
    do {                                                                                           \
        assert_int_equal(broker_call, BROKER_ANSWERED);                                            \
        assert_int_equal((record)->call.err, error);                                               \
    } while (0)

/* Numbers that look random and are the same in each run. */
static inline uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *state ^ *state >> 29;
    return (uint32_t)(x >> 16);
}

/* A session whose transport writes down what it is given. */
struct recorder {
    struct session session;
    uint64_t ids[128];
    size_t received;
    size_t queued; /* each message adds `cost`; the test takes away */
    size_t cost;
    bool refuses; /* deliver finds no memory */
    size_t gaps;
    uint64_t gap_after; /* of the last one */
    uint64_t gap_resumes;
    char gap_channel[TOPIC_NAME_MAX + 1]; /* "": of all */
    bool ends_on_gap;
    size_t closes;
    enum err reason;
};

static inline bool recorder_deliver(struct session *session, struct message *message)
{
    struct recorder *recorder = (struct recorder *)session;
    if (recorder->refuses)
        return false;
    assert_true(recorder->received < COUNT_OF(recorder->ids));
    recorder->ids[recorder->received++] = message->id;
    recorder->queued += recorder->cost;
    return true;
}

static inline bool recorder_tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                                     const struct topic *channel)
{
    struct recorder *recorder = (struct recorder *)session;
    recorder->gaps++;
    recorder->gap_after = after;
    recorder->gap_resumes = resumes;
    memset(recorder->gap_channel, 0, sizeof recorder->gap_channel);
    if (channel)
        memcpy(recorder->gap_channel, channel->name, channel->length);
    return !recorder->ends_on_gap;
}

static inline size_t recorder_queued(const struct session *session)
{
    return ((const struct recorder *)session)->queued;
}

static inline void recorder_close(struct session *session, enum err reason)
{
    struct recorder *recorder = (struct recorder *)session;
    recorder->closes++;
    recorder->reason = reason;
}

static inline struct session *recorder_init(struct recorder *recorder, uint64_t id)
{
    static const struct session_ops ops = {
        .transport = "websocket",
        .deliver = recorder_deliver,
        .tell_gap = recorder_tell_gap,
        .queued = recorder_queued,
        .close = recorder_close,
    };
    *recorder = (struct recorder){.cost = 10};
    session_init(&recorder->session);
    recorder->session.ops = &ops;
    recorder->session.id = id;
    recorder->session.queue_high = 100;
    return &recorder->session;
}

#endif
