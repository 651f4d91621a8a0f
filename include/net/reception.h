/* reception.h - how a request comes in, step by step as libmicrohttpd calls.
 *
 * The head is judged, the route found, the right checked, the body gathered or given to the route's
 * intake; then serve() runs, once. Whatever fails on the way is answered with a problem. Worker's
 * thread only. */
#ifndef NET_RECEPTION_H
#define NET_RECEPTION_H

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;
struct exchange;

/* libmicrohttpd's callbacks; cls is the struct exchanges, and each connection's socket context is
 * its struct deadline. */
void *reception_on_target(void *cls, const char *target, struct MHD_Connection *connection);
int reception_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                         const char *method, const char *version, const char *upload_data,
                         size_t *upload_data_size, void **request);
void reception_on_completed(void *cls, struct MHD_Connection *connection, void **request,
                            bool answered);

/* Answers a request that waits (its connection is in DEADLINE_WAIT) without the broker. Not from
 * within libmicrohttpd. */
void reception_give_up(struct exchange *exchange);

#endif
