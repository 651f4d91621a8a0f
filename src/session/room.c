/* Text chat rooms, as in the group-chat tutorials.
 *
 * `/ws` is one lobby: a text frame from anyone goes to everyone, its sender too. `/rooms/<room>` is
 * a room: a text frame goes to all others as `bob: text`, and `/exit` leaves. They are the channels
 * `lobby` and `room:<room>` with a ttl of 0: nothing said there is kept. `/` is one of both. */
#include "session/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/catch_up.h"
#include "http/head.h"
#include "http/request.h"
#include "http/target.h"
#include "model/access.h"
#include "model/identity.h"
#include "session/guest.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/websocket_handshake.h"
#include "session/wire_text.h"

#define LOBBY       "lobby"
#define ROOM_PREFIX "room:"
#define ROOT        "root"

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
    int err =
        client_admit_to_refuse(&self->client, sessions, &guest_session_ops, request, &refused);
    if (err) {
        free(self);
        sessions_refuse(request, err);
        return;
    }
    websocket_prepare(&self->websocket, sessions->websockets, &guest_role);
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
    .session_ops = &guest_session_ops,
    .routes = {routes, sizeof routes / sizeof *routes},
};
