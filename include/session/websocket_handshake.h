/* websocket_handshake.h - the server's side of the opening handshake, RFC 6455 section 4.2.
 *
 * Shared by every WebSocket endpoint. Worker's thread only. */
#ifndef SESSION_WEBSOCKET_HANDSHAKE_H
#define SESSION_WEBSOCKET_HANDSHAKE_H

#include <stdbool.h>

#include "base/digest.h"

struct request;
struct websocket;

/* Is the request a proper handshake? If so *ret_accept is its answer; if not, a problem has been
 * answered (426 where the client speaks another version or no WebSocket at all). */
bool websocket_handshake_check(struct request *request, char ret_accept[static DIGEST_ACCEPT_SIZE]);

/* Answers it for a WebSocket that is prepared, which then opens or is abandoned. protocol: the
 * chosen one or NULL. */
void websocket_handshake_answer(struct request *request, struct websocket *websocket,
                                const char *accept, const char *protocol);

#endif
