#include "engine/catch_up.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "engine/broker.h"
#include "model/connection_manager.h"
#include "model/session.h"

#define MAX_IN_FLIGHT 8
#define PAGE_COUNT    100
#define PAGE_BYTES    ((size_t)256 * 1024)

enum { OWN_MAIL, BROADCASTS, STREAM_ADDRESSES };

struct slot { /* one read */
    struct read read;
    struct read_address addresses[STREAM_ADDRESSES];
    char user[ADDRESS_NAME_MAX]; /* the session's own name may be gone before the page is here */
    struct message *messages[PAGE_COUNT];
    struct catch_up *catch_up;
    struct session *session; /* NULL once it closed */
    bool busy;
};

struct catch_up {
    struct connection_manager *manager;
    struct broker *broker;
    int member;
    struct metrics *metrics;
    size_t max_per_user;
    struct list waiting; /* session::waiting, longest first */
    size_t in_flight;
    struct slot slots[MAX_IN_FLIGHT];
};

struct catch_up *catch_up_create(struct connection_manager *manager, struct broker *broker,
                                 int member, struct metrics *metrics, size_t max_per_user)
{
    struct catch_up *catch_up = mem_alloc(sizeof *catch_up);
    catch_up->manager = manager;
    catch_up->broker = broker;
    catch_up->member = member;
    catch_up->metrics = metrics;
    catch_up->max_per_user = max_per_user;
    list_init(&catch_up->waiting);
    return catch_up;
}

void catch_up_destroy(struct catch_up *catch_up)
{
    if (!catch_up)
        return;
    assert(list_empty(&catch_up->waiting) && !catch_up->in_flight);
    free(catch_up);
}

size_t catch_up_in_flight(const struct catch_up *catch_up)
{
    return catch_up->in_flight;
}

static void watched_addresses(const struct session *session,
                              struct address ret_addresses[static STREAM_ADDRESSES])
{
    ret_addresses[OWN_MAIL] = connection_manager_user(session);
    ret_addresses[BROADCASTS] = address_make(ADDRESS_ALL, "", 0);
}

/* Is there room for a page in the session's queue? */
static bool has_room(const struct session *session)
{
    return session->ops->queued(session) <= session->queue_high / 2;
}

static void want_page(struct catch_up *catch_up, struct session *session)
{
    if (!session->reading && list_empty(&session->waiting))
        list_append(&catch_up->waiting, &session->waiting);
}

int catch_up_open(struct catch_up *catch_up, struct session *session, const struct address *user,
                  const uint64_t *after)
{
    struct presence presence;
    broker_count(catch_up->broker, user, 1, &presence);
    if (presence.sessions >= catch_up->max_per_user)
        return ERR_TOO_MANY_SESSIONS_OF_USER;
    if (!connection_manager_attach(catch_up->manager, session, user))
        return ERR_OUT_OF_MEMORY;
    struct address addresses[STREAM_ADDRESSES];
    watched_addresses(session, addresses);
    uint64_t head;
    int err =
        broker_watch(catch_up->broker, catch_up->member, addresses, STREAM_ADDRESSES, +1, &head);
    if (err) {
        connection_manager_detach(catch_up->manager, session);
        return err;
    }
    session->opened_at_ms = clock_wall_ms();
    session->cursor = after ? *after : head;
    session->state = after ? SESSION_BEHIND : SESSION_LIVE;
    metrics_add(after ? &catch_up->metrics->sessions_websocket_behind
                      : &catch_up->metrics->sessions_websocket_live,
                1);
    if (after)
        want_page(catch_up, session);
    return 0;
}

void catch_up_close(struct catch_up *catch_up, struct session *session)
{
    if (session->state == SESSION_CLOSED)
        return;
    metrics_add(session->state == SESSION_LIVE ? &catch_up->metrics->sessions_websocket_live
                                               : &catch_up->metrics->sessions_websocket_behind,
                -1);
    session->state = SESSION_CLOSED;
    list_remove(&session->waiting);
    for (size_t i = 0; session->reading && i < MAX_IN_FLIGHT; i++) {
        if (catch_up->slots[i].session == session)
            catch_up->slots[i].session = NULL;
    }
    session->reading = false;
    struct address addresses[STREAM_ADDRESSES];
    watched_addresses(session, addresses);
    broker_watch(catch_up->broker, catch_up->member, addresses, STREAM_ADDRESSES, -1, NULL);
    connection_manager_detach(catch_up->manager, session);
}

static void go_live(struct catch_up *catch_up, struct session *session)
{
    session->state = SESSION_LIVE;
    metrics_add(&catch_up->metrics->sessions_websocket_behind, -1);
    metrics_add(&catch_up->metrics->sessions_websocket_live, 1);
}

/* Else its socket will drain, and ask. */
static void want_page_if_room(struct catch_up *catch_up, struct session *session)
{
    if (session->state == SESSION_BEHIND && has_room(session))
        want_page(catch_up, session);
}

void catch_up_drained(struct catch_up *catch_up, struct session *session)
{
    want_page_if_room(catch_up, session);
}

static void doubt_one(struct session *session, void *context)
{
    struct catch_up *catch_up = context;
    session->more = true;
    if (session->state != SESSION_LIVE)
        return;
    session->state = SESSION_BEHIND;
    metrics_add(&catch_up->metrics->sessions_websocket_live, -1);
    metrics_add(&catch_up->metrics->sessions_websocket_behind, 1);
    want_page_if_room(catch_up, session);
}

void catch_up_doubt(struct catch_up *catch_up)
{
    struct address all = address_make(ADDRESS_ALL, "", 0);
    metrics_add(&catch_up->metrics->doubts, 1);
    connection_manager_each(catch_up->manager, &all, doubt_one, catch_up);
}

/* Tells what the page says is gone. False: the session ended. */
static bool tell_gaps(struct catch_up *catch_up, struct session *session, const struct read *read)
{
    uint64_t after = session->cursor, resumes = 0;
    for (size_t i = 0; i < read->address_count; i++) {
        if (read->addresses[i].gap && read->addresses[i].told > resumes)
            resumes = read->addresses[i].told;
    }
    session->told = read->addresses[OWN_MAIL].told;
    session->all_told = read->addresses[BROADCASTS].told;
    if (read->above_head) /* given by a broker whose store is no longer there */
        session->cursor = resumes = read->head;
    if (!resumes)
        return true;
    metrics_add(&catch_up->metrics->gaps, 1);
    return session->ops->tell_gap(session, after, resumes);
}

static bool replay(struct catch_up *catch_up, struct session *session, const struct read *read)
{
    for (size_t i = 0; i < read->count; i++) {
        if (!session_replay(session, read->messages[i]))
            return false;
        metrics_add(&catch_up->metrics->replayed, 1);
    }
    metrics_add(&catch_up->metrics->delivered_websocket, (int64_t)read->count);
    return true;
}

static void use_page(struct catch_up *catch_up, struct session *session, const struct read *read)
{
    session->reading = false;
    if (read->err) {
        session_close(session, read->err);
        return;
    }
    if (!tell_gaps(catch_up, session, read) || !replay(catch_up, session, read))
        return;
    if (!read->more && !session->more && session->state == SESSION_BEHIND)
        go_live(catch_up, session);
    else
        want_page_if_room(catch_up, session);
}

static void finish(struct slot *slot)
{
    struct catch_up *catch_up = slot->catch_up;
    if (slot->session)
        use_page(catch_up, slot->session, &slot->read);
    for (size_t i = 0; i < slot->read.count; i++)
        message_unref(slot->read.messages[i]);
    slot->busy = false;
    slot->session = NULL;
    catch_up->in_flight--;
}

static void on_page(struct call *call)
{
    finish((struct slot *)call);
}

static struct slot *free_slot(struct catch_up *catch_up)
{
    size_t i = 0;
    while (catch_up->slots[i].busy)
        i++;
    assert(i < MAX_IN_FLIGHT);
    return &catch_up->slots[i];
}

static struct address own_address(struct slot *slot, const struct session *session)
{
    struct address user = connection_manager_user(session);
    memcpy(slot->user, user.name, user.length);
    user.name = slot->user;
    return user;
}

static void read_page(struct catch_up *catch_up, struct session *session)
{
    struct slot *slot = free_slot(catch_up);
    slot->catch_up = catch_up;
    slot->session = session;
    slot->busy = true;
    slot->addresses[OWN_MAIL] =
        (struct read_address){.address = own_address(slot, session), .told = session->told};
    slot->addresses[BROADCASTS] = (struct read_address){.address = address_make(ADDRESS_ALL, "", 0),
                                                        .told = session->all_told};
    slot->read = (struct read){
        .call = {.done = on_page},
        .addresses = slot->addresses,
        .address_count = STREAM_ADDRESSES,
        .after = session->cursor,
        .max_count = PAGE_COUNT,
        .max_bytes = PAGE_BYTES,
        .messages = slot->messages,
    };
    session->more = false; /* before the read is issued, never after: rule (b) */
    session->reading = true;
    catch_up->in_flight++;
    int err = broker_read(catch_up->broker, catch_up->member, &slot->read);
    if (err == BROKER_PENDING)
        return;
    slot->read.err = (enum err)err;
    finish(slot);
}

bool catch_up_waiting(const struct catch_up *catch_up)
{
    return !list_empty(&catch_up->waiting) && catch_up->in_flight < MAX_IN_FLIGHT;
}

void catch_up_run(struct catch_up *catch_up)
{
    for (int i = 0; i < MAX_IN_FLIGHT && catch_up_waiting(catch_up); i++) {
        struct session *session = list_first(&catch_up->waiting, struct session, waiting);
        list_remove(&session->waiting);
        read_page(catch_up, session);
    }
}
