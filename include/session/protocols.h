/* protocols.h - every way to receive, a row each.
 *
 * A protocol is one source file, which defines its struct protocol, and its row here; a worker
 * makes, serves and closes whatever is in the table. What a protocol keeps at a worker is found by
 * protocol_state(). Worker's thread only. */
#ifndef SESSION_PROTOCOLS_H
#define SESSION_PROTOCOLS_H

#include <stddef.h>

#include "base/err.h"
#include "http/route.h"

struct sessions;

struct protocol {
    const struct route *routes; /* without their state, which is the struct sessions */
    size_t route_count;
    /* What it keeps at a worker. NULL: nothing. */
    void *(*create)(struct sessions *sessions);
    /* Every client has been freed. NULL: there is nothing to destroy. */
    void (*destroy)(void *state);
    /* Closes every client; then, where time is up, ends whatever is still there. NULL: another
     * protocol's do it, whose sockets its own are. */
    void (*close_all)(struct sessions *sessions, enum err reason);
    void (*abort_all)(struct sessions *sessions);
};

/* X(ROW, the name of the file's struct protocol). In this order they are made and closed. */
#define PROTOCOLS_TABLE(X)                                                                         \
    X(WEBSOCKET, websocket_session_protocol)                                                       \
    X(ROOM, room_protocol)                                                                         \
    X(SSE, sse_protocol)                                                                           \
    X(POLL, poll_protocol)

enum protocol_row {
#define PROTOCOLS_ROW(row, rows_protocol) PROTOCOL_##row,
    PROTOCOLS_TABLE(PROTOCOLS_ROW)
#undef PROTOCOLS_ROW
        PROTOCOL_COUNT
};

#define PROTOCOLS_EXTERN(row, rows_protocol) extern const struct protocol rows_protocol;
PROTOCOLS_TABLE(PROTOCOLS_EXTERN)
#undef PROTOCOLS_EXTERN

const struct protocol *protocol_at(enum protocol_row row);
void *protocol_state(const struct sessions *sessions, enum protocol_row row);

/* All of them, for a worker. */
void protocols_create(struct sessions *sessions);
void protocols_destroy(struct sessions *sessions);
void protocols_close_all(struct sessions *sessions, enum err reason);
void protocols_abort_all(struct sessions *sessions);

/* Where a message keeps its ready frames: a slot for each form that a protocol writes, and for its
 * outline, which is for readers that cannot take so much. */
enum frame_slot {
    FRAME_TEXT,
    FRAME_JSON,
    FRAME_EVENT,
    FRAME_LOBBY,
    FRAME_ROOM,
    FRAME_TEXT_OUTLINE,
    FRAME_JSON_OUTLINE,
    FRAME_EVENT_OUTLINE,
    FRAME_SLOTS
};

#endif
