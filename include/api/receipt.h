/* receipt.h - what a backend is told of a message that it sent.
 *
 * Any thread. The wire is in docs/wire.md. */
#ifndef API_RECEIPT_H
#define API_RECEIPT_H

struct buf;
struct publish_request;

/* The members of the answer, without braces, for a publish request that was published. */
void receipt_write(struct buf *buf, const struct publish_request *publish_request);

#endif
