#include "http/request.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/byte_quota.h"
#include "base/text.h"
#include "engine/reactor.h"
#include "http/requests.h"
#include "http/route.h"

#define MAX_DETAIL 256
#define MAX_LATE   256 /* answers; each keeps a body and what was made of it */

/* ---- what a route asks ---- */

size_t request_max_body(const struct request *request)
{
    return request->all->limits.max_body;
}

const struct head *request_head(const struct request *request)
{
    return &request->head;
}

const struct target *request_target(const struct request *request)
{
    return &request->target;
}

struct response *request_response(struct request *request)
{
    return &request->response;
}

void *request_context(const struct request *request)
{
    return request->route->state;
}

struct reactor *request_reactor(const struct request *request)
{
    return request->all->reactor;
}

int64_t request_began_us(const struct request *request)
{
    return request->began_us;
}

bool request_has_body(const struct request *request)
{
    return request->announced.any;
}

const char *request_body(const struct request *request, size_t *ret_size)
{
    *ret_size = request->body.size;
    return request->body.data ? request->body.data : "";
}

const struct sockaddr *request_client(const struct request *request)
{
    return request->forwarded
               ? &request->client.any
               : MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                     ->client_addr;
}

const struct access *request_access(const struct request *request)
{
    return request->all->access;
}

struct byte_quota *request_quota(const struct request *request)
{
    return request->all->quota;
}

size_t request_reserve(struct request *request, size_t wish)
{
    size_t share = byte_quota_share(request->all->quota, wish);
    byte_quota_set(request->all->quota, &request->answer_held, byte_quota_counted(share));
    return share;
}

/* ---- answering ---- */

void request_release(struct request *request)
{
    bool over = request->state == REQUEST_LATE;
    request_enter(request, over ? REQUEST_OVER : REQUEST_ANSWERED);
    request->all->late--;
    if (over)
        requests_give_back(request);
}

bool request_drop_late(struct request *request)
{
    bool late = requests_is_held(request);
    if (late)
        request_release(request);
    return late;
}

/* Is there a body still to come that is not worth waiting for? A short one is: its connection lives
 * on, and costs less than another. So does a client that waits for leave to send one. */
static bool body_is_left(const struct request *request)
{
    const struct head_body *body = &request->announced;
    return request->state == REQUEST_BODY && body->any && !request->close &&
           (body->chunked || body->length > REQUESTS_SHORT_BODY) &&
           !head_find(&request->head, "Expect");
}

/* libmicrohttpd answers after the body only, or closes the socket over bytes that are unread, and
 * the kernel then answers RST, by which the answer may be lost. So this one is written past it, at
 * once; then the rest is read for nothing, for a while (RFC 9112 section 9.6). */
static void answer_early(struct request *request, int status, const char *content_type,
                         const void *body, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct buf bytes;
    buf_init(&bytes);
    response_write_head(&request->response, &bytes, status, content_type);
    buf_add_format(&bytes, "Content-Length: %zu\r\n\r\n", size);
    buf_add(&bytes, body, size);
    request->response.status = status;
    bool sent = buf_ok(&bytes) && send(info->connect_fd, bytes.data, bytes.size,
                                       MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes.size;
    buf_finish(&bytes);
    if (sent)
        shutdown(info->connect_fd, SHUT_WR);
    request_enter(request, sent ? REQUEST_LINGERING : REQUEST_CUT);
}

/* When there is no memory for an answer, the connection ends without one. */
static void hang_up(struct request *request)
{
    request->response.err = ERR_OUT_OF_MEMORY;
    request->response.status = 503;
    request_enter(request, REQUEST_CUT);
}

static void settle(struct request *request, bool made)
{
    if (!made) {
        hang_up(request);
        return;
    }
    if (request->close || request->all->stopping)
        response_say_close(&request->response);
    request_enter(request, request->state == REQUEST_BODY ? REQUEST_REFUSED : REQUEST_ANSWERED);
}

void request_answer(struct request *request, int status, const char *content_type, struct buf *body)
{
    if (request_drop_late(request)) {
        buf_finish(body);
        return;
    }
    if (!buf_ok(body)) {
        buf_finish(body);
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    if (body_is_left(request)) {
        answer_early(request, status, content_type, body->data, body->size);
        buf_finish(body);
        return;
    }
    byte_quota_set(request->all->quota, &request->answer_held, byte_quota_counted(body->size));
    settle(request, response_make(&request->response, status, content_type, body));
}

void request_answer_static(struct request *request, int status, const char *content_type,
                           const void *body, size_t size)
{
    if (request_drop_late(request))
        return;
    if (body_is_left(request))
        answer_early(request, status, content_type, body, size);
    else
        settle(request, response_make_static(&request->response, status, content_type, body, size));
}

/* A client that takes what comes has time for all of it. */
static void on_file_read(void *context)
{
    requests_move_deadline(context, DEADLINE_ANSWER);
}

void request_answer_file(struct request *request, const char *content_type, int fd, uint64_t size,
                         void (*sent)(void *context), void *context)
{
    settle(request, response_make_file(&request->response, content_type,
                                       &(struct response_file){
                                           .fd = fd,
                                           .size = size,
                                           .on_read = on_file_read,
                                           .reader = request,
                                           .on_closed = sent,
                                           .owner = context,
                                       }));
}

void request_problem(struct request *request, enum err err, const char *field, const char *detail,
                     ...)
{
    char text[MAX_DETAIL];
    va_list args;
    if (request_drop_late(request))
        return;
    va_start(args, detail);
    vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    struct buf body;
    buf_init(&body);
    request->response.err = err;
    response_write_problem(&request->response, &body, err, field, text);
    if (!buf_ok(&body)) {
        buf_finish(&body);
        hang_up(request);
        return;
    }
    request_answer(request, err_status(err), RESPONSE_PROBLEM_TYPE, &body);
}

/* Pages send headers that are none of ours (of frameworks, of tracing), and may: what an allowed
 * origin asks for it gets. */
void request_answer_preflight(struct request *request)
{
    const char *headers = head_find(&request->head, "Access-Control-Request-Headers");
    response_add_field(&request->response, "Access-Control-Allow-Methods", "GET, POST, DELETE");
    if (headers && text_is_token_list(headers))
        response_add_field(&request->response, "Access-Control-Allow-Headers", headers);
    response_add_field(&request->response, "Access-Control-Max-Age", "600");
    request_answer_static(request, MHD_HTTP_NO_CONTENT, NULL, "", 0);
}

/* ---- later ---- */

void request_wait(struct request *request)
{
    if (request->state == REQUEST_BODY)
        request_enter(request, REQUEST_PAUSED);
    else if (request->state == REQUEST_SERVING)
        request_enter(request, REQUEST_WAITING);
}

void request_await(struct request *request, struct call *call, enum broker_end end)
{
    if (end == BROKER_ANSWERED)
        call->done(call);
    else
        request_wait(request);
}

bool request_may_ask(struct request *request)
{
    if (request->all->ended)
        request_problem(request, ERR_STOPPING, NULL, "Try again in a moment.");
    else if (request->all->late >= MAX_LATE)
        request_problem(request, ERR_BROKER_DOWN, NULL, "Try again in a moment.");
    return !requests_is_answered(request);
}

void request_progress(struct request *request)
{
    requests_move_deadline(request, DEADLINE_BODY);
}

void request_go_on(struct request *request)
{
    request_enter(request, REQUEST_BODY);
}

/* ---- the socket ---- */

/* Within MHD_run; the socket handed in is closed at the next one, so it must come (law 2). */
static void on_upgrade(void *cls, struct MHD_Connection *connection, void *mhd_context,
                       const char *extra, size_t extra_size, MHD_socket socket,
                       struct MHD_UpgradeResponseHandle *handle)
{
    (void)connection;
    (void)mhd_context;
    struct request *request = cls;
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    void (*adopted)(void *, int, const char *, size_t) = request->adopted;
    request_enter(request, REQUEST_ANSWERED);
    adopted(request->adopted_context, fd, extra, extra_size);
    requests_run_again(request->all);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

void request_upgrade(struct request *request, const char *accept, const char *protocol,
                     void (*adopted)(void *context, int fd, const char *extra, size_t size),
                     void *context)
{
    struct MHD_Response *mhd_response = MHD_create_response_for_upgrade(on_upgrade, request);
    if (!mhd_response) {
        adopted(context, -1, NULL, 0);
        hang_up(request);
        return;
    }
    request->adopted = adopted;
    request->adopted_context = context;
    MHD_add_response_header(mhd_response, "Upgrade", "websocket");
    MHD_add_response_header(mhd_response, "Sec-WebSocket-Accept", accept);
    MHD_add_response_header(mhd_response, "X-Request-Id", request->response.request_id);
    if (protocol)
        MHD_add_response_header(mhd_response, "Sec-WebSocket-Protocol", protocol);
    request->response.mhd_response = mhd_response;
    request->response.status = MHD_HTTP_SWITCHING_PROTOCOLS;
    request_enter(request, REQUEST_UPGRADING);
}

int request_adopt(struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    request->response.status = MHD_HTTP_OK;
    request_enter(request, REQUEST_CUT);
    requests_run_again(request->all);
    return fd;
}

bool request_is_head(const struct request *request)
{
    return strcmp(request->head.method, "HEAD") == 0;
}

bool request_is_post(const struct request *request)
{
    return strcmp(request->head.method, "POST") == 0;
}

void request_write_head(const struct request *request, struct buf *buf, int status,
                        const char *content_type)
{
    response_write_head(&request->response, buf, status, content_type);
}

void request_write_problem(const struct request *request, struct buf *buf, enum err err,
                           const char *detail)
{
    struct buf body;
    buf_init(&body);
    response_write_problem(&request->response, &body, err, NULL, detail);
    response_write_head(&request->response, buf, err_status(err), RESPONSE_PROBLEM_TYPE);
    buf_add_format(buf, "Content-Length: %zu\r\n\r\n", body.size);
    buf_add(buf, body.data, body.size);
    buf->failed = buf->failed || !buf_ok(&body);
    buf_finish(&body);
}
