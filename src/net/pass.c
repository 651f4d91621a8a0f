#include "net/pass.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/session.h"
#include "net/budget.h"
#include "net/wheel.h"

/* Each is looked at so often: the wall clock may jump, and a revocation also concerns sessions that
 * no broker could find by their user. */
#define LOOK_SECONDS 10

struct passes {
    struct budget *budget;
    struct access *access;
    int64_t auth_timeout_ms;
    struct wheel looks;
    struct worker_hook second;
};

static int64_t left_ms(const struct pass *pass)
{
    return pass->end_ms - (pass->who ? clock_wall_ms() : clock_mono_ms());
}

static void look_again(struct pass *pass)
{
    int64_t seconds = (left_ms(pass) + 999) / 1000;
    list_remove(&pass->link);
    wheel_add(&pass->all->looks, &pass->link,
              seconds < 1              ? 1
              : seconds > LOOK_SECONDS ? LOOK_SECONDS
                                       : (size_t)seconds);
}

/* Closing may end the pass. */
static void look(struct pass *pass)
{
    if (left_ms(pass) <= 0)
        session_close(pass->session, pass->who ? ERR_TOKEN_EXPIRED : ERR_UNAUTHORIZED);
    else if (pass->who && access_revoked(pass->all->access, pass->who))
        session_close(pass->session, ERR_KICKED);
    else
        look_again(pass);
}

static void on_second(struct worker_hook *hook)
{
    struct passes *passes = list_entry(hook, struct passes, second);
    struct list due;
    list_init(&due);
    wheel_turn(&passes->looks, &due);
    for (struct pass *pass; (pass = list_first(&due, struct pass, link));) {
        list_remove(&pass->link);
        look(pass);
    }
}

struct passes *passes_create(struct worker *worker, struct budget *budget)
{
    struct passes *passes = mem_alloc(sizeof *passes);
    passes->budget = budget;
    wheel_init(&passes->looks, LOOK_SECONDS);
    passes->second.run = on_second;
    worker_on_second(worker, &passes->second);
    return passes;
}

void passes_destroy(struct passes *passes)
{
    if (!passes)
        return;
    wheel_finish(&passes->looks);
    free(passes);
}

void passes_change(struct passes *passes, struct access *access, int64_t auth_timeout_ms)
{
    passes->access = access;
    passes->auth_timeout_ms = auth_timeout_ms;
}

const struct access *passes_access(const struct passes *passes)
{
    return passes->access;
}

static struct pass *create(struct passes *passes, struct session *session)
{
    struct pass *pass = calloc(1, sizeof *pass);
    if (!pass)
        return NULL;
    pass->all = passes;
    pass->session = session;
    list_init(&pass->link);
    return pass;
}

struct pass *pass_create(struct passes *passes, struct session *session, struct identity *who)
{
    struct pass *pass = create(passes, session);
    if (!pass) {
        identity_destroy(who);
        return NULL;
    }
    pass->who = who;
    pass->end_ms = identity_end_ms(who);
    return pass;
}

static struct sockaddr *copy_peer(const struct sockaddr *peer)
{
    size_t size =
        peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct sockaddr *copy = malloc(size);
    return copy ? memcpy(copy, peer, size) : NULL;
}

static void give_share(struct pass *pass)
{
    if (pass->peer)
        budget_give_unauthenticated(pass->all->budget, pass->peer);
    free(pass->peer);
    pass->peer = NULL;
}

struct pass *pass_create_waiting(struct passes *passes, struct session *session,
                                 const struct sockaddr *peer)
{
    struct pass *pass = create(passes, session);
    if (!pass)
        return NULL;
    pass->peer = copy_peer(peer);
    if (!pass->peer || !budget_take_unauthenticated(passes->budget, peer)) {
        free(pass->peer);
        free(pass);
        return NULL;
    }
    pass->end_ms = clock_mono_ms() + passes->auth_timeout_ms;
    return pass;
}

void pass_start(struct pass *pass)
{
    if (pass)
        look_again(pass);
}

void pass_renew(struct pass *pass, struct identity *who)
{
    give_share(pass);
    identity_destroy(pass->who);
    pass->who = who;
    pass->end_ms = identity_end_ms(who);
    look_again(pass);
}

void pass_destroy(struct pass *pass)
{
    if (!pass)
        return;
    give_share(pass);
    list_remove(&pass->link);
    identity_destroy(pass->who);
    free(pass);
}

const struct identity *pass_who(const struct pass *pass)
{
    return pass ? pass->who : &identity_anyone;
}
