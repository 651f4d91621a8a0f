#include "net/door.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/hash.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/session.h"
#include "net/budget.h"
#include "net/exchange.h"
#include "net/pass.h"

static int take_address(struct place *place, const struct sockaddr *peer)
{
    if (!budget_counts_addresses(place->door->budget))
        return 0;
    place->peer = malloc(sizeof *place->peer);
    if (!place->peer)
        return ERR_OUT_OF_MEMORY;
    memcpy(place->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    if (budget_take_address(place->door->budget, peer))
        return 0;
    free(place->peer);
    place->peer = NULL;
    return ERR_TOO_MANY_SESSIONS_OF_IP;
}

int place_take(struct place *ret_place, struct door *door, const struct exchange *exchange)
{
    *ret_place = (struct place){.door = door};
    if (door->stopping)
        return ERR_STOPPING;
    if (!budget_take_session(door->budget))
        return ERR_TOO_MANY_SESSIONS;
    int err = take_address(ret_place, exchange_client(exchange));
    if (err)
        budget_give_session(door->budget);
    return err;
}

int place_take_for_websocket(struct place *ret_place, struct door *door,
                             const struct exchange *exchange, int *ret_refused)
{
    int err = place_take(ret_place, door, exchange);
    *ret_refused = err == ERR_TOO_MANY_SESSIONS_OF_IP ? err : 0;
    if (!*ret_refused)
        return err;
    return budget_take_session(door->budget) ? 0 : ERR_TOO_MANY_SESSIONS;
}

void place_give(struct place *place)
{
    if (place->peer)
        budget_give_address(place->door->budget, (struct sockaddr *)place->peer);
    free(place->peer);
    budget_give_session(place->door->budget);
}

void door_name_session(struct door *door, struct session *session)
{
    session->id = hash_number(++door->next_session);
    session->queue_high = door->queue_high;
    session_init(session);
}

int door_give_pass(struct door *door, struct session *session, struct exchange *exchange,
                   struct pass **ret_pass)
{
    *ret_pass = NULL;
    if (exchange_who(exchange) == &identity_anyone)
        return 0;
    *ret_pass = pass_create(door->passes, session, exchange_take_who(exchange));
    return *ret_pass ? 0 : ERR_OUT_OF_MEMORY;
}

/* Whoever revokes writes it down, then closes the sessions that are found at the broker. So either
 * the watch was there before, or the note is here now. */
int door_open_session(struct door *door, struct session *session, const struct pass *pass,
                      const struct catch_up_start *start)
{
    int err = catch_up_open(door->worker->catch_up, session, start);
    if (!err && pass && access_revoked(passes_access(door->passes), pass_who(pass)))
        return ERR_KICKED;
    return err;
}

int64_t door_retry_ms(const struct door *door)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = 0;
    return (int64_t)(random % (uint64_t)(door->retry_spread_ms + 1));
}

void door_refuse(struct exchange *exchange, int err)
{
    exchange_add_header(exchange, "Retry-After", "5");
    exchange_problem(exchange, (enum err)err, NULL, "Try again later.");
}
