#include "http/request_in.h"

#include <assert.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/byte_quota.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/network.h"
#include "base/origin.h"
#include "base/text.h"
#include "engine/reactor.h"
#include "http/head.h"
#include "http/parser.h"
#include "http/request.h"
#include "http/requests.h"
#include "http/response.h"
#include "http/route.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/topic.h"

/* ---- the head ---- */

static enum err judge_head(struct request *request, const char **ret_detail)
{
    struct head *head = &request->head;
    parser_read(request->connection, head);
    return head_check(head, request->all->limits.max_head, &request->announced, ret_detail);
}

/* Taken from the client if it is plain, else made. */
static void set_request_id(struct request *request)
{
    const char *given = head_find(request_head(request), "X-Request-Id");
    size_t length = given ? strlen(given) : 0;
    if (length && length < RESPONSE_REQUEST_ID_SIZE && text_is_token(given, length))
        memcpy(request->response.request_id, given, length + 1);
    else
        text_format_hex(hash_number(request->all->next_id++), request->response.request_id);
}

/* ---- the route, and whether it may be taken ---- */

/* A path that is there, asked by a method that is not; the texts live until the answer is made. */
static void answer_methods(struct request *request, struct buf *allow)
{
    buf_add(allow, "", 1);
    if (!buf_ok(allow)) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    bool options = strcmp(request->head.method, "OPTIONS") == 0;
    if (options && request->response.origin &&
        head_find(request_head(request), "Access-Control-Request-Method")) {
        request_answer_preflight(request);
        return;
    }
    response_add_field(request_response(request), "Allow", allow->data);
    if (options)
        request_answer_static(request, MHD_HTTP_NO_CONTENT, NULL, "", 0);
    else
        request_problem(request, ERR_METHOD_NOT_ALLOWED, NULL, "Use %s.", allow->data);
}

/* An image, a frame or a link of another site's page names no origin; where nobody needs
 * credentials it would take cursors and sessions of others. */
static bool is_slipped_in(const struct request *request)
{
    const char *site = head_find(request_head(request), "Sec-Fetch-Site");
    return access_is_open(request->all->access) && !request->response.origin && site &&
           strcasecmp(site, "cross-site") == 0;
}

/* Before the body: who may not ask need not say. */
static void check_right(struct request *request)
{
    enum right right = request->route->right;
    const char *why = identity_need(right);
    struct topic id = {.name = request->target.id, .length = (uint32_t)request->target.id_length};
    if (right == RIGHT_OPEN)
        return;
    if (is_slipped_in(request)) {
        request_problem(request, ERR_ORIGIN_NOT_ALLOWED, NULL,
                        "Ask by a script of a page whose origin is allowed, not by a link, an "
                        "image or a frame of another site.");
        return;
    }
    if (right == RIGHT_RECEIVE)
        return;
    int err = request_identify(request, &why);
    if (!err) {
        why = identity_need(right);
        err = identity_may(request->who, right, id.length ? &id : NULL);
    }
    if (err == ERR_OUT_OF_MEMORY)
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else if (err)
        request_refuse(request, (enum err)err, why);
}

static void route_request(struct request *request)
{
    const struct requests *all = request->all;
    struct buf allow;
    buf_init(&allow);
    bool is_handshake = head_list_has(request_head(request), "Upgrade", "websocket");
    request->route = route_find(all->routes, all->route_count, request->head.method, is_handshake,
                                &request->target, &allow);
    if (!request->route && (allow.size || !buf_ok(&allow)))
        answer_methods(request, &allow);
    else if (!request->route)
        request_problem(request, ERR_NOT_FOUND, NULL,
                        "No route has this path, see /docs/wire.md; paths end without a /.");
    else if (!target_decode_words(&request->target))
        request_problem(request, ERR_BAD_ID, NULL,
                        "An id is 1 to 128 bytes of UTF-8 without control characters or /.");
    else
        check_right(request);
    buf_finish(&allow);
}

static void find_client(struct request *request)
{
    const struct access *access = request->all->access;
    if (!access_trusts_proxies(access))
        return;
    struct buf list;
    buf_init(&list);
    head_join(&request->head, "X-Forwarded-For", &list);
    request->forwarded = buf_ok(&list) && access_find_client(access, request_client(request),
                                                             list.data, &request->client);
    buf_finish(&list);
}

static void refuse_origin(struct request *request, const char *origin)
{
    struct origin parsed;
    const char *detail = "This page has no origin that could be allowed: serve it over HTTP.";
    if (origin_parse(origin, &parsed) && origin_is_null(&parsed))
        detail =
            "A page that was opened as a file, or in a sandboxed frame, has no origin: serve it "
            "over HTTP, or list null in allowed_origins, which lets all such pages in.";
    else if (origin_parse(origin, &parsed) && origin_is_listed_form(origin))
        detail = "List this origin in allowed_origins if its pages may connect.";
    request_problem(request, ERR_ORIGIN_NOT_ALLOWED, NULL, "%s", detail);
}

/* Host and Origin: a page from elsewhere must not reach a server that trusts its own machine. */
static bool check_access(struct request *request)
{
    const char *host = request->target.authority; /* RFC 9112 section 3.2.2: before Host */
    const char *origin = head_find(request_head(request), "Origin");
    if (!host)
        host = head_find(request_head(request), "Host");
    if (!access_host_allowed(request->all->access, host ? host : "localhost")) {
        request_problem(request, ERR_HOST_NOT_ALLOWED, NULL,
                        "Use localhost, 127.0.0.1 or [::1]; --insecure-open serves any name.");
        return false;
    }
    if (!origin)
        return true;
    enum access_origin judged = access_judge_origin(request->all->access, origin, host ? host : "");
    if (judged == ACCESS_ORIGIN_REFUSED) {
        refuse_origin(request, origin);
        return false;
    }
    request->response.origin = origin;
    /* Any page can open a frame whose origin is null. */
    request->response.credentials =
        judged == ACCESS_ORIGIN_LISTED && strcmp(origin, ORIGIN_NULL) != 0;
    return true;
}

static size_t max_body(const struct request *request)
{
    const struct body_handler *body_handler = request->route->body_handler;
    return body_handler ? body_handler->max_size : request->all->limits.max_body;
}

/* What has come of it is of no use any more. */
static void drop_body(struct request *request)
{
    buf_finish(&request->body);
    byte_quota_set(request->all->quota, &request->body_held, 0);
}

static void refuse_body(struct request *request)
{
    drop_body(request);
    request_problem(request, ERR_BODY_TOO_LARGE, NULL,
                    request->route->body_handler ? "A body has at most %zu bytes here."
                                                 : "max_body is %zu bytes.",
                    max_body(request));
}

/* Nobody here unpacks what is packed (RFC 9110 section 15.5.16). */
static bool is_packed(const struct request *request)
{
    const char *coding = head_find(request_head(request), "Content-Encoding");
    return request->announced.any && coding && strcasecmp(coding, "identity") != 0;
}

/* What can be said of the body before it comes. */
static void judge_body(struct request *request)
{
    const struct body_handler *body_handler = request->route->body_handler;
    if (is_packed(request)) {
        response_add_field(request_response(request), "Accept-Encoding", "identity");
        request_problem(request, ERR_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send the body as it is, without Content-Encoding.");
    } else if (request->announced.length > max_body(request)) {
        refuse_body(request);
    } else if (body_handler) {
        request->body_reader = body_handler->open(request);
    }
}

/* The first call: everything that can be said before the body. */
static void begin(struct request *request)
{
    const char *detail = "";
    enum err err = judge_head(request, &detail);
    set_request_id(request);
    if (err) {
        request->close = true;
        request_problem(request, err, NULL, "%s", detail);
        return;
    }
    find_client(request);
    if (!target_split(&request->target)) {
        request_problem(request, ERR_BAD_PARAMETER, NULL, "The query has a broken %%-escape.");
        return;
    }
    if (!check_access(request))
        return;
    route_request(request);
    if (request->route && !requests_is_answered(request))
        judge_body(request);
}

/* ---- the body ---- */

/* While it is suspended, libmicrohttpd may still bring the next chunk of those it has read. A body
 * reader that has had enough takes all and does nothing: who sends twice what is allowed is cut
 * off. */
static int give_to_body_reader(struct request *request, const char *bytes, size_t *size)
{
    const struct body_handler *body_handler = request->route->body_handler;
    if (request->suspended)
        return MHD_YES;
    size_t taken = body_handler->take(request->body_reader, bytes, *size);
    assert(taken == *size || request->state == REQUEST_PAUSED);
    *size -= taken;
    request->taken += taken;
    if (request->taken > 2 * body_handler->max_size) {
        request->response.err = ERR_BODY_TOO_LARGE;
        request_enter(request, REQUEST_CUT);
        return MHD_NO;
    }
    if (request->state == REQUEST_PAUSED)
        request_suspend(request);
    return MHD_YES;
}

static void gather(struct request *request, const char *bytes, size_t size)
{
    size_t whole = request->body.size + size;
    if (whole > request->all->limits.max_body) {
        refuse_body(request);
    } else if (byte_quota_try(request->all->quota, &request->body_held,
                              byte_quota_counted(whole))) {
        buf_add(&request->body, bytes, size);
    } else {
        drop_body(request);
        response_add_field(request_response(request), "Retry-After", "5");
        request_problem(request, ERR_OVERLOADED, NULL, "Try again in a moment.");
    }
}

static int take_body(struct request *request, const char *bytes, size_t *size)
{
    if (request->body_reader)
        return give_to_body_reader(request, bytes, size);
    size_t taken = *size;
    *size = 0;
    if (!requests_is_answered(request))
        gather(request, bytes, taken);
    return request->state == REQUEST_CUT ? MHD_NO : MHD_YES;
}

/* ---- libmicrohttpd's calls ---- */

void *request_in_on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct request *request = requests_take(cls, connection, target ? target : "");
    if (!request)
        return NULL;
    request->head.target = request->target.text;
    request->head.target_length = request->target.length;
    request->head.target_place = request->all->parser.in_place ? target : NULL;
    return request;
}

static int queue_answer(struct request *request)
{
    if (!request->response.mhd_response)
        return MHD_NO;
    if (request->state == REQUEST_REFUSED)
        request_enter(request, REQUEST_ANSWERED);
    requests_move_deadline(request, DEADLINE_ANSWER);
    return MHD_queue_response(request->connection, (unsigned)request->response.status,
                              request->response.mhd_response);
}

static void serve(struct request *request)
{
    request_enter(request, REQUEST_SERVING);
    if (!buf_ok(&request->body))
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else if (request->route->upgrade && request->all->stopping)
        request_problem(request, ERR_STOPPING, NULL, "Connect again in a moment.");
    else if (request->body_reader)
        request->route->body_handler->end(request->body_reader);
    else
        request->route->serve(request);
    assert(request->state != REQUEST_SERVING);
}

/* May a refused request come to its end? Then its connection lives on; an answer in the first call
 * would close it. Not when its framing is in doubt, when the client waits for leave to send a body,
 * or when that is very long. */
static bool may_end(const struct request *request)
{
    return request->state != REQUEST_CUT && !request->close &&
           request->announced.length <= REQUESTS_SHORT_BODY &&
           !head_find(request_head(request), "Expect");
}

static int first_call(struct request *request, const char *method, const char *version)
{
    request_enter(request, REQUEST_BODY);
    request->began_us = clock_mono_us();
    request->head.method = method;
    request->head.version = version;
    request->response.varies = strcmp(method, "POST") != 0;
    begin(request);
    if (request->state == REQUEST_LINGERING)
        return MHD_YES;
    if (request->announced.any)
        requests_move_deadline(request, DEADLINE_BODY);
    if (!requests_is_answered(request) || may_end(request))
        return MHD_YES;
    if (request->announced.any && request->response.mhd_response && !request->close)
        response_say_close(&request->response);
    return queue_answer(request);
}

/* A connection that is suspended in the step that read the end of its request is read from once
 * more when it is resumed, and ended there, unanswered, if the client has shut down its side
 * meanwhile. So one that waits is suspended one step later. */
int request_in_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *upload_data,
                          size_t *upload_data_size, void **mhd_context)
{
    (void)connection;
    (void)url;
    struct requests *all = cls;
    struct request *request = *mhd_context;
    all->steps++;
    if (!request) /* there was no memory for it */
        return MHD_NO;
    request->calls++;
    if (request->state == REQUEST_HEAD)
        return first_call(request, method, version);
    if (*upload_data_size)
        return take_body(request, upload_data, upload_data_size);
    if (request->state == REQUEST_BODY || request->state == REQUEST_PAUSED)
        serve(request);
    else if (request->state == REQUEST_WAITING)
        request_suspend(request);
    return requests_is_answered(request) ? queue_answer(request) : MHD_YES;
}

static void log_access(const struct request *request)
{
    char client[NETWORK_TEXT_SIZE];
    const struct identity *who = request->who ? request->who : &identity_anyone;
    network_format(request_client(request), client);
    log_request(LOG_TEXT("method", request->head.method), LOG_TEXT("path", request->target.path),
                LOG_NUMBER("status", request->response.status),
                LOG_TEXT("code", request->response.err ? err_code(request->response.err) : NULL),
                LOG_NUMBER("us", clock_mono_us() - request->began_us), LOG_TEXT("client", client),
                LOG_TEXT("key", identity_key_id(who)), LOG_TEXT("user", identity_user(who)),
                LOG_TEXT("request_id", request->response.request_id));
}

/* Who is asked is held until answered: a client may leave at any moment, also between the question
 * and the step in which the connection is suspended. */
static bool is_owed(struct request *request)
{
    if (request->body_reader)
        return request->route->body_handler->close(request->body_reader);
    return request->state == REQUEST_WAITING;
}

void request_in_on_completed(void *cls, struct MHD_Connection *connection, void **mhd_context,
                             bool answered)
{
    (void)connection;
    (void)answered;
    struct requests *all = cls;
    struct request *request = *mhd_context;
    if (!request)
        return;
    *mhd_context = NULL;
    if (request->state == REQUEST_UPGRADING) /* the client left before the 101 was out */
        request->adopted(request->adopted_context, -1, NULL, 0);
    if (request->state != REQUEST_HEAD) {
        metrics_add(&all->reactor->metrics.http_requests, 1);
        if (request->response.err)
            metrics_add(&all->reactor->metrics.refused[request->response.err], 1);
        if (all->access_log)
            log_access(request);
        requests_move_deadline(request, DEADLINE_NEXT_HEAD);
    }
    bool given_up = request->state == REQUEST_ABANDONED;
    response_finish(&request->response);
    if (given_up) {
        request_enter(request, REQUEST_LATE);
    } else if (is_owed(request)) {
        requests_hold(request, REQUEST_LATE);
    } else {
        request_enter(request, REQUEST_OVER);
        requests_give_back(request);
    }
}

void request_in_give_up(struct request *request)
{
    if (!request->suspended) /* the answer has just come */
        return;
    if (request->body_reader) {
        request->route->body_handler->give_up(request->body_reader);
        return;
    }
    request_problem(request, ERR_BROKER_DOWN, NULL, REQUEST_GIVEN_UP);
    requests_hold(request, REQUEST_ABANDONED);
}
