/* session_auth.h - what lets a session stay: whose it is, and until when.
 *
 * A session of a receiver ends when its token does (leeway included), unless a new one comes; one
 * whose token is still to come has auth_timeout for it. Without credentials sessions have none.
 * Worker's thread only. */
#ifndef SESSION_SESSION_AUTH_H
#define SESSION_SESSION_AUTH_H

#include <stdint.h>

#include "base/list.h"

struct access;
struct connection_limits;
struct identity;
struct reactor;
struct session;
struct session_auths;
struct sockaddr;

struct session_auth {
    struct list link; /* the wheel of those to be looked at */
    struct session_auths *all;
    struct session *session;
    struct identity *who;  /* owned; NULL: the token is still to come */
    struct sockaddr *peer; /* owned; whose share of those without one it has; NULL: nobody's */
    int64_t end_ms;        /* on the wall clock; before the token comes, on the monotonic one */
};

/* All authorizations of a worker; session_auths_change comes before the first. */
struct session_auths *session_auths_create(struct reactor *reactor,
                                           struct connection_limits *connection_limits);
/* Every session is gone. */
void session_auths_destroy(struct session_auths *auths);

/* From now on another access (borrowed) says who may come in. */
void session_auths_change(struct session_auths *auths, struct access *access,
                          int64_t auth_timeout_ms);
const struct access *session_auths_access(const struct session_auths *auths);

/* For a session that is about to open; who changes hands, also when there is no memory: NULL. */
struct session_auth *session_auth_create(struct session_auths *auths, struct session *session,
                                         struct identity *who);
/* For one whose token is still to come, from that address. NULL: no memory, or there are
 * max_unauthenticated, or the address has its share of them. */
struct session_auth *session_auth_create_waiting(struct session_auths *auths,
                                                 struct session *session,
                                                 const struct sockaddr *peer);
/* Once the session can be closed: from now on the time counts. NULL is fine. */
void session_auth_start(struct session_auth *auth);
/* The token came, the first or another. who changes hands. */
void session_auth_renew(struct session_auth *auth, struct identity *who);
/* NULL is fine. */
void session_auth_destroy(struct session_auth *auth);

/* Who a session belongs to; never NULL. NULL, none, is anyone. */
const struct identity *session_auth_who(const struct session_auth *auth);

#endif
