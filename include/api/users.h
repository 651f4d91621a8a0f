/* users.h - who is online, what is kept for a user, and sending a user's sessions away.
 *
 * serve() functions of the routes under /users; no state of their own. Worker's thread only. The
 * wire is in docs/wire.md. */
#ifndef API_USERS_H
#define API_USERS_H

struct request;

void users_list_serve(struct request *request);           /* GET /users */
void users_query_serve(struct request *request);          /* POST /users/query */
void users_describe_serve(struct request *request);       /* GET /users/:id */
void users_messages_serve(struct request *request);       /* GET /users/:id/messages */
void users_erase_messages_serve(struct request *request); /* DELETE /users/:id/messages */
void users_close_sessions_serve(struct request *request); /* DELETE /users/:id/sessions */
void users_revoke_serve(struct request *request);         /* POST /users/:id/revoke */

#endif
