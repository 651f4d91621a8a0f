/* receipt.h - what a backend is told of a message that it sent.
 *
 * Any thread. The wire is in docs/wire.md. */
#ifndef NET_API_RECEIPT_H
#define NET_API_RECEIPT_H

struct buf;
struct sending;

/* The members of the answer, without braces, for a sending that was published. */
void receipt_write(struct buf *buf, const struct sending *sending);

#endif
