/* devices.h - what a user's devices have, said and forgotten over HTTP.
 *
 * serve() functions of routes under /users; no state of their own. Worker's thread only. The wire
 * is in docs/wire.md. */
#ifndef API_DEVICES_H
#define API_DEVICES_H

struct request;

void devices_ack_serve(struct request *request);    /* POST /users/:id/ack */
void devices_forget_serve(struct request *request); /* DELETE /users/:id/devices/:name */

#endif
