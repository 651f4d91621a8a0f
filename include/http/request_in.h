/* request_in.h - how a request comes in, step by step as libmicrohttpd calls.
 *
 * The head is judged, the route found, the right checked, the body gathered or given to the route's
 * body handler; then serve() runs, once. Whatever fails on the way is answered with a problem.
 * Worker's thread only. */
#ifndef HTTP_REQUEST_IN_H
#define HTTP_REQUEST_IN_H

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;
struct request;

/* libmicrohttpd's callbacks; cls is the struct requests, and each connection's socket context is
 * its struct deadline. */
void *request_in_on_target(void *cls, const char *target, struct MHD_Connection *connection);
int request_in_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *upload_data,
                          size_t *upload_data_size, void **mhd_context);
void request_in_on_completed(void *cls, struct MHD_Connection *connection, void **mhd_context,
                             bool answered);

/* Answers a request that waits (its connection is in DEADLINE_WAIT) without the broker. Not from
 * within libmicrohttpd. */
void request_in_give_up(struct request *request);

#endif
