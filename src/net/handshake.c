#include "net/handshake.h"

#include <string.h>

#include "net/exchange.h"
#include "net/websocket.h"

static bool ask_for_upgrade(struct exchange *exchange)
{
    exchange_add_header(exchange, "Upgrade", "websocket");
    exchange_add_header(exchange, "Sec-WebSocket-Version", "13");
    exchange_problem(exchange, ERR_UPGRADE_REQUIRED, NULL,
                     "Open a WebSocket here (RFC 6455, version 13).");
    return false;
}

static bool refuse(struct exchange *exchange, const char *detail)
{
    exchange_problem(exchange, ERR_BAD_HANDSHAKE, NULL, "%s", detail);
    return false;
}

bool handshake_check(struct exchange *exchange, char ret_accept[static DIGEST_ACCEPT_SIZE])
{
    const char *version = exchange_header(exchange, "Sec-WebSocket-Version");
    const char *key = exchange_header(exchange, "Sec-WebSocket-Key");
    if (!exchange_is_http_1_1(exchange) || !exchange_header_has(exchange, "Upgrade", "websocket"))
        return ask_for_upgrade(exchange);
    if (!exchange_header_has(exchange, "Connection", "Upgrade"))
        return refuse(exchange, "The Connection header must list Upgrade.");
    if (!version || strcmp(version, "13") != 0)
        return ask_for_upgrade(exchange);
    if (!key || !digest_is_websocket_key(key))
        return refuse(exchange, "Sec-WebSocket-Key must be the base64 form of 16 bytes.");
    if (exchange_has_body(exchange))
        return refuse(exchange, "A handshake has no body.");
    if (digest_websocket_accept(key, ret_accept))
        return true;
    exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    return false;
}

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    if (fd < 0)
        websocket_abandon(context);
    else
        websocket_open(context, fd, extra, size);
}

void handshake_answer(struct exchange *exchange, struct websocket *websocket, const char *accept,
                      const char *protocol)
{
    exchange_upgrade(exchange, accept, protocol, on_adopted, websocket);
}
