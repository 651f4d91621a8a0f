#include "net/websocket_session.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/catch_up.h"
#include "engine/worker.h"
#include "model/connection_manager.h"
#include "model/message.h"
#include "model/session.h"
#include "net/budget.h"
#include "net/exchange.h"
#include "net/handshake.h"
#include "net/websocket.h"

#define PROTOCOL_JSON "pushwire.v1.json"
#define PROTOCOL_TEXT "pushwire.v1.text"

struct websocket_session {
    struct websocket websocket;
    struct session session;
    struct websocket_door *door;
    struct sockaddr_in6 *peer; /* whose share of max_sessions_per_ip it has; NULL: not counted */
    bool json;
};

/* What is known between the handshake and the socket. */
struct opening {
    struct websocket_session *session;
    struct address user;
    bool has_after;
    bool too_many; /* of its address: closed by a code the browser can see */
    uint64_t after;
    char user_name[ADDRESS_NAME_MAX];
};

static struct websocket_session *from_session(const struct session *session)
{
    return list_entry(session, struct websocket_session, session);
}

static struct websocket_session *from_websocket(struct websocket *websocket)
{
    return (struct websocket_session *)websocket;
}

/* ---- frames ---- */

static struct frame *text_frame_of(const struct buf *buf)
{
    char *payload;
    struct frame *frame = buf_ok(buf) ? websocket_frame(WEBSOCKET_TEXT, buf->size, &payload) : NULL;
    if (frame)
        memcpy(payload, buf->data, buf->size);
    return frame;
}

static struct frame *make_json(const struct message *message)
{
    struct buf buf;
    buf_init(&buf);
    buf_add_text(&buf, "{\"type\":\"message\",");
    message_write_members(message, &buf);
    buf_add_text(&buf, "}");
    struct frame *frame = text_frame_of(&buf);
    buf_finish(&buf);
    return frame;
}

static struct frame *make_text_of(const struct message *message, const char *text, size_t length)
{
    char *at;
    struct frame *frame = websocket_frame(WEBSOCKET_TEXT, message->sender_length + length + 4, &at);
    if (!frame)
        return NULL;
    *at++ = '[';
    at = mempcpy(at, message->sender, message->sender_length);
    at = mempcpy(at, "]: ", 3);
    memcpy(at, text, length);
    return frame;
}

/* A body that is a string shows as its text, anything else as compact JSON. */
static struct frame *make_text(const struct message *message)
{
    if (message->body[0] != '"')
        return make_text_of(message, message->body, message->body_length);
    if (!memchr(message->body, '\\', message->body_length))
        return make_text_of(message, message->body + 1, message->body_length - 2);
    json_t *body = json_loadb(message->body, message->body_length, JSON_DECODE_ANY, NULL);
    struct frame *frame =
        body ? make_text_of(message, json_string_value(body), json_string_length(body)) : NULL;
    json_decref(body);
    return frame;
}

static const struct message_format text_format = {0, make_text};
static const struct message_format json_format = {1, make_json};

__attribute__((format(printf, 2, 3))) static bool send_text(struct websocket_session *self,
                                                            const char *format, ...)
{
    char text[1024]; /* an error with a `ref` of 128 bytes, each of them escaped */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *payload;
    size_t size = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    struct frame *frame = websocket_frame(WEBSOCKET_TEXT, size, &payload);
    if (!frame)
        return false;
    memcpy(payload, text, size);
    bool sent = websocket_send(&self->websocket, frame);
    frame_unref(frame);
    return sent;
}

/* ---- the session's side ---- */

static bool deliver(struct session *session, struct message *message)
{
    struct websocket_session *self = from_session(session);
    struct frame *frame = message_frame(message, self->json ? &json_format : &text_format);
    if (frame && websocket_send(&self->websocket, frame))
        return true;
    stream_fail(&self->websocket.stream, ERR_OUT_OF_MEMORY);
    return false;
}

static bool tell_gap(struct session *session, uint64_t after, uint64_t resumes)
{
    struct websocket_session *self = from_session(session);
    char after_text[TEXT_ID_SIZE], resumes_text[TEXT_ID_SIZE];
    if (!self->json) {
        websocket_close(&self->websocket, ERR_GAP);
        return false;
    }
    text_format_id(after, after_text);
    text_format_id(resumes, resumes_text);
    if (send_text(self, "{\"type\":\"gap\",\"after\":\"%s\",\"resumes\":\"%s\"}", after_text,
                  resumes_text))
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
    .transport = "websocket",
    .deliver = deliver,
    .tell_gap = tell_gap,
    .queued = queued,
    .close = close_session,
};

/* ---- the WebSocket's side ---- */

static void send_error(struct websocket_session *self, enum err err, const json_t *ref,
                       const char *detail)
{
    char *ref_text = json_is_string(ref) && json_string_length(ref) <= ADDRESS_NAME_MAX
                         ? json_dumps(ref, JSON_ENCODE_ANY | JSON_COMPACT)
                         : NULL;
    send_text(self, "{\"type\":\"error\",\"code\":\"%s\",\"detail\":\"%s\"%s%s}", err_code(err),
              detail, ref_text ? ",\"ref\":" : "", ref_text ? ref_text : "");
    free(ref_text);
}

static void serve_frame(struct websocket_session *self, const json_t *frame)
{
    const char *type = json_string_value(json_object_get(frame, "type"));
    const json_t *ref = json_object_get(frame, "ref");
    if (!type)
        send_error(self, ERR_BAD_FRAME, ref, "Send a JSON object with a type.");
    else if (strcmp(type, "ping") == 0)
        send_text(self, "{\"type\":\"pong\"}");
    else
        send_error(self, ERR_BAD_FRAME, ref, "This type is not served; ping is.");
}

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    struct websocket_session *self = from_websocket(websocket);
    json_error_t error;
    if (!self->json) /* the original reads and ignores what its clients send */
        return;
    json_t *frame =
        opcode == WEBSOCKET_TEXT ? json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (opcode != WEBSOCKET_TEXT)
        send_error(self, ERR_BAD_FRAME, NULL, "Send text frames.");
    else if (frame)
        serve_frame(self, frame);
    else if (json_error_code(&error) == json_error_out_of_memory)
        websocket_close(websocket, ERR_OUT_OF_MEMORY);
    else
        send_error(self, ERR_BAD_JSON, NULL, "This frame is not JSON.");
    json_decref(frame);
}

static void on_drained(struct websocket *websocket)
{
    struct websocket_session *self = from_websocket(websocket);
    catch_up_drained(self->door->worker->catch_up, &self->session);
}

/* Spread over the whole range, so that those who were sent away together do not return together. */
static int64_t retry_after_ms(const struct websocket_door *door)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = 0;
    return (int64_t)(random % (uint64_t)(door->retry_spread_ms + 1));
}

static void say_bye(struct websocket_session *self, enum err reason)
{
    if (!self->json || reason == ERR_PEER_CLOSED || reason == ERR_CONNECTION_LOST)
        return;
    send_text(self, "{\"type\":\"bye\",\"code\":\"%s\",\"retry_ms\":%lld}", err_code(reason),
              (long long)retry_after_ms(self->door));
}

static void log_session(const char *event, const struct websocket_session *self, enum err reason)
{
    char id[SESSION_ID_TEXT_SIZE], peer[STREAM_PEER_SIZE];
    if (!log_wants(LOG_DEBUG))
        return;
    struct address user = {0};
    if (self->session.user)
        user = connection_manager_user(&self->session);
    session_format_id(self->session.id, id);
    stream_peer(&self->websocket.stream, peer);
    log_debug(event, LOG_BYTES("user", user.name, user.length), LOG_TEXT("peer", peer),
              LOG_TEXT("session", id), LOG_TEXT("reason", reason ? err_code(reason) : NULL));
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    struct websocket_session *self = from_websocket(websocket);
    log_session("session closed", self, reason);
    say_bye(self, reason);
    metrics_add(&self->door->worker->metrics.closed[reason], 1);
    catch_up_close(self->door->worker->catch_up, &self->session);
}

/* Gives back what the handshake took. */
static void release(struct websocket_session *self)
{
    if (self->peer)
        budget_give_address(self->door->budget, (struct sockaddr *)self->peer);
    free(self->peer);
    budget_give_session(self->door->budget);
    free(self);
}

static void free_session(struct websocket *websocket)
{
    struct websocket_session *self = from_websocket(websocket);
    self->door->open--;
    release(self);
}

static const struct websocket_role role = {
    .heartbeat = true,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = free_session,
};

/* ---- opening ---- */

static void welcome(struct websocket_session *self, const struct address *user)
{
    char id[SESSION_ID_TEXT_SIZE], cursor[TEXT_ID_SIZE];
    struct buf buf;
    session_format_id(self->session.id, id);
    text_format_id(self->session.cursor, cursor);
    buf_init(&buf);
    buf_add_format(&buf, "{\"type\":\"welcome\",\"session\":\"%s\",\"user\":", id);
    buf_add_json(&buf, user->name, user->length);
    buf_add_format(&buf, ",\"cursor\":\"%s\",\"heartbeat\":%lld}", cursor,
                   (long long)(self->door->heartbeat_ms / 1000));
    struct frame *frame = text_frame_of(&buf);
    buf_finish(&buf);
    if (!frame || !websocket_send(&self->websocket, frame))
        websocket_close(&self->websocket, ERR_OUT_OF_MEMORY);
    frame_unref(frame);
}

static void begin(struct websocket_session *self, const struct opening *opening)
{
    int err = opening->too_many ? ERR_TOO_MANY_SESSIONS_OF_IP : 0;
    if (!err)
        err = catch_up_open(self->door->worker->catch_up, &self->session, &opening->user,
                            opening->has_after ? &opening->after : NULL);
    if (err)
        websocket_close(&self->websocket, (enum err)err);
    else if (self->json)
        welcome(self, &opening->user);
    if (!err)
        log_session("session opened", self, ERR_NONE);
}

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    struct opening *opening = context;
    struct websocket_session *self = opening->session;
    if (fd < 0 || !websocket_open(&self->websocket, self->door->websockets, &role, fd)) {
        if (fd >= 0)
            close(fd);
        release(self);
    } else {
        self->door->open++;
        begin(self, opening);
        websocket_feed(&self->websocket, extra, size);
    }
    free(opening);
}

/* Chosen by subprotocol, else by ?format=, else text. False: a problem was answered. */
static bool choose_format(struct exchange *exchange, bool *ret_json, const char **ret_protocol)
{
    const char *format = exchange_query(exchange, "format");
    if (format && strcmp(format, "json") != 0 && strcmp(format, "text") != 0) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "format", "format is json or text.");
        return false;
    }
    *ret_json = format && strcmp(format, "json") == 0;
    *ret_protocol = NULL;
    if (exchange_header_has(exchange, "Sec-WebSocket-Protocol", PROTOCOL_JSON)) {
        *ret_json = true;
        *ret_protocol = PROTOCOL_JSON;
    } else if (exchange_header_has(exchange, "Sec-WebSocket-Protocol", PROTOCOL_TEXT)) {
        *ret_json = false;
        *ret_protocol = PROTOCOL_TEXT;
    }
    return true;
}

static bool read_after(struct exchange *exchange, bool *ret_given, uint64_t *ret_after)
{
    const char *after = exchange_query(exchange, "after");
    *ret_given = after != NULL;
    *ret_after = 0;
    if (!after || (strlen(after) < TEXT_ID_SIZE && text_parse_u64(after, strlen(after), ret_after)))
        return true;
    exchange_problem(exchange, ERR_BAD_PARAMETER, "after",
                     "after is an id, or 0 for all that is kept.");
    return false;
}

static bool take_address(struct websocket_session *self, const struct sockaddr *peer)
{
    if (!budget_counts_addresses(self->door->budget))
        return true;
    self->peer = malloc(sizeof *self->peer);
    if (!self->peer)
        return false;
    memcpy(self->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    if (budget_take_address(self->door->budget, peer))
        return true;
    free(self->peer);
    self->peer = NULL;
    return false;
}

static struct opening *prepare(struct exchange *exchange, bool json)
{
    struct websocket_door *door = exchange_state(exchange);
    struct opening *opening = calloc(1, sizeof *opening);
    struct websocket_session *self = calloc(1, sizeof *self);
    if (!opening || !self) {
        free(opening);
        free(self);
        return NULL;
    }
    size_t length;
    const char *name = exchange_id(exchange, &length);
    memcpy(opening->user_name, name, length);
    opening->user = address_make(ADDRESS_USER, opening->user_name, length);
    opening->session = self;
    self->door = door;
    self->json = json;
    self->session.ops = &session_ops;
    self->session.id = hash_number(++door->next_session);
    self->session.queue_high = door->queue_high;
    session_init(&self->session);
    opening->too_many = !take_address(self, exchange_peer(exchange));
    return opening;
}

void websocket_session_serve(struct exchange *exchange)
{
    struct websocket_door *door = exchange_state(exchange);
    char accept[DIGEST_ACCEPT_SIZE];
    const char *protocol;
    bool json, has_after;
    uint64_t after;
    if (!handshake_check(exchange, accept) || !choose_format(exchange, &json, &protocol) ||
        !read_after(exchange, &has_after, &after))
        return;
    if (!budget_take_session(door->budget)) {
        exchange_add_header(exchange, "Retry-After", "5");
        exchange_problem(exchange, ERR_TOO_MANY_SESSIONS, NULL, "Try again later.");
        return;
    }
    struct opening *opening = prepare(exchange, json);
    if (!opening) {
        budget_give_session(door->budget);
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    opening->has_after = has_after;
    opening->after = after;
    exchange_upgrade(exchange, accept, protocol, on_adopted, opening);
}
