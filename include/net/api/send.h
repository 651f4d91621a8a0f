/* send.h - POST /send-message: a backend sends a message.
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef NET_API_SEND_H
#define NET_API_SEND_H

struct exchange;

/* The route's serve(); its state is a struct sending_options. */
void send_message_serve(struct exchange *exchange);

#endif
