#include "net/poll.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/connection_manager.h"
#include "model/message.h"
#include "model/session.h"
#include "net/door.h"
#include "net/exchange.h"
#include "net/pass.h"
#include "net/receiving.h"
#include "net/stream.h"
#include "net/wheel.h"

#define JSON_TYPE       "application/json"
#define MAX_WAIT        55 /* seconds; proxies cut a silent connection off after 60 */
#define PAGE_COUNT      100
#define PAGE_BYTES      ((size_t)256 * 1024)
#define CLOSING_SECONDS 5

enum state { WAITING, ANSWERED, ENDED };

/* A poll that waits on its own socket. */
struct poll {
    struct stream stream; /* first: on_data and the others find the rest */
    struct session session;
    struct place place;
    struct pass *pass;   /* NULL: nobody needs one */
    struct list link;    /* the wheel of waits; those with news; those closing */
    struct buf messages; /* the answer's, parted by commas */
    struct buf head;     /* written beforehand, while the request is there to be asked */
    struct buf kicked;   /* likewise, the whole answer: a client shall not ask again */
    uint64_t after;      /* the cursor it started at */
    uint64_t gap;        /* where it resumes after one; 0: none */
    uint32_t count;
    uint32_t max; /* bytes of a message its reader takes; 0: any number */
    uint8_t state;
    uint8_t seconds; /* since it was answered */
};

struct polls {
    struct worker *worker;
    struct wheel waits;
    struct list news; /* polls to be answered at the end of this turn */
    struct list closing;
    struct worker_hook turn;
    struct worker_hook second;
};

static struct poll *from_session(const struct session *session)
{
    return list_entry(session, struct poll, session);
}

static struct poll *from_stream(struct stream *stream)
{
    return (struct poll *)stream;
}

static struct polls *all_of(const struct poll *self)
{
    return self->place.door->polls;
}

/* ---- the answer ---- */

static void add_id(struct buf *body, uint64_t id)
{
    char text[TEXT_ID_SIZE];
    text_format_id(id, text);
    buf_add_format(body, "\"%s\"", text);
}

/* Or its outline, where it is larger than max. */
static void add_message(struct buf *messages, const struct message *message, size_t max)
{
    size_t before;
    buf_add_text(messages, messages->size ? ",{" : "{");
    before = messages->size;
    message_write_members(message, messages);
    if (max && buf_ok(messages) && messages->size - before + 2 > max) {
        messages->size = before;
        message_write_outline(message, messages);
    }
    buf_add_text(messages, "}");
}

static void write_answer(struct buf *body, const struct buf *messages, uint64_t next, bool more,
                         uint64_t after, uint64_t gap)
{
    buf_add_text(body, "{\"messages\":[");
    buf_add(body, messages->data, messages->size);
    buf_add_text(body, "],\"next\":");
    add_id(body, next);
    buf_add_text(body, more ? ",\"more\":true,\"gap\":" : ",\"more\":false,\"gap\":");
    if (gap) {
        buf_add_text(body, "{\"after\":");
        add_id(body, after);
        buf_add_text(body, ",\"resumes\":");
        add_id(body, gap);
        buf_add_text(body, "}}\n");
    } else {
        buf_add_text(body, "null}\n");
    }
    body->failed = body->failed || !buf_ok(messages);
}

/* ---- a poll that waits: the session's side ---- */

/* More than a page waits for the next poll: above its mark a session is offered no more. */
static size_t queued(const struct session *session)
{
    const struct poll *self = from_session(session);
    return self->count >= PAGE_COUNT ? SIZE_MAX : self->messages.size;
}

static void have_news(struct poll *self)
{
    list_remove(&self->link);
    list_append(&all_of(self)->news, &self->link);
    worker_again(self->place.door->worker);
}

static bool deliver(struct session *session, struct message *message)
{
    struct poll *self = from_session(session);
    add_message(&self->messages, message, self->max);
    self->count++;
    have_news(self);
    return true;
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct address *channel)
{
    (void)after;
    (void)channel;
    from_session(session)->gap = resumes;
    have_news(from_session(session));
    return true;
}

static void end(struct poll *self)
{
    self->state = ENDED;
    stream_close(&self->stream);
}

static void leave(struct poll *self, enum err reason)
{
    struct worker *worker = self->place.door->worker;
    if (reason)
        metrics_add(&worker->metrics.closed[reason], 1);
    catch_up_close(worker->catch_up, &self->session);
    pass_destroy(self->pass);
    self->pass = NULL;
    list_remove(&self->link);
    list_append(&all_of(self)->closing, &self->link);
    self->state = ANSWERED;
    self->seconds = 0;
}

static bool send_buf(struct poll *self, const struct buf *whole)
{
    struct frame *frame = frame_from(whole);
    bool sent = frame && stream_send(&self->stream, frame);
    frame_unref(frame);
    return sent;
}

static bool send_page(struct poll *self)
{
    struct buf body;
    buf_init(&body);
    uint64_t next = self->count || self->gap ? self->session.cursor : self->after;
    write_answer(&body, &self->messages, next, self->session.more, self->after, self->gap);
    buf_add_format(&self->head, "Content-Length: %zu\r\n\r\n", body.size);
    buf_add(&self->head, body.data, body.size);
    self->head.failed = self->head.failed || !buf_ok(&body);
    buf_finish(&body);
    return send_buf(self, &self->head);
}

static void answer(struct poll *self, enum err reason)
{
    struct address user = connection_manager_user(&self->session);
    if (self->state != WAITING)
        return;
    if (reason != ERR_KICKED && !self->place.door->stopping)
        broker_linger(self->place.door->worker->broker, &user);
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
    struct poll *self = from_stream(stream);
    if (self->state == WAITING)
        leave(self, reason);
    end(self);
}

static void free_poll(struct stream *stream)
{
    struct poll *self = from_stream(stream);
    list_remove(&self->link);
    self->place.door->open--;
    place_give(&self->place);
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

static void end_turn(struct worker_hook *hook)
{
    struct polls *polls = list_entry(hook, struct polls, turn);
    for (struct poll *self; (self = list_first(&polls->news, struct poll, link));) {
        answer(self, ERR_NONE);
        worker_again(polls->worker); /* what is queued is still to be written */
    }
}

static void on_second(struct worker_hook *hook)
{
    struct polls *polls = list_entry(hook, struct polls, second);
    struct list due;
    list_init(&due);
    wheel_turn(&polls->waits, &due);
    for (struct poll *self; (self = list_first(&due, struct poll, link));)
        answer(self, ERR_NONE);
    list_for_each_safe(closing, &polls->closing, struct poll, link) {
        if (closing->state != ENDED && ++closing->seconds > CLOSING_SECONDS)
            end(closing);
    }
}

struct polls *polls_create(struct worker *worker)
{
    struct polls *polls = mem_alloc(sizeof *polls);
    polls->worker = worker;
    wheel_init(&polls->waits, MAX_WAIT);
    list_init(&polls->news);
    list_init(&polls->closing);
    polls->turn.run = end_turn;
    worker_on_turn(worker, &polls->turn);
    polls->second.run = on_second;
    worker_on_second(worker, &polls->second);
    return polls;
}

void polls_destroy(struct polls *polls)
{
    if (!polls)
        return;
    wheel_finish(&polls->waits);
    free(polls);
}

void polls_answer_all(struct polls *polls, enum err reason)
{
    struct list all;
    list_init(&all);
    wheel_empty(&polls->waits, &all);
    for (struct poll *self; (self = list_first(&all, struct poll, link));)
        answer(self, reason);
}

void polls_abort_all(struct polls *polls)
{
    polls_answer_all(polls, ERR_STOPPING);
    list_for_each_safe(self, &polls->closing, struct poll, link)
        end(self);
}

/* ---- asking ---- */

/* What is known of a request until it is answered or waits. */
struct asked {
    struct read read; /* first: on_page finds the rest */
    struct exchange *exchange;
    struct receiving receiving;
    struct read_address *addresses;
    struct message *messages[PAGE_COUNT];
    size_t wait; /* seconds */
};

static void asked_destroy(struct asked *asked)
{
    for (size_t i = 0; i < asked->read.count; i++)
        message_unref(asked->read.messages[i]);
    receiving_finish(&asked->receiving);
    free(asked->addresses);
    free(asked);
}

static uint64_t gap_of(const struct read *read)
{
    uint64_t resumes = 0;
    if (read->above_head)
        return read->head;
    for (size_t i = 0; i < read->address_count; i++) {
        if (read->addresses[i].gap && read->addresses[i].told > resumes)
            resumes = read->addresses[i].told;
    }
    return resumes;
}

static void answer_page(struct asked *asked)
{
    const struct read *read = &asked->read;
    struct door *door = exchange_state(asked->exchange);
    struct buf messages, body;
    uint64_t next = read->above_head ? read->head : read->after;
    buf_init(&messages);
    buf_init(&body);
    for (size_t i = 0; i < read->count; i++) {
        add_message(&messages, read->messages[i], asked->receiving.max);
        next = read->messages[i]->id;
    }
    write_answer(&body, &messages, next, read->more, read->after, gap_of(read));
    buf_finish(&messages);
    metrics_add(&door->worker->metrics.delivered[TRANSPORT_POLL], (int64_t)read->count);
    if (!door->stopping)
        broker_linger(door->worker->broker, &asked->receiving.start.user);
    exchange_add_header(asked->exchange, "Cache-Control", "no-store");
    exchange_answer(asked->exchange, 200, JSON_TYPE, &body);
}

static bool adopt(struct poll *self, const struct asked *asked)
{
    struct door *door = self->place.door;
    exchange_write_head(asked->exchange, &self->head, 200, JSON_TYPE);
    exchange_write_problem(asked->exchange, &self->kicked, ERR_KICKED, "Stop polling.");
    int fd = exchange_adopt(asked->exchange);
    if (fd < 0)
        return false;
    if (!stream_open(&self->stream, door->streams, &stream_ops, fd)) {
        close(fd);
        return false;
    }
    door->open++;
    self->state = WAITING;
    self->after = self->session.cursor;
    wheel_add(&door->polls->waits, &self->link, asked->wait);
    return true;
}

static int open_poll(struct poll *self, const struct asked *asked)
{
    struct door *door = exchange_state(asked->exchange);
    self->session.ops = &session_ops;
    self->max = asked->receiving.max;
    door_name_session(door, &self->session);
    list_init(&self->link);
    buf_init(&self->messages);
    buf_init(&self->head);
    buf_init(&self->kicked);
    int err = place_take(&self->place, door, asked->exchange);
    if (err)
        return err;
    err = door_give_pass(door, &self->session, asked->exchange, &self->pass);
    if (!err)
        err = door_open_session(door, &self->session, self->pass, &asked->receiving.start);
    if (!err && adopt(self, asked)) {
        pass_start(self->pass);
        return 0;
    }
    catch_up_close(door->worker->catch_up, &self->session);
    pass_destroy(self->pass);
    place_give(&self->place);
    buf_finish(&self->head);
    buf_finish(&self->kicked);
    return err ? err : ERR_TOO_MANY_SESSIONS;
}

static void start_waiting(struct asked *asked)
{
    struct poll *self = calloc(1, sizeof *self);
    int err = self ? open_poll(self, asked) : ERR_OUT_OF_MEMORY;
    if (!err)
        return;
    free(self);
    door_refuse(asked->exchange, err);
}

static void use_page(struct asked *asked)
{
    const struct read *read = &asked->read;
    if (read->err)
        door_refuse(asked->exchange, (int)read->err);
    else if (read->count || read->above_head || gap_of(read) || !asked->wait)
        answer_page(asked);
    else
        start_waiting(asked);
    asked_destroy(asked);
}

static void on_page(struct call *call)
{
    struct asked *asked = (struct asked *)call;
    if (exchange_drop_late(asked->exchange))
        asked_destroy(asked);
    else
        use_page(asked);
}

/* wait, in seconds. False: a problem was answered. */
static bool read_wait(struct exchange *exchange, size_t *ret_wait)
{
    const struct door *door = exchange_state(exchange);
    const char *text = exchange_query(exchange, "wait");
    uint64_t wait = (uint64_t)(door->poll_wait_ms + 999) / 1000;
    if (text && (!text_parse_u64(text, strlen(text), &wait) || wait > MAX_WAIT)) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "wait",
                         "wait is a number of seconds from 0 to %d.", MAX_WAIT);
        return false;
    }
    /* Of a HEAD nobody would read the answer. */
    *ret_wait = door->can_adopt && !exchange_is_head(exchange) ? (size_t)wait : 0;
    return true;
}

static bool list_addresses(struct asked *asked)
{
    const struct catch_up_start *start = &asked->receiving.start;
    asked->addresses = calloc(2 + start->channel_count, sizeof *asked->addresses);
    if (!asked->addresses)
        return false;
    asked->addresses[0].address = start->user;
    asked->addresses[1].address = address_make(ADDRESS_ALL, "", 0);
    for (size_t i = 0; i < start->channel_count; i++)
        asked->addresses[2 + i].address = start->channels[i];
    asked->read.addresses = asked->addresses;
    asked->read.address_count = 2 + start->channel_count;
    return true;
}

/* Without a cursor only what comes from now on counts: the page is read after head, for its id. */
static void read_page(struct asked *asked)
{
    struct door *door = exchange_state(asked->exchange);
    struct worker *worker = door->worker;
    const struct catch_up_start *start = &asked->receiving.start;
    asked->read.call.done = on_page;
    asked->read.after = start->has_after ? start->after : broker_stats(worker->broker).head;
    asked->read.max_count = PAGE_COUNT;
    asked->read.max_bytes = PAGE_BYTES;
    asked->read.messages = asked->messages;
    int err = broker_read(worker->broker, worker->member, &asked->read);
    if (err == BROKER_PENDING) {
        exchange_wait(asked->exchange);
        return;
    }
    asked->read.err = (enum err)err;
    use_page(asked);
}

static void on_located(void *context, int err)
{
    struct asked *asked = context;
    if (!err && list_addresses(asked)) {
        read_page(asked);
        return;
    }
    if (err != RECEIVING_LATE)
        door_refuse(asked->exchange, err ? err : ERR_OUT_OF_MEMORY);
    asked_destroy(asked);
}

void poll_serve(struct exchange *exchange)
{
    struct receiving receiving;
    size_t wait;
    const char *why;
    if (!exchange_may_ask(exchange) || !read_wait(exchange, &wait) ||
        !receiving_read(exchange, &receiving))
        return;
    int refused = receiving_admit(exchange, &receiving, &why);
    struct asked *asked = refused ? NULL : calloc(1, sizeof *asked);
    if (!asked) {
        receiving_finish(&receiving);
        if (refused)
            exchange_refuse(exchange, (enum err)refused, why);
        else
            door_refuse(exchange, ERR_OUT_OF_MEMORY);
        return;
    }
    asked->exchange = exchange;
    asked->receiving = receiving;
    asked->wait = wait;
    receiving_locate(exchange_worker(exchange), exchange, &asked->receiving, on_located, asked);
}
