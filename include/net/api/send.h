/* send.h - POST /send-message: a backend sends a message to users.
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef NET_API_SEND_H
#define NET_API_SEND_H

#include <stddef.h>
#include <stdint.h>

struct exchange;

struct send_options { /* the state of its route */
    size_t max_message;
    int64_t ttl_ms; /* the default */
    int64_t ttl_max_ms;
};

void send_message_serve(struct exchange *exchange);

#endif
