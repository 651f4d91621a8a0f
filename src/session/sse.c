#include "session/sse.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timer_wheel.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "http/response.h"
#include "model/message.h"
#include "model/session.h"
#include "session/session_auth.h"
#include "session/sessions.h"
#include "session/subscribe_request.h"
#include "session/wire_json.h"
#include "socket/stream.h"

#define COMMENT_SECONDS 15
#define CLOSING_SECONDS 5
#define RETRY_MS        2000  /* an EventSource's own wait, until a bye names another */
#define REFUSED_MS      60000 /* one with a bad token shall not come back soon */

enum state { OPEN, CLOSING, ENDED };

struct sse {
    struct stream stream; /* first: on_data and the others find the rest */
    struct session session;
    struct session_slot slot;
    struct session_auth *auth; /* NULL: nobody needs one */
    struct list link;          /* the wheel of comments, or those closing */
    uint32_t max;              /* bytes its reader takes at once; 0: any number */
    uint8_t state;
    uint8_t seconds; /* since it began to close */
};

struct sse_streams {
    struct timer_wheel comments;
    struct list closing;
    struct chunk *comment;
    struct reactor_hook second;
};

static struct sse *from_session(const struct session *session)
{
    return list_entry(session, struct sse, session);
}

static struct sse *from_stream(struct stream *stream)
{
    return (struct sse *)stream;
}

static struct sse_streams *all_of(const struct sse *self)
{
    return self->slot.sessions->sse;
}

/* ---- frames ---- */

static void begin_event(struct buf *buf, const char *event)
{
    buf_add_format(buf, "event: %s\ndata: ", event);
}

static void end_event(struct buf *buf)
{
    buf_add_text(buf, "\n\n");
}

static void add_retry(struct buf *buf, int64_t retry_ms)
{
    buf_add_format(buf, "retry: %lld\n", (long long)retry_ms);
}

static void add_id(struct buf *buf, uint64_t id)
{
    char text[TEXT_ID_SIZE];
    text_format_id(id, text);
    buf_add_format(buf, "id: %s\n", text);
}

static struct chunk *make_with(const struct message *message, const char *event,
                               void (*write)(struct buf *buf, const struct message *message))
{
    struct buf buf;
    buf_init(&buf);
    add_id(&buf, message->id);
    begin_event(&buf, event);
    write(&buf, message);
    end_event(&buf);
    struct chunk *frame = frame_from(&buf);
    buf_finish(&buf);
    return frame;
}

static struct chunk *make_event(const struct message *message)
{
    return make_with(message, "message", wire_json_message);
}

static struct chunk *make_event_outline(const struct message *message)
{
    return make_with(message, "too_large", wire_json_outline);
}

static const struct message_format event_outline = {7, make_event_outline, NULL};
static const struct message_format event_format = {2, make_event, &event_outline};

/* Sends and empties the buffer. */
static bool send_buf(struct sse *self, struct buf *buf)
{
    struct chunk *frame = frame_from(buf);
    bool sent = frame && stream_send(&self->stream, frame);
    frame_unref(frame);
    buf_finish(buf);
    return sent;
}

/* ---- the session's side ---- */

static bool deliver(struct session *session, struct message *message)
{
    struct sse *self = from_session(session);
    struct chunk *frame = message_frame_within(message, &event_format, self->max);
    if (frame && stream_send(&self->stream, frame))
        return true;
    stream_fail(&self->stream, ERR_OUT_OF_MEMORY);
    return false;
}

static void leave(struct sse *self, enum err reason)
{
    struct reactor *reactor = self->slot.sessions->reactor;
    metrics_add(&reactor->metrics.closed[reason], 1);
    catch_up_close(reactor->catch_up, &self->session);
    session_auth_destroy(self->auth);
    self->auth = NULL;
    list_remove(&self->link);
    list_append(&all_of(self)->closing, &self->link);
    self->state = CLOSING;
    self->seconds = 0;
}

static void end(struct sse *self)
{
    self->state = ENDED;
    stream_close(&self->stream);
}

static void write_bye(struct buf *buf, enum err reason, int64_t retry_ms)
{
    add_retry(buf, retry_ms);
    begin_event(buf, "bye");
    wire_json_bye(buf, reason, retry_ms);
    end_event(buf);
}

static void say_bye(struct sse *self, enum err reason)
{
    bool refused = err_status(reason) == 401;
    struct buf buf;
    buf_init(&buf);
    write_bye(&buf, reason, refused ? REFUSED_MS : sessions_retry_ms(self->slot.sessions));
    send_buf(self, &buf);
}

/* The end of the stream is the close: FIN once `bye` is written, then the peer's. */
static void close_stream(struct sse *self, enum err reason)
{
    if (self->state != OPEN)
        return;
    leave(self, reason);
    if (reason == ERR_CONNECTION_LOST) {
        end(self);
        return;
    }
    if (reason == ERR_STALLED)
        stream_drop_queue(&self->stream);
    say_bye(self, reason);
}

static void close_session(struct session *session, enum err reason)
{
    close_stream(from_session(session), reason);
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel)
{
    struct sse *self = from_session(session);
    struct buf buf;
    buf_init(&buf);
    begin_event(&buf, "gap");
    wire_json_gap(&buf, after, resumes, channel);
    end_event(&buf);
    if (send_buf(self, &buf))
        return true;
    close_stream(self, ERR_OUT_OF_MEMORY);
    return false;
}

static size_t queued(const struct session *session)
{
    return stream_queued(&from_session(session)->stream);
}

static const struct session_ops session_ops = {
    .transport = TRANSPORT_SSE,
    .deliver = deliver,
    .tell_gap = tell_gap,
    .queued = queued,
    .close = close_session,
};

/* ---- the socket's side ---- */

/* A client has nothing more to say. */
static void on_data(struct stream *stream, const char *bytes, size_t size)
{
    (void)stream;
    (void)bytes;
    (void)size;
}

static void on_drained(struct stream *stream)
{
    struct sse *self = from_stream(stream);
    if (self->state == CLOSING && !stream_queued(stream))
        stream_shutdown(stream);
    if (self->state == OPEN)
        catch_up_drained(self->slot.sessions->reactor->catch_up, &self->session);
}

static void on_end(struct stream *stream, enum err reason)
{
    struct sse *self = from_stream(stream);
    if (self->state == OPEN)
        close_stream(self, reason);
    else
        end(self);
}

static void free_sse(struct stream *stream)
{
    struct sse *self = from_stream(stream);
    list_remove(&self->link);
    self->slot.sessions->open--;
    session_slot_give(&self->slot);
    free(self);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
    .free = free_sse,
};

/* ---- once a second ---- */

static void on_second(struct reactor_hook *hook)
{
    struct sse_streams *all = list_entry(hook, struct sse_streams, second);
    struct list due;
    list_init(&due);
    timer_wheel_turn(&all->comments, &due);
    for (struct sse *self; (self = list_first(&due, struct sse, link));) {
        list_remove(&self->link);
        timer_wheel_add(&all->comments, &self->link, COMMENT_SECONDS);
        if (!stream_blocked(&self->stream))
            stream_send(&self->stream, all->comment);
    }
    list_for_each_safe(closing, &all->closing, struct sse, link) {
        if (closing->state != ENDED && ++closing->seconds > CLOSING_SECONDS)
            end(closing);
    }
}

struct sse_streams *sse_streams_create(struct reactor *reactor)
{
    struct sse_streams *all = mem_alloc(sizeof *all);
    struct buf comment;
    buf_init(&comment);
    buf_add_text(&comment, ": still here\n\n");
    all->comment = frame_from(&comment);
    buf_finish(&comment);
    timer_wheel_init(&all->comments, COMMENT_SECONDS);
    list_init(&all->closing);
    all->second.run = on_second;
    reactor_on_second(reactor, &all->second);
    return all;
}

void sse_streams_destroy(struct sse_streams *all)
{
    if (!all)
        return;
    timer_wheel_finish(&all->comments);
    frame_unref(all->comment);
    free(all);
}

void sse_close_all(struct sse_streams *all, enum err reason)
{
    struct list open;
    list_init(&open);
    timer_wheel_empty(&all->comments, &open);
    for (struct sse *self; (self = list_first(&open, struct sse, link));)
        close_stream(self, reason); /* which takes it off this list */
}

void sse_abort_all(struct sse_streams *all)
{
    sse_close_all(all, ERR_STOPPING);
    list_for_each_safe(self, &all->closing, struct sse, link)
        end(self);
}

/* ---- opening ---- */

static void greet(struct sse *self, const struct request *request, const struct topic *user)
{
    struct buf buf;
    buf_init(&buf);
    request_write_head(request, &buf, 200, RESPONSE_STREAM_TYPE);
    buf_add_text(&buf, "\r\n");
    add_retry(&buf, RETRY_MS);
    add_id(&buf, self->session.cursor);
    begin_event(&buf, "welcome");
    wire_json_welcome(&buf, &self->session, user, COMMENT_SECONDS, NULL);
    end_event(&buf);
    if (!send_buf(self, &buf))
        close_stream(self, ERR_OUT_OF_MEMORY);
}

/* From here on the answer is the stream's own. False: no descriptor is left for it. */
static bool adopt(struct sse *self, struct request *request, const struct topic *user)
{
    struct sessions *sessions = self->slot.sessions;
    int fd = request_adopt(request);
    if (fd < 0)
        return false;
    if (!stream_open(&self->stream, sessions->streams, &stream_ops, fd)) {
        close(fd);
        return false;
    }
    sessions->open++;
    self->state = OPEN;
    list_init(&self->link);
    timer_wheel_add(&sessions->sse->comments, &self->link, COMMENT_SECONDS);
    greet(self, request, user);
    return true;
}

static int open_session(struct sse *self, struct request *request,
                        const struct subscribe_request *subscribe_request)
{
    struct sessions *sessions = request_state(request);
    self->session.ops = &session_ops;
    self->max = subscribe_request->max;
    sessions_name(sessions, &self->session);
    int err = session_slot_take(&self->slot, sessions, request);
    if (err)
        return err;
    err = sessions_give_auth(sessions, &self->session, request, &self->auth);
    if (!err)
        err = sessions_open(sessions, &self->session, self->auth, &subscribe_request->start);
    if (!err && adopt(self, request, &subscribe_request->start.user)) {
        session_auth_start(self->auth);
        return 0;
    }
    catch_up_close(sessions->reactor->catch_up, &self->session);
    session_auth_destroy(self->auth);
    session_slot_give(&self->slot);
    return err ? err : ERR_TOO_MANY_SESSIONS;
}

/* An EventSource sees no status, and gives up for good on any but 200. */
static void refuse(struct request *request, enum err err, const char *why)
{
    struct buf body;
    request_note_refusal(request, err, why);
    buf_init(&body);
    write_bye(&body, err, REFUSED_MS);
    request_add_header(request, "Cache-Control", RESPONSE_STREAM_CACHE);
    request_answer(request, 200, RESPONSE_STREAM_TYPE, &body);
}

/* What is known of a request until its stream is open. */
struct opening {
    struct request *request;
    struct subscribe_request subscribe_request;
};

static void open_stream(const struct opening *opening)
{
    struct sse *self = calloc(1, sizeof *self);
    int err = self ? open_session(self, opening->request, &opening->subscribe_request)
                   : ERR_OUT_OF_MEMORY;
    if (!err)
        return;
    free(self);
    sessions_refuse(opening->request, err);
}

static void on_located(void *context, int err)
{
    struct opening *opening = context;
    if (!err)
        open_stream(opening);
    else if (err != SUBSCRIBE_REQUEST_LATE)
        sessions_refuse(opening->request, err);
    subscribe_request_finish(&opening->subscribe_request);
    free(opening);
}

static void locate(struct request *request, struct subscribe_request *subscribe_request)
{
    struct opening *opening = malloc(sizeof *opening);
    if (!opening) {
        subscribe_request_finish(subscribe_request);
        sessions_refuse(request, ERR_OUT_OF_MEMORY);
        return;
    }
    *opening = (struct opening){request, *subscribe_request};
    subscribe_request_locate(request_reactor(request), request, &opening->subscribe_request,
                             on_located, opening);
}

void sse_serve(struct request *request)
{
    const struct sessions *sessions = request_state(request);
    struct subscribe_request subscribe_request;
    const char *why;
    if (!request_may_ask(request) || !subscribe_request_read(request, &subscribe_request))
        return;
    int refused = subscribe_request_admit(request, &subscribe_request, &why);
    if (!refused && sessions->can_adopt && !request_is_head(request)) {
        locate(request, &subscribe_request);
        return;
    }
    subscribe_request_finish(&subscribe_request);
    if (refused)
        refuse(request, (enum err)refused, why);
    else if (!sessions->can_adopt)
        request_problem(request, ERR_NOT_IMPLEMENTED, NULL,
                        "Not with this version of libmicrohttpd; use /ws or /poll.");
    else
        request_answer_static(request, 200, RESPONSE_STREAM_TYPE, "", 0);
}
