/* websocket_session.h - the session behind `/ws/<user_id>`: text as in the original, or JSON.
 *
 * Both forms of docs/wire.md over one WebSocket, live or behind by catch_up. Worker's thread only.
 */
#ifndef NET_WEBSOCKET_SESSION_H
#define NET_WEBSOCKET_SESSION_H

struct exchange;

/* The route's serve(), whose state is a struct door: the handshake of RFC 6455 section 4.2, then a
 * session. */
void websocket_session_serve(struct exchange *exchange);

#endif
