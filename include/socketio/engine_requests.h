/* engine_requests.h - what comes in for connections of Engine.IO: new ones, polls, POSTs, upgrades.
 *
 * At the worker that has the connection. HTTP is engine_http's business; here a request is a name,
 * bytes, and perhaps a socket. Worker's thread only. */
#ifndef SOCKETIO_ENGINE_REQUESTS_H
#define SOCKETIO_ENGINE_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "socketio/engine_refusal.h"

struct buf;
struct engine_poll_heads;
struct engines;
struct request;
struct websocket;

/* A new one for this request, by polls; the first answer is in *ret_answer. 0 or an error. */
int engine_open_polling(struct engines *engines, struct request *request, bool text_only,
                        struct buf *ret_answer);
/* A new one on a WebSocket whose handshake is about to be answered; *ret_websocket then opens or is
 * abandoned. 0 or an error. */
int engine_open_websocket(struct engines *engines, struct request *request, bool text_only,
                          struct websocket **ret_websocket);

/* A GET: what is there to be answered at once. ENGINE_ACCEPTED with nothing: it may wait. */
enum engine_refusal engine_poll_now(struct engines *engines, const char *sid,
                                    struct buf *ret_answer);
/* The same on its own socket, which changes hands with the heads; it waits or is answered. */
void engine_poll_wait(struct engines *engines, const char *sid, int fd,
                      struct engine_poll_heads *heads);
/* A POST. */
enum engine_refusal engine_post(struct engines *engines, const char *sid, const char *bytes,
                                size_t size);
/* A WebSocket whose handshake has been answered, with what came behind it; closed where there is
 * none to be upgraded. */
void engine_upgrade(struct engines *engines, const char *sid, int fd, const char *bytes,
                    size_t size);

#endif
