#include "net/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/connection_manager.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/session.h"
#include "net/door.h"
#include "net/exchange.h"
#include "net/handshake.h"
#include "net/pass.h"
#include "net/text_form.h"
#include "net/websocket.h"

#define LOBBY       "lobby"
#define ROOM_PREFIX "room:"
#define EXIT        "/exit"

/* Somebody in a room. */
struct guest {
    struct websocket websocket; /* first: on_message and the others find the rest */
    struct session session;
    struct place place;
    struct pass *pass; /* NULL: nobody needs one */
    const struct message_format *format;
    bool hears_itself;
    uint8_t name_length;
    uint8_t channel_length;
    char name[ADDRESS_NAME_MAX];
    char channel[ADDRESS_NAME_MAX];
};

static struct guest *from_session(const struct session *session)
{
    return list_entry(session, struct guest, session);
}

static struct guest *from_websocket(struct websocket *websocket)
{
    return (struct guest *)websocket;
}

/* ---- the session's side ---- */

static bool deliver(struct session *session, struct message *message)
{
    struct guest *self = from_session(session);
    struct frame *frame = message_frame(message, self->format);
    if (frame && websocket_send(&self->websocket, frame))
        return true;
    stream_fail(&self->websocket.stream, ERR_OUT_OF_MEMORY);
    return false;
}

/* Nothing is kept for a room, so nothing of it can be missed but by falling behind. */
static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct address *channel)
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
    .transport = TRANSPORT_WEBSOCKET,
    .deliver = deliver,
    .tell_gap = tell_gap,
    .queued = queued,
    .close = close_session,
};

/* ---- talking ---- */

struct saying {             /* a text on its way to the room */
    struct publish publish; /* first: on_said finds the rest */
    struct door *door;
    struct address channel;
    uint64_t session;
    struct guest *found; /* who said it, once the broker has answered; NULL: left */
    size_t held;         /* of the quota */
    struct buf body;
    char sender[ADDRESS_NAME_MAX];
    char name[ADDRESS_NAME_MAX];
};

static struct address guest_address(uint64_t session, char ret_id[static SESSION_ID_TEXT_SIZE])
{
    session_format_id(session, ret_id);
    return address_make(ADDRESS_GUEST, ret_id, SESSION_ID_TEXT_SIZE - 1);
}

static void find_guest(struct session *session, void *context)
{
    ((struct saying *)context)->found = from_session(session);
}

static void on_said(struct call *call)
{
    struct saying *saying = (struct saying *)call;
    struct worker *worker = saying->door->worker;
    char id[SESSION_ID_TEXT_SIZE];
    struct address guest = guest_address(saying->session, id);
    if (!saying->publish.err)
        metrics_add(&worker->metrics.published_message, 1);
    connection_manager_each(worker->manager, &guest, find_guest, saying);
    websocket_answered(saying->door->websockets, saying->found ? &saying->found->websocket : NULL,
                       &saying->held);
    buf_finish(&saying->body);
    free(saying);
}

/* 0, or why it was not said. */
static int say(struct guest *self, const char *text, size_t size)
{
    struct worker *worker = self->place.door->worker;
    struct saying *saying = calloc(1, sizeof *saying);
    if (!saying)
        return ERR_OUT_OF_MEMORY;
    if (!websocket_ask(&self->websocket, size, &saying->held)) {
        free(saying);
        return ERR_OVERLOADED;
    }
    saying->door = self->place.door;
    saying->session = self->session.id;
    memcpy(saying->sender, self->name, self->name_length);
    memcpy(saying->name, self->channel, self->channel_length);
    saying->channel = address_make(ADDRESS_CHANNEL, saying->name, self->channel_length);
    buf_init(&saying->body);
    buf_add_json(&saying->body, text, size);
    saying->publish.call.done = on_said;
    saying->publish.draft = (struct draft){
        .addresses = &saying->channel,
        .address_count = 1,
        .kind = MESSAGE_NOTIFICATION,
        .sender = saying->sender,
        .sender_length = self->name_length,
        .body = saying->body.data,
        .body_length = saying->body.size,
        .own_ttl = true,
        .except = self->hears_itself ? 0 : self->session.id,
    };
    int err = buf_ok(&saying->body)
                  ? broker_publish(worker->broker, worker->member, &saying->publish)
                  : ERR_OUT_OF_MEMORY;
    if (err == BROKER_PENDING)
        return 0;
    saying->publish.err = (enum err)err;
    on_said(&saying->publish.call);
    return err;
}

static void on_open(struct websocket *websocket)
{
    pass_start(from_websocket(websocket)->pass);
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
    struct guest *self = from_websocket(websocket);
    catch_up_drained(self->place.door->worker->catch_up, &self->session);
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    struct guest *self = from_websocket(websocket);
    struct worker *worker = self->place.door->worker;
    metrics_add(&worker->metrics.closed[reason], 1);
    catch_up_close(worker->catch_up, &self->session);
    pass_destroy(self->pass);
    self->pass = NULL;
}

static void free_guest(struct websocket *websocket)
{
    struct guest *self = from_websocket(websocket);
    self->place.door->open--;
    place_give(&self->place);
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

/* A guest has no mail: its stream is the room, and its own address is one nobody can name. */
static int open_session(struct guest *self)
{
    char id[SESSION_ID_TEXT_SIZE];
    struct address channel = address_make(ADDRESS_CHANNEL, self->channel, self->channel_length);
    struct catch_up_start start = {
        .user = guest_address(self->session.id, id),
        .channels = &channel,
        .channel_count = 1,
    };
    return door_open_session(self->place.door, &self->session, self->pass, &start);
}

static void set_name(struct guest *self, const char *name, size_t length)
{
    memcpy(self->name, name, length);
    self->name_length = (uint8_t)length;
}

/* What ends the name in `[bob]: hi` or in `bob: hi`: who has it could speak as another. */
static bool can_speak(const char *name)
{
    return !strchr(name, ']') && !strstr(name, ": ");
}

/* Who speaks here is heard here: the token has to cover both, and says who it is. */
static int admit(struct exchange *exchange, struct guest *self)
{
    const char *why;
    struct address channel = {
        .kind = ADDRESS_CHANNEL, .name = self->channel, .length = self->channel_length};
    int err = exchange_identify(exchange, &why);
    const struct identity *who = exchange_who(exchange);
    if (!err && who == &identity_anyone)
        return 0;
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
        exchange_note_refusal(exchange, (enum err)err, why);
        return err;
    }
    if (!self->hears_itself)
        set_name(self, identity_user(who), strlen(identity_user(who)));
    return door_give_pass(self->place.door, &self->session, exchange, &self->pass);
}

/* A browser that offers words wants one back. */
static const char *protocol_of(const struct exchange *exchange)
{
    return exchange_header_has(exchange, "Sec-WebSocket-Protocol", TEXT_FORM_PROTOCOL)
               ? TEXT_FORM_PROTOCOL
               : NULL;
}

static void come_in(struct exchange *exchange, struct guest *self)
{
    char accept[DIGEST_ACCEPT_SIZE];
    int refused; /* said after the 101 */
    struct door *door = exchange_state(exchange);
    self->session.ops = &session_ops;
    door_name_session(door, &self->session);
    if (!handshake_check(exchange, accept)) {
        free(self);
        return;
    }
    int err = place_take_for_websocket(&self->place, door, exchange, &refused);
    if (err) {
        free(self);
        door_refuse(exchange, err);
        return;
    }
    door->open++;
    websocket_prepare(&self->websocket, door->websockets, &role);
    if (!refused)
        refused = admit(exchange, self);
    if (!refused)
        refused = open_session(self);
    if (refused)
        websocket_close(&self->websocket, (enum err)refused);
    handshake_answer(exchange, &self->websocket, accept, protocol_of(exchange));
}

static struct guest *guest_create(struct exchange *exchange)
{
    struct guest *self = calloc(1, sizeof *self);
    if (!self)
        door_refuse(exchange, ERR_OUT_OF_MEMORY);
    return self;
}

void room_lobby_serve(struct exchange *exchange)
{
    struct guest *self = guest_create(exchange);
    if (!self)
        return;
    self->format = &text_form_lobby;
    self->hears_itself = true;
    set_name(self, LOBBY, strlen(LOBBY));
    memcpy(self->channel, LOBBY, strlen(LOBBY));
    self->channel_length = (uint8_t)strlen(LOBBY);
    come_in(exchange, self);
}

void room_serve(struct exchange *exchange)
{
    size_t room_length;
    const char *room = exchange_id(exchange, &room_length);
    const char *name = exchange_query(exchange, "name");
    bool named = access_is_open(exchange_access(exchange)); /* else the token says who it is */
    if (named && (!name || !address_is_name(name, strlen(name)))) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "name",
                         "Say who comes in: /rooms/tea?name=bob.");
        return;
    }
    if (named && !can_speak(name)) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "name",
                         "A name in a room has no ], and no colon before a space.");
        return;
    }
    if (room_length > ADDRESS_NAME_MAX - strlen(ROOM_PREFIX)) {
        exchange_problem(exchange, ERR_BAD_ID, NULL, "A room's name has at most 123 bytes.");
        return;
    }
    struct guest *self = guest_create(exchange);
    if (!self)
        return;
    self->format = &text_form_room;
    if (named)
        set_name(self, name, strlen(name));
    memcpy(self->channel, ROOM_PREFIX, strlen(ROOM_PREFIX));
    memcpy(self->channel + strlen(ROOM_PREFIX), room, room_length);
    self->channel_length = (uint8_t)(strlen(ROOM_PREFIX) + room_length);
    come_in(exchange, self);
}
