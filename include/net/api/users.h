/* users.h - who is online, what is kept for a user, and sending a user's sessions away.
 *
 * serve() functions of the routes under /users; no state of their own. Worker's thread only. The
 * wire is in docs/wire.md. */
#ifndef NET_API_USERS_H
#define NET_API_USERS_H

struct exchange;

void users_list_serve(struct exchange *exchange);           /* GET /users */
void users_query_serve(struct exchange *exchange);          /* POST /users/query */
void users_describe_serve(struct exchange *exchange);       /* GET /users/:id */
void users_messages_serve(struct exchange *exchange);       /* GET /users/:id/messages */
void users_erase_messages_serve(struct exchange *exchange); /* DELETE /users/:id/messages */
void users_close_sessions_serve(struct exchange *exchange); /* DELETE /users/:id/sessions */
void users_revoke_serve(struct exchange *exchange);         /* POST /users/:id/revoke */

#endif
