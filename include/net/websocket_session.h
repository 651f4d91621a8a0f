/* websocket_session.h - the session behind `/ws/<user_id>`: text as in the original, or JSON.
 *
 * Both forms of docs/wire.md over one WebSocket, live or behind by catch_up. Worker's thread only.
 */
#ifndef NET_WEBSOCKET_SESSION_H
#define NET_WEBSOCKET_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget;
struct exchange;
struct sending_options;
struct websockets;
struct worker;

/* What the sessions of one worker share; the `state` of their route. */
struct websocket_door {
    struct worker *worker;
    struct websockets *websockets;
    struct budget *budget;
    const struct sending_options *sending;
    uint32_t queue_high;
    int64_t heartbeat_ms;
    int64_t retry_spread_ms;
    uint64_t next_session; /* makes session ids */
    size_t open;           /* from the 101 until the socket is closed */
};

/* The route's serve(): the handshake of RFC 6455 section 4.2, then a session. */
void websocket_session_serve(struct exchange *exchange);

#endif
