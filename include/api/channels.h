/* channels.h - who listens to a channel, and what is kept for it.
 *
 * serve() functions of the routes under /channels; no state. Worker's thread only. */
#ifndef API_CHANNELS_H
#define API_CHANNELS_H

struct request;

void channels_describe_serve(struct request *request); /* GET /channels/:id */
void channels_messages_serve(struct request *request); /* GET /channels/:id/messages */

#endif
