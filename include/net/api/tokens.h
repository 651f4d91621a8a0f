/* tokens.h - POST /tokens: a backend asks for a token for one of its users.
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef NET_API_TOKENS_H
#define NET_API_TOKENS_H

struct exchange;

void tokens_serve(struct exchange *exchange);

#endif
