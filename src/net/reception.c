#include "net/reception.h"

#include <assert.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/network.h"
#include "base/origin.h"
#include "base/text.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/address.h"
#include "model/identity.h"
#include "net/exchange.h"
#include "net/exchanges.h"
#include "net/parser.h"
#include "net/quota.h"
#include "net/route.h"

/* ---- the head ---- */

static enum err judge_head(struct exchange *exchange, const char **ret_detail)
{
    struct head *head = &exchange->head;
    parser_read(exchange->connection, head);
    return head_check(head, exchange->all->limits.max_head, &exchange->announced, ret_detail);
}

/* Taken from the client if it is plain, else made. */
static void set_request_id(struct exchange *exchange)
{
    const char *given = exchange_header(exchange, "X-Request-Id");
    size_t length = given ? strlen(given) : 0;
    if (length && length < ANSWER_REQUEST_ID_SIZE && text_is_token(given, length))
        memcpy(exchange->answer.request_id, given, length + 1);
    else
        text_format_hex(hash_number(exchange->all->next_id++), exchange->answer.request_id);
}

/* ---- the route, and whether it may be taken ---- */

/* Pages send headers that are none of ours (of frameworks, of tracing), and may: what an allowed
 * origin asks for it gets. */
static void answer_preflight(struct exchange *exchange)
{
    const char *headers = exchange_header(exchange, "Access-Control-Request-Headers");
    exchange_add_header(exchange, "Access-Control-Allow-Methods", "GET, POST, DELETE");
    if (headers && text_is_token_list(headers))
        exchange_add_header(exchange, "Access-Control-Allow-Headers", headers);
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
    if (options && exchange->answer.origin &&
        exchange_header(exchange, "Access-Control-Request-Method")) {
        answer_preflight(exchange);
        return;
    }
    exchange_add_header(exchange, "Allow", allow->data);
    if (options)
        exchange_answer_static(exchange, MHD_HTTP_NO_CONTENT, NULL, "", 0);
    else
        exchange_problem(exchange, ERR_METHOD_NOT_ALLOWED, NULL, "Use %s.", allow->data);
}

/* An image, a frame or a link of another site's page names no origin; where nobody needs
 * credentials it would take cursors and sessions of others. */
static bool is_slipped_in(const struct exchange *exchange)
{
    const char *site = exchange_header(exchange, "Sec-Fetch-Site");
    return access_is_open(exchange->all->access) && !exchange->answer.origin && site &&
           strcasecmp(site, "cross-site") == 0;
}

/* Before the body: who may not ask need not say. */
static void check_right(struct exchange *exchange)
{
    enum right right = exchange->route->right;
    const char *why = identity_need(right);
    struct address id = {.name = exchange->target.id,
                         .length = (uint32_t)exchange->target.id_length};
    if (right == RIGHT_OPEN)
        return;
    if (is_slipped_in(exchange)) {
        exchange_problem(exchange, ERR_ORIGIN_NOT_ALLOWED, NULL,
                         "Ask by a script of a page whose origin is allowed, not by a link, an "
                         "image or a frame of another site.");
        return;
    }
    if (right == RIGHT_RECEIVE)
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
    const struct exchanges *all = exchange->all;
    struct buf allow;
    buf_init(&allow);
    exchange->route =
        route_find(all->routes, all->route_count, exchange->head.method, &exchange->target, &allow);
    if (!exchange->route && (allow.size || !buf_ok(&allow)))
        answer_methods(exchange, &allow);
    else if (!exchange->route)
        exchange_problem(
            exchange, ERR_NOT_FOUND, NULL,
            "No route has this path, see docs/wire.md of Pushwire; paths end without a /.");
    else if (!target_decode_words(&exchange->target))
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
    struct buf list;
    buf_init(&list);
    head_join(&exchange->head, "X-Forwarded-For", &list);
    exchange->forwarded = buf_ok(&list) && access_find_client(access, exchange_client(exchange),
                                                              list.data, &exchange->client);
    buf_finish(&list);
}

static void refuse_origin(struct exchange *exchange, const char *origin)
{
    struct origin ignored;
    exchange_problem(
        exchange, ERR_ORIGIN_NOT_ALLOWED, NULL, "%s",
        origin_parse(origin, &ignored) && origin_is_listed_form(origin)
            ? "List this origin in allowed_origins if its pages may connect."
            : "This page has no origin that could be allowed, as a file or a sandboxed "
              "frame has none: serve it over HTTP.");
}

/* Host and Origin: a page from elsewhere must not reach a server that trusts its own machine. */
static bool check_access(struct exchange *exchange)
{
    const char *host = exchange->target.authority; /* RFC 9112 section 3.2.2: before Host */
    const char *origin = exchange_header(exchange, "Origin");
    if (!host)
        host = exchange_header(exchange, "Host");
    if (!access_host_allowed(exchange->all->access, host ? host : "localhost")) {
        exchange_problem(exchange, ERR_HOST_NOT_ALLOWED, NULL,
                         "Use localhost, 127.0.0.1 or [::1]; --insecure-open serves any name.");
        return false;
    }
    if (!origin)
        return true;
    enum access_origin judged =
        access_judge_origin(exchange->all->access, origin, host ? host : "");
    if (judged == ACCESS_ORIGIN_REFUSED) {
        refuse_origin(exchange, origin);
        return false;
    }
    exchange->answer.origin = origin;
    exchange->answer.credentials = judged == ACCESS_ORIGIN_LISTED;
    return true;
}

static size_t max_body(const struct exchange *exchange)
{
    const struct intake *intake = exchange->route->intake;
    return intake ? intake->max_size : exchange->all->limits.max_body;
}

/* What has come of it is of no use any more. */
static void drop_body(struct exchange *exchange)
{
    buf_finish(&exchange->body);
    quota_set(exchange->all->quota, &exchange->body_held, 0);
}

static void refuse_body(struct exchange *exchange)
{
    drop_body(exchange);
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
    if (!target_split(&exchange->target)) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, NULL, "The query has a broken %%-escape.");
        return;
    }
    if (!check_access(exchange))
        return;
    route_request(exchange);
    if (exchange->route && !exchanges_is_answered(exchange))
        judge_body(exchange);
}

/* ---- the body ---- */

static int suspend_if_waits(struct exchange *exchange)
{
    if (exchange->waits && !exchange->suspended) {
        exchange->suspended = true;
        exchanges_move_deadline(exchange, DEADLINE_WAIT);
        MHD_suspend_connection(exchange->connection);
    }
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
    exchange->answer.err = ERR_BODY_TOO_LARGE;
    return MHD_NO;
}

static void gather(struct exchange *exchange, const char *bytes, size_t size)
{
    size_t whole = exchange->body.size + size;
    if (whole > exchange->all->limits.max_body) {
        refuse_body(exchange);
    } else if (quota_try(exchange->all->quota, &exchange->body_held, quota_counted(whole))) {
        buf_add(&exchange->body, bytes, size);
    } else {
        drop_body(exchange);
        exchange_add_header(exchange, "Retry-After", "5");
        exchange_problem(exchange, ERR_OVERLOADED, NULL, "Try again in a moment.");
    }
}

static int take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
    if (exchange->taker)
        return give_to_taker(exchange, bytes, size);
    size_t taken = *size;
    *size = 0;
    if (!exchanges_is_answered(exchange))
        gather(exchange, bytes, taken);
    return exchange->close ? MHD_NO : MHD_YES;
}

/* ---- libmicrohttpd's calls ---- */

void *reception_on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = exchanges_take(cls, connection, target ? target : "");
    if (!exchange)
        return NULL;
    exchange->head.target = exchange->target.text;
    exchange->head.target_length = exchange->target.length;
    exchange->head.target_place = exchange->all->parser.in_place ? target : NULL;
    return exchange;
}

static int queue_answer(struct exchange *exchange)
{
    if (!exchange->answer.response)
        return MHD_NO;
    exchanges_move_deadline(exchange, DEADLINE_ANSWER);
    return MHD_queue_response(exchange->connection, (unsigned)exchange->answer.status,
                              exchange->answer.response);
}

/* What libmicrohttpd is told after a step. A connection that is suspended in the step that read the
 * end of its request is read from once more when it is resumed, and ended there, unanswered, if the
 * client has shut down its side meanwhile. So it is suspended one step later. */
static int proceed(struct exchange *exchange)
{
    if (exchanges_is_answered(exchange))
        return queue_answer(exchange);
    if (exchange->settled)
        return suspend_if_waits(exchange);
    exchange->settled = true;
    return MHD_YES;
}

static void serve(struct exchange *exchange)
{
    exchange->stage = EXCHANGE_SERVED;
    if (exchanges_is_answered(exchange)) /* refused; its body was read for nothing */
        return;
    if (!buf_ok(&exchange->body))
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else if (exchange->route->upgrade && exchange->all->stopping)
        exchange_problem(exchange, ERR_STOPPING, NULL, "Connect again in a moment.");
    else if (exchange->taker)
        exchange->route->intake->end(exchange->taker);
    else
        exchange->route->serve(exchange);
    assert(exchange->answer.response || exchange->waits || exchange->close);
}

/* May a refused request come to its end? Then its connection lives on; an answer in the first call
 * would close it. Not when its framing is in doubt, when the client waits for leave to send a body,
 * or when that is very long. */
static bool may_end(const struct exchange *exchange)
{
    return !exchange->close && exchange->announced.length <= EXCHANGES_SHORT_BODY &&
           !exchange_header(exchange, "Expect");
}

static int first_call(struct exchange *exchange, const char *method, const char *version)
{
    exchange->stage = EXCHANGE_BODY;
    exchange->began_us = clock_mono_us();
    exchange->head.method = method;
    exchange->head.version = version;
    exchange->answer.varies = strcmp(method, "POST") != 0;
    begin(exchange);
    if (exchange->lingers)
        return MHD_YES;
    if (exchange->announced.any)
        exchanges_move_deadline(exchange, DEADLINE_BODY);
    if (!exchanges_is_answered(exchange) || may_end(exchange))
        return MHD_YES;
    if (exchange->announced.any && exchange->answer.response && !exchange->close)
        answer_say_close(&exchange->answer);
    return queue_answer(exchange);
}

int reception_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                         const char *method, const char *version, const char *upload_data,
                         size_t *upload_data_size, void **request)
{
    (void)connection;
    (void)url;
    struct exchanges *all = cls;
    struct exchange *exchange = *request;
    all->steps++;
    if (!exchange) /* there was no memory for it */
        return MHD_NO;
    exchange->calls++;
    if (exchange->stage == EXCHANGE_HEAD)
        return first_call(exchange, method, version);
    if (exchange->stage == EXCHANGE_BODY && *upload_data_size)
        return take_body(exchange, upload_data, upload_data_size);
    if (exchange->stage == EXCHANGE_BODY)
        serve(exchange);
    return proceed(exchange);
}

static void log_access(const struct exchange *exchange)
{
    char client[NETWORK_TEXT_SIZE];
    const struct identity *who = exchange->who ? exchange->who : &identity_anyone;
    network_format(exchange_client(exchange), client);
    log_request(LOG_TEXT("method", exchange->head.method), LOG_TEXT("path", exchange->target.path),
                LOG_NUMBER("status", exchange->answer.status),
                LOG_TEXT("code", exchange->answer.err ? err_code(exchange->answer.err) : NULL),
                LOG_NUMBER("us", clock_mono_us() - exchange->began_us), LOG_TEXT("client", client),
                LOG_TEXT("key", identity_key_id(who)), LOG_TEXT("user", identity_user(who)),
                LOG_TEXT("request_id", exchange->answer.request_id));
}

/* Who is asked is held until answered: a client may leave at any moment, also between the question
 * and the step in which the connection is suspended. */
static bool is_owed(struct exchange *exchange)
{
    if (exchange->taker)
        return exchange->route->intake->close(exchange->taker);
    return exchange->waits && !exchange->held && !exchange->answer.response && !exchange->close;
}

void reception_on_completed(void *cls, struct MHD_Connection *connection, void **request,
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
    if (exchange->stage != EXCHANGE_HEAD) {
        metrics_add(&all->worker->metrics.http_requests, 1);
        if (exchange->answer.err)
            metrics_add(&all->worker->metrics.refused[exchange->answer.err], 1);
        if (all->access_log)
            log_access(exchange);
        exchanges_move_deadline(exchange, DEADLINE_NEXT_HEAD);
    }
    if (is_owed(exchange))
        exchanges_hold(exchange);
    answer_finish(&exchange->answer);
    exchange->over = true;
    if (!exchange->held)
        exchanges_give_back(exchange);
}

void reception_give_up(struct exchange *exchange)
{
    if (!exchange->suspended) /* the answer has just come */
        return;
    if (exchange->taker) {
        exchange->route->intake->give_up(exchange->taker);
        return;
    }
    exchange_problem(exchange, ERR_BROKER_DOWN, NULL, EXCHANGE_GIVEN_UP);
    exchanges_hold(exchange);
}
