/* suites.h - what the conformance suites of Engine.IO and Socket.IO ask a server to do
 * (--dev-socketio).
 *
 * `/engine.io/` sends each message back. `/socket.io/` has the namespaces / and /custom, tells with
 * `auth` what came with CONNECT, answers `message` by `message-back` and acknowledges
 * `message-with-ack`, each with the arguments it had. Through the code that production uses, with
 * short times and wide limits. Worker's thread only. */
#ifndef SOCKETIO_SUITES_H
#define SOCKETIO_SUITES_H

struct engine_limits;
struct engine_role;

extern const struct engine_role suites_engine;
extern const struct engine_role suites_socketio;
extern const struct engine_limits suites_limits;

#endif
