/* messages.h - one message, and who has it.
 *
 * A serve() function without state. Worker's thread only. The wire is in docs/wire.md. */
#ifndef API_MESSAGES_H
#define API_MESSAGES_H

struct request;

void messages_describe_serve(struct request *request); /* GET /messages/:id */

#endif
