#include "net/exchange.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/network.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/identity.h"
#include "net/exchanges.h"
#include "net/quota.h"
#include "net/route.h"

#define MAX_DETAIL 256
#define MAX_LATE   256 /* answers; each keeps a body and what was made of it */

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
    *ret_length = exchange->target.id_length;
    return exchange->target.id;
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
    *ret_length = exchange->target.name_length;
    return exchange->target.name;
}

const char *exchange_query(struct exchange *exchange, const char *name)
{
    return target_query(&exchange->target, name);
}

const char *exchange_query_next(struct exchange *exchange, const char *name, const char *last)
{
    return target_query_next(&exchange->target, name, last);
}

struct quota *exchange_quota(const struct exchange *exchange)
{
    return exchange->all->quota;
}

size_t exchange_reserve(struct exchange *exchange, size_t wish)
{
    size_t share = quota_share(exchange->all->quota, wish);
    quota_set(exchange->all->quota, &exchange->answer_held, quota_counted(share));
    return share;
}

void exchange_add_header(struct exchange *exchange, const char *name, const char *value)
{
    answer_add_field(&exchange->answer, name, value);
}

/* ---- answering ---- */

void exchange_release(struct exchange *exchange)
{
    exchange->held = false;
    exchange->all->late--;
    if (exchange->over)
        exchanges_give_back(exchange);
}

bool exchange_drop_late(struct exchange *exchange)
{
    bool late = exchange->held;
    if (late)
        exchange_release(exchange);
    return late;
}

/* Is there a body still to come that is not worth waiting for? A short one is: its connection lives
 * on, and costs less than another. So does a client that waits for leave to send one. */
static bool body_is_left(const struct exchange *exchange)
{
    const struct head_body *body = &exchange->announced;
    return exchange->stage == EXCHANGE_BODY && body->any && !exchange->close &&
           (body->chunked || body->length > EXCHANGES_SHORT_BODY) &&
           !exchange_header(exchange, "Expect");
}

/* libmicrohttpd answers after the body only, or closes the socket over bytes that are unread, and
 * the kernel then answers RST, by which the answer may be lost. So this one is written past it, at
 * once; then the rest is read for nothing, for a while (RFC 9112 section 9.6). */
static void answer_early(struct exchange *exchange, int status, const char *content_type,
                         const void *body, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct buf bytes;
    buf_init(&bytes);
    answer_write_head(&exchange->answer, &bytes, status, content_type);
    buf_add_format(&bytes, "Content-Length: %zu\r\n\r\n", size);
    buf_add(&bytes, body, size);
    exchange->answer.status = status;
    exchange->close = !buf_ok(&bytes) || send(info->connect_fd, bytes.data, bytes.size,
                                              MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)bytes.size;
    buf_finish(&bytes);
    if (exchange->close)
        return;
    shutdown(info->connect_fd, SHUT_WR);
    exchange->lingers = true;
    exchanges_move_deadline(exchange, DEADLINE_LINGER);
}

/* When there is no memory for an answer, the connection ends without one. */
static void hang_up(struct exchange *exchange)
{
    exchange->close = true;
    exchange->answer.err = ERR_OUT_OF_MEMORY;
    exchange->answer.status = 503;
    exchanges_resume(exchange);
}

static void settle(struct exchange *exchange, bool made)
{
    if (!made) {
        hang_up(exchange);
        return;
    }
    if (exchange->close || exchange->all->stopping)
        answer_say_close(&exchange->answer);
    exchanges_resume(exchange);
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
    if (body_is_left(exchange)) {
        answer_early(exchange, status, content_type, body->data, body->size);
        buf_finish(body);
        return;
    }
    quota_set(exchange->all->quota, &exchange->answer_held, quota_counted(body->size));
    settle(exchange, answer_make(&exchange->answer, status, content_type, body));
}

void exchange_answer_static(struct exchange *exchange, int status, const char *content_type,
                            const void *body, size_t size)
{
    if (exchange_drop_late(exchange))
        return;
    if (body_is_left(exchange))
        answer_early(exchange, status, content_type, body, size);
    else
        settle(exchange, answer_make_static(&exchange->answer, status, content_type, body, size));
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
    exchange->answer.err = err;
    answer_write_problem(&exchange->answer, &body, err, field, text);
    if (!buf_ok(&body)) {
        buf_finish(&body);
        hang_up(exchange);
        return;
    }
    exchange_answer(exchange, err_status(err), ANSWER_PROBLEM_TYPE, &body);
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
    exchange->answer.err = err;
    network_format(exchange_client(exchange), client);
    log_refused(err, LOG_TEXT("method", exchange->head.method),
                LOG_TEXT("path", exchange->target.path), LOG_TEXT("why", why),
                LOG_TEXT("key", identity_key_id(who)), LOG_TEXT("user", identity_user(who)),
                LOG_TEXT("client", client), LOG_TEXT("request_id", exchange->answer.request_id));
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

/* ---- later ---- */

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
    return !exchanges_is_answered(exchange);
}

void exchange_progress(struct exchange *exchange)
{
    exchanges_move_deadline(exchange, DEADLINE_BODY);
}

void exchange_go_on(struct exchange *exchange)
{
    exchange->waits = false;
    exchanges_move_deadline(exchange, DEADLINE_BODY);
    exchanges_resume(exchange);
}

/* ---- the socket ---- */

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
    exchanges_run_again(exchange->all);
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
    exchange->answer.response = response;
    exchange->answer.status = MHD_HTTP_SWITCHING_PROTOCOLS;
    exchanges_resume(exchange);
}

int exchange_adopt(struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    exchange->close = true; /* MHD_NO without an answer */
    exchange->answer.status = MHD_HTTP_OK;
    exchanges_resume(exchange);
    exchanges_run_again(exchange->all);
    return fd;
}

bool exchange_is_head(const struct exchange *exchange)
{
    return strcmp(exchange->head.method, "HEAD") == 0;
}

bool exchange_is_post(const struct exchange *exchange)
{
    return strcmp(exchange->head.method, "POST") == 0;
}

void exchange_write_head(const struct exchange *exchange, struct buf *buf, int status,
                         const char *content_type)
{
    answer_write_head(&exchange->answer, buf, status, content_type);
}

void exchange_write_problem(const struct exchange *exchange, struct buf *buf, enum err err,
                            const char *detail)
{
    struct buf body;
    buf_init(&body);
    answer_write_problem(&exchange->answer, &body, err, NULL, detail);
    answer_write_head(&exchange->answer, buf, err_status(err), ANSWER_PROBLEM_TYPE);
    buf_add_format(buf, "Content-Length: %zu\r\n\r\n", body.size);
    buf_add(buf, body.data, body.size);
    buf->failed = buf->failed || !buf_ok(&body);
    buf_finish(&body);
}
