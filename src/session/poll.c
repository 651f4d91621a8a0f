#include "session/poll.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timer_wheel.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "model/connection_manager.h"
#include "model/message.h"
#include "model/session.h"
#include "session/session_auth.h"
#include "session/sessions.h"
#include "session/subscribe_request.h"
#include "session/wire_json.h"
#include "socket/stream.h"

#define JSON_TYPE       "application/json"
#define MAX_WAIT        55 /* seconds; proxies cut a silent connection off after 60 */
#define PAGE_COUNT      100
#define PAGE_BYTES      ((size_t)256 * 1024)
#define CLOSING_SECONDS 5

enum state { WAITING, ANSWERED, ENDED };

/* A poll that waits on its own socket. */
struct poll_session {
    struct stream stream; /* first: on_data and the others find the rest */
    struct session session;
    struct session_slot slot;
    struct session_auth *auth; /* NULL: nobody needs one */
    struct list link;          /* the wheel of waits; those with news; those closing */
    struct buf messages;       /* the answer's, parted by commas */
    struct buf head;           /* written beforehand, while the request is there to be asked */
    struct buf kicked;         /* likewise, the whole answer: a client shall not ask again */
    uint64_t after;            /* the cursor it started at */
    uint64_t gap;              /* where it resumes after one; 0: none */
    uint32_t count;
    uint32_t max; /* bytes of a message its reader takes; 0: any number */
    uint8_t state;
    uint8_t seconds; /* since it was answered */
};

struct polls {
    struct reactor *reactor;
    struct timer_wheel waits;
    struct list news; /* polls to be answered at the end of this turn */
    struct list closing;
    struct reactor_hook turn;
    struct reactor_hook second;
};

static struct poll_session *from_session(const struct session *session)
{
    return list_entry(session, struct poll_session, session);
}

static struct poll_session *from_stream(struct stream *stream)
{
    return (struct poll_session *)stream;
}

static struct polls *all_of(const struct poll_session *self)
{
    return self->slot.sessions->polls;
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
    list_remove(&self->link);
    list_append(&all_of(self)->news, &self->link);
    reactor_again(self->slot.sessions->reactor);
}

static bool deliver(struct session *session, struct message *message)
{
    struct poll_session *self = from_session(session);
    wire_json_add_to_page(&self->messages, message, self->max);
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

static void end(struct poll_session *self)
{
    self->state = ENDED;
    stream_close(&self->stream);
}

static void leave(struct poll_session *self, enum err reason)
{
    struct reactor *reactor = self->slot.sessions->reactor;
    if (reason)
        metrics_add(&reactor->metrics.closed[reason], 1);
    catch_up_close(reactor->catch_up, &self->session);
    session_auth_destroy(self->auth);
    self->auth = NULL;
    list_remove(&self->link);
    list_append(&all_of(self)->closing, &self->link);
    self->state = ANSWERED;
    self->seconds = 0;
}

static bool send_buf(struct poll_session *self, const struct buf *whole)
{
    struct chunk *frame = frame_from(whole);
    bool sent = frame && stream_send(&self->stream, frame);
    frame_unref(frame);
    return sent;
}

static bool send_page(struct poll_session *self)
{
    struct buf body;
    buf_init(&body);
    wire_json_page(&body, &(struct wire_page){
                              .messages = &self->messages,
                              .next = self->count || self->gap ? self->session.cursor : self->after,
                              .more = self->session.more,
                              .after = self->after,
                              .resumes = self->gap,
                          });
    buf_add_format(&self->head, "Content-Length: %zu\r\n\r\n", body.size);
    buf_add(&self->head, body.data, body.size);
    self->head.failed = self->head.failed || !buf_ok(&body);
    buf_finish(&body);
    return send_buf(self, &self->head);
}

static void answer(struct poll_session *self, enum err reason)
{
    struct topic user = connection_manager_user(&self->session);
    if (self->state != WAITING)
        return;
    if (reason != ERR_KICKED && !self->slot.sessions->stopping)
        broker_linger(self->slot.sessions->reactor->broker, &user);
    bool sent = reason == ERR_KICKED ? send_buf(self, &self->kicked) : send_page(self);
    leave(self, reason);
    if (!sent)
        end(self);
}

static void close_session(struct session *session, enum err reason)
{
    answer(from_session(session), reason);
}

static const struct session_ops session_ops = {
    .transport = TRANSPORT_POLL,
    .deliver = deliver,
    .tell_gap = tell_gap,
    .queued = queued,
    .close = close_session,
};

/* ---- the socket's side ---- */

static void on_data(struct stream *stream, const char *bytes, size_t size)
{
    (void)stream;
    (void)bytes;
    (void)size;
}

static void on_drained(struct stream *stream)
{
    if (!stream_queued(stream))
        stream_shutdown(stream);
}

/* A departed client is noticed while it waits; its user is not counted on any longer. */
static void on_end(struct stream *stream, enum err reason)
{
    struct poll_session *self = from_stream(stream);
    if (self->state == WAITING)
        leave(self, reason);
    end(self);
}

static void free_poll(struct stream *stream)
{
    struct poll_session *self = from_stream(stream);
    list_remove(&self->link);
    self->slot.sessions->open--;
    session_slot_give(&self->slot);
    buf_finish(&self->messages);
    buf_finish(&self->head);
    buf_finish(&self->kicked);
    free(self);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
    .free = free_poll,
};

/* ---- turns and seconds ---- */

static void end_turn(struct reactor_hook *hook)
{
    struct polls *polls = list_entry(hook, struct polls, turn);
    for (struct poll_session *self; (self = list_first(&polls->news, struct poll_session, link));) {
        answer(self, ERR_NONE);
        reactor_again(polls->reactor); /* what is queued is still to be written */
    }
}

static void on_second(struct reactor_hook *hook)
{
    struct polls *polls = list_entry(hook, struct polls, second);
    struct list due;
    list_init(&due);
    timer_wheel_turn(&polls->waits, &due);
    for (struct poll_session *self; (self = list_first(&due, struct poll_session, link));)
        answer(self, ERR_NONE);
    list_for_each_safe(closing, &polls->closing, struct poll_session, link) {
        if (closing->state != ENDED && ++closing->seconds > CLOSING_SECONDS)
            end(closing);
    }
}

struct polls *polls_create(struct reactor *reactor)
{
    struct polls *polls = mem_alloc(sizeof *polls);
    polls->reactor = reactor;
    timer_wheel_init(&polls->waits, MAX_WAIT);
    list_init(&polls->news);
    list_init(&polls->closing);
    polls->turn.run = end_turn;
    reactor_on_turn(reactor, &polls->turn);
    polls->second.run = on_second;
    reactor_on_second(reactor, &polls->second);
    return polls;
}

void polls_destroy(struct polls *polls)
{
    if (!polls)
        return;
    timer_wheel_finish(&polls->waits);
    free(polls);
}

void polls_answer_all(struct polls *polls, enum err reason)
{
    struct list all;
    list_init(&all);
    timer_wheel_empty(&polls->waits, &all);
    for (struct poll_session *self; (self = list_first(&all, struct poll_session, link));)
        answer(self, reason);
}

void polls_abort_all(struct polls *polls)
{
    polls_answer_all(polls, ERR_STOPPING);
    list_for_each_safe(self, &polls->closing, struct poll_session, link)
        end(self);
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
    struct sessions *sessions = request_state(asked->request);
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
    metrics_add(&sessions->reactor->metrics.delivered[TRANSPORT_POLL], (int64_t)read->count);
    if (!sessions->stopping)
        broker_linger(sessions->reactor->broker, &asked->subscribe_request.start.user);
    request_add_header(asked->request, "Cache-Control", "no-store");
    request_answer(asked->request, 200, JSON_TYPE, &body);
}

static bool adopt(struct poll_session *self, const struct asked *asked)
{
    struct sessions *sessions = self->slot.sessions;
    request_write_head(asked->request, &self->head, 200, JSON_TYPE);
    request_write_problem(asked->request, &self->kicked, ERR_KICKED, "Stop polling.");
    int fd = request_adopt(asked->request);
    if (fd < 0)
        return false;
    if (!stream_open(&self->stream, sessions->streams, &stream_ops, fd)) {
        close(fd);
        return false;
    }
    sessions->open++;
    self->state = WAITING;
    self->after = self->session.cursor;
    timer_wheel_add(&sessions->polls->waits, &self->link, asked->wait);
    return true;
}

static int open_poll(struct poll_session *self, const struct asked *asked)
{
    struct sessions *sessions = request_state(asked->request);
    self->session.ops = &session_ops;
    self->max = asked->subscribe_request.max;
    sessions_name(sessions, &self->session);
    list_init(&self->link);
    buf_init(&self->messages);
    buf_init(&self->head);
    buf_init(&self->kicked);
    int err = session_slot_take(&self->slot, sessions, asked->request);
    if (err)
        return err;
    err = sessions_give_auth(sessions, &self->session, asked->request, &self->auth);
    if (!err)
        err = sessions_open(sessions, &self->session, self->auth, &asked->subscribe_request.start);
    if (!err && adopt(self, asked)) {
        session_auth_start(self->auth);
        return 0;
    }
    catch_up_close(sessions->reactor->catch_up, &self->session);
    session_auth_destroy(self->auth);
    session_slot_give(&self->slot);
    buf_finish(&self->head);
    buf_finish(&self->kicked);
    return err ? err : ERR_TOO_MANY_SESSIONS;
}

static void start_waiting(struct asked *asked)
{
    struct poll_session *self = calloc(1, sizeof *self);
    int err = self ? open_poll(self, asked) : ERR_OUT_OF_MEMORY;
    if (!err)
        return;
    free(self);
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
    const struct sessions *sessions = request_state(request);
    const char *text = request_query(request, "wait");
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
    struct sessions *sessions = request_state(asked->request);
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

void poll_serve(struct request *request)
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
