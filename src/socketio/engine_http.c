#include "socketio/engine_http.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/origin.h"
#include "http/head.h"
#include "http/request.h"
#include "http/response.h"
#include "http/target.h"
#include "session/sessions.h"
#include "session/websocket_handshake.h"
#include "socketio/engine_state.h"
#include "socketio/engine_handover.h"
#include "socketio/engine_poll.h"

#define VERSION "4"
#define BYTES   "application/octet-stream"

/* ---- refusals ---- */

static void answer_refusal(struct request *request, int status, enum engine_refusal refusal,
                           enum err err)
{
    struct buf body;
    buf_init(&body);
    engine_refusal_write(&body, refusal);
    request_response(request)->err = err;
    request_answer(request, status, ENGINE_REFUSAL_TYPE, &body);
}

static void refuse(struct request *request, enum engine_refusal refusal)
{
    static const enum err errs[] = {
        [ENGINE_UNKNOWN_TRANSPORT] = ERR_BAD_PARAMETER,
        [ENGINE_UNKNOWN_SID] = ERR_NOT_FOUND,
        [ENGINE_BAD_METHOD] = ERR_METHOD_NOT_ALLOWED,
        [ENGINE_BAD_REQUEST] = ERR_BAD_REQUEST,
        [ENGINE_FORBIDDEN] = ERR_FORBIDDEN,
        [ENGINE_BAD_VERSION] = ERR_BAD_PARAMETER,
    };
    answer_refusal(request, 400, refusal, errs[refusal]);
}

/* It may come again. */
static void put_off(struct request *request, int err)
{
    response_add_field(request_response(request), "Retry-After", "5");
    answer_refusal(request, 503, ENGINE_BAD_REQUEST, (enum err)err);
}

/* ---- a new connection ---- */

static bool wants_text(const struct request *request)
{
    return target_query(request_target(request), "b64") != NULL;
}

static void answer_payload(struct request *request, struct buf *payload)
{
    response_add_field(request_response(request), "Cache-Control", "no-store");
    request_answer(request, 200, ENGINE_POLL_TYPE, payload);
}

static void open_polling(struct request *request, struct engines *engines)
{
    struct buf answer;
    buf_init(&answer);
    int err = engine_open_polling(engines, request, wants_text(request), &answer);
    if (!err) {
        answer_payload(request, &answer);
        return;
    }
    buf_finish(&answer);
    put_off(request, err);
}

static void open_websocket(struct request *request, struct engines *engines)
{
    char accept[DIGEST_ACCEPT_SIZE];
    struct websocket *websocket;
    if (!websocket_handshake_check(request, accept))
        return;
    int err = engine_open_websocket(engines, request, wants_text(request), &websocket);
    if (err)
        put_off(request, err);
    else
        websocket_handshake_answer(request, websocket, accept, NULL);
}

/* ---- one that there is ---- */

static void poll(struct request *request, struct engines *owner, const char *sid)
{
    bool home = owner->sessions->reactor == request_reactor(request);
    enum engine_refusal refusal = ENGINE_ACCEPTED;
    struct buf answer;
    buf_init(&answer);
    if (home)
        refusal = engine_poll_now(owner, sid, &answer);
    if (refusal != ENGINE_ACCEPTED)
        refuse(request, refusal);
    else if (answer.size || !buf_ok(&answer))
        answer_payload(request, &answer);
    else if (!engine_handover_poll(request, owner, sid))
        put_off(request, ERR_OUT_OF_MEMORY);
}

static void answer_post(struct request *request, enum engine_refusal refusal)
{
    if (refusal == ENGINE_ACCEPTED)
        request_answer_static(request, 200, "text/html", "ok", 2);
    else
        refuse(request, refusal);
}

/* A payload is text in this version; bytes of an earlier one close the connection as rubbish does.
 */
static void post(struct request *request, struct engines *owner, const char *sid)
{
    const char *type = head_find(request_head(request), "Content-Type");
    bool is_text = !type || strncasecmp(type, BYTES, strlen(BYTES)) != 0;
    size_t size;
    const char *body = request_body(request, &size);
    engine_handover_post(request, owner, sid, body, is_text ? size : 0, answer_post);
}

static void upgrade(struct request *request, struct engines *owner, const char *sid)
{
    char accept[DIGEST_ACCEPT_SIZE];
    if (!websocket_handshake_check(request, accept))
        return;
    if (!engine_handover_upgrade(request, owner, sid, accept))
        put_off(request, ERR_OUT_OF_MEMORY);
}

/* ---- judging ---- */

static bool is_method(const struct request *request, const char *method)
{
    return strcmp(request_head(request)->method, method) == 0;
}

static const char *query(const struct request *request, const char *name)
{
    const char *value = target_query(request_target(request), name);
    return value ? value : "";
}

static bool offers_websocket(const struct request *request)
{
    return head_list_has(request_head(request), "Upgrade", "websocket");
}

static void open_new(struct request *request, struct engines *engines, bool by_websocket)
{
    if (!is_method(request, "GET"))
        refuse(request, ENGINE_BAD_METHOD);
    else if (by_websocket && !offers_websocket(request))
        refuse(request, ENGINE_BAD_REQUEST);
    else if (strcmp(query(request, "EIO"), VERSION) != 0)
        refuse(request, ENGINE_BAD_VERSION);
    else if (by_websocket)
        open_websocket(request, engines);
    else
        open_polling(request, engines);
}

static void go_on(struct request *request, struct engines *engines, const char *sid,
                  bool by_websocket)
{
    struct engines *owner = engines_owner(engines, sid);
    if (!owner)
        refuse(request, ENGINE_UNKNOWN_SID);
    else if (by_websocket && is_method(request, "GET") && offers_websocket(request))
        upgrade(request, owner, sid);
    else if (!by_websocket && is_method(request, "GET"))
        poll(request, owner, sid);
    else if (!by_websocket && is_method(request, "POST"))
        post(request, owner, sid);
    else
        refuse(request, ENGINE_BAD_REQUEST);
}

static void answer_options(struct request *request)
{
    if (request_response(request)->origin &&
        head_find(request_head(request), "Access-Control-Request-Method")) {
        request_answer_preflight(request);
        return;
    }
    response_add_field(request_response(request), "Allow", "GET, POST");
    request_answer_static(request, 204, NULL, "", 0);
}

/* The client's option `withCredentials` fails without it. But any page can open a frame whose
 * origin is null. */
static void tell_credentials(struct response *response)
{
    response->credentials = response->origin && strcmp(response->origin, ORIGIN_NULL) != 0;
}

void engine_http_serve(struct request *request)
{
    struct engines *engines = request_context(request);
    const struct sessions *sessions = engines->sessions;
    const char *transport = query(request, "transport");
    const char *sid = target_query(request_target(request), "sid");
    bool by_websocket = strcmp(transport, "websocket") == 0;
    tell_credentials(request_response(request));
    if (is_method(request, "OPTIONS"))
        answer_options(request);
    else if (sessions->stopping)
        put_off(request, ERR_STOPPING);
    else if (!by_websocket && strcmp(transport, "polling") != 0)
        refuse(request, ENGINE_UNKNOWN_TRANSPORT);
    else if (!by_websocket && !sessions->can_adopt)
        request_problem(request, ERR_NOT_IMPLEMENTED, NULL,
                        "Not with this version of libmicrohttpd; use transports: ['websocket'].");
    else if (sid)
        go_on(request, engines, sid, by_websocket);
    else
        open_new(request, engines, by_websocket);
}
