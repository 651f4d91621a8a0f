/* lines.h - cuts bytes that come in pieces into lines.
 *
 * Only what is left of a line between two pieces is copied. Memory is bounded by max_size, the
 * longest line that is handed out whole. One thread at a time. */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct line {
    const char *text; /* without LF or CR LF; until the next call */
    size_t size;
    enum err err; /* there is no text: ERR_BODY_TOO_LARGE or ERR_OUT_OF_MEMORY */
};

struct lines {
    size_t max_size;
    struct buf begun; /* a line whose end is still to come */
    enum err err;     /* of that line; its bytes are then dropped */
    bool handed_out;  /* it has been returned, and is not begun any more */
};

void lines_init(struct lines *lines, size_t max_size);
void lines_finish(struct lines *lines);

/* Takes the bytes up to and with the next end of a line. True: that line. False: all were taken,
 * and the line goes on. */
bool lines_take(struct lines *lines, const char *bytes, size_t size, size_t *ret_taken,
                struct line *ret_line);

/* The last line, when it came without an end. False: there is none. */
bool lines_take_last(struct lines *lines, struct line *ret_line);

#endif
