/* tokens.h - POST /tokens: a backend asks for a token for one of its users.
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef API_TOKENS_H
#define API_TOKENS_H

struct request;

void tokens_serve(struct request *request);

#endif
