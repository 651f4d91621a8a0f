/* presence.h - who is there: what a member answers to a control message, and how it is read.
 *
 * Answers are records, one after the other, so that those of several members are put together as
 * they come; what they look like to a client is its route's business. */
#ifndef ENGINE_PRESENCE_H
#define ENGINE_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/topic.h"

struct buf;
struct connection_manager;
struct control;

/* CONTROL_DESCRIBE: one for each session. */
struct session_info {
    uint64_t id;
    uint8_t protocol; /* as its session_ops say */
    bool behind;
    int64_t opened_at_ms;            /* wall clock */
    char device[TOPIC_NAME_MAX + 1]; /* "": none */
};

/* CONTROL_USERS: the names of users, in no order, each with its length before it. */
struct user_name {
    const char *text; /* no NUL follows */
    size_t length;
};

/* Does what a control message says at one member's sessions, and appends its records to the reply,
 * which has failed where there was no memory. Returns of how many sessions it is about. The
 * member's thread. */
uint64_t presence_serve(struct connection_manager *manager, const struct control *control,
                        struct buf *reply);

/* The records of CONTROL_DESCRIBE. */
const struct session_info *presence_sessions(const struct buf *records, size_t *ret_count);

/* The names of CONTROL_USERS, sorted, each once: a user may have sessions at several members. They
 * point into the records; the caller frees the list. NULL: out of memory. */
struct user_name *presence_names(const struct buf *records, size_t *ret_count);

#endif
