/* websocket_session.h - the session behind `/ws/<user_id>`: text as in the original, or JSON.
 *
 * Both forms of docs/wire.md over one WebSocket, live or behind by catch_up. Worker's thread only.
 */
#ifndef SESSION_WEBSOCKET_SESSION_H
#define SESSION_WEBSOCKET_SESSION_H

struct request;

/* The route's serve(), whose state is a struct sessions: the handshake of RFC 6455 section 4.2,
 * then a session. */
void websocket_session_serve(struct request *request);

#endif
