/* engine_handover.h - brings a request to the worker that has its connection.
 *
 * A waiting poll and the WebSocket of an upgrade go there as sockets, for good; of a POST's body
 * the owner is asked, and its verdict comes back. All of it goes one way, through the inbox, in
 * order. At home the same happens at once. On the thread of the request's worker. */
#ifndef SOCKETIO_ENGINE_HANDOVER_H
#define SOCKETIO_ENGINE_HANDOVER_H

#include <stdbool.h>

#include "socketio/engine_requests.h"

struct engines;
struct request;

/* The request is over: its socket is the owner's. False: there is no descriptor or no memory left,
 * and the request wants an answer. */
bool engine_handover_poll(struct request *request, struct engines *owner, const char *sid);

/* answer() is called once, now or later, unless the request has been given up, or a problem was
 * answered here. The bytes are borrowed from the request. */
void engine_handover_post(struct request *request, struct engines *owner, const char *sid,
                          const char *bytes, size_t size,
                          void (*answer)(struct request *request, enum engine_refusal refusal));

/* Answers a proper handshake; the WebSocket is then the owner's. False: out of memory, and the
 * request wants an answer. */
bool engine_handover_upgrade(struct request *request, struct engines *owner, const char *sid,
                             const char *accept);

#endif
