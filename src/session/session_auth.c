#include "session/session_auth.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/timer_wheel.h"
#include "engine/reactor.h"
#include "model/access.h"
#include "model/connection_limits.h"
#include "model/identity.h"
#include "model/session.h"

/* Each is looked at so often: the wall clock may jump, and a revocation also concerns sessions that
 * no broker could find by their user. */
#define LOOK_SECONDS 10

struct session_auths {
    struct connection_limits *connection_limits;
    struct access *access;
    int64_t auth_timeout_ms;
    struct timer_wheel looks;
    struct reactor_hook second;
};

static int64_t left_ms(const struct session_auth *auth)
{
    return auth->end_ms - (auth->who ? clock_wall_ms() : clock_mono_ms());
}

static void look_again(struct session_auth *auth)
{
    int64_t seconds = (left_ms(auth) + 999) / 1000;
    list_remove(&auth->link);
    timer_wheel_add(&auth->all->looks, &auth->link,
                    seconds < 1              ? 1
                    : seconds > LOOK_SECONDS ? LOOK_SECONDS
                                             : (size_t)seconds);
}

/* Closing may end the authorization. */
static void look(struct session_auth *auth)
{
    if (left_ms(auth) <= 0)
        session_close(auth->session, auth->who ? ERR_TOKEN_EXPIRED : ERR_UNAUTHORIZED);
    else if (auth->who && access_revoked(auth->all->access, auth->who))
        session_close(auth->session, ERR_KICKED);
    else
        look_again(auth);
}

static void on_second(struct reactor_hook *hook)
{
    struct session_auths *auths = list_entry(hook, struct session_auths, second);
    struct list due;
    list_init(&due);
    timer_wheel_turn(&auths->looks, &due);
    for (struct session_auth *auth; (auth = list_first(&due, struct session_auth, link));) {
        list_remove(&auth->link);
        look(auth);
    }
}

struct session_auths *session_auths_create(struct reactor *reactor,
                                           struct connection_limits *connection_limits)
{
    struct session_auths *auths = mem_alloc(sizeof *auths);
    auths->connection_limits = connection_limits;
    timer_wheel_init(&auths->looks, LOOK_SECONDS);
    auths->second.run = on_second;
    reactor_on_second(reactor, &auths->second);
    return auths;
}

void session_auths_destroy(struct session_auths *auths)
{
    if (!auths)
        return;
    timer_wheel_finish(&auths->looks);
    free(auths);
}

void session_auths_change(struct session_auths *auths, struct access *access,
                          int64_t auth_timeout_ms)
{
    auths->access = access;
    auths->auth_timeout_ms = auth_timeout_ms;
}

const struct access *session_auths_access(const struct session_auths *auths)
{
    return auths->access;
}

static struct session_auth *create(struct session_auths *auths, struct session *session)
{
    struct session_auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        return NULL;
    auth->all = auths;
    auth->session = session;
    list_init(&auth->link);
    return auth;
}

struct session_auth *session_auth_create(struct session_auths *auths, struct session *session,
                                         struct identity *who)
{
    struct session_auth *auth = create(auths, session);
    if (!auth) {
        identity_destroy(who);
        return NULL;
    }
    auth->who = who;
    auth->end_ms = identity_end_ms(who);
    return auth;
}

static struct sockaddr *copy_peer(const struct sockaddr *peer)
{
    size_t size =
        peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct sockaddr *copy = malloc(size);
    return copy ? memcpy(copy, peer, size) : NULL;
}

static void give_share(struct session_auth *auth)
{
    if (auth->peer)
        connection_limits_give_unauthenticated(auth->all->connection_limits, auth->peer);
    free(auth->peer);
    auth->peer = NULL;
}

struct session_auth *session_auth_create_waiting(struct session_auths *auths,
                                                 struct session *session,
                                                 const struct sockaddr *peer)
{
    struct session_auth *auth = create(auths, session);
    if (!auth)
        return NULL;
    auth->peer = copy_peer(peer);
    if (!auth->peer || !connection_limits_take_unauthenticated(auths->connection_limits, peer)) {
        free(auth->peer);
        free(auth);
        return NULL;
    }
    auth->end_ms = clock_mono_ms() + auths->auth_timeout_ms;
    return auth;
}

void session_auth_start(struct session_auth *auth)
{
    if (auth)
        look_again(auth);
}

void session_auth_renew(struct session_auth *auth, struct identity *who)
{
    give_share(auth);
    identity_destroy(auth->who);
    auth->who = who;
    auth->end_ms = identity_end_ms(who);
    look_again(auth);
}

void session_auth_destroy(struct session_auth *auth)
{
    if (!auth)
        return;
    give_share(auth);
    list_remove(&auth->link);
    identity_destroy(auth->who);
    free(auth);
}

const struct identity *session_auth_who(const struct session_auth *auth)
{
    return auth ? auth->who : &identity_anyone;
}
