#include "session/client.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "model/access.h"
#include "model/connection_limits.h"
#include "model/identity.h"
#include "session/session_auth.h"
#include "session/sessions.h"

/* ---- the slot ---- */

static int take_address(struct client *client, const struct sockaddr *peer)
{
    struct connection_limits *limits = client->sessions->connection_limits;
    if (!connection_limits_counts_addresses(limits))
        return 0;
    client->peer = malloc(sizeof *client->peer);
    if (!client->peer)
        return ERR_OUT_OF_MEMORY;
    memcpy(client->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    if (connection_limits_take_address(limits, peer))
        return 0;
    free(client->peer);
    client->peer = NULL;
    return ERR_TOO_MANY_SESSIONS_OF_IP;
}

static int take_slot(struct client *client, const struct request *request)
{
    struct connection_limits *limits = client->sessions->connection_limits;
    if (client->sessions->stopping)
        return ERR_STOPPING;
    if (!connection_limits_take_session(limits))
        return ERR_TOO_MANY_SESSIONS;
    int err = take_address(client, request_client(request));
    if (err)
        connection_limits_give_session(limits);
    return err;
}

static void init(struct client *client, struct sessions *sessions, const struct session_ops *ops)
{
    *client = (struct client){.sessions = sessions};
    client->session.ops = ops;
    client->session.id = hash_number(++sessions->next_session);
    client->session.queue_high = sessions->queue_high;
    session_init(&client->session);
}

int client_admit(struct client *client, struct sessions *sessions, const struct session_ops *ops,
                 const struct request *request)
{
    init(client, sessions, ops);
    int err = take_slot(client, request);
    if (!err)
        sessions->open++;
    return err;
}

int client_admit_to_refuse(struct client *client, struct sessions *sessions,
                           const struct session_ops *ops, const struct request *request,
                           int *ret_refused)
{
    int err = client_admit(client, sessions, ops, request);
    *ret_refused = err == ERR_TOO_MANY_SESSIONS_OF_IP ? err : 0;
    if (!*ret_refused)
        return err;
    if (!connection_limits_take_session(sessions->connection_limits))
        return ERR_TOO_MANY_SESSIONS;
    sessions->open++;
    return 0;
}

void client_finish(struct client *client)
{
    struct connection_limits *limits = client->sessions->connection_limits;
    client->sessions->open--;
    if (client->peer)
        connection_limits_give_address(limits, (struct sockaddr *)client->peer);
    free(client->peer);
    connection_limits_give_session(limits);
}

/* ---- whose it is ---- */

int client_authorize(struct client *client, struct request *request)
{
    if (request_who(request) == &identity_anyone)
        return 0;
    client->auth =
        session_auth_create(client->sessions->auths, &client->session, request_take_who(request));
    return client->auth ? 0 : ERR_OUT_OF_MEMORY;
}

int client_authorize_later(struct client *client, const struct sockaddr *peer)
{
    client->auth = session_auth_create_waiting(client->sessions->auths, &client->session, peer);
    return client->auth ? 0 : ERR_TOO_MANY_SESSIONS;
}

bool client_waits_for_token(const struct client *client)
{
    return client->auth && !client->auth->who;
}

static void drop_auth(struct client *client)
{
    session_auth_destroy(client->auth);
    client->auth = NULL;
}

void client_renew(struct client *client, struct identity *who)
{
    if (who == &identity_anyone)
        drop_auth(client);
    else
        session_auth_renew(client->auth, who);
}

const struct identity *client_who(const struct client *client)
{
    return session_auth_who(client->auth);
}

/* ---- its life ---- */

/* Whoever revokes writes it down, then closes the sessions that are found at the broker. So either
 * the watch was there before, or the note is here now. */
int client_open(struct client *client, const struct catch_up_start *start)
{
    const struct sessions *sessions = client->sessions;
    int err = catch_up_open(sessions->reactor->catch_up, &client->session, start);
    if (!err && client->auth &&
        access_revoked(session_auths_access(sessions->auths), client_who(client)))
        return ERR_KICKED;
    return err;
}

void client_start(struct client *client)
{
    session_auth_start(client->auth);
}

void client_leave(struct client *client, enum err reason)
{
    struct reactor *reactor = client->sessions->reactor;
    if (reason)
        metrics_add(&reactor->metrics.closed[reason], 1);
    catch_up_close(reactor->catch_up, &client->session);
    drop_auth(client);
}

void client_drained(struct client *client)
{
    catch_up_drained(client->sessions->reactor->catch_up, &client->session);
}
