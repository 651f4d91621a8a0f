/* websocket_echo.h - `/ws-echo`: sends each message back, for conformance suites (--dev-echo).
 *
 * Text as text, binary as binary, through the frame code that production uses; no pings and no
 * greeting of its own, and wide limits. Worker's thread only. */
#ifndef SESSION_WEBSOCKET_ECHO_H
#define SESSION_WEBSOCKET_ECHO_H

struct request;

/* The route's serve(); its state is a struct sessions. */
void websocket_echo_serve(struct request *request);

#endif
