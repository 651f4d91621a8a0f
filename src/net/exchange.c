#include "net/exchange.h"

#include <assert.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/network.h"
#include "base/text.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/address.h"
#include "net/head.h"

#define MAX_HEADERS  6
#define MAX_DETAIL   256
#define MAX_GIVEN_ID 64
/* Of a body nobody wants, so that the client comes to read why: closing with unread bytes would
 * make the kernel answer RST, and the refusal could be lost. */
#define SWALLOW_BYTES ((size_t)1024 * 1024)
#define INLINE_ROOM   512  /* for the target; longer ones are allocated */
#define SPARE_BODY    4096 /* a larger body's buffer is not kept for the next */
#define MAX_SPARE     64
#define MAX_LATE      256 /* answers; each keeps a body and what was made of it */
#define PROBLEM_TYPE  "application/problem+json"

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_SERVED };

struct header {
    const char *name;
    const char *value;
};

struct exchange {
    struct exchange *next_spare;
    struct exchanges *all;
    struct MHD_Connection *connection;
    const struct route *route;
    struct head_body announced;
    struct buf body;
    void *taker; /* the intake's, while it is open */
    size_t taken;
    size_t swallowed;
    char *target; /* a copy (the parser writes into the original), with room to decode into */
    const char *target_place;
    char *path;  /* the part of the copy before `?` */
    char *query; /* decoded, as `name\0value\0…\0`; or NULL */
    char *id;    /* the `:id` segment, decoded */
    size_t id_length;
    char *name; /* the `:name` segment, likewise */
    size_t name_length;
    const char *origin;           /* allowed, to be answered with CORS headers */
    struct identity *who;         /* owned; NULL: nobody asked yet */
    union network_address client; /* named by a trusted proxy, if `forwarded` */
    bool forwarded;
    struct MHD_Response *response;
    int status;
    enum err err; /* what was refused, for log and metrics */
    struct header headers[MAX_HEADERS];
    size_t header_count;
    int64_t began_us;
    enum stage stage;
    bool waits;     /* the answer comes later */
    bool settled;   /* libmicrohttpd has seen that nothing is left to read */
    bool suspended; /* libmicrohttpd knows */
    bool held;      /* who asked the broker still has it: its request was answered without it */
    bool over;      /* its request has come to its end: connection and response are gone */
    bool close;     /* the connection cannot be used again */
    char request_id[MAX_GIVEN_ID + 1];
    void (*adopted)(void *context, int fd, const char *extra, size_t size);
    void *adopted_context;
    struct head head; /* its table of fields, and what follows, is not cleared beforehand */
    char room[INLINE_ROOM];
};

/* ---- memory ---- */

/* Requests come and go by the ten thousand a second, and this struct is too large for the
 * allocator's quick bins: a few are used again and again. */
static struct exchange *exchange_create(struct exchanges *all, size_t room)
{
    struct exchange *exchange = all->spare;
    struct buf body;
    buf_init(&body);
    if (exchange) {
        all->spare = exchange->next_spare;
        all->spare_count--;
        body = exchange->body;
    } else {
        exchange = malloc(sizeof *exchange);
    }
    char *target = room > INLINE_ROOM ? malloc(room) : NULL;
    if (!exchange || (room > INLINE_ROOM && !target)) {
        buf_finish(&body);
        free(exchange);
        free(target);
        return NULL;
    }
    memset(exchange, 0, offsetof(struct exchange, head.fields));
    exchange->all = all;
    exchange->body = body;
    exchange->target = target ? target : exchange->room;
    return exchange;
}

static void exchange_destroy(struct exchange *exchange)
{
    struct exchanges *all = exchange->all;
    identity_destroy(exchange->who);
    if (exchange->target != exchange->room)
        free(exchange->target);
    if (all->spare_count >= MAX_SPARE || exchange->body.capacity > SPARE_BODY ||
        !buf_ok(&exchange->body)) {
        buf_finish(&exchange->body);
        free(exchange);
        return;
    }
    exchange->body.size = 0;
    exchange->next_spare = all->spare;
    all->spare = exchange;
    all->spare_count++;
}

void exchanges_finish(struct exchanges *exchanges)
{
    for (struct exchange *exchange; (exchange = exchanges->spare);) {
        exchanges->spare = exchange->next_spare;
        buf_finish(&exchange->body);
        free(exchange);
    }
}

/* ---- what a route asks ---- */

size_t exchange_max_body(const struct exchange *exchange)
{
    return exchange->all->limits.max_body;
}

void *exchange_state(const struct exchange *exchange)
{
    return exchange->route->state;
}

struct worker *exchange_worker(const struct exchange *exchange)
{
    return exchange->all->worker;
}

int64_t exchange_began_us(const struct exchange *exchange)
{
    return exchange->began_us;
}

const char *exchange_id(const struct exchange *exchange, size_t *ret_length)
{
    *ret_length = exchange->id_length;
    return exchange->id;
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    return head_find(&exchange->head, name);
}

bool exchange_header_has(const struct exchange *exchange, const char *name, const char *token)
{
    return head_list_has(&exchange->head, name, token);
}

bool exchange_is_http_1_1(const struct exchange *exchange)
{
    return strcmp(exchange->head.version, "HTTP/1.1") == 0;
}

bool exchange_has_body(const struct exchange *exchange)
{
    return exchange->announced.any;
}

const char *exchange_body(const struct exchange *exchange, size_t *ret_size)
{
    *ret_size = exchange->body.size;
    return exchange->body.data ? exchange->body.data : "";
}

const struct sockaddr *exchange_client(const struct exchange *exchange)
{
    return exchange->forwarded
               ? &exchange->client.any
               : MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                     ->client_addr;
}

const struct access *exchange_access(const struct exchange *exchange)
{
    return exchange->all->access;
}

const char *exchange_subprotocol(const struct exchange *exchange, const char *beginning,
                                 size_t *ret_length)
{
    return head_list_find(&exchange->head, "Sec-WebSocket-Protocol", beginning, ret_length);
}

const char *exchange_name(const struct exchange *exchange, size_t *ret_length)
{
    *ret_length = exchange->name_length;
    return exchange->name;
}

const char *exchange_query(struct exchange *exchange, const char *name)
{
    for (const char *at = exchange->query; at && *at; at += strlen(at) + 1) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value;
    }
    return NULL;
}

void exchange_add_header(struct exchange *exchange, const char *name, const char *value)
{
    assert(exchange->header_count < MAX_HEADERS);
    exchange->headers[exchange->header_count++] = (struct header){name, value};
}

/* ---- answering ---- */

static void add_cors(struct exchange *exchange)
{
    if (exchange->origin)
        MHD_add_response_header(exchange->response, "Access-Control-Allow-Origin",
                                exchange->origin);
    if (exchange->origin || strcmp(exchange->head.method, "POST") != 0)
        MHD_add_response_header(exchange->response, "Vary", "Origin");
}

static void hold(struct exchange *exchange)
{
    exchange->held = true;
    exchange->all->late++;
}

void exchange_release(struct exchange *exchange)
{
    exchange->held = false;
    exchange->all->late--;
    if (exchange->over)
        exchange_destroy(exchange);
}

bool exchange_drop_late(struct exchange *exchange)
{
    bool late = exchange->held;
    if (late)
        exchange_release(exchange);
    return late;
}

/* If it waits, it does so no longer: libmicrohttpd asks again at its next run. */
static void resume(struct exchange *exchange)
{
    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    exchange->all->run_again = true;
    worker_again(exchange->all->worker);
    MHD_resume_connection(exchange->connection);
}

/* Takes the response over and lets it go when the exchange ends. */
static void answer(struct exchange *exchange, int status, const char *content_type,
                   struct MHD_Response *response)
{
    assert(!exchange->response);
    exchange->response = response;
    exchange->status = status;
    if (content_type)
        MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "X-Request-Id", exchange->request_id);
    for (size_t i = 0; i < exchange->header_count; i++)
        MHD_add_response_header(response, exchange->headers[i].name, exchange->headers[i].value);
    add_cors(exchange);
    if (exchange->close || exchange->all->stopping)
        MHD_add_response_header(response, "Connection", "close");
    resume(exchange);
}

/* When there is no memory for an answer, the connection ends without one. */
static void hang_up(struct exchange *exchange)
{
    exchange->close = true;
    exchange->err = ERR_OUT_OF_MEMORY;
    exchange->status = 503;
    resume(exchange);
}

void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     struct buf *body)
{
    if (exchange_drop_late(exchange)) {
        buf_finish(body);
        return;
    }
    if (!buf_ok(body)) {
        buf_finish(body);
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    size_t size = body->size;
    char *bytes = buf_detach(body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (response) {
        answer(exchange, status, content_type, response);
        return;
    }
    free(bytes);
    hang_up(exchange);
}

void exchange_answer_static(struct exchange *exchange, int status, const char *content_type,
                            const void *body, size_t size)
{
    if (exchange_drop_late(exchange))
        return;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
    if (response)
        answer(exchange, status, content_type, response);
    else
        hang_up(exchange);
}

static void write_problem(struct buf *buf, const struct exchange *exchange, enum err err,
                          const char *field, const char *detail)
{
    buf_add_format(buf,
                   "{\"type\":\"/docs/errors#%s\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\"",
                   err_code(err), err_title(err), err_status(err), err_code(err));
    if (field) {
        buf_add_text(buf, ",\"field\":");
        buf_add_json(buf, field, strlen(field));
    }
    buf_add_text(buf, ",\"detail\":");
    buf_add_json(buf, detail, strlen(detail));
    buf_add_format(buf, ",\"request_id\":\"%s\"}\n", exchange->request_id);
}

void exchange_problem(struct exchange *exchange, enum err err, const char *field,
                      const char *detail, ...)
{
    char text[MAX_DETAIL];
    va_list args;
    if (exchange_drop_late(exchange))
        return;
    va_start(args, detail);
    vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    struct buf body;
    buf_init(&body);
    exchange->err = err;
    write_problem(&body, exchange, err, field, text);
    if (!buf_ok(&body)) {
        buf_finish(&body);
        hang_up(exchange);
        return;
    }
    exchange_answer(exchange, err_status(err), PROBLEM_TYPE, &body);
}

/* ---- who asks ---- */

/* `Bearer x` (RFC 6750 section 2.1), or NULL. */
static const char *bearer(const struct exchange *exchange)
{
    const char *value = exchange_header(exchange, "Authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    return value + 7 + strspn(value + 7, " ");
}

/* A browser can set no header where it opens a WebSocket or an event stream, so there a token also
 * travels as a subprotocol or in the address, which is kept out of the log. */
static const char *find_credentials(struct exchange *exchange, size_t *ret_length)
{
    const char *text = bearer(exchange);
    if (!text && exchange->route->right == RIGHT_RECEIVE) {
        text = exchange_subprotocol(exchange, EXCHANGE_BEARER, ret_length);
        if (text)
            return text;
        text = exchange_query(exchange, "token");
    }
    *ret_length = text ? strlen(text) : 0;
    return text;
}

bool exchange_has_credentials(struct exchange *exchange)
{
    size_t length;
    return find_credentials(exchange, &length) != NULL;
}

int exchange_identify(struct exchange *exchange, const char **ret_why)
{
    const struct access *access = exchange->all->access;
    size_t length = 0;
    const char *text = access_is_open(access) ? NULL : find_credentials(exchange, &length);
    return access_identify(access, text, length, clock_wall_ms(), &exchange->who, ret_why);
}

const struct identity *exchange_who(const struct exchange *exchange)
{
    return exchange->who;
}

struct identity *exchange_take_who(struct exchange *exchange)
{
    struct identity *who = exchange->who;
    exchange->who = NULL;
    return who;
}

void exchange_note_refusal(struct exchange *exchange, enum err err, const char *why)
{
    char client[NETWORK_TEXT_SIZE];
    const struct identity *who = exchange->who ? exchange->who : &identity_anyone;
    exchange->err = err;
    network_format(exchange_client(exchange), client);
    log_info("refused", LOG_TEXT("method", exchange->head.method), LOG_TEXT("path", exchange->path),
             LOG_TEXT("code", err_code(err)), LOG_TEXT("why", why),
             LOG_TEXT("key", identity_key_id(who)), LOG_TEXT("user", identity_user(who)),
             LOG_TEXT("client", client), LOG_TEXT("request_id", exchange->request_id));
}

void exchange_refuse(struct exchange *exchange, enum err err, const char *why)
{
    exchange_note_refusal(exchange, err, why);
    if (err_status(err) == 401)
        exchange_add_header(exchange, "WWW-Authenticate", "Bearer");
    exchange_problem(exchange, err, NULL,
                     err_status(err) == 401 ? "Send Authorization: Bearer and a key or token: %s."
                                            : "This needs %s.",
                     why);
}

void exchange_wait(struct exchange *exchange)
{
    exchange->waits = true;
}

bool exchange_may_ask(struct exchange *exchange)
{
    if (exchange->all->ended)
        exchange_problem(exchange, ERR_STOPPING, NULL, "Try again in a moment.");
    else if (exchange->all->late >= MAX_LATE)
        exchange_problem(exchange, ERR_BROKER_DOWN, NULL, "Try again in a moment.");
    return !exchange->response && !exchange->close;
}

void exchange_give_up(struct exchange *exchange)
{
    if (!exchange->suspended) /* the answer has just come */
        return;
    if (exchange->taker) {
        exchange->route->intake->give_up(exchange->taker);
        return;
    }
    exchange_problem(exchange, ERR_BROKER_DOWN, NULL, EXCHANGE_GIVEN_UP);
    hold(exchange);
}

/* Within MHD_run; the socket handed in is closed at the next one, so it must come (law 2). */
static void on_upgrade(void *cls, struct MHD_Connection *connection, void *request,
                       const char *extra, size_t extra_size, MHD_socket socket,
                       struct MHD_UpgradeResponseHandle *handle)
{
    (void)connection;
    (void)request;
    struct exchange *exchange = cls;
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    void (*adopted)(void *, int, const char *, size_t) = exchange->adopted;
    exchange->adopted = NULL;
    adopted(exchange->adopted_context, fd, extra, extra_size);
    exchange->all->run_again = true;
    worker_again(exchange->all->worker);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

void exchange_upgrade(struct exchange *exchange, const char *accept, const char *protocol,
                      void (*adopted)(void *context, int fd, const char *extra, size_t size),
                      void *context)
{
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, exchange);
    if (!response) {
        adopted(context, -1, NULL, 0);
        hang_up(exchange);
        return;
    }
    exchange->adopted = adopted;
    exchange->adopted_context = context;
    MHD_add_response_header(response, "Upgrade", "websocket");
    MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
    if (protocol)
        MHD_add_response_header(response, "Sec-WebSocket-Protocol", protocol);
    exchange->response = response;
    exchange->status = MHD_HTTP_SWITCHING_PROTOCOLS;
    resume(exchange);
}

int exchange_adopt(struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    exchange->close = true; /* MHD_NO without an answer */
    exchange->status = MHD_HTTP_OK;
    resume(exchange);
    exchange->all->run_again = true;
    worker_again(exchange->all->worker);
    return fd;
}

bool exchange_is_head(const struct exchange *exchange)
{
    return strcmp(exchange->head.method, "HEAD") == 0;
}

void exchange_write_head(const struct exchange *exchange, struct buf *buf, int status,
                         const char *content_type)
{
    buf_add_format(buf,
                   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nX-Request-Id: %s\r\n"
                   "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nVary: Origin\r\n",
                   status, MHD_get_reason_phrase_for((unsigned)status), content_type,
                   exchange->request_id);
    if (exchange->origin)
        buf_add_format(buf, "Access-Control-Allow-Origin: %s\r\n", exchange->origin);
    buf_add_text(buf, "Connection: close\r\n");
}

/* ---- the head ---- */

static enum MHD_Result collect_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                     size_t name_length, const char *value, size_t value_length)
{
    (void)kind;
    struct head *head = cls;
    head->fields[head->count++] =
        (struct head_field){name, value ? value : "", name_length, value_length};
    return head->count < HEAD_MAX_FIELDS ? MHD_YES : MHD_NO;
}

static enum err judge_head(struct exchange *exchange, const char **ret_detail)
{
    struct head *head = &exchange->head;
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, collect_field, head);
    /* Later versions parse strictly, and where they keep strings is their own affair. */
    head->target_place = MHD_VERSION < 0x01000000 ? exchange->target_place : NULL;
    head->size =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
            ->header_size;
    return head_check(head, exchange->all->limits.max_head, &exchange->announced, ret_detail);
}

/* Taken from the client if it is plain, else made. */
static void set_request_id(struct exchange *exchange)
{
    const char *given = exchange_header(exchange, "X-Request-Id");
    size_t length = given ? strlen(given) : 0;
    if (length && length <= MAX_GIVEN_ID && text_is_token(given, length))
        memcpy(exchange->request_id, given, length + 1);
    else
        text_format_hex(hash_number(exchange->all->next_id++), exchange->request_id);
}

/* Appends raw text, decoded, and a NUL. False: a broken escape. */
static bool decode_word(char **to, char *raw, size_t length)
{
    for (size_t i = 0; i < length; i++)
        raw[i] = raw[i] == '+' ? ' ' : raw[i];
    ptrdiff_t decoded = text_percent_decode(*to, raw, length);
    if (decoded < 0)
        return false;
    *to += decoded;
    *(*to)++ = '\0';
    return true;
}

/* Decodes `a=b&c=d` into `a\0b\0c\0d\0\0`. False: a broken escape. */
static bool decode_query(char *to, char *from)
{
    while (*from) {
        size_t length = strcspn(from, "&");
        size_t name = strcspn(from, "=&");
        size_t value = name < length ? name + 1 : length; /* where it starts */
        if (name &&
            (!decode_word(&to, from, name) || !decode_word(&to, from + value, length - value)))
            return false;
        from += length + (from[length] == '&');
    }
    *to = '\0';
    return true;
}

/* The copy of the target is followed by room for the decoded id (as long at most) and for the
 * decoded query (twice as long at most: a lone name gains a NUL). */
static size_t target_room(size_t length)
{
    return (length + 1) * 4;
}

static bool split_target(struct exchange *exchange)
{
    size_t length = exchange->head.target_length;
    exchange->path = exchange->target;
    exchange->id = exchange->target + length + 1;
    char *mark = strchr(exchange->target, '?');
    if (!mark)
        return true;
    *mark = '\0';
    exchange->query = exchange->target + 2 * (length + 1);
    return decode_query(exchange->query, mark + 1);
}

/* ---- the route ---- */

struct segment {
    const char *text;
    size_t length;
};

#define MAX_SEGMENTS 2

/* Does the path fit the pattern? Then ret_ids are the raw segments that begin with a colon there.
 */
static bool path_fits(const char *pattern, const char *path, struct segment *ret_ids)
{
    struct segment *ret_id = ret_ids;
    ret_ids[0] = ret_ids[1] = (struct segment){NULL, 0};
    while (*pattern && *path) {
        if (*pattern == ':') {
            pattern += strcspn(pattern, "/");
            size_t length = strcspn(path, "/");
            *ret_id++ = (struct segment){path, length};
            path += length;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    /* An empty id is still an id: it gets 400, not 404. */
    if (*pattern == ':') {
        *ret_id = (struct segment){path, 0};
        pattern += strcspn(pattern, "/");
    }
    return !*pattern && !*path;
}

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 && !route->upgrade);
}

/* The route for path and method. Else NULL, with the methods the path knows (none: no such path).
 */
static const struct route *find_route(const struct exchange *exchange, struct segment *ret_ids,
                                      struct buf *ret_allow)
{
    for (size_t i = 0; i < exchange->all->route_count; i++) {
        const struct route *route = &exchange->all->routes[i];
        if (!path_fits(route->path, exchange->path, ret_ids))
            continue;
        if (method_fits(route, exchange->head.method))
            return route;
        buf_add_text(ret_allow, ret_allow->size ? ", " : "");
        buf_add_text(ret_allow, route->method);
        if (strcmp(route->method, "GET") == 0 && !route->upgrade)
            buf_add_text(ret_allow, ", HEAD");
    }
    return NULL;
}

static bool decode_segment(char *to, struct segment raw, size_t *ret_length)
{
    ptrdiff_t length = text_percent_decode(to, raw.text, raw.length);
    *ret_length = length < 0 ? 0 : (size_t)length;
    to[*ret_length] = '\0';
    return address_is_name(to, *ret_length);
}

/* The second follows the first in its room: what parts them in the path is the NUL's. */
static bool decode_ids(struct exchange *exchange, const struct segment *ids)
{
    if (ids[0].text && !decode_segment(exchange->id, ids[0], &exchange->id_length))
        return false;
    exchange->name = exchange->id + exchange->id_length + 1;
    return !ids[1].text || decode_segment(exchange->name, ids[1], &exchange->name_length);
}

static void answer_preflight(struct exchange *exchange)
{
    exchange_add_header(exchange, "Access-Control-Allow-Methods", "GET, POST, DELETE");
    exchange_add_header(exchange, "Access-Control-Allow-Headers",
                        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID");
    exchange_add_header(exchange, "Access-Control-Max-Age", "600");
    exchange_answer_static(exchange, MHD_HTTP_NO_CONTENT, NULL, "", 0);
}

/* A path that is there, asked by a method that is not; the texts live until the answer is made. */
static void answer_methods(struct exchange *exchange, struct buf *allow)
{
    buf_add(allow, "", 1);
    if (!buf_ok(allow)) {
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    bool options = strcmp(exchange->head.method, "OPTIONS") == 0;
    if (options && exchange->origin && exchange_header(exchange, "Access-Control-Request-Method")) {
        answer_preflight(exchange);
        return;
    }
    exchange_add_header(exchange, "Allow", allow->data);
    if (options)
        exchange_answer_static(exchange, MHD_HTTP_NO_CONTENT, NULL, "", 0);
    else
        exchange_problem(exchange, ERR_METHOD_NOT_ALLOWED, NULL, "Use %s.", allow->data);
}

/* Before the body: who may not ask need not say. */
static void check_right(struct exchange *exchange)
{
    enum right right = exchange->route->right;
    const char *why = identity_need(right);
    struct address id = {.name = exchange->id, .length = (uint32_t)exchange->id_length};
    if (right == RIGHT_OPEN || right == RIGHT_RECEIVE)
        return;
    int err = exchange_identify(exchange, &why);
    if (!err) {
        why = identity_need(right);
        err = identity_may(exchange->who, right, id.length ? &id : NULL);
    }
    if (err == ERR_OUT_OF_MEMORY)
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else if (err)
        exchange_refuse(exchange, (enum err)err, why);
}

static void route_request(struct exchange *exchange)
{
    struct segment ids[MAX_SEGMENTS];
    struct buf allow;
    buf_init(&allow);
    exchange->route = find_route(exchange, ids, &allow);
    if (!exchange->route && (allow.size || !buf_ok(&allow)))
        answer_methods(exchange, &allow);
    else if (!exchange->route)
        exchange_problem(exchange, ERR_NOT_FOUND, NULL, "See docs/wire.md for what is served.");
    else if (!decode_ids(exchange, ids))
        exchange_problem(exchange, ERR_BAD_ID, NULL,
                         "An id is 1 to 128 bytes of UTF-8 without control characters or /.");
    else
        check_right(exchange);
    buf_finish(&allow);
}

static void find_client(struct exchange *exchange)
{
    const struct access *access = exchange->all->access;
    if (!access_trusts_proxies(access))
        return;
    const char *forwarded = head_find_last(&exchange->head, "X-Forwarded-For");
    exchange->forwarded =
        access_find_client(access, exchange_client(exchange), forwarded, &exchange->client);
}

/* Host and Origin: a page from elsewhere must not reach a server that trusts its own machine. */
static bool check_access(struct exchange *exchange)
{
    const char *host = exchange_header(exchange, "Host");
    const char *origin = exchange_header(exchange, "Origin");
    if (!access_host_allowed(exchange->all->access, host ? host : "localhost")) {
        exchange_problem(exchange, ERR_HOST_NOT_ALLOWED, NULL,
                         "Use localhost, 127.0.0.1 or [::1]; --insecure-open serves any name.");
        return false;
    }
    if (origin && !access_origin_allowed(exchange->all->access, origin, host ? host : "")) {
        exchange_problem(exchange, ERR_ORIGIN_NOT_ALLOWED, NULL,
                         "List this origin in allowed_origins if its pages may connect.");
        return false;
    }
    exchange->origin = origin;
    return true;
}

static size_t max_body(const struct exchange *exchange)
{
    const struct intake *intake = exchange->route->intake;
    return intake ? intake->max_size : exchange->all->limits.max_body;
}

static void refuse_body(struct exchange *exchange)
{
    exchange_problem(exchange, ERR_BODY_TOO_LARGE, NULL,
                     exchange->route->intake ? "A body has at most %zu bytes here."
                                             : "max_body is %zu bytes.",
                     max_body(exchange));
}

/* Nobody here unpacks what is packed (RFC 9110 section 15.5.16). */
static bool is_packed(const struct exchange *exchange)
{
    const char *coding = exchange_header(exchange, "Content-Encoding");
    return exchange->announced.any && coding && strcasecmp(coding, "identity") != 0;
}

/* What can be said of the body before it comes. */
static void judge_body(struct exchange *exchange)
{
    const struct intake *intake = exchange->route->intake;
    if (is_packed(exchange)) {
        exchange_add_header(exchange, "Accept-Encoding", "identity");
        exchange_problem(exchange, ERR_UNSUPPORTED_MEDIA_TYPE, NULL,
                         "Send the body as it is, without Content-Encoding.");
    } else if (exchange->announced.length > max_body(exchange)) {
        refuse_body(exchange);
    } else if (intake) {
        exchange->taker = intake->open(exchange);
    }
}

/* The first call: everything that can be said before the body. */
static void begin(struct exchange *exchange)
{
    const char *detail = "";
    enum err err = judge_head(exchange, &detail);
    set_request_id(exchange);
    if (err) {
        exchange->close = true;
        exchange_problem(exchange, err, NULL, "%s", detail);
        return;
    }
    find_client(exchange);
    if (!split_target(exchange)) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, NULL, "The query has a broken %%-escape.");
        return;
    }
    if (!check_access(exchange))
        return;
    route_request(exchange);
    if (exchange->route && !exchange->response)
        judge_body(exchange);
}

/* ---- libmicrohttpd's calls ---- */

static void move_deadline(struct exchange *exchange, enum deadline_phase phase)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct deadline *deadline = info ? info->socket_context : NULL;
    if (!deadline)
        return;
    deadline->exchange = exchange;
    deadlines_move(&exchange->all->deadlines, deadline, phase, clock_mono_ms());
}

void *exchange_on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    size_t length = target ? strlen(target) : 0;
    struct exchange *exchange = exchange_create(cls, target_room(length));
    if (!exchange)
        return NULL;
    exchange->connection = connection;
    memcpy(exchange->target, target ? target : "", length + 1);
    exchange->target_place = target;
    exchange->head.target = exchange->target;
    exchange->head.target_length = length;
    return exchange;
}

void exchange_progress(struct exchange *exchange)
{
    move_deadline(exchange, DEADLINE_BODY);
}

void exchange_go_on(struct exchange *exchange)
{
    exchange->waits = false;
    move_deadline(exchange, DEADLINE_BODY);
    resume(exchange);
}

static int queue_answer(struct exchange *exchange)
{
    if (!exchange->response)
        return MHD_NO;
    move_deadline(exchange, DEADLINE_ANSWER);
    return MHD_queue_response(exchange->connection, (unsigned)exchange->status, exchange->response);
}

static int suspend_if_waits(struct exchange *exchange)
{
    if (exchange->waits && !exchange->suspended) {
        exchange->suspended = true;
        move_deadline(exchange, DEADLINE_WAIT);
        MHD_suspend_connection(exchange->connection);
    }
    return MHD_YES;
}

/* What libmicrohttpd is told after a step. A connection that is suspended in the step that read the
 * end of its request is read from once more when it is resumed, and ended there, unanswered, if the
 * client has shut down its side meanwhile. So it is suspended one step later. */
static int proceed(struct exchange *exchange)
{
    if (exchange->response || exchange->close)
        return queue_answer(exchange);
    if (exchange->settled)
        return suspend_if_waits(exchange);
    exchange->settled = true;
    return MHD_YES;
}

/* While it is suspended, libmicrohttpd may still bring the next chunk of those it has read. A taker
 * that has had enough takes all and does nothing: who sends twice what is allowed is cut off. */
static int give_to_taker(struct exchange *exchange, const char *bytes, size_t *size)
{
    const struct intake *intake = exchange->route->intake;
    if (exchange->suspended)
        return MHD_YES;
    size_t taken = intake->take(exchange->taker, bytes, *size);
    assert(taken == *size || exchange->waits);
    *size -= taken;
    exchange->taken += taken;
    if (exchange->taken <= 2 * intake->max_size)
        return suspend_if_waits(exchange);
    exchange->err = ERR_BODY_TOO_LARGE;
    return MHD_NO;
}

static int take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
    if (exchange->taker)
        return give_to_taker(exchange, bytes, size);
    size_t taken = *size;
    *size = 0;
    if (!exchange->response && exchange->body.size + taken > exchange->all->limits.max_body)
        refuse_body(exchange);
    if (!exchange->response) {
        buf_add(&exchange->body, bytes, taken);
        return MHD_YES;
    }
    exchange->swallowed += taken;
    return exchange->swallowed > SWALLOW_BYTES ? MHD_NO : MHD_YES;
}

static void serve(struct exchange *exchange)
{
    exchange->stage = STAGE_SERVED;
    if (exchange->response) /* refused; the body has only been swallowed */
        return;
    if (!buf_ok(&exchange->body))
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else if (exchange->route->upgrade && exchange->all->stopping)
        exchange_problem(exchange, ERR_STOPPING, NULL, "Connect again in a moment.");
    else if (exchange->taker)
        exchange->route->intake->end(exchange->taker);
    else
        exchange->route->serve(exchange);
    assert(exchange->response || exchange->waits || exchange->close);
}

/* May a refused request come to its end? Then its connection lives on; an answer in the first call
 * would close it. Not when its framing is in doubt, when the client waits for leave to send a body,
 * or when that is very long. */
static bool may_end(const struct exchange *exchange)
{
    return !exchange->close && exchange->announced.length <= SWALLOW_BYTES &&
           !exchange_header(exchange, "Expect");
}

static int first_call(struct exchange *exchange, const char *method, const char *version)
{
    exchange->stage = STAGE_BODY;
    exchange->began_us = clock_mono_us();
    exchange->head.method = method;
    exchange->head.version = version;
    begin(exchange);
    if (exchange->announced.any)
        move_deadline(exchange, DEADLINE_BODY);
    if ((!exchange->response && !exchange->close) || may_end(exchange))
        return MHD_YES;
    if (exchange->announced.any && exchange->response && !exchange->close)
        MHD_add_response_header(exchange->response, "Connection", "close");
    return queue_answer(exchange);
}

int exchange_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                        const char *method, const char *version, const char *upload_data,
                        size_t *upload_data_size, void **request)
{
    (void)cls;
    (void)connection;
    (void)url;
    struct exchange *exchange = *request;
    if (!exchange) /* there was no memory for it */
        return MHD_NO;
    if (exchange->stage == STAGE_HEAD)
        return first_call(exchange, method, version);
    if (exchange->stage == STAGE_BODY && *upload_data_size)
        return take_body(exchange, upload_data, upload_data_size);
    if (exchange->stage == STAGE_BODY)
        serve(exchange);
    return proceed(exchange);
}

static void log_access(const struct exchange *exchange)
{
    char client[NETWORK_TEXT_SIZE];
    const struct identity *who = exchange->who ? exchange->who : &identity_anyone;
    network_format(exchange_client(exchange), client);
    log_info("request", LOG_TEXT("method", exchange->head.method), LOG_TEXT("path", exchange->path),
             LOG_NUMBER("status", exchange->status),
             LOG_TEXT("code", exchange->err ? err_code(exchange->err) : NULL),
             LOG_NUMBER("us", clock_mono_us() - exchange->began_us), LOG_TEXT("client", client),
             LOG_TEXT("key", identity_key_id(who)), LOG_TEXT("user", identity_user(who)),
             LOG_TEXT("request_id", exchange->request_id));
}

void exchange_on_completed(void *cls, struct MHD_Connection *connection, void **request,
                           bool answered)
{
    (void)connection;
    (void)answered;
    struct exchanges *all = cls;
    struct exchange *exchange = *request;
    if (!exchange)
        return;
    *request = NULL;
    if (exchange->adopted) /* the client left before the 101 was out */
        exchange->adopted(exchange->adopted_context, -1, NULL, 0);
    if (exchange->stage != STAGE_HEAD) {
        metrics_add(&all->worker->metrics.http_requests, 1);
        if (exchange->err)
            metrics_add(&all->worker->metrics.refused[exchange->err], 1);
        if (all->access_log)
            log_access(exchange);
        move_deadline(exchange, DEADLINE_NEXT_HEAD);
    }
    if (exchange->taker && exchange->route->intake->close(exchange->taker))
        hold(exchange);
    if (exchange->response)
        MHD_destroy_response(exchange->response);
    exchange->over = true;
    if (!exchange->held)
        exchange_destroy(exchange);
}
