/* send.h - POST /send-message: a backend sends a message.
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef API_SEND_H
#define API_SEND_H

struct request;

/* The route's serve(); its state is a struct publish_options. */
void send_message_serve(struct request *request);

#endif
