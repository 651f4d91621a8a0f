#include "session/sessions.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/hash.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "model/access.h"
#include "model/connection_limits.h"
#include "model/identity.h"
#include "model/session.h"
#include "session/session_auth.h"

static int take_address(struct session_slot *slot, const struct sockaddr *peer)
{
    if (!connection_limits_counts_addresses(slot->sessions->connection_limits))
        return 0;
    slot->peer = malloc(sizeof *slot->peer);
    if (!slot->peer)
        return ERR_OUT_OF_MEMORY;
    memcpy(slot->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    if (connection_limits_take_address(slot->sessions->connection_limits, peer))
        return 0;
    free(slot->peer);
    slot->peer = NULL;
    return ERR_TOO_MANY_SESSIONS_OF_IP;
}

int session_slot_take(struct session_slot *ret_slot, struct sessions *sessions,
                      const struct request *request)
{
    *ret_slot = (struct session_slot){.sessions = sessions};
    if (sessions->stopping)
        return ERR_STOPPING;
    if (!connection_limits_take_session(sessions->connection_limits))
        return ERR_TOO_MANY_SESSIONS;
    int err = take_address(ret_slot, request_client(request));
    if (err)
        connection_limits_give_session(sessions->connection_limits);
    return err;
}

int session_slot_take_for_websocket(struct session_slot *ret_slot, struct sessions *sessions,
                                    const struct request *request, int *ret_refused)
{
    int err = session_slot_take(ret_slot, sessions, request);
    *ret_refused = err == ERR_TOO_MANY_SESSIONS_OF_IP ? err : 0;
    if (!*ret_refused)
        return err;
    return connection_limits_take_session(sessions->connection_limits) ? 0 : ERR_TOO_MANY_SESSIONS;
}

void session_slot_give(struct session_slot *slot)
{
    if (slot->peer)
        connection_limits_give_address(slot->sessions->connection_limits,
                                       (struct sockaddr *)slot->peer);
    free(slot->peer);
    connection_limits_give_session(slot->sessions->connection_limits);
}

void sessions_name(struct sessions *sessions, struct session *session)
{
    session->id = hash_number(++sessions->next_session);
    session->queue_high = sessions->queue_high;
    session_init(session);
}

int sessions_give_auth(struct sessions *sessions, struct session *session, struct request *request,
                       struct session_auth **ret_auth)
{
    *ret_auth = NULL;
    if (request_who(request) == &identity_anyone)
        return 0;
    *ret_auth = session_auth_create(sessions->auths, session, request_take_who(request));
    return *ret_auth ? 0 : ERR_OUT_OF_MEMORY;
}

/* Whoever revokes writes it down, then closes the sessions that are found at the broker. So either
 * the watch was there before, or the note is here now. */
int sessions_open(struct sessions *sessions, struct session *session,
                  const struct session_auth *auth, const struct catch_up_start *start)
{
    int err = catch_up_open(sessions->reactor->catch_up, session, start);
    if (!err && auth &&
        access_revoked(session_auths_access(sessions->auths), session_auth_who(auth)))
        return ERR_KICKED;
    return err;
}

int64_t sessions_retry_ms(const struct sessions *sessions)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = 0;
    return (int64_t)(random % (uint64_t)(sessions->retry_spread_ms + 1));
}

void sessions_refuse(struct request *request, int err)
{
    request_add_header(request, "Retry-After", "5");
    request_problem(request, (enum err)err, NULL, "Try again later.");
}
