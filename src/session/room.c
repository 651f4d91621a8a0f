/* Text chat rooms, as in the group-chat tutorials.
 *
 * `/ws` is one lobby: a text frame from anyone goes to everyone, its sender too. `/rooms/<room>` is
 * a room: a text frame goes to all others as `bob: text`, and `/exit` leaves. They are the channels
 * `lobby` and `room:<room>` with a ttl of 0: nothing said there is kept. `/` is one of both. */
#include "session/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/head.h"
#include "http/request.h"
#include "http/target.h"
#include "model/access.h"
#include "model/connection_manager.h"
#include "model/identity.h"
#include "session/client.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/websocket_handshake.h"
#include "session/wire_text.h"
#include "socket/websocket.h"

#define LOBBY       "lobby"
#define ROOM_PREFIX "room:"
#define ROOT        "root"
#define EXIT        "/exit"

/* Somebody in a room. */
struct guest {
    struct websocket websocket; /* first: on_message and the others find the rest */
    struct client client;
    const struct message_format *format;
    const char *greeting; /* the first that it hears; NULL: nothing */
    bool hears_itself;
    uint8_t name_length;
    uint8_t channel_length;
    char name[TOPIC_NAME_MAX];
    char channel[TOPIC_NAME_MAX];
};

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

static const struct session_ops session_ops = {
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

static struct topic guest_topic(uint64_t session, char ret_id[static SESSION_ID_TEXT_SIZE])
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

static const struct websocket_role role = {
    .heartbeat = true,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = free_guest,
};

/* ---- coming in ---- */

/* A guest has no mail: its stream is the room, and its own topic is one nobody can name. */
static int open_session(struct guest *self)
{
    char id[SESSION_ID_TEXT_SIZE];
    struct topic channel = topic_make(TOPIC_CHANNEL, self->channel, self->channel_length);
    struct catch_up_start start = {
        .user = guest_topic(self->client.session.id, id),
        .channels = &channel,
        .channel_count = 1,
    };
    return client_open(&self->client, &start);
}

static void set_name(struct guest *self, const char *name, size_t length)
{
    memcpy(self->name, name, length);
    self->name_length = (uint8_t)length;
}

/* Who has said none gets one that tells it from others, and nothing of where it is. */
static void make_name(struct guest *self)
{
    uint64_t number = hash_number(self->client.session.id) & 0xffffff;
    int length = snprintf(self->name, sizeof self->name, "guest-%06x", (unsigned)number);
    self->name_length = (uint8_t)length;
}

/* What ends the name in `[bob]: hi` or in `bob: hi`: who has it could speak as another. */
static bool can_speak(const char *name)
{
    return !strchr(name, ']') && !strstr(name, ": ");
}

/* Who speaks here is heard here: the token has to cover both, and says who it is. */
static int admit(struct request *request, struct guest *self)
{
    const char *why;
    struct topic channel = {
        .kind = TOPIC_CHANNEL, .name = self->channel, .length = self->channel_length};
    int err = request_identify(request, &why);
    const struct identity *who = request_who(request);
    if (!err && who == &identity_anyone) {
        if (!self->name_length)
            make_name(self);
        return 0;
    }
    if (!err) {
        why = "a token whose channels and publish cover the room";
        err = identity_may_hear(who, &channel);
    }
    if (!err)
        err = identity_may_send(who, &channel);
    if (!err && !self->hears_itself && !can_speak(identity_user(who))) {
        why = "a user whose id has no ], and no colon before a space";
        err = ERR_FORBIDDEN;
    }
    if (err) {
        request_note_refusal(request, (enum err)err, why);
        return err;
    }
    if (!self->hears_itself)
        set_name(self, identity_user(who), strlen(identity_user(who)));
    return client_authorize(&self->client, request);
}

/* A browser that offers words wants one back. */
static const char *protocol_of(const struct request *request)
{
    return head_list_has(request_head(request), "Sec-WebSocket-Protocol", TEXT_FORM_PROTOCOL)
               ? TEXT_FORM_PROTOCOL
               : NULL;
}

static void come_in(struct request *request, struct guest *self)
{
    char accept[DIGEST_ACCEPT_SIZE];
    int refused; /* said after the 101 */
    struct sessions *sessions = request_context(request);
    if (!websocket_handshake_check(request, accept)) {
        free(self);
        return;
    }
    int err = client_admit_to_refuse(&self->client, sessions, &session_ops, request, &refused);
    if (err) {
        free(self);
        sessions_refuse(request, err);
        return;
    }
    websocket_prepare(&self->websocket, sessions->websockets, &role);
    if (!refused)
        refused = admit(request, self);
    if (!refused)
        refused = open_session(self);
    if (refused)
        websocket_close(&self->websocket, (enum err)refused);
    websocket_handshake_answer(request, &self->websocket, accept, protocol_of(request));
}

static struct guest *guest_create(struct request *request)
{
    struct guest *self = calloc(1, sizeof *self);
    if (!self)
        sessions_refuse(request, ERR_OUT_OF_MEMORY);
    return self;
}

static void enter_lobby(struct request *request, const char *greeting)
{
    struct guest *self = guest_create(request);
    if (!self)
        return;
    self->format = &wire_text_lobby;
    self->greeting = greeting;
    self->hears_itself = true;
    set_name(self, LOBBY, strlen(LOBBY));
    memcpy(self->channel, LOBBY, strlen(LOBBY));
    self->channel_length = (uint8_t)strlen(LOBBY);
    come_in(request, self);
}

/* name: NULL where the token says who it is, or nobody. */
static void enter_room(struct request *request, const char *room, size_t room_length,
                       const char *name, const char *greeting)
{
    struct guest *self = guest_create(request);
    if (!self)
        return;
    self->format = &wire_text_room;
    self->greeting = greeting;
    if (name)
        set_name(self, name, strlen(name));
    memcpy(self->channel, ROOM_PREFIX, strlen(ROOM_PREFIX));
    memcpy(self->channel + strlen(ROOM_PREFIX), room, room_length);
    self->channel_length = (uint8_t)(strlen(ROOM_PREFIX) + room_length);
    come_in(request, self);
}

/* Of somebody without credentials. False: a problem was answered. */
static bool read_name(struct request *request, bool required, const char **ret_name)
{
    bool named = access_is_open(request_access(request)); /* else the token says who it is */
    const char *name = named ? target_query(request_target(request), "name") : NULL;
    *ret_name = name;
    if (named && (name ? !topic_is_name(name, strlen(name)) : required))
        request_problem(request, ERR_BAD_PARAMETER, "name",
                        "Say who comes in: /rooms/tea?name=bob.");
    else if (name && !can_speak(name))
        request_problem(request, ERR_BAD_PARAMETER, "name",
                        "A name in a room has no ], and no colon before a space.");
    else
        return true;
    return false;
}

static void serve_lobby(struct request *request)
{
    enter_lobby(request, NULL);
}

static void serve_room(struct request *request)
{
    size_t length;
    const char *name, *room = target_id(request_target(request), &length);
    if (!read_name(request, true, &name))
        return;
    if (length > TOPIC_NAME_MAX - strlen(ROOM_PREFIX))
        request_problem(request, ERR_BAD_ID, NULL, "A room's name has at most 123 bytes.");
    else
        enter_room(request, room, length, name, NULL);
}

void room_serve_root(struct request *request)
{
    const struct sessions *sessions = request_context(request);
    const char *name, *greeting = sessions->root_greeting;
    if (!*greeting)
        greeting = NULL;
    if (!sessions->root_is_room)
        enter_lobby(request, greeting);
    else if (read_name(request, false, &name))
        enter_room(request, ROOT, strlen(ROOT), name, greeting);
}

static const struct route routes[] = {
    {"GET", "/ws", serve_lobby, NULL, true, RIGHT_RECEIVE},
    {"GET", "/rooms/:id", serve_room, NULL, true, RIGHT_RECEIVE},
};

const struct protocol room_protocol = {
    .session_ops = &session_ops,
    .routes = {routes, sizeof routes / sizeof *routes},
};
