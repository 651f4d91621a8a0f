/* door.h - what every session of a worker shares: where it opens, by what limits.
 *
 * The `state` of the receiving routes. Worker's thread only. */
#ifndef NET_DOOR_H
#define NET_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget;
struct catch_up_start;
struct exchange;
struct pass;
struct passes;
struct polls;
struct sending_options;
struct sockaddr;
struct sockaddr_in6;
struct sse_streams;
struct streams;
struct websockets;
struct worker;

struct door {
    struct worker *worker;
    struct streams *streams;
    struct websockets *websockets;
    struct sse_streams *sse;
    struct polls *polls;
    struct passes *passes;
    struct budget *budget;
    const struct sending_options *sending;
    uint32_t queue_high;
    int64_t heartbeat_ms;
    int64_t poll_wait_ms;
    int64_t retry_spread_ms;
    uint64_t next_session; /* makes session ids */
    size_t open;           /* sockets of sessions, until they are closed */
    bool can_adopt;        /* see adoption.h */
    bool stopping;         /* nobody comes in any more */
};

/* A session's share of the budget; kept until it is freed. */
struct place {
    struct door *door;
    struct sockaddr_in6 *peer; /* counted for its network address; NULL: not counted */
};

/* Takes a place for a session. ERR_STOPPING, ERR_TOO_MANY_SESSIONS, ERR_TOO_MANY_SESSIONS_OF_IP or
 * ERR_OUT_OF_MEMORY. */
int place_take(struct place *ret_place, struct door *door, const struct exchange *exchange);
/* Likewise, where a browser shall see ERR_TOO_MANY_SESSIONS_OF_IP as a close code: then this takes
 * a place all the same, and *ret_refused says it; else that is 0. */
int place_take_for_websocket(struct place *ret_place, struct door *door,
                             const struct exchange *exchange, int *ret_refused);
void place_give(struct place *place);

/* A new session's id, and the other fields that all transports fill in alike. */
struct session;
void door_name_session(struct door *door, struct session *session);

/* The pass of a session that is about to open, for whom the exchange has identified and now hands
 * over. NULL, no pass, for anyone. 0 or ERR_OUT_OF_MEMORY. */
int door_give_pass(struct door *door, struct session *session, struct exchange *exchange,
                   struct pass **ret_pass);

/* Opens a named session, as catch_up_open does, if whose pass it is has not been revoked meanwhile
 * (ERR_KICKED). pass NULL: anyone. Closing it is catch_up_close's work either way. */
int door_open_session(struct door *door, struct session *session, const struct pass *pass,
                      const struct catch_up_start *start);

/* When to come back: spread, so that those who were sent away together do not return together. */
int64_t door_retry_ms(const struct door *door);

/* Answers why a session was not opened. */
void door_refuse(struct exchange *exchange, int err);

#endif
