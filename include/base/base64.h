/* base64.h - bytes as base64 text (RFC 4648 section 4) and back.
 *
 * The standard alphabet, whole groups, padding where it belongs, no white space. No state, any
 * thread. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Adds the text of these bytes. */
void base64_encode(struct buf *buf, const void *bytes, size_t size);

/* Is it proper? Nothing is so, too. */
bool base64_is(const char *text, size_t length);

/* Adds the bytes of a text. False: it is not proper, and nothing is added. */
bool base64_decode(struct buf *buf, const char *text, size_t length);

#endif
