/* pass.h - what lets a session stay: whose it is, and until when.
 *
 * A session of a receiver ends when its token does (leeway included), unless a new one comes; one
 * whose token is still to come has auth_timeout for it. Without credentials sessions have no pass.
 * Worker's thread only. */
#ifndef NET_PASS_H
#define NET_PASS_H

#include <stdint.h>

#include "base/list.h"

struct access;
struct budget;
struct identity;
struct passes;
struct session;
struct sockaddr;
struct worker;

struct pass {
    struct list link; /* the wheel of those to be looked at */
    struct passes *all;
    struct session *session;
    struct identity *who;  /* owned; NULL: the token is still to come */
    struct sockaddr *peer; /* owned; whose share of those without one it has; NULL: nobody's */
    int64_t end_ms;        /* on the wall clock; before the token comes, on the monotonic one */
};

/* All passes of a worker; passes_change comes before the first. */
struct passes *passes_create(struct worker *worker, struct budget *budget);
/* Every session is gone. */
void passes_destroy(struct passes *passes);

/* From now on another access (borrowed) says who may come in. */
void passes_change(struct passes *passes, struct access *access, int64_t auth_timeout_ms);
const struct access *passes_access(const struct passes *passes);

/* For a session that is about to open; who changes hands, also when there is no memory: NULL. */
struct pass *pass_create(struct passes *passes, struct session *session, struct identity *who);
/* For one whose token is still to come, from that address. NULL: no memory, or there are
 * max_unauthenticated, or the address has its share of them. */
struct pass *pass_create_waiting(struct passes *passes, struct session *session,
                                 const struct sockaddr *peer);
/* Once the session can be closed: from now on the time counts. NULL is fine. */
void pass_start(struct pass *pass);
/* The token came, the first or another. who changes hands. */
void pass_renew(struct pass *pass, struct identity *who);
/* NULL is fine. */
void pass_destroy(struct pass *pass);

/* Who a session belongs to; never NULL. NULL, no pass, is anyone. */
const struct identity *pass_who(const struct pass *pass);

#endif
