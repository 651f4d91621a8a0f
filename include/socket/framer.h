/* framer.h - cuts a client's bytes into pieces that wslay can be trusted with.
 *
 * wslay 1.1.1 checks the text of a Close frame chunk by chunk, answers broken headers with an empty
 * Close, lets empty fragments pass without end, and cannot tell from outside where a frame ends.
 * The gate knows the boundaries: it hands headers and control frames over whole, refuses what RFC
 * 6455 sections 5.2 and 5.5 forbid in a header, and counts fragments. No I/O; one for each
 * WebSocket; an idle one owns no memory. */
#ifndef SOCKET_FRAMER_H
#define SOCKET_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The longest control frame from a client: 2 + 4 + 125 bytes. */
#define FRAMER_HELD 131

struct framer {
    unsigned char *held;     /* a header or control frame not yet whole; NULL: none */
    uint32_t left;           /* payload bytes of the current data frame still to come */
    uint32_t fragments : 22; /* of the current message */
    uint32_t held_size : 8;
    uint32_t in_message : 1; /* between the first and the last fragment */
    uint32_t served : 1;     /* what is held was handed out and can be let go */
};

/* A data frame above this is refused by its header alone. */
#define FRAMER_MAX_PAYLOAD UINT32_MAX
/* max_fragments may not be larger. */
#define FRAMER_MAX_FRAGMENTS ((1u << 22) - 2)

struct frame_piece {
    const char *bytes;
    size_t size;
    bool frame_ends; /* with this piece */
};

void framer_init(struct framer *gate);
void framer_finish(struct framer *gate);

/* Takes the next piece from *bytes (advancing it): 1 and a piece, valid until the next call; 0:
 * all is taken and more must come; or, below 0, minus the reason to close: -ERR_PROTOCOL,
 * -ERR_TOO_MANY_FRAGMENTS, -ERR_FRAME_TOO_LARGE, -ERR_OUT_OF_MEMORY. */
int framer_next(struct framer *gate, const char **bytes, size_t *size, uint32_t max_fragments,
                struct frame_piece *ret_piece);

/* Between two messages: a parser that got every piece holds nothing of this stream. */
static inline bool framer_idle(const struct framer *gate)
{
    return gate->left == 0 && !gate->in_message && (!gate->held || gate->served);
}

#endif
