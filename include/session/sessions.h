/* sessions.h - what every session of a worker shares: where it opens, by what limits.
 *
 * The `state` of the receiving routes. Worker's thread only. */
#ifndef SESSION_SESSIONS_H
#define SESSION_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection_limits;
struct publish_options;
struct reactor;
struct request;
struct session_auths;
struct streams;
struct websockets;

struct sessions {
    struct reactor *reactor;
    struct streams *streams;
    struct websockets *websockets;
    void **states; /* owned by protocols.h: what each protocol keeps here */
    struct session_auths *auths;
    struct connection_limits *connection_limits;
    const struct publish_options *publish_options;
    uint32_t queue_high;
    int64_t heartbeat_ms;
    int64_t poll_wait_ms;
    int64_t retry_spread_ms;
    uint64_t next_session;     /* makes session ids: hash_draw_number */
    size_t open;               /* sockets of sessions, until they are closed */
    const char *root_greeting; /* see room.h; "": none */
    bool root_is_room;         /* not the lobby */
    bool can_adopt;            /* see adoption.h */
    bool stopping;             /* nobody comes in any more */
};

/* When to come back: spread, so that those who were sent away together do not return together. */
int64_t sessions_retry_ms(const struct sessions *sessions);

/* Answers why a session was not opened. */
void sessions_refuse(struct request *request, int err);

#endif
