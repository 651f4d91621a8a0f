/* `/poll/<user>`: a long poll, for clients that can do no better.
 *
 * Answers at once when something lies after the cursor; else the socket is adopted and waits as a
 * session does, at no cost to anybody, and answers with what comes, or empty when its time is up.
 * A user counts as online for ten seconds more, until the next poll. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "http/response.h"
#include "http/target.h"
#include "model/connection_manager.h"
#include "model/message.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/stream_client.h"
#include "session/subscribe_request.h"
#include "session/wire_json.h"

#define JSON_TYPE  "application/json"
#define MAX_WAIT   55 /* seconds; proxies cut a silent connection off after 60 */
#define PAGE_COUNT 100
#define PAGE_BYTES ((size_t)256 * 1024)

/* A poll that waits on its own socket. */
struct poll_session {
    struct stream_client base; /* first: the callbacks find the rest */
    struct buf messages;       /* the answer's, parted by commas */
    struct buf head;           /* written beforehand, while the request is there to be asked */
    struct buf kicked;         /* likewise, the whole answer: a client shall not ask again */
    uint64_t after;            /* the cursor it started at */
    uint64_t gap;              /* where it resumes after one; 0: none */
    uint32_t count;
};

struct polls {
    struct stream_clients clients; /* first: this is a protocol's state */
    struct reactor *reactor;
    struct list news; /* polls to be answered at the end of this turn */
    struct reactor_hook turn;
};

static struct poll_session *from_session(const struct session *session)
{
    return (struct poll_session *)stream_client_of(session);
}

static struct polls *all_of(const struct poll_session *self)
{
    return list_entry(self->base.all, struct polls, clients);
}

/* ---- a poll that waits: the session's side ---- */

/* More than a page waits for the next poll: above its mark a session is offered no more. */
static size_t queued(const struct session *session)
{
    const struct poll_session *self = from_session(session);
    return self->count >= PAGE_COUNT ? SIZE_MAX : self->messages.size;
}

static void have_news(struct poll_session *self)
{
    struct polls *polls = all_of(self);
    list_remove(&self->base.link);
    list_append(&polls->news, &self->base.link);
    reactor_again(polls->reactor);
}

static bool deliver(struct session *session, struct message *message)
{
    struct poll_session *self = from_session(session);
    wire_json_add_to_page(&self->messages, message, self->base.max);
    self->count++;
    have_news(self);
    return true;
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel)
{
    (void)after;
    (void)channel;
    from_session(session)->gap = resumes;
    have_news(from_session(session));
    return true;
}

static bool send_page(struct poll_session *self)
{
    const struct session *session = &self->base.client.session;
    struct buf body;
    buf_init(&body);
    wire_json_page(&body, &(struct wire_page){
                              .messages = &self->messages,
                              .next = self->count || self->gap ? session->cursor : self->after,
                              .more = session->more,
                              .after = self->after,
                              .resumes = self->gap,
                          });
    buf_add_format(&self->head, "Content-Length: %zu\r\n\r\n", body.size);
    buf_add(&self->head, body.data, body.size);
    self->head.failed = self->head.failed || !buf_ok(&body);
    buf_finish(&body);
    return stream_client_send(&self->base, &self->head);
}

/* Its user counts as online until the next poll. */
static void linger(const struct poll_session *self)
{
    const struct sessions *sessions = self->base.client.sessions;
    struct topic user = connection_manager_user(&self->base.client.session);
    if (!sessions->stopping)
        broker_linger(sessions->reactor->broker, &user);
}

static void answer(struct poll_session *self, enum err reason)
{
    bool kicked = reason == ERR_KICKED;
    if (!stream_client_is_open(&self->base))
        return;
    if (!kicked)
        linger(self);
    bool sent = kicked ? stream_client_send(&self->base, &self->kicked) : send_page(self);
    stream_client_leave(&self->base, reason);
    if (!sent)
        stream_client_end(&self->base);
}

static void close_session(struct session *session, enum err reason)
{
    answer(from_session(session), reason);
}

static void on_due(struct stream_client *client)
{
    answer((struct poll_session *)client, ERR_NONE);
}

/* A departed client is noticed while it waits; its user is not counted on any longer. */
static void on_lost(struct stream_client *client, enum err reason)
{
    stream_client_leave(client, reason);
    stream_client_end(client);
}

static void poll_session_destroy(struct poll_session *self)
{
    if (!self)
        return;
    buf_finish(&self->messages);
    buf_finish(&self->head);
    buf_finish(&self->kicked);
    free(self);
}

static void free_poll(struct stream_client *client)
{
    poll_session_destroy((struct poll_session *)client);
}

static const struct stream_client_ops ops = {
    .session =
        {
            .transport = "poll",
            .protocol = PROTOCOL_POLL,
            .deliver = deliver,
            .tell_gap = tell_gap,
            .queued = queued,
            .close = close_session,
        },
    .on_due = on_due,
    .on_lost = on_lost,
    .free = free_poll,
};

/* ---- all of them ---- */

static void end_turn(struct reactor_hook *hook)
{
    struct polls *polls = list_entry(hook, struct polls, turn);
    for (struct poll_session *self;
         (self = list_first(&polls->news, struct poll_session, base.link));)
        answer(self, ERR_NONE);
}

static void *create(struct sessions *sessions)
{
    struct polls *polls = mem_alloc(sizeof *polls);
    polls->reactor = sessions->reactor;
    stream_clients_init(&polls->clients, &ops, MAX_WAIT, sessions->reactor);
    list_init(&polls->news);
    polls->turn.run = end_turn;
    reactor_on_turn(sessions->reactor, TURN_ANSWER, &polls->turn);
    return polls;
}

static void destroy(void *state)
{
    struct polls *polls = state;
    stream_clients_finish(&polls->clients);
    free(polls);
}

/* ---- asking ---- */

/* What is known of a request until it is answered or waits. */
struct asked {
    struct read_call read; /* first: on_page finds the rest */
    struct request *request;
    struct subscribe_request subscribe_request;
    struct read_topic *topics;
    struct message *messages[PAGE_COUNT];
    size_t wait; /* seconds */
};

static void asked_destroy(struct asked *asked)
{
    for (size_t i = 0; i < asked->read.count; i++)
        message_unref(asked->read.messages[i]);
    subscribe_request_finish(&asked->subscribe_request);
    free(asked->topics);
    free(asked);
}

static uint64_t gap_of(const struct read_call *read)
{
    uint64_t resumes = 0;
    if (read->above_head)
        return read->head;
    for (size_t i = 0; i < read->topic_count; i++) {
        if (read->topics[i].gap && read->topics[i].told > resumes)
            resumes = read->topics[i].told;
    }
    return resumes;
}

static void answer_page(struct asked *asked)
{
    const struct read_call *read = &asked->read;
    struct sessions *sessions = request_context(asked->request);
    struct buf messages, body;
    uint64_t next = read->above_head ? read->head : read->after;
    buf_init(&messages);
    buf_init(&body);
    for (size_t i = 0; i < read->count; i++) {
        wire_json_add_to_page(&messages, read->messages[i], asked->subscribe_request.max);
        next = read->messages[i]->id;
    }
    wire_json_page(&body, &(struct wire_page){
                              .messages = &messages,
                              .next = next,
                              .more = read->more,
                              .after = read->after,
                              .resumes = gap_of(read),
                          });
    buf_finish(&messages);
    metrics_add(&sessions->reactor->metrics.delivered[PROTOCOL_POLL], (int64_t)read->count);
    if (!sessions->stopping)
        broker_linger(sessions->reactor->broker, &asked->subscribe_request.start.user);
    response_add_field(request_response(asked->request), "Cache-Control", "no-store");
    request_answer(asked->request, 200, JSON_TYPE, &body);
}

static struct poll_session *poll_session_create(struct request *request)
{
    struct poll_session *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    buf_init(&self->messages);
    buf_init(&self->head);
    buf_init(&self->kicked);
    request_write_head(request, &self->head, 200, JSON_TYPE);
    request_write_problem(request, &self->kicked, ERR_KICKED, "Stop polling.");
    return self;
}

static void start_waiting(struct asked *asked)
{
    const struct sessions *sessions = request_context(asked->request);
    struct poll_session *self = poll_session_create(asked->request);
    int err = self ? stream_client_open(&self->base, protocol_state(sessions, PROTOCOL_POLL),
                                        asked->request, &asked->subscribe_request, asked->wait)
                   : ERR_OUT_OF_MEMORY;
    if (!err) {
        self->after = self->base.client.session.cursor;
        return;
    }
    poll_session_destroy(self);
    sessions_refuse(asked->request, err);
}

static void use_page(struct asked *asked)
{
    const struct read_call *read = &asked->read;
    if (read->call.err)
        sessions_refuse(asked->request, (int)read->call.err);
    else if (read->count || read->above_head || gap_of(read) || !asked->wait)
        answer_page(asked);
    else
        start_waiting(asked);
    asked_destroy(asked);
}

static void on_page(struct call *call)
{
    struct asked *asked = (struct asked *)call;
    if (request_drop_late(asked->request))
        asked_destroy(asked);
    else
        use_page(asked);
}

/* wait, in seconds. False: a problem was answered. */
static bool read_wait(struct request *request, size_t *ret_wait)
{
    const struct sessions *sessions = request_context(request);
    const char *text = target_query(request_target(request), "wait");
    uint64_t wait = (uint64_t)(sessions->poll_wait_ms + 999) / 1000;
    if (text && (!text_parse_u64(text, strlen(text), &wait) || wait > MAX_WAIT)) {
        request_problem(request, ERR_BAD_PARAMETER, "wait",
                        "wait is a number of seconds from 0 to %d.", MAX_WAIT);
        return false;
    }
    /* Of a HEAD nobody would read the answer. */
    *ret_wait = sessions->can_adopt && !request_is_head(request) ? (size_t)wait : 0;
    return true;
}

static bool list_topics(struct asked *asked)
{
    const struct catch_up_start *start = &asked->subscribe_request.start;
    asked->topics = calloc(2 + start->channel_count, sizeof *asked->topics);
    if (!asked->topics)
        return false;
    asked->topics[0].topic = start->user;
    asked->topics[1].topic = topic_make(TOPIC_ALL, "", 0);
    for (size_t i = 0; i < start->channel_count; i++)
        asked->topics[2 + i].topic = start->channels[i];
    asked->read.topics = asked->topics;
    asked->read.topic_count = 2 + start->channel_count;
    return true;
}

/* Without a cursor only what comes from now on counts: the page is read after head, for its id. */
static void read_page(struct asked *asked)
{
    struct sessions *sessions = request_context(asked->request);
    struct reactor *reactor = sessions->reactor;
    const struct catch_up_start *start = &asked->subscribe_request.start;
    asked->read.call.done = on_page;
    asked->read.after = start->has_after ? start->after : broker_stats(reactor->broker).head;
    asked->read.max_count = PAGE_COUNT;
    asked->read.max_bytes = PAGE_BYTES;
    asked->read.messages = asked->messages;
    if (broker_read(reactor->broker, reactor->member, &asked->read) == BROKER_ANSWERED)
        use_page(asked);
    else
        request_wait(asked->request);
}

static void on_located(void *context, int err)
{
    struct asked *asked = context;
    if (!err && list_topics(asked)) {
        read_page(asked);
        return;
    }
    if (err != SUBSCRIBE_REQUEST_LATE)
        sessions_refuse(asked->request, err ? err : ERR_OUT_OF_MEMORY);
    asked_destroy(asked);
}

static void serve(struct request *request)
{
    struct subscribe_request subscribe_request;
    size_t wait;
    const char *why;
    if (!request_may_ask(request) || !read_wait(request, &wait) ||
        !subscribe_request_read(request, &subscribe_request))
        return;
    int refused = subscribe_request_admit(request, &subscribe_request, &why);
    struct asked *asked = refused ? NULL : calloc(1, sizeof *asked);
    if (!asked) {
        subscribe_request_finish(&subscribe_request);
        if (refused)
            request_refuse(request, (enum err)refused, why);
        else
            sessions_refuse(request, ERR_OUT_OF_MEMORY);
        return;
    }
    asked->request = request;
    asked->subscribe_request = subscribe_request;
    asked->wait = wait;
    subscribe_request_locate(request_reactor(request), request, &asked->subscribe_request,
                             on_located, asked);
}

static const struct route routes[] = {
    {"GET", "/poll/:id", serve, NULL, false, RIGHT_RECEIVE},
    {"POST", "/poll/:id", serve, NULL, false, RIGHT_RECEIVE},
};

const struct protocol poll_protocol = {
    .session_ops = &ops.session,
    .routes = {routes, sizeof routes / sizeof *routes},
    .create = create,
    .destroy = destroy,
    .close_all = stream_clients_close_all,
    .abort_all = stream_clients_abort_all,
};
