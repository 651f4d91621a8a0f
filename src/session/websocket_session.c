#include "session/websocket_session.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "http/json_body.h"
#include "http/request.h"
#include "model/access.h"
#include "model/connection_manager.h"
#include "model/identity.h"
#include "model/message.h"
#include "session/client.h"
#include "session/publish_request.h"
#include "session/session_auth.h"
#include "session/sessions.h"
#include "session/subscribe_request.h"
#include "session/websocket_handshake.h"
#include "session/wire_json.h"
#include "session/wire_text.h"
#include "socket/websocket.h"

#define PROTOCOL_JSON "pushwire.v1.json"

struct websocket_session {
    struct websocket websocket;
    struct client client;
    struct opening *opening; /* NULL: it is open, or has ended */
};

/* What is known between the handshake and the first message. */
struct opening {
    struct subscribe_request subscribe_request;
    struct request *request; /* the handshake, until it is answered */
    char accept[DIGEST_ACCEPT_SIZE];
    const char *protocol;              /* NULL: none was chosen */
    struct websocket_session *session; /* NULL: it closed while its device was looked up */
    bool locating;                     /* the broker is asked where the device goes on */
};

static struct websocket_session *from_session(const struct session *session)
{
    return list_entry(client_of(session), struct websocket_session, client);
}

static struct websocket_session *from_websocket(struct websocket *websocket)
{
    return (struct websocket_session *)websocket;
}

/* ---- frames ---- */

static struct chunk *text_frame_of(const struct buf *buf)
{
    char *payload;
    struct chunk *frame = buf_ok(buf) ? websocket_frame(WEBSOCKET_TEXT, buf->size, &payload) : NULL;
    if (frame)
        memcpy(payload, buf->data, buf->size);
    return frame;
}

static struct chunk *make_with(const struct message *message,
                               void (*write)(struct buf *buf, const struct message *message))
{
    struct buf buf;
    buf_init(&buf);
    write(&buf, message);
    struct chunk *frame = text_frame_of(&buf);
    buf_finish(&buf);
    return frame;
}

static struct chunk *make_json(const struct message *message)
{
    return make_with(message, wire_json_message);
}

static struct chunk *make_json_outline(const struct message *message)
{
    return make_with(message, wire_json_outline);
}

static const struct message_format json_outline = {6, make_json_outline, NULL};
static const struct message_format json_format = {1, make_json, &json_outline};

/* Sends and empties the buffer. */
static bool send_buf(struct websocket_session *self, struct buf *buf)
{
    struct chunk *frame = text_frame_of(buf);
    bool sent = frame && websocket_send(&self->websocket, frame);
    frame_unref(frame);
    buf_finish(buf);
    return sent;
}

/* ---- the session's side ---- */

static bool deliver(struct session *session, struct message *message)
{
    struct websocket_session *self = from_session(session);
    struct chunk *frame = message_frame_within(
        message, self->websocket.json ? &json_format : &wire_text_session, self->websocket.max);
    if (frame && websocket_send(&self->websocket, frame))
        return true;
    stream_fail(&self->websocket.stream, ERR_OUT_OF_MEMORY);
    return false;
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel)
{
    struct websocket_session *self = from_session(session);
    struct buf buf;
    if (!self->websocket.json) {
        websocket_close(&self->websocket, ERR_GAP);
        return false;
    }
    buf_init(&buf);
    wire_json_gap(&buf, after, resumes, channel);
    if (send_buf(self, &buf))
        return true;
    websocket_close(&self->websocket, ERR_OUT_OF_MEMORY);
    return false;
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

/* ---- opening ---- */

static bool welcome(struct websocket_session *self, const struct topic *user)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_welcome(&buf, &self->client.session, user, self->client.sessions->heartbeat_ms / 1000,
                      client_who(&self->client));
    return send_buf(self, &buf);
}

static void log_session(const char *event, const struct websocket_session *self, enum err reason)
{
    char id[SESSION_ID_TEXT_SIZE], peer[STREAM_PEER_SIZE];
    if (!log_wants(LOG_DEBUG))
        return;
    struct topic user = {0};
    if (self->client.session.user)
        user = connection_manager_user(&self->client.session);
    session_format_id(self->client.session.id, id);
    stream_peer(&self->websocket.stream, peer);
    log_debug(event, LOG_BYTES("user", user.name, user.length), LOG_TEXT("peer", peer),
              LOG_TEXT("session", id), LOG_TEXT("reason", reason ? err_code(reason) : NULL));
}

static void opening_destroy(struct opening *opening)
{
    if (!opening)
        return;
    subscribe_request_finish(&opening->subscribe_request);
    free(opening);
}

/* Once it is there, and has its socket. */
static void log_opened(const struct websocket_session *self)
{
    if (self->client.session.user && !stream_held(&self->websocket.stream))
        log_session("session opened", self, ERR_NONE);
}

/* Before the handshake is answered, where the token came with it: whoever reads the 101 is already
 * found by messages. */
static void begin(struct websocket_session *self)
{
    struct opening *opening = self->opening;
    const struct catch_up_start *start = &opening->subscribe_request.start;
    int err = client_open(&self->client, start);
    self->opening = NULL;
    log_opened(self);
    if (!err && self->websocket.json && !welcome(self, &start->user))
        err = ERR_OUT_OF_MEMORY;
    opening_destroy(opening);
    if (err)
        websocket_close(&self->websocket, (enum err)err);
}

static void on_device(void *context, int err)
{
    struct opening *opening = context;
    opening->locating = false;
    if (!opening->session)
        opening_destroy(opening);
    else if (err)
        websocket_close(&opening->session->websocket, (enum err)err);
    else
        begin(opening->session);
}

/* For a session whose token came as a frame; until then nobody may ask for its device. */
static void locate(struct websocket_session *self)
{
    self->opening->locating = true;
    subscribe_request_locate(self->client.sessions->reactor, NULL,
                             &self->opening->subscribe_request, on_device, self->opening);
}

/* ---- the WebSocket's side ---- */

static void send_error(struct websocket_session *self, enum err err, const json_t *ref,
                       const char *detail)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_error(&buf, err, detail, ref);
    send_buf(self, &buf);
}

/* A frame of the client's, while it is served. */
struct asked {
    struct websocket_session *self;
    json_t *frame;
    const char *text;
    size_t size;
};

static void serve_ping(const struct asked *asked)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_pong(&buf);
    send_buf(asked->self, &buf);
}

static void answer_channel(struct websocket_session *self,
                           void (*write)(struct buf *buf, const struct topic *channel),
                           const struct topic *channel)
{
    struct buf buf;
    buf_init(&buf);
    write(&buf, channel);
    send_buf(self, &buf);
}

static bool read_channel(const struct asked *asked, struct topic *ret_channel)
{
    const json_t *name = json_object_get(asked->frame, "channel");
    const json_t *ref = json_object_get(asked->frame, "ref");
    if (json_is_string(name) && topic_is_name(json_string_value(name), json_string_length(name))) {
        *ret_channel = topic_make(TOPIC_CHANNEL, json_string_value(name), json_string_length(name));
        return true;
    }
    if (name)
        send_error(asked->self, ERR_BAD_FIELD, ref,
                   "channel is 1 to 128 bytes of UTF-8 without control characters or /.");
    else
        send_error(asked->self, ERR_MISSING_FIELD, ref, "Name it: \"channel\":\"news\".");
    return false;
}

static void serve_subscribe(const struct asked *asked)
{
    struct websocket_session *self = asked->self;
    struct topic channel;
    if (!read_channel(asked, &channel))
        return;
    int err = identity_may_hear(client_who(&self->client), &channel);
    if (!err)
        err = catch_up_subscribe(self->client.sessions->reactor->catch_up, &self->client.session,
                                 &channel);
    if (err)
        send_error(self, (enum err)err, json_object_get(asked->frame, "ref"),
                   err_title((enum err)err));
    else
        answer_channel(self, wire_json_subscribed, &channel);
}

static void serve_unsubscribe(const struct asked *asked)
{
    struct websocket_session *self = asked->self;
    struct topic channel;
    if (!read_channel(asked, &channel))
        return;
    catch_up_unsubscribe(self->client.sessions->reactor->catch_up, &self->client.session, &channel);
    answer_channel(self, wire_json_unsubscribed, &channel);
}

/* A client's message on its way; its session may close before the broker answers. */
struct client_publish {
    struct publish_request publish_request; /* first: on_sent finds the rest */
    struct sessions *sessions;
    struct websocket_session *found; /* once it is answered */
    size_t held;                     /* of the quota */
    uint64_t session;
    struct topic user;
    char name[TOPIC_NAME_MAX];
};

static void answer_sent(struct websocket_session *self,
                        const struct publish_request *publish_request)
{
    const json_t *ref = json_object_get(publish_request->body, "ref");
    struct buf buf;
    if (publish_request->publish.call.err) {
        send_error(self, publish_request->publish.call.err, ref,
                   publish_request_advice(publish_request->publish.call.err));
        return;
    }
    buf_init(&buf);
    wire_json_sent(&buf, publish_request, ref);
    send_buf(self, &buf);
}

static void find_mine(struct session *session, void *context)
{
    struct client_publish *client = context;
    if (session->id == client->session)
        client->found = from_session(session);
}

static void client_publish_destroy(struct client_publish *client)
{
    publish_request_finish(&client->publish_request);
    free(client);
}

static void on_sent(struct call *call)
{
    struct client_publish *client = (struct client_publish *)call;
    struct reactor *reactor = client->sessions->reactor;
    if (!client->publish_request.publish.call.err && !client->publish_request.publish.duplicate)
        metrics_add(&reactor->metrics.published_message, 1);
    connection_manager_each(reactor->manager, &client->user, find_mine, client);
    if (client->found)
        answer_sent(client->found, &client->publish_request);
    websocket_answered(client->sessions->websockets,
                       client->found ? &client->found->websocket : NULL, &client->held);
    client_publish_destroy(client);
}

static struct client_publish *client_publish_create(struct websocket_session *self)
{
    struct client_publish *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    struct topic user = connection_manager_user(&self->client.session);
    memcpy(client->name, user.name, user.length);
    user.name = client->name;
    client->user = user;
    client->sessions = self->client.sessions;
    client->session = self->client.session.id;
    return client;
}

static void serve_send(const struct asked *asked)
{
    struct websocket_session *self = asked->self;
    const json_t *ref = json_object_get(asked->frame, "ref");
    struct client_publish *client = client_publish_create(self);
    struct publish_problem problem;
    if (!client) {
        send_error(self, ERR_OUT_OF_MEMORY, ref, "Try again in a moment.");
        return;
    }
    struct publish_source source = {
        .text = asked->text,
        .size = asked->size,
        .who = client_who(&self->client),
        .sender = client->name,
        .sender_length = client->user.length,
        .is_client = true,
    };
    if (publish_request_read(&client->publish_request, json_incref(asked->frame), &source,
                             self->client.sessions->publish_options, &problem) != 0) {
        send_error(self, problem.err, ref, problem.detail);
        client_publish_destroy(client);
        return;
    }
    if (!websocket_ask(&self->websocket, asked->size, &client->held)) {
        send_error(self, ERR_OVERLOADED, ref, "Try again in a moment, with the same key.");
        client_publish_destroy(client);
        return;
    }
    struct reactor *reactor = client->sessions->reactor;
    struct publish_call *publish = &client->publish_request.publish;
    publish->call.done = on_sent;
    if (broker_publish(reactor->broker, reactor->member, publish) == BROKER_ANSWERED)
        on_sent(&publish->call);
}

static void serve_ack(const struct asked *asked)
{
    struct websocket_session *self = asked->self;
    const json_t *ref = json_object_get(asked->frame, "ref");
    const json_t *id = json_object_get(asked->frame, "id");
    uint64_t cursor;
    if (!id) {
        send_error(self, ERR_MISSING_FIELD, ref, "Say up to where: \"id\":\"…\".");
        return;
    }
    if (!json_is_string(id) || !subscribe_request_parse_cursor(json_string_value(id), &cursor)) {
        send_error(self, ERR_BAD_FIELD, ref, "id is a message's id.");
        return;
    }
    int err = catch_up_ack(self->client.sessions->reactor->catch_up, &self->client.session, cursor);
    if (err == ERR_BAD_FIELD)
        send_error(self, ERR_BAD_FIELD, ref, "This session was given nothing with that id yet.");
    else if (err)
        send_error(self, (enum err)err, ref, "Open the session with ?device= to acknowledge.");
}

/* What a narrower token no longer covers. */
static void drop_channels(struct websocket_session *self)
{
    struct catch_up *catch_up = self->client.sessions->reactor->catch_up;
    struct subscription *next;
    for (struct subscription *at = self->client.session.channels; at; at = next) {
        struct topic channel = connection_manager_channel(at);
        char name[TOPIC_NAME_MAX];
        next = at->next;
        if (!identity_may_hear(client_who(&self->client), &channel))
            continue;
        memcpy(name, channel.name, channel.length);
        channel.name = name;
        catch_up_unsubscribe(catch_up, &self->client.session, &channel);
        answer_channel(self, wire_json_unsubscribed, &channel);
    }
}

static void answer_renewal(struct websocket_session *self)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_renewed(&buf, client_who(&self->client));
    send_buf(self, &buf);
}

static int identify(const struct asked *asked, struct identity **ret_who, const char **ret_why)
{
    const json_t *token = json_object_get(asked->frame, "token");
    const struct access *access = session_auths_access(asked->self->client.sessions->auths);
    *ret_why = "the frame has no token";
    if (!json_is_string(token))
        return ERR_UNAUTHORIZED;
    return access_identify(access, json_string_value(token), json_string_length(token),
                           clock_wall_ms(), ret_who, ret_why);
}

static void log_refusal(const struct websocket_session *self, const struct topic *user,
                        enum err err, const char *why)
{
    char peer[STREAM_PEER_SIZE];
    stream_peer(&self->websocket.stream, peer);
    log_refused(err, LOG_TEXT("frame", "auth"), LOG_BYTES("user", user->name, user->length),
                LOG_TEXT("why", why), LOG_TEXT("peer", peer));
}

/* From now on it is who's, or with NULL, where nobody needs an authorization, anyone's. */
static void let_in(struct websocket_session *self, struct identity *who)
{
    client_renew(&self->client, who ? who : &identity_anyone);
    locate(self);
}

/* The first one: whoever brings no good token has had their chance. It may name the channels for
 * which the URL had no room. */
static void authenticate(const struct asked *asked)
{
    struct websocket_session *self = asked->self;
    struct subscribe_request *subscribe_request = &self->opening->subscribe_request;
    const bool open = access_is_open(session_auths_access(self->client.sessions->auths));
    struct identity *who = NULL;
    const char *why = NULL;
    int err = open ? 0 : identify(asked, &who, &why);
    int added =
        err ? 0
            : subscribe_request_add(subscribe_request, json_object_get(asked->frame, "channels"));
    if (added == ERR_BAD_FIELD) {
        identity_destroy(who);
        send_error(self, ERR_BAD_FIELD, json_object_get(asked->frame, "ref"),
                   SUBSCRIBE_REQUEST_CHANNELS);
        return;
    }
    why = added ? "the frame's channels" : why;
    err = added ? added : err;
    if (!err)
        err = subscribe_request_check(subscribe_request, who ? who : &identity_anyone, &why);
    if (!err) {
        let_in(self, who);
        return;
    }
    log_refusal(self, &subscribe_request->start.user, (enum err)err, why);
    identity_destroy(who);
    websocket_close(&self->websocket, (enum err)err);
}

/* A later one; a bad one changes nothing. */
static void serve_auth(const struct asked *asked)
{
    struct websocket_session *self = asked->self;
    struct topic user = connection_manager_user(&self->client.session);
    struct identity *who = NULL;
    const char *why;
    int err = self->client.auth ? identify(asked, &who, &why) : 0;
    if (!err && self->client.auth)
        err = identity_may(who, RIGHT_RECEIVE, &user);
    if (err) {
        log_refusal(self, &user, (enum err)err, err_title((enum err)err));
        send_error(self, (enum err)err, json_object_get(asked->frame, "ref"),
                   err_title((enum err)err));
        identity_destroy(who);
        return;
    }
    if (self->client.auth) {
        client_renew(&self->client, who);
        drop_channels(self);
    }
    answer_renewal(self);
}

struct verb {
    const char *type;
    void (*serve)(const struct asked *asked);
};

static const struct verb verbs[] = {
    {"ping", serve_ping},
    {"subscribe", serve_subscribe},
    {"unsubscribe", serve_unsubscribe},
    {"send", serve_send},
    {"ack", serve_ack},
    {"auth", serve_auth},
};

static void serve_frame(const struct asked *asked)
{
    const char *type = json_string_value(json_object_get(asked->frame, "type"));
    const json_t *ref = json_object_get(asked->frame, "ref");
    const struct opening *opening = asked->self->opening;
    if (opening && opening->locating) {
        send_error(asked->self, ERR_BAD_FRAME, ref, "Wait for the welcome.");
        return;
    }
    if (opening) {
        if (type && strcmp(type, "auth") == 0)
            authenticate(asked);
        else
            websocket_close(&asked->self->websocket, ERR_UNAUTHORIZED);
        return;
    }
    if (!type) {
        send_error(asked->self, ERR_BAD_FRAME, ref, "Send a JSON object with a type.");
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(type, verbs[i].type) == 0) {
            verbs[i].serve(asked);
            return;
        }
    }
    send_error(asked->self, ERR_BAD_FRAME, ref, "This type is not served.");
}

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    struct websocket_session *self = from_websocket(websocket);
    json_error_t error;
    json_t *frame = NULL;
    if (!self->websocket.json) /* the original reads and ignores what its clients send */
        return;
    if (self->opening && opcode != WEBSOCKET_TEXT) {
        websocket_close(websocket, ERR_UNAUTHORIZED);
        return;
    }
    if (opcode != WEBSOCKET_TEXT) {
        send_error(self, ERR_BAD_FRAME, NULL, "Send text frames.");
        return;
    }
    int err = json_body_parse(bytes, size, &frame, &error);
    if (err == ERR_OUT_OF_MEMORY)
        websocket_close(websocket, ERR_OUT_OF_MEMORY);
    else if (err && self->opening)
        websocket_close(websocket, ERR_UNAUTHORIZED);
    else if (err)
        send_error(self, ERR_BAD_JSON, NULL, "This frame is not JSON.");
    else
        serve_frame(&(struct asked){self, frame, bytes, size});
    json_decref(frame);
}

static void on_open(struct websocket *websocket)
{
    struct websocket_session *self = from_websocket(websocket);
    log_opened(self);
    client_start(&self->client);
}

static void on_drained(struct websocket *websocket)
{
    client_drained(&from_websocket(websocket)->client);
}

static void say_bye(struct websocket_session *self, enum err reason)
{
    struct buf buf;
    if (!self->websocket.json || reason == ERR_PEER_CLOSED || reason == ERR_CONNECTION_LOST)
        return;
    buf_init(&buf);
    wire_json_bye(&buf, reason, sessions_retry_ms(self->client.sessions));
    send_buf(self, &buf);
}

/* What it asked for is forgotten, at once or when the broker has answered. */
static void drop_opening(struct websocket_session *self)
{
    if (self->opening && self->opening->locating)
        self->opening->session = NULL;
    else
        opening_destroy(self->opening);
    self->opening = NULL;
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    struct websocket_session *self = from_websocket(websocket);
    log_session("session closed", self, reason);
    say_bye(self, reason);
    client_leave(&self->client, reason);
    drop_opening(self);
}

static void free_session(struct websocket *websocket)
{
    struct websocket_session *self = from_websocket(websocket);
    client_finish(&self->client);
    free(self);
}

static const struct websocket_role role = {
    .heartbeat = true,
    .on_open = on_open,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = free_session,
};

/* ---- the handshake ---- */

/* Chosen by subprotocol, else by ?format=, else text. False: a problem was answered. */
static bool choose_format(struct request *request, bool *ret_json, const char **ret_protocol)
{
    const char *format = request_query(request, "format");
    if (format && strcmp(format, "json") != 0 && strcmp(format, "text") != 0) {
        request_problem(request, ERR_BAD_PARAMETER, "format", "format is json or text.");
        return false;
    }
    *ret_json = format && strcmp(format, "json") == 0;
    *ret_protocol = NULL;
    if (request_header_has(request, "Sec-WebSocket-Protocol", PROTOCOL_JSON)) {
        *ret_json = true;
        *ret_protocol = PROTOCOL_JSON;
    } else if (request_header_has(request, "Sec-WebSocket-Protocol", TEXT_FORM_PROTOCOL)) {
        *ret_json = false;
        *ret_protocol = TEXT_FORM_PROTOCOL;
    }
    size_t length;
    if (*ret_protocol || !request_subprotocol(request, REQUEST_BEARER, &length))
        return true;
    request_problem(request, ERR_BAD_HANDSHAKE, NULL,
                    "Offer " PROTOCOL_JSON " or " TEXT_FORM_PROTOCOL " beside the token: a browser "
                    "needs one that is answered.");
    return false;
}

/* The session and what it begins with. NULL: out of memory. */
static struct websocket_session *session_create(bool json)
{
    struct opening *opening = calloc(1, sizeof *opening);
    struct websocket_session *self = calloc(1, sizeof *self);
    if (!opening || !self) {
        free(opening);
        free(self);
        return NULL;
    }
    self->opening = opening;
    self->websocket.json = json;
    return self;
}

/* Does it say that a frame follows with what the handshake has no room for? */
static bool wants_frame(struct request *request)
{
    const char *by = request_query(request, "auth");
    return by && strcmp(by, "frame") == 0;
}

/* Why it will be closed at once, if it will; a JSON session may still bring its token. */
static int admit(struct request *request, struct websocket_session *self)
{
    struct sessions *sessions = self->client.sessions;
    const char *why;
    bool lacks_token =
        !access_is_open(session_auths_access(sessions->auths)) && !request_has_credentials(request);
    if (self->websocket.json && (lacks_token || wants_frame(request)))
        return client_authorize_later(&self->client, request_client(request));
    int err = subscribe_request_admit(request, &self->opening->subscribe_request, &why);
    if (err) {
        request_note_refusal(request, (enum err)err, why);
        return err;
    }
    return client_authorize(&self->client, request);
}

static void answer(void *context, int err)
{
    struct websocket_session *self = context;
    struct opening *opening = self->opening;
    struct request *request = opening->request;
    const char *protocol = opening->protocol;
    char accept[DIGEST_ACCEPT_SIZE];
    if (err == SUBSCRIBE_REQUEST_LATE) {
        websocket_abandon(&self->websocket);
        return;
    }
    memcpy(accept, opening->accept, sizeof accept);
    if (err)
        websocket_close(&self->websocket, (enum err)err);
    else if (!client_waits_for_token(&self->client))
        begin(self);
    websocket_handshake_answer(request, &self->websocket, accept, protocol);
}

/* Where this session's stream begins; then it opens, and the handshake is answered. */
static void open_session(struct websocket_session *self, int refused)
{
    struct sessions *sessions = self->client.sessions;
    struct opening *opening = self->opening;
    websocket_prepare(&self->websocket, sessions->websockets, &role);
    if (!refused)
        refused = admit(opening->request, self);
    if (refused || client_waits_for_token(&self->client))
        answer(self, refused);
    else
        subscribe_request_locate(sessions->reactor, opening->request, &opening->subscribe_request,
                                 answer, self);
}

void websocket_session_serve(struct request *request)
{
    struct opening asked = {.request = request};
    struct sessions *sessions = request_state(request);
    bool json;
    if (!websocket_handshake_check(request, asked.accept) ||
        !choose_format(request, &json, &asked.protocol) || !request_may_ask(request) ||
        !subscribe_request_read(request, &asked.subscribe_request))
        return;
    int refused;
    struct websocket_session *self = session_create(json);
    int err = self
                  ? client_admit_to_refuse(&self->client, sessions, &session_ops, request, &refused)
                  : ERR_OUT_OF_MEMORY;
    if (!err) {
        asked.session = self;
        *self->opening = asked;
        self->websocket.max = asked.subscribe_request.max;
        open_session(self, refused);
        return;
    }
    if (self)
        free(self->opening);
    free(self);
    subscribe_request_finish(&asked.subscribe_request);
    sessions_refuse(request, err);
}
