/* buf.h - bytes that grow.
 *
 * A write that finds no memory marks the buffer as failed and later writes do nothing, so a
 * writer checks buf_ok once, at its end. One thread at a time. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

/* An empty buffer owns no memory. */
void buf_init(struct buf *buf);
void buf_finish(struct buf *buf);
/* Hands the bytes over to the caller, who frees them; the buffer is then empty. */
char *buf_detach(struct buf *buf);

static inline bool buf_ok(const struct buf *buf)
{
    return !buf->failed;
}

/* Makes room for `more` bytes in one step. False: out of memory, and the buffer has failed. */
bool buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_number(struct buf *buf, uint64_t number);
__attribute__((format(printf, 2, 3))) void buf_add_format(struct buf *buf, const char *format, ...);

/* The text as a JSON string with its quotes (RFC 8259 section 7). text must be UTF-8. */
void buf_add_json(struct buf *buf, const char *text, size_t length);

/* Takes n bytes away from the front. */
void buf_consume(struct buf *buf, size_t n);

#endif
