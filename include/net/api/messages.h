/* messages.h - one message, and who has it.
 *
 * A serve() function without state. Worker's thread only. The wire is in docs/wire.md. */
#ifndef NET_API_MESSAGES_H
#define NET_API_MESSAGES_H

struct exchange;

void messages_describe_serve(struct exchange *exchange); /* GET /messages/:id */

#endif
