/* protocols.h - every way to receive, a row each.
 *
 * A protocol is one source file, which defines its struct protocol, and its row here; a worker
 * makes, serves and closes whatever is in the table. What a protocol keeps at a worker is found by
 * protocol_state(). Worker's thread only. */
#ifndef SESSION_PROTOCOLS_H
#define SESSION_PROTOCOLS_H

#include <stddef.h>

#include "base/err.h"
#include "base/metrics.h"
#include "http/route.h"

struct session_ops;
struct sessions;

struct protocol {
    const struct session_ops *session_ops; /* its clients' own; the transport's name is there */
    struct route_family routes;            /* their state is the struct sessions */
    /* What it keeps at a worker. NULL: nothing. */
    void *(*create)(struct sessions *sessions);
    /* Every client has been freed. NULL: there is nothing to destroy. */
    void (*destroy)(void *state);
    /* Closes every client of that state; then, where time is up, ends whatever is still there.
     * NULL: another protocol's do it, whose sockets its own are. */
    void (*close_all)(void *state, enum err reason);
    void (*abort_all)(void *state);
};

/* X(ROW, the file's struct protocol, in how many forms it writes a message): in this order they are
 * made and closed. A test may have more of them. */
#ifndef PROTOCOLS_OF_TESTS
#define PROTOCOLS_OF_TESTS(X)
#endif
#define PROTOCOLS_TABLE(X)                                                                         \
    X(WEBSOCKET, websocket_session_protocol, 4)                                                    \
    X(ROOM, room_protocol, 2)                                                                      \
    X(SSE, sse_protocol, 2)                                                                        \
    X(POLL, poll_protocol, 0)                                                                      \
    PROTOCOLS_OF_TESTS(X)

enum protocol_row {
#define PROTOCOLS_ROW(row, rows_protocol, forms) PROTOCOL_##row,
    PROTOCOLS_TABLE(PROTOCOLS_ROW)
#undef PROTOCOLS_ROW
        PROTOCOL_COUNT
};

/* Where a message keeps its ready frames: a slot for each form, and those of a protocol stand
 * together from FRAMES_OF_its row on. */
enum frame_slot {
#define PROTOCOLS_ROW(row, rows_protocol, forms)                                                   \
    FRAMES_OF_##row, FRAMES_UP_TO_##row = FRAMES_OF_##row + (forms)-1,
    PROTOCOLS_TABLE(PROTOCOLS_ROW)
#undef PROTOCOLS_ROW
        FRAME_SLOTS
};

#define PROTOCOLS_EXTERN(row, rows_protocol, forms) extern const struct protocol rows_protocol;
PROTOCOLS_TABLE(PROTOCOLS_EXTERN)
#undef PROTOCOLS_EXTERN

size_t protocols_count(void);
const struct protocol *protocol_at(size_t row);
void *protocol_state(const struct sessions *sessions, enum protocol_row row);
/* What the clients of each row are called, and a NULL, for metrics_write. */
void protocols_list_transports(const char *ret_transports[static METRICS_PROTOCOLS + 1]);

/* All of them, for a worker. */
void protocols_create(struct sessions *sessions);
void protocols_destroy(struct sessions *sessions);
void protocols_close_all(struct sessions *sessions, enum err reason);
void protocols_abort_all(struct sessions *sessions);

#endif
