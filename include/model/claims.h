/* claims.h - what a verified token says: who its bearer is, and what they may hear and say.
 *
 * `sub` is the user and `exp` is required; `channels` is a list of names or `prefix*`; `publish`
 * is true, or such a list; `prefix` confines all names. Immutable once made; any thread. */
#ifndef MODEL_CLAIMS_H
#define MODEL_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claims;

#define CLAIMS_LEEWAY_MS 30000 /* for clocks that differ */

struct claims_rules {
    const char *issuer;   /* what `iss` must be; NULL: anything */
    const char *audience; /* what `aud` must be or contain; NULL: anything */
    int64_t max_age_ms;   /* from `iat` (without it: from now) to `exp`, at most */
};

/* Of a token's payload whose signature is good. 0 and the claims; ERR_UNAUTHORIZED,
 * ERR_TOKEN_EXPIRED or ERR_OUT_OF_MEMORY and a few words for the log in *ret_why. Times hold within
 * CLAIMS_LEEWAY_MS. */
int claims_read(const json_t *payload, const struct claims_rules *rules, int64_t now_ms,
                struct claims **ret_claims, const char **ret_why);
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
bool claims_is_pattern(const char *text, size_t length);

#endif
