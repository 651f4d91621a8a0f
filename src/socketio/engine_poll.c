#include "socketio/engine_poll.h"

#include <stdlib.h>
#include <unistd.h>

#include "http/request.h"
#include "model/connection_limits.h"
#include "model/message.h"
#include "session/sessions.h"
#include "socket/stream.h"

#define CLOSING_SECONDS 5 /* for the client's FIN */

struct engine_poll {
    struct stream stream; /* first: the stream's callbacks find the rest */
    struct engine_polls *polls;
    void *owner; /* NULL: it is answered */
    struct list link;
    struct engine_poll_heads heads;
    uint8_t seconds; /* since all was written */
};

static struct engine_poll *from_stream(struct stream *stream)
{
    return (struct engine_poll *)stream;
}

/* ---- the socket's side ---- */

/* A client that waits has nothing more to say. */
static void on_data(struct stream *stream, const char *bytes, size_t size)
{
    (void)stream;
    (void)bytes;
    (void)size;
}

static void on_drained(struct stream *stream)
{
    if (!from_stream(stream)->owner && !stream_queued(stream))
        stream_shutdown(stream);
}

static void on_end(struct stream *stream, enum err reason)
{
    (void)reason;
    struct engine_poll *poll = from_stream(stream);
    void *owner = poll->owner;
    engine_poll_drop(poll);
    if (owner)
        poll->polls->on_lost(owner);
}

static void free_poll(struct stream *stream)
{
    struct engine_poll *poll = from_stream(stream);
    struct sessions *sessions = poll->polls->sessions;
    list_remove(&poll->link);
    sessions->open--;
    connection_limits_give_socket(sessions->connection_limits);
    engine_poll_heads_finish(&poll->heads);
    free(poll);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
    .free = free_poll,
};

/* ---- the answer ---- */

void engine_poll_heads_write(struct engine_poll_heads *ret_heads, const struct request *request)
{
    buf_init(&ret_heads->answer);
    buf_init(&ret_heads->refusal);
    request_write_head(request, &ret_heads->answer, 200, ENGINE_POLL_TYPE);
    request_write_head(request, &ret_heads->refusal, 400, ENGINE_REFUSAL_TYPE);
}

void engine_poll_heads_finish(struct engine_poll_heads *heads)
{
    buf_finish(&heads->answer);
    buf_finish(&heads->refusal);
}

struct engine_poll *engine_poll_open(struct engine_polls *polls, int fd,
                                     struct engine_poll_heads *heads, void *owner)
{
    struct sessions *sessions = polls->sessions;
    struct engine_poll *poll = calloc(1, sizeof *poll);
    bool taken = poll && connection_limits_take_socket(sessions->connection_limits);
    if (!taken || !stream_open(&poll->stream, sessions->streams, &stream_ops, fd)) {
        if (taken)
            connection_limits_give_socket(sessions->connection_limits);
        engine_poll_heads_finish(heads);
        free(poll);
        close(fd);
        return NULL;
    }
    sessions->open++;
    poll->polls = polls;
    poll->owner = owner;
    poll->heads = *heads;
    list_init(&poll->link);
    return poll;
}

bool engine_poll_is_left(const struct engine_poll *poll)
{
    return stream_is_left(&poll->stream);
}

static void answer(struct engine_poll *poll, struct buf *head, struct buf *body)
{
    buf_add_format(head, "Content-Length: %zu\r\n\r\n", body->size);
    buf_add(head, body->data, body->size);
    struct chunk *frame = buf_ok(body) ? frame_from(head) : NULL;
    bool sent = frame && stream_send(&poll->stream, frame);
    frame_unref(frame);
    buf_finish(body);
    engine_poll_heads_finish(&poll->heads);
    poll->owner = NULL;
    list_append(&poll->polls->closing, &poll->link);
    if (!sent)
        engine_poll_drop(poll);
}

void engine_poll_answer(struct engine_poll *poll, struct buf *body)
{
    answer(poll, &poll->heads.answer, body);
}

void engine_poll_refuse(struct engine_poll *poll, enum engine_refusal refusal)
{
    struct buf body;
    buf_init(&body);
    engine_refusal_write(&body, refusal);
    answer(poll, &poll->heads.refusal, &body);
}

void engine_poll_drop(struct engine_poll *poll)
{
    poll->owner = NULL;
    stream_close(&poll->stream);
}

/* ---- all of them ---- */

/* Who reads slowly has the stall time of every socket; who has all, a moment to close. */
static void on_second(struct reactor_hook *hook)
{
    struct engine_polls *polls = list_entry(hook, struct engine_polls, second);
    list_for_each_safe(poll, &polls->closing, struct engine_poll, link) {
        if (!stream_queued(&poll->stream) && ++poll->seconds > CLOSING_SECONDS)
            stream_close(&poll->stream);
    }
}

void engine_polls_init(struct engine_polls *polls, struct sessions *sessions,
                       void (*on_lost)(void *owner))
{
    polls->sessions = sessions;
    polls->on_lost = on_lost;
    list_init(&polls->closing);
    polls->second.run = on_second;
    reactor_on_second(sessions->reactor, &polls->second);
}

void engine_polls_abort(struct engine_polls *polls)
{
    list_for_each_safe(poll, &polls->closing, struct engine_poll, link)
        stream_close(&poll->stream);
}
