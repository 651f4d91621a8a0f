/* devices.h - what a user's devices have, said and forgotten over HTTP.
 *
 * serve() functions of routes under /users; no state of their own. Worker's thread only. The wire
 * is in docs/wire.md. */
#ifndef NET_API_DEVICES_H
#define NET_API_DEVICES_H

struct exchange;

void devices_ack_serve(struct exchange *exchange);    /* POST /users/:id/ack */
void devices_forget_serve(struct exchange *exchange); /* DELETE /users/:id/devices/:name */

#endif
