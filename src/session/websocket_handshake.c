#include "session/websocket_handshake.h"

#include <string.h>

#include "http/head.h"
#include "http/request.h"
#include "http/response.h"
#include "socket/websocket.h"

static bool ask_for_upgrade(struct request *request)
{
    response_add_field(request_response(request), "Upgrade", "websocket");
    response_add_field(request_response(request), "Sec-WebSocket-Version", "13");
    request_problem(request, ERR_UPGRADE_REQUIRED, NULL,
                    "Open a WebSocket here (RFC 6455, version 13).");
    return false;
}

static bool refuse(struct request *request, const char *detail)
{
    request_problem(request, ERR_BAD_HANDSHAKE, NULL, "%s", detail);
    return false;
}

bool websocket_handshake_check(struct request *request, char ret_accept[static DIGEST_ACCEPT_SIZE])
{
    const char *version = head_find(request_head(request), "Sec-WebSocket-Version");
    const char *key = head_find(request_head(request), "Sec-WebSocket-Key");
    if (!head_is_http_1_1(request_head(request)) ||
        !head_list_has(request_head(request), "Upgrade", "websocket"))
        return ask_for_upgrade(request);
    if (!head_list_has(request_head(request), "Connection", "Upgrade"))
        return refuse(request, "The Connection header must list Upgrade.");
    if (!version || strcmp(version, "13") != 0)
        return ask_for_upgrade(request);
    if (!key || !digest_is_websocket_key(key))
        return refuse(request, "Sec-WebSocket-Key must be the base64 form of 16 bytes.");
    if (request_has_body(request))
        return refuse(request, "A handshake has no body.");
    if (digest_websocket_accept(key, ret_accept))
        return true;
    request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    return false;
}

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    if (fd < 0)
        websocket_abandon(context);
    else
        websocket_open(context, fd, extra, size);
}

void websocket_handshake_answer(struct request *request, struct websocket *websocket,
                                const char *accept, const char *protocol)
{
    request_upgrade(request, accept, protocol, on_adopted, websocket);
}
