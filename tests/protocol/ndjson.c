/* `/ndjson/<user>`: a line of JSON for each message, as long as the connection lasts. Not shipped:
 * it shows what a protocol needs, which is this file and its row. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/request.h"
#include "model/message.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/stream_client.h"
#include "session/wire_json.h"

#define BLANK_SECONDS 15 /* an empty line shows that the stream is alive */
#define JSON_LINES    "application/x-ndjson"

static struct chunk *make_line(const struct message *message)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_message(&buf, message);
    buf_add_text(&buf, "\n");
    struct chunk *frame = frame_from(&buf);
    buf_finish(&buf);
    return frame;
}

static const struct message_format line_format = {FRAMES_OF_NDJSON, make_line, NULL};

static bool send_line(struct stream_client *client, struct buf *buf)
{
    buf_add_text(buf, "\n");
    return stream_client_send(client, buf);
}

static bool deliver(struct session *session, struct message *message)
{
    struct stream *stream = &stream_client_of(session)->stream;
    struct chunk *frame = message_frame(message, &line_format);
    if (frame && stream_send(stream, frame))
        return true;
    stream_fail(stream, ERR_OUT_OF_MEMORY);
    return false;
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_gap(&buf, after, resumes, channel);
    if (send_line(stream_client_of(session), &buf))
        return true;
    stream_fail(&stream_client_of(session)->stream, ERR_OUT_OF_MEMORY);
    return false;
}

static void close_client(struct stream_client *client, enum err reason)
{
    struct buf buf;
    buf_init(&buf);
    stream_client_leave(client, reason);
    wire_json_bye(&buf, reason, sessions_retry_ms(client->client.sessions));
    if (reason == ERR_CONNECTION_LOST || reason == ERR_STALLED || !send_line(client, &buf))
        stream_client_end(client);
    buf_finish(&buf);
}

static void close_session(struct session *session, enum err reason)
{
    if (stream_client_is_open(stream_client_of(session)))
        close_client(stream_client_of(session), reason);
}

static void on_due(struct stream_client *client)
{
    struct buf buf;
    buf_init(&buf);
    stream_client_wait(client, BLANK_SECONDS);
    send_line(client, &buf);
}

static void on_open(struct stream_client *client, const struct request *request,
                    const struct topic *user)
{
    struct buf buf;
    buf_init(&buf);
    request_write_head(request, &buf, 200, JSON_LINES);
    buf_add_text(&buf, "\r\n");
    wire_json_welcome(&buf, &client->client.session, user, BLANK_SECONDS, NULL);
    send_line(client, &buf);
}

static void free_client(struct stream_client *client)
{
    free(client);
}

static const struct stream_client_ops ops = {
    .session = {"ndjson", PROTOCOL_NDJSON, deliver, tell_gap, stream_client_queued, close_session},
    .content_type = JSON_LINES,
    .on_open = on_open,
    .on_due = on_due,
    .on_lost = close_client,
    .free = free_client,
};

static void *create(struct sessions *sessions)
{
    struct stream_clients *all = mem_alloc(sizeof *all);
    stream_clients_init(all, &ops, BLANK_SECONDS, sessions->reactor);
    return all;
}

static void destroy(void *state)
{
    stream_clients_finish(state);
    free(state);
}

static void serve(struct request *request)
{
    stream_client_serve(request, protocol_state(request_context(request), PROTOCOL_NDJSON),
                        BLANK_SECONDS);
}

static const struct route routes[] = {
    {"GET", "/ndjson/:id", serve, NULL, false, RIGHT_RECEIVE},
};

const struct protocol ndjson_protocol = {
    .session_ops = &ops.session,
    .routes = {routes, sizeof routes / sizeof *routes},
    .create = create,
    .destroy = destroy,
    .close_all = stream_clients_close_all,
    .abort_all = stream_clients_abort_all,
};
