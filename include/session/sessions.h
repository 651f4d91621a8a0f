/* sessions.h - what every session of a worker shares: where it opens, by what limits.
 *
 * The `state` of the receiving routes. Worker's thread only. */
#ifndef SESSION_SESSIONS_H
#define SESSION_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catch_up_start;
struct connection_limits;
struct polls;
struct publish_options;
struct reactor;
struct request;
struct session_auth;
struct session_auths;
struct sockaddr;
struct sockaddr_in6;
struct sse_streams;
struct streams;
struct websockets;

struct sessions {
    struct reactor *reactor;
    struct streams *streams;
    struct websockets *websockets;
    struct sse_streams *sse;
    struct polls *polls;
    struct session_auths *auths;
    struct connection_limits *connection_limits;
    const struct publish_options *publish_options;
    uint32_t queue_high;
    int64_t heartbeat_ms;
    int64_t poll_wait_ms;
    int64_t retry_spread_ms;
    uint64_t next_session; /* makes session ids */
    size_t open;           /* sockets of sessions, until they are closed */
    bool can_adopt;        /* see adoption.h */
    bool stopping;         /* nobody comes in any more */
};

/* A session's share of the connection limits; kept until it is freed. */
struct session_slot {
    struct sessions *sessions;
    struct sockaddr_in6 *peer; /* counted for its network address; NULL: not counted */
};

/* Takes a slot for a session. ERR_STOPPING, ERR_TOO_MANY_SESSIONS, ERR_TOO_MANY_SESSIONS_OF_IP or
 * ERR_OUT_OF_MEMORY. */
int session_slot_take(struct session_slot *ret_slot, struct sessions *sessions,
                      const struct request *request);
/* Likewise, where a browser shall see ERR_TOO_MANY_SESSIONS_OF_IP as a close code: then this takes
 * a slot all the same, and *ret_refused says it; else that is 0. */
int session_slot_take_for_websocket(struct session_slot *ret_slot, struct sessions *sessions,
                                    const struct request *request, int *ret_refused);
void session_slot_give(struct session_slot *slot);

/* A new session's id, and the other fields that all transports fill in alike. */
struct session;
void sessions_name(struct sessions *sessions, struct session *session);

/* The authorization of a session that is about to open, for whom the request has identified and now
 * hands over. NULL, none, for anyone. 0 or ERR_OUT_OF_MEMORY. */
int sessions_give_auth(struct sessions *sessions, struct session *session, struct request *request,
                       struct session_auth **ret_auth);

/* Opens a named session, as catch_up_open does, if whose authorization it is has not been revoked
 * meanwhile (ERR_KICKED). auth NULL: anyone. Closing it is catch_up_close's work either way. */
int sessions_open(struct sessions *sessions, struct session *session,
                  const struct session_auth *auth, const struct catch_up_start *start);

/* When to come back: spread, so that those who were sent away together do not return together. */
int64_t sessions_retry_ms(const struct sessions *sessions);

/* Answers why a session was not opened. */
void sessions_refuse(struct request *request, int err);

#endif
