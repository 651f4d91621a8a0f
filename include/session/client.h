/* client.h - one receiver, whatever it speaks: how it comes in, opens and leaves.
 *
 * A session with what it has taken: its slot in the connection limits, and what lets it stay. A
 * protocol embeds it in a struct of its own, and calls in this order:
 *
 *   client_admit      a slot and an id
 *   client_authorize  whose it is, or that a token is still to come
 *   client_open       from now on messages find it
 *   client_start      it can be closed now: its time counts
 *   client_leave      messages find it no more; also undoes the three above, whichever were called
 *   client_finish     gives its slot back; before the memory is freed
 *
 * Worker's thread only. */
#ifndef SESSION_CLIENT_H
#define SESSION_CLIENT_H

#include "base/err.h"
#include "base/list.h"
#include "model/session.h"

struct catch_up_start;
struct identity;
struct request;
struct session_auth;
struct sessions;
struct sockaddr;
struct sockaddr_in6;

struct client {
    struct session session;
    struct sessions *sessions;
    struct sockaddr_in6 *peer; /* counted for its network address; NULL: not counted */
    struct session_auth *auth; /* NULL: nobody needs one */
};

static inline struct client *client_of(const struct session *session)
{
    return list_entry(session, struct client, session);
}

/* 0, ERR_STOPPING, ERR_TOO_MANY_SESSIONS, ERR_TOO_MANY_SESSIONS_OF_IP or ERR_OUT_OF_MEMORY, and it
 * holds nothing. */
int client_admit(struct client *client, struct sessions *sessions, const struct session_ops *ops,
                 const struct request *request);
/* Likewise, where a browser shall see ERR_TOO_MANY_SESSIONS_OF_IP as a close code: then it is in
 * all the same, and *ret_refused says it; else that is 0. */
int client_admit_to_refuse(struct client *client, struct sessions *sessions,
                           const struct session_ops *ops, const struct request *request,
                           int *ret_refused);

/* It is whose the request has identified, who is handed over; no auth is needed for anyone.
 * 0 or ERR_OUT_OF_MEMORY. */
int client_authorize(struct client *client, struct request *request);
/* Its token is still to come. 0 or ERR_TOO_MANY_SESSIONS. */
int client_authorize_later(struct client *client, const struct sockaddr *peer);
/* Is that so still? */
bool client_waits_for_token(const struct client *client);
/* The token came, the first or another; who changes hands. identity_anyone: none is needed. */
void client_renew(struct client *client, struct identity *who);
/* Never NULL, but while it waits for its token. */
const struct identity *client_who(const struct client *client);

/* As catch_up_open does, if whose it is has not been revoked meanwhile (ERR_KICKED). */
int client_open(struct client *client, const struct catch_up_start *start);
void client_start(struct client *client);
/* Counted by its reason, unless that is ERR_NONE. */
void client_leave(struct client *client, enum err reason);
void client_finish(struct client *client);

/* What a protocol does when its socket took something. */
void client_drained(struct client *client);

#endif
