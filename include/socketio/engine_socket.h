/* engine_socket.h - the WebSocket of a connection of Engine.IO, or one that would like to be it.
 *
 * Worker's thread only. */
#ifndef SOCKETIO_ENGINE_SOCKET_H
#define SOCKETIO_ENGINE_SOCKET_H

#include <stddef.h>

struct engine;
struct engine_socket;
struct engines;
struct websocket_role;

void engine_socket_init_role(struct websocket_role *ret_role, size_t max_payload);

/* Prepared; it then opens or is abandoned. engine NULL: it belongs to none yet. NULL: out of
 * memory. */
struct engine_socket *engine_socket_create(struct engines *engines, struct engine *engine);

#endif
