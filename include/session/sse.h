/* sse.h - the session behind `/sse/<user_id>`: Server-Sent Events on an adopted socket.
 *
 * The same frames, ids and cursors as over a WebSocket, as HTML's event streams (section 9.2 of the
 * HTML standard). Worker's thread only. */
#ifndef SESSION_SSE_H
#define SESSION_SSE_H

#include "base/err.h"

struct reactor;
struct request;
struct sse_streams;

/* All streams of a worker. */
struct sse_streams *sse_streams_create(struct reactor *reactor);
/* Every stream has been closed and freed. */
void sse_streams_destroy(struct sse_streams *all);

/* Says `bye` and closes; then, where time is up, whatever is still there. */
void sse_close_all(struct sse_streams *all, enum err reason);
void sse_abort_all(struct sse_streams *all);

/* The route's serve(); its state is a struct sessions. */
void sse_serve(struct request *request);

#endif
