/* channels.h - who listens to a channel, and what is kept for it.
 *
 * serve() functions of the routes under /channels; no state. Worker's thread only. */
#ifndef NET_API_CHANNELS_H
#define NET_API_CHANNELS_H

struct exchange;

void channels_describe_serve(struct exchange *exchange); /* GET /channels/:id */
void channels_messages_serve(struct exchange *exchange); /* GET /channels/:id/messages */

#endif
