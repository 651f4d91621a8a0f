#include "session/guest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "model/connection_manager.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/wire_text.h"

#define EXIT "/exit"

static struct guest *from_session(const struct session *session)
{
    return list_entry(client_of(session), struct guest, client);
}

static struct guest *from_websocket(struct websocket *websocket)
{
    return (struct guest *)websocket;
}

/* ---- the session's side ---- */

static bool deliver(struct session *session, struct message *message)
{
    struct guest *self = from_session(session);
    struct chunk *frame = message_frame(message, self->format);
    if (frame && websocket_send(&self->websocket, frame))
        return true;
    stream_fail(&self->websocket.stream, ERR_OUT_OF_MEMORY);
    return false;
}

/* Nothing is kept for a room, so nothing of it can be missed but by falling behind. */
static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel)
{
    (void)session;
    (void)after;
    (void)resumes;
    (void)channel;
    return true;
}

static size_t queued(const struct session *session)
{
    return stream_queued(&from_session(session)->websocket.stream);
}

static void close_session(struct session *session, enum err reason)
{
    websocket_close(&from_session(session)->websocket, reason);
}

const struct session_ops guest_session_ops = {
    .transport = "websocket",
    .protocol = PROTOCOL_ROOM,
    .deliver = deliver,
    .tell_gap = tell_gap,
    .queued = queued,
    .close = close_session,
};

/* ---- talking ---- */

struct saying {                  /* a text on its way to the room */
    struct publish_call publish; /* first: on_said finds the rest */
    struct sessions *sessions;
    struct topic channel;
    uint64_t session;
    struct guest *found; /* who said it, once the broker has answered; NULL: left */
    size_t held;         /* of the quota */
    struct buf body;
    char sender[TOPIC_NAME_MAX];
    char name[TOPIC_NAME_MAX];
};

struct topic guest_topic(uint64_t session, char ret_id[static SESSION_ID_TEXT_SIZE])
{
    session_format_id(session, ret_id);
    return topic_make(TOPIC_GUEST, ret_id, SESSION_ID_TEXT_SIZE - 1);
}

static void find_guest(struct session *session, void *context)
{
    ((struct saying *)context)->found = from_session(session);
}

static void on_said(struct call *call)
{
    struct saying *saying = (struct saying *)call;
    struct reactor *reactor = saying->sessions->reactor;
    char id[SESSION_ID_TEXT_SIZE];
    struct topic guest = guest_topic(saying->session, id);
    if (!saying->publish.call.err)
        metrics_add(&reactor->metrics.published_message, 1);
    connection_manager_each(reactor->manager, &guest, find_guest, saying);
    websocket_answered(saying->sessions->websockets,
                       saying->found ? &saying->found->websocket : NULL, &saying->held);
    buf_finish(&saying->body);
    free(saying);
}

/* 0, or why it was not said. */
static int say(struct guest *self, const char *text, size_t size)
{
    struct reactor *reactor = self->client.sessions->reactor;
    struct saying *saying = calloc(1, sizeof *saying);
    if (!saying)
        return ERR_OUT_OF_MEMORY;
    if (!websocket_ask(&self->websocket, size, &saying->held)) {
        free(saying);
        return ERR_OVERLOADED;
    }
    saying->sessions = self->client.sessions;
    saying->session = self->client.session.id;
    memcpy(saying->sender, self->name, self->name_length);
    memcpy(saying->name, self->channel, self->channel_length);
    saying->channel = topic_make(TOPIC_CHANNEL, saying->name, self->channel_length);
    buf_init(&saying->body);
    buf_add_json(&saying->body, text, size);
    saying->publish.call.done = on_said;
    saying->publish.draft = (struct draft){
        .topics = &saying->channel,
        .topic_count = 1,
        .kind = MESSAGE_NOTIFICATION,
        .sender = saying->sender,
        .sender_length = self->name_length,
        .body = saying->body.data,
        .body_length = saying->body.size,
        .own_ttl = true,
        .except = self->hears_itself ? 0 : self->client.session.id,
    };
    if (!buf_ok(&saying->body))
        saying->publish.call.err = ERR_OUT_OF_MEMORY;
    else if (broker_publish(reactor->broker, reactor->member, &saying->publish) == BROKER_PENDING)
        return 0;
    int err = (int)saying->publish.call.err;
    on_said(&saying->publish.call);
    return err;
}

/* False: out of memory. */
static bool greet(struct guest *self)
{
    char *at;
    size_t length = strlen(self->greeting);
    struct chunk *frame = websocket_frame(WEBSOCKET_TEXT, length, &at);
    if (frame)
        memcpy(at, self->greeting, length);
    bool sent = frame && websocket_send(&self->websocket, frame);
    frame_unref(frame);
    return sent;
}

static void on_open(struct websocket *websocket)
{
    struct guest *self = from_websocket(websocket);
    if (self->greeting && !greet(self))
        stream_fail(&websocket->stream, ERR_OUT_OF_MEMORY);
    else
        client_start(&from_websocket(websocket)->client);
}

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    struct guest *self = from_websocket(websocket);
    int err;
    bool leaves = !self->hears_itself && size == strlen(EXIT) && memcmp(bytes, EXIT, size) == 0;
    if (opcode != WEBSOCKET_TEXT)
        websocket_close(websocket, ERR_UNSUPPORTED_MEDIA_TYPE);
    else if (leaves)
        websocket_close(websocket, ERR_PEER_CLOSED);
    else if ((err = say(self, bytes, size)) != 0)
        websocket_close(websocket, (enum err)err);
}

static void on_drained(struct websocket *websocket)
{
    client_drained(&from_websocket(websocket)->client);
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    client_leave(&from_websocket(websocket)->client, reason);
}

static void free_guest(struct websocket *websocket)
{
    struct guest *self = from_websocket(websocket);
    client_finish(&self->client);
    free(self);
}

const struct websocket_role guest_role = {
    .heartbeat = true,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = free_guest,
};
