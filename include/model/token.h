/* token.h - JSON Web Tokens (RFC 7519) of receivers: who they are, and what they may hear and say.
 *
 * Signed by HS256 with one of several secrets, or by RS256 or ES256 with a key of a JWK set; a
 * secret verifies HS256 only and a public key never does. Claims: `sub` is the user and `exp` is
 * required; `channels` is a list of names or `prefix*`; `publish` is true, or such a list;
 * `prefix` confines all names. Signatures are libjose's work. Immutable once made; any thread. */
#ifndef MODEL_TOKEN_H
#define MODEL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claims;
struct token_keys;

#define TOKEN_MAX        8192 /* bytes */
#define TOKEN_LEEWAY_MS  30000
#define TOKEN_SECRET_MIN 32 /* bytes; RFC 7518 section 3.2 */
#define TOKEN_TRIES      4  /* public keys that one token is held against */

struct token_keys *token_keys_create(void);
void token_keys_destroy(struct token_keys *keys);

/* One secret a line; all verify, the very first signs. False, and *ret_error (to be freed): "2:
 * ...". */
bool token_keys_add_secrets(struct token_keys *keys, const char *text, size_t size,
                            char **ret_error);
/* A JWK set (RFC 7517) with public keys for RS256 and ES256; keys for other uses are passed over.
 * False and *ret_error, also when none is left. */
bool token_keys_add_jwks(struct token_keys *keys, const char *text, size_t size, char **ret_error);

struct token_rules {
    const char *issuer;   /* what `iss` must be; NULL: anything */
    const char *audience; /* what `aud` must be or contain; NULL: anything */
    int64_t max_age_ms;   /* from `iat` (without it: from now) to `exp`, at most */
};

/* 0 and the claims; ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED or ERR_OUT_OF_MEMORY and a few words for
 * the log in *ret_why. Times hold within TOKEN_LEEWAY_MS. */
int token_verify(const struct token_keys *keys, const struct token_rules *rules, const char *text,
                 size_t length, int64_t now_ms, struct claims **ret_claims, const char **ret_why);
void claims_destroy(struct claims *claims);

const char *claims_user(const struct claims *claims);
const char *claims_prefix(const struct claims *claims); /* or NULL */
/* INT64_MIN: the token does not say. */
int64_t claims_issued_ms(const struct claims *claims);
/* The last moment at which it counts, leeway included. */
int64_t claims_end_ms(const struct claims *claims);
bool claims_cover_channel(const struct claims *claims, const char *name, size_t length);
/* May it publish to this channel; to everybody whom it may name? */
bool claims_may_publish(const struct claims *claims, const char *name, size_t length);
bool claims_may_publish_anywhere(const struct claims *claims);
/* May it publish at all? */
bool claims_publish_some(const struct claims *claims);

/* Is this a name, or the beginning of names and a `*`? */
bool token_is_pattern(const char *text, size_t length);

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
