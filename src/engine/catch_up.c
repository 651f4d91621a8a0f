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

/* A stream's topics in a row: own mail, broadcasts, then the channels. */
enum { OWN_MAIL, BROADCASTS, CHANNELS };

#define MAX_TOPICS (CHANNELS + CATCH_UP_MAX_CHANNELS)

struct slot { /* one read */
    struct read_call read;
    struct read_topic *topics;     /* with room for `room` of them, and for their names: */
    char (*names)[TOPIC_NAME_MAX]; /* the originals may be gone before the page is here */
    size_t room;
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
    struct catch_up_limits limits;
    struct list waiting; /* session::waiting, longest first */
    size_t in_flight;
    struct slot slots[MAX_IN_FLIGHT];
};

struct catch_up *catch_up_create(struct connection_manager *manager, struct broker *broker,
                                 int member, struct metrics *metrics,
                                 const struct catch_up_limits *limits)
{
    struct catch_up *catch_up = mem_alloc(sizeof *catch_up);
    catch_up->manager = manager;
    catch_up->broker = broker;
    catch_up->member = member;
    catch_up->metrics = metrics;
    catch_up->limits = *limits;
    list_init(&catch_up->waiting);
    return catch_up;
}

void catch_up_destroy(struct catch_up *catch_up)
{
    if (!catch_up)
        return;
    assert(list_empty(&catch_up->waiting) && !catch_up->in_flight);
    for (size_t i = 0; i < MAX_IN_FLIGHT; i++) {
        free(catch_up->slots[i].topics);
        free(catch_up->slots[i].names);
    }
    free(catch_up);
}

size_t catch_up_in_flight(const struct catch_up *catch_up)
{
    return catch_up->in_flight;
}

static _Atomic int64_t *gauge(struct catch_up *catch_up, const struct session *session)
{
    size_t protocol = session->ops->protocol;
    return session->state == SESSION_LIVE ? &catch_up->metrics->live[protocol]
                                          : &catch_up->metrics->behind[protocol];
}

static void set_state(struct catch_up *catch_up, struct session *session, enum session_state state)
{
    if (session->state != SESSION_CLOSED)
        metrics_add(gauge(catch_up, session), -1);
    session->state = state;
    if (session->state != SESSION_CLOSED)
        metrics_add(gauge(catch_up, session), 1);
}

static struct topic everyone(void)
{
    return topic_make(TOPIC_ALL, "", 0);
}

/* All topics of an attached session; returns how many. */
static size_t watched_topics(const struct session *session,
                             struct topic ret_topics[static MAX_TOPICS])
{
    size_t count = CHANNELS;
    ret_topics[OWN_MAIL] = connection_manager_user(session);
    ret_topics[BROADCASTS] = everyone();
    for (const struct subscription *at = session->channels; at; at = at->next)
        ret_topics[count++] = connection_manager_channel(at);
    return count;
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

static int check_limits(const struct catch_up *catch_up, const struct catch_up_start *start)
{
    if (broker_count(catch_up->broker, &start->user) >= catch_up->limits.sessions_per_user)
        return ERR_TOO_MANY_SESSIONS_OF_USER;
    return start->channel_count > catch_up->limits.channels_per_session ? ERR_TOO_MANY_CHANNELS : 0;
}

/* Where others listen already, one more is welcome. */
static bool has_too_many_channels(const struct catch_up *catch_up, size_t before)
{
    size_t now = connection_manager_channels(catch_up->manager);
    return now > before && now > catch_up->limits.channels;
}

static bool attach(struct catch_up *catch_up, struct session *session,
                   const struct catch_up_start *start)
{
    if (!connection_manager_attach(catch_up->manager, session, &start->user))
        return false;
    for (size_t i = 0; i < start->channel_count; i++) {
        if (connection_manager_subscribe(catch_up->manager, session, &start->channels[i], 0))
            continue;
        connection_manager_detach(catch_up->manager, session);
        return false;
    }
    return true;
}

static struct session_cold *cold_of(struct session *session)
{
    if (!session->cold)
        session->cold = calloc(1, sizeof *session->cold);
    return session->cold;
}

static void forget_cold(struct session *session)
{
    if (session->cold)
        free(session->cold->device);
    free(session->cold);
    session->cold = NULL;
}

/* False: out of memory. */
static bool remember_device(struct session *session, const struct catch_up_start *start)
{
    struct session_cold *cold = start->device ? cold_of(session) : NULL;
    if (cold)
        cold->device = strndup(start->device, start->device_length);
    return !start->device || (cold && cold->device);
}

int catch_up_open(struct catch_up *catch_up, struct session *session,
                  const struct catch_up_start *start)
{
    struct topic topics[MAX_TOPICS];
    uint64_t head;
    size_t channels = connection_manager_channels(catch_up->manager);
    int err = check_limits(catch_up, start);
    if (err)
        return err;
    if (!remember_device(session, start) || !attach(catch_up, session, start)) {
        forget_cold(session);
        return ERR_OUT_OF_MEMORY;
    }
    size_t count = watched_topics(session, topics);
    err = has_too_many_channels(catch_up, channels)
              ? ERR_TOO_MANY_CHANNELS
              : broker_watch(catch_up->broker, catch_up->member, topics, count, +1, &head);
    if (err) {
        connection_manager_detach(catch_up->manager, session);
        forget_cold(session);
        return err;
    }
    session->opened_at_s = (uint32_t)(clock_wall_ms() / 1000);
    session->cursor = start->has_after ? start->after : head;
    set_state(catch_up, session, start->has_after ? SESSION_BEHIND : SESSION_LIVE);
    if (start->has_after)
        want_page(catch_up, session);
    return 0;
}

/* A page that is on its way finds nobody. */
static void leave_page(struct catch_up *catch_up, struct session *session)
{
    for (size_t i = 0; session->reading && i < MAX_IN_FLIGHT; i++) {
        if (catch_up->slots[i].session == session)
            catch_up->slots[i].session = NULL;
    }
    session->reading = false;
}

void catch_up_close(struct catch_up *catch_up, struct session *session)
{
    struct topic topics[MAX_TOPICS];
    if (session->state == SESSION_CLOSED)
        return;
    set_state(catch_up, session, SESSION_CLOSED);
    list_remove(&session->waiting);
    leave_page(catch_up, session);
    size_t count = watched_topics(session, topics);
    broker_watch(catch_up->broker, catch_up->member, topics, count, -1, NULL);
    connection_manager_detach(catch_up->manager, session);
    forget_cold(session);
}

int catch_up_ack(struct catch_up *catch_up, struct session *session, uint64_t id)
{
    const char *device = session_device(session);
    if (!device)
        return ERR_BAD_FRAME;
    if (id > session->cursor)
        return ERR_BAD_FIELD;
    struct device_call call = {
        .verb = DEVICE_ACK,
        .user = connection_manager_user(session),
        .device = device,
        .length = strlen(device),
        .has_cursor = true,
        .cursor = id,
    };
    broker_device(catch_up->broker, catch_up->member, &call);
    return call.call.err;
}

static size_t count_channels(const struct session *session)
{
    size_t count = 0;
    for (const struct subscription *at = session->channels; at; at = at->next)
        count++;
    return count;
}

/* Rule (g): a page is of the topics it was asked for. It would carry the cursor past what lies
 * at a new one, and bring what lies at one that is gone. */
static void ask_anew(struct catch_up *catch_up, struct session *session)
{
    if (!session->reading)
        return;
    leave_page(catch_up, session);
    want_page(catch_up, session);
}

int catch_up_subscribe(struct catch_up *catch_up, struct session *session,
                       const struct topic *channel)
{
    size_t channels = connection_manager_channels(catch_up->manager);
    if (connection_manager_subscription(session, channel))
        return 0;
    if (count_channels(session) >= catch_up->limits.channels_per_session)
        return ERR_TOO_MANY_CHANNELS;
    struct subscription *subscription =
        connection_manager_subscribe(catch_up->manager, session, channel, 0);
    if (!subscription)
        return ERR_OUT_OF_MEMORY;
    /* Rule (f): what came before the watch is not for it, live or from pages. */
    int err =
        has_too_many_channels(catch_up, channels)
            ? ERR_TOO_MANY_CHANNELS
            : broker_watch(catch_up->broker, catch_up->member, channel, 1, +1, &subscription->from);
    if (err)
        connection_manager_unsubscribe(catch_up->manager, session, channel);
    else
        ask_anew(catch_up, session);
    return err;
}

bool catch_up_unsubscribe(struct catch_up *catch_up, struct session *session,
                          const struct topic *channel)
{
    if (!connection_manager_subscription(session, channel))
        return false;
    broker_watch(catch_up->broker, catch_up->member, channel, 1, -1, NULL);
    connection_manager_unsubscribe(catch_up->manager, session, channel);
    ask_anew(catch_up, session);
    return true;
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

static void resync_one(struct session *session, void *context)
{
    struct catch_up *catch_up = context;
    session->more = true;
    if (session->state != SESSION_LIVE)
        return;
    set_state(catch_up, session, SESSION_BEHIND);
    want_page_if_room(catch_up, session);
}

void catch_up_resync(struct catch_up *catch_up)
{
    struct topic all = everyone();
    metrics_add(&catch_up->metrics->overflows, 1);
    connection_manager_each(catch_up->manager, &all, resync_one, catch_up);
}

static bool tell_gap(struct catch_up *catch_up, struct session *session, uint64_t resumes,
                     const struct topic *channel)
{
    metrics_add(&catch_up->metrics->gaps, 1);
    return session->ops->tell_gap(session, session->cursor, resumes, channel);
}

/* The gap of all that the page names: 0 for none. Channels with one of their own are told apart
 * only where own mail and broadcasts are whole. */
static uint64_t common_gap(const struct read_call *read)
{
    uint64_t resumes = 0;
    if (!read->topics[OWN_MAIL].gap && !read->topics[BROADCASTS].gap)
        return 0;
    for (size_t i = 0; i < read->topic_count; i++) {
        if (read->topics[i].gap && read->topics[i].told > resumes)
            resumes = read->topics[i].told;
    }
    return resumes;
}

/* False: out of memory. */
static bool remember_told(struct session *session, const struct read_call *read)
{
    uint64_t told = read->topics[OWN_MAIL].told, all_told = read->topics[BROADCASTS].told;
    struct session_cold *cold = told || all_told ? cold_of(session) : session->cold;
    if (cold) {
        cold->told = told;
        cold->all_told = all_told;
    }
    const struct read_topic *from = &read->topics[CHANNELS]; /* rule (g): in the same order */
    for (struct subscription *at = session->channels; at; at = at->next)
        at->told = from++->told;
    assert(from == read->topics + read->topic_count);
    return cold || !(told || all_told);
}

/* Tells what the page says is gone. False: the session ended. */
static bool tell_gaps(struct catch_up *catch_up, struct session *session,
                      const struct read_call *read)
{
    uint64_t resumes = read->above_head ? read->head : common_gap(read);
    if (!remember_told(session, read)) {
        session_close(session, ERR_OUT_OF_MEMORY);
        return false;
    }
    if (resumes && !tell_gap(catch_up, session, resumes, NULL))
        return false;
    for (size_t i = CHANNELS; !resumes && i < read->topic_count; i++) {
        const struct read_topic *channel = &read->topics[i];
        if (channel->gap && !tell_gap(catch_up, session, channel->told, &channel->topic))
            return false;
    }
    if (read->above_head) /* given by a broker whose store is no longer there */
        session->cursor = read->head;
    return true;
}

static bool replay(struct catch_up *catch_up, struct session *session, const struct read_call *read)
{
    for (size_t i = 0; i < read->count; i++) {
        if (!session_replay(session, read->messages[i]))
            return false;
        metrics_add(&catch_up->metrics->replayed, 1);
    }
    metrics_add(&catch_up->metrics->delivered[session->ops->protocol], (int64_t)read->count);
    return true;
}

/* Who asked for all that is kept, and found nothing, has it from now on: what is lost after this
 * page is a gap. */
static void go_live(struct catch_up *catch_up, struct session *session,
                    const struct read_call *read)
{
    set_state(catch_up, session, SESSION_LIVE);
    if (!session->cursor)
        session->cursor = read->head;
}

static void use_page(struct catch_up *catch_up, struct session *session,
                     const struct read_call *read)
{
    session->reading = false;
    if (read->call.err) {
        session_close(session, read->call.err);
        return;
    }
    if (!tell_gaps(catch_up, session, read) || !replay(catch_up, session, read))
        return;
    if (!read->more && !session->more && session->state == SESSION_BEHIND)
        go_live(catch_up, session, read);
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

static bool make_room(struct slot *slot, size_t count)
{
    if (slot->room >= count)
        return true;
    free(slot->topics);
    free(slot->names);
    slot->topics = malloc(count * sizeof *slot->topics);
    slot->names = malloc(count * sizeof *slot->names);
    slot->room = slot->topics && slot->names ? count : 0;
    return slot->room > 0;
}

static void add_topic(struct slot *slot, struct topic topic, uint64_t from, uint64_t told)
{
    size_t i = slot->read.topic_count++;
    memcpy(slot->names[i], topic.name, topic.length);
    topic.name = slot->names[i];
    slot->topics[i] = (struct read_topic){.topic = topic, .from = from, .told = told};
}

static void add_topics(struct slot *slot, const struct session *session)
{
    const struct session_cold *cold = session->cold;
    add_topic(slot, connection_manager_user(session), 0, cold ? cold->told : 0);
    add_topic(slot, everyone(), 0, cold ? cold->all_told : 0);
    for (const struct subscription *at = session->channels; at; at = at->next)
        add_topic(slot, connection_manager_channel(at), at->from, at->told);
}

static void read_page(struct catch_up *catch_up, struct session *session)
{
    struct slot *slot = free_slot(catch_up);
    if (!make_room(slot, CHANNELS + count_channels(session))) {
        session_close(session, ERR_OUT_OF_MEMORY);
        return;
    }
    slot->catch_up = catch_up;
    slot->session = session;
    slot->busy = true;
    slot->read = (struct read_call){
        .call = {.done = on_page},
        .topics = slot->topics,
        .after = session->cursor,
        .max_count = PAGE_COUNT,
        .max_bytes = PAGE_BYTES,
        .messages = slot->messages,
    };
    add_topics(slot, session);
    session->more = false; /* before the read is issued, never after: rule (b) */
    session->reading = true;
    catch_up->in_flight++;
    if (broker_read(catch_up->broker, catch_up->member, &slot->read) == BROKER_ANSWERED)
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
