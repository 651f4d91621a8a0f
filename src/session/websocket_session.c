/* `/ws/<user>`: text as in the original, or JSON, both forms of docs/wire.md over a WebSocket. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "engine/reactor.h"
#include "http/head.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/target.h"
#include "model/access.h"
#include "model/connection_manager.h"
#include "model/identity.h"
#include "model/message.h"
#include "session/client.h"
#include "session/session_auth.h"
#include "session/protocols.h"
#include "session/sessions.h"
#include "session/subscribe_request.h"
#include "session/verbs.h"
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

static const struct message_format json_outline = {FRAME_JSON_OUTLINE, make_json_outline, NULL};
static const struct message_format json_format = {FRAME_JSON, make_json, &json_outline};

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

/* ---- the client's side ---- */

static void reply(struct client *client, struct buf *body)
{
    send_buf(from_session(&client->session), body);
}

static bool hold(struct client *client, size_t size, size_t *ret_held)
{
    return websocket_ask(&from_session(&client->session)->websocket, size, ret_held);
}

static void release(struct sessions *sessions, struct client *client, size_t *held)
{
    struct websocket_session *self = client ? from_session(&client->session) : NULL;
    websocket_answered(sessions->websockets, self ? &self->websocket : NULL, held);
}

static void write_peer(const struct client *client, char ret_peer[static STREAM_PEER_SIZE])
{
    stream_peer(&from_session(&client->session)->websocket.stream, ret_peer);
}

static const struct client_ops ops = {
    .session =
        {
            .transport = "websocket",
            .protocol = PROTOCOL_WEBSOCKET,
            .deliver = deliver,
            .tell_gap = tell_gap,
            .queued = queued,
            .close = close_session,
        },
    .reply = reply,
    .hold = hold,
    .release = release,
    .peer = write_peer,
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

/* From now on it is who's, or with NULL, where nobody needs an authorization, anyone's. */
static void let_in(struct websocket_session *self, struct identity *who)
{
    client_renew(&self->client, who ? who : &identity_anyone);
    locate(self);
}

/* The first one: whoever brings no good token has had their chance. It may name the channels for
 * which the URL had no room. */
static void authenticate(struct websocket_session *self, const struct client_frame *frame)
{
    struct subscribe_request *subscribe_request = &self->opening->subscribe_request;
    const bool open = access_is_open(session_auths_access(self->client.sessions->auths));
    struct identity *who = NULL;
    const char *why = NULL;
    int err = open ? 0 : verbs_identify(frame, &who, &why);
    int added =
        err ? 0
            : subscribe_request_add(subscribe_request, json_object_get(frame->object, "channels"));
    if (added == ERR_BAD_FIELD) {
        identity_destroy(who);
        verbs_answer_error(frame, ERR_BAD_FIELD, SUBSCRIBE_REQUEST_CHANNELS);
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
    verbs_log_refusal(frame, &subscribe_request->start.user, (enum err)err, why);
    identity_destroy(who);
    websocket_close(&self->websocket, (enum err)err);
}

/* A frame before the session is open: nothing but its token is of interest. */
static void serve_opening(struct websocket_session *self, const struct client_frame *frame)
{
    const char *type = json_string_value(json_object_get(frame->object, "type"));
    if (self->opening->locating)
        verbs_answer_error(frame, ERR_BAD_FRAME, "Wait for the welcome.");
    else if (type && strcmp(type, "auth") == 0)
        authenticate(self, frame);
    else
        websocket_close(&self->websocket, ERR_UNAUTHORIZED);
}

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    struct websocket_session *self = from_websocket(websocket);
    struct client_frame frame = {&self->client, NULL, bytes, size};
    json_error_t error;
    if (!self->websocket.json) /* the original reads and ignores what its clients send */
        return;
    if (self->opening && opcode != WEBSOCKET_TEXT) {
        websocket_close(websocket, ERR_UNAUTHORIZED);
        return;
    }
    if (opcode != WEBSOCKET_TEXT) {
        verbs_answer_error(&frame, ERR_BAD_FRAME, "Send text frames.");
        return;
    }
    int err = json_body_parse(bytes, size, &frame.object, &error);
    if (err == ERR_OUT_OF_MEMORY)
        websocket_close(websocket, ERR_OUT_OF_MEMORY);
    else if (err && self->opening)
        websocket_close(websocket, ERR_UNAUTHORIZED);
    else if (err)
        verbs_answer_error(&frame, ERR_BAD_JSON, "This frame is not JSON.");
    else if (self->opening)
        serve_opening(self, &frame);
    else
        verbs_serve(&frame);
    json_decref(frame.object);
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
    const char *format = target_query(request_target(request), "format");
    if (format && strcmp(format, "json") != 0 && strcmp(format, "text") != 0) {
        request_problem(request, ERR_BAD_PARAMETER, "format", "format is json or text.");
        return false;
    }
    *ret_json = format && strcmp(format, "json") == 0;
    *ret_protocol = NULL;
    if (head_list_has(request_head(request), "Sec-WebSocket-Protocol", PROTOCOL_JSON)) {
        *ret_json = true;
        *ret_protocol = PROTOCOL_JSON;
    } else if (head_list_has(request_head(request), "Sec-WebSocket-Protocol", TEXT_FORM_PROTOCOL)) {
        *ret_json = false;
        *ret_protocol = TEXT_FORM_PROTOCOL;
    }
    size_t length;
    if (*ret_protocol ||
        !head_list_find(request_head(request), "Sec-WebSocket-Protocol", REQUEST_BEARER, &length))
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
    const char *by = target_query(request_target(request), "auth");
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

static void serve(struct request *request)
{
    struct opening asked = {.request = request};
    struct sessions *sessions = request_context(request);
    bool json;
    if (!websocket_handshake_check(request, asked.accept) ||
        !choose_format(request, &json, &asked.protocol) || !request_may_ask(request) ||
        !subscribe_request_read(request, &asked.subscribe_request))
        return;
    int refused;
    struct websocket_session *self = session_create(json);
    int err = self
                  ? client_admit_to_refuse(&self->client, sessions, &ops.session, request, &refused)
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

/* ---- all WebSockets, those of rooms and echoes among them ---- */

static void *create(struct sessions *sessions)
{
    return sessions->websockets; /* the worker's own */
}

static void close_all(void *state, enum err reason)
{
    websockets_close_all(state, reason);
}

static void abort_all(void *state)
{
    websockets_abort_all(state);
}

static const struct route routes[] = {
    {"GET", "/ws/:id", serve, NULL, true, RIGHT_RECEIVE},
};

const struct protocol websocket_session_protocol = {
    .session_ops = &ops.session,
    .routes = {routes, sizeof routes / sizeof *routes},
    .create = create,
    .close_all = close_all,
    .abort_all = abort_all,
};
