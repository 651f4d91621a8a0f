/* `/sse/<user>`: Server-Sent Events on the socket of their request. The same objects, ids and
 * cursors as over a WebSocket, as HTML's event streams (section 9.2 of the HTML standard). */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/request.h"
#include "http/response.h"
#include "model/message.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/stream_client.h"
#include "session/wire_json.h"

#define COMMENT_SECONDS 15
#define RETRY_MS        2000  /* an EventSource's own wait, until a bye names another */
#define REFUSED_MS      60000 /* one with a bad token shall not come back soon */

struct sse_streams {
    struct stream_clients clients; /* first: this is a protocol's state */
    struct chunk *comment;
};

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

enum { FRAME_EVENT = FRAMES_OF_SSE, FRAME_EVENT_OUTLINE };

static const struct message_format event_outline = {FRAME_EVENT_OUTLINE, make_event_outline, NULL};
static const struct message_format event_format = {FRAME_EVENT, make_event, &event_outline};

/* ---- the session's side ---- */

static bool deliver(struct session *session, struct message *message)
{
    struct stream_client *client = stream_client_of(session);
    struct chunk *frame = message_frame_within(message, &event_format, client->max);
    if (frame && stream_send(&client->stream, frame))
        return true;
    stream_fail(&client->stream, ERR_OUT_OF_MEMORY);
    return false;
}

static void write_bye(struct buf *buf, enum err reason, int64_t retry_ms)
{
    add_retry(buf, retry_ms);
    begin_event(buf, "bye");
    wire_json_bye(buf, reason, retry_ms);
    end_event(buf);
}

static void say_bye(struct stream_client *client, enum err reason)
{
    bool refused = err_status(reason) == 401;
    struct buf buf;
    buf_init(&buf);
    write_bye(&buf, reason, refused ? REFUSED_MS : sessions_retry_ms(client->client.sessions));
    stream_client_send(client, &buf);
}

/* The end of the stream is the close: FIN once `bye` is written, then the peer's. */
static void close_stream(struct stream_client *client, enum err reason)
{
    if (!stream_client_is_open(client))
        return;
    stream_client_leave(client, reason);
    if (reason == ERR_CONNECTION_LOST) {
        stream_client_end(client);
        return;
    }
    if (reason == ERR_STALLED)
        stream_drop_queue(&client->stream);
    say_bye(client, reason);
}

static void close_session(struct session *session, enum err reason)
{
    close_stream(stream_client_of(session), reason);
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel)
{
    struct stream_client *client = stream_client_of(session);
    struct buf buf;
    buf_init(&buf);
    begin_event(&buf, "gap");
    wire_json_gap(&buf, after, resumes, channel);
    end_event(&buf);
    if (stream_client_send(client, &buf))
        return true;
    close_stream(client, ERR_OUT_OF_MEMORY);
    return false;
}

/* A comment, which shows both ends and every proxy that the stream is alive. */
static void on_due(struct stream_client *client)
{
    const struct sse_streams *all = list_entry(client->all, struct sse_streams, clients);
    stream_client_wait(client, COMMENT_SECONDS);
    if (!stream_blocked(&client->stream))
        stream_send(&client->stream, all->comment);
}

/* ---- opening ---- */

static void on_open(struct stream_client *client, const struct request *request,
                    const struct topic *user)
{
    struct buf buf;
    buf_init(&buf);
    request_write_head(request, &buf, 200, RESPONSE_STREAM_TYPE);
    buf_add_text(&buf, "\r\n");
    add_retry(&buf, RETRY_MS);
    add_id(&buf, client->client.session.cursor);
    begin_event(&buf, "welcome");
    wire_json_welcome(&buf, &client->client.session, user, COMMENT_SECONDS, NULL);
    end_event(&buf);
    if (!stream_client_send(client, &buf))
        close_stream(client, ERR_OUT_OF_MEMORY);
}

/* An EventSource sees no status, and gives up for good on any but 200. */
static void refuse(struct request *request, enum err err, const char *why)
{
    struct buf body;
    request_note_refusal(request, err, why);
    buf_init(&body);
    write_bye(&body, err, REFUSED_MS);
    response_add_field(request_response(request), "Cache-Control", RESPONSE_STREAM_CACHE);
    request_answer(request, 200, RESPONSE_STREAM_TYPE, &body);
}

static void free_sse(struct stream_client *client)
{
    free(client);
}

static const struct stream_client_ops ops = {
    .session =
        {
            .transport = "sse",
            .protocol = PROTOCOL_SSE,
            .deliver = deliver,
            .tell_gap = tell_gap,
            .queued = stream_client_queued,
            .close = close_session,
        },
    .content_type = RESPONSE_STREAM_TYPE,
    .refuse = refuse,
    .on_open = on_open,
    .on_due = on_due,
    .on_lost = close_stream,
    .free = free_sse,
};

/* ---- all of them ---- */

static void *create(struct sessions *sessions)
{
    struct sse_streams *all = mem_alloc(sizeof *all);
    struct buf comment;
    buf_init(&comment);
    buf_add_text(&comment, ": still here\n\n");
    all->comment = frame_from(&comment);
    buf_finish(&comment);
    stream_clients_init(&all->clients, &ops, COMMENT_SECONDS, sessions->reactor);
    return all;
}

static void destroy(void *state)
{
    struct sse_streams *all = state;
    stream_clients_finish(&all->clients);
    frame_unref(all->comment);
    free(all);
}

static void serve(struct request *request)
{
    stream_client_serve(request, protocol_state(request_context(request), PROTOCOL_SSE),
                        COMMENT_SECONDS);
}

static const struct route routes[] = {
    {"GET", "/sse/:id", serve, NULL, false, RIGHT_RECEIVE},
    {"POST", "/sse/:id", serve, NULL, false, RIGHT_RECEIVE},
};

const struct protocol sse_protocol = {
    .session_ops = &ops.session,
    .routes = {routes, sizeof routes / sizeof *routes},
    .create = create,
    .destroy = destroy,
    .close_all = stream_clients_close_all,
    .abort_all = stream_clients_abort_all,
};
