/* token.h - JSON Web Tokens (RFC 7519) of receivers: who they are, and what they may hear and say.
 *
 * Signed by HS256 with one of several secrets, or by RS256 or ES256 with a key of a JWK set; a
 * secret verifies HS256 only and a public key never does. Signatures are libjose's work; what is
 * signed is claims.h's. Keys are immutable once made; any thread. */
#ifndef MODEL_TOKEN_H
#define MODEL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/claims.h"

struct token_keys;

#define TOKEN_MAX        8192 /* bytes */
#define TOKEN_SECRET_MIN 32   /* bytes; RFC 7518 section 3.2 */
#define TOKEN_TRIES      4    /* public keys that one token is held against */

struct token_keys *token_keys_create(void);
void token_keys_destroy(struct token_keys *keys);

/* One secret a line; all verify, the very first signs. False, and *ret_error (to be freed): "2:
 * ...". */
bool token_keys_add_secrets(struct token_keys *keys, const char *text, size_t size,
                            char **ret_error);
/* A JWK set (RFC 7517) with public keys for RS256 and ES256; keys for other uses are passed over.
 * False and *ret_error, also when none is left. */
bool token_keys_add_jwks(struct token_keys *keys, const char *text, size_t size, char **ret_error);

/* Who signed it, then claims_read. As that does; ERR_UNAUTHORIZED, too, where nobody of ours did.
 */
int token_verify(const struct token_keys *keys, const struct claims_rules *rules, const char *text,
                 size_t length, int64_t now_ms, struct claims **ret_claims, const char **ret_why);

/* What a new token says; lists are of patterns and end in NULL. */
struct token_draft {
    const char *user;
    const char *const *channels; /* NULL: none */
    const char *const *publish;  /* NULL: none */
    bool publish_anywhere;
    const char *prefix; /* or NULL */
    const char *issuer, *audience;
    int64_t issued_ms;
    int64_t ttl_ms;
};

/* The token, to be freed; NULL: out of memory, or there is no secret. */
char *token_sign(const struct token_keys *keys, const struct token_draft *draft);

#endif
