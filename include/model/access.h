/* access.h - who may come in: hosts, origins, keys and tokens. Strings in, an identity out.
 *
 * Open mode (no credentials are configured) trusts whoever reaches the machine itself, so a page
 * from elsewhere must not be able to: its Origin is refused, and so is a Host that is not this
 * machine's own name (DNS rebinding). With credentials the Host says nothing, and of other origins
 * only listed ones may come. Immutable once made, and counted: a reload makes another; any thread.
 */
#ifndef MODEL_ACCESS_H
#define MODEL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/network.h"
#include "model/token.h"

struct access;
struct api_keys;
struct identity;
struct revocations;

struct access_options {
    char *const *origins; /* proper by origin_is_listed_form; copied */
    size_t origin_count;
    char *const *proxies; /* proper by network_is; copied */
    size_t proxy_count;
    bool open; /* nobody needs credentials */
    bool insecure_open;
    struct api_keys *keys;           /* changes hands; NULL: none */
    struct token_keys *token_keys;   /* changes hands */
    struct claims_rules rules;       /* its texts are copied */
    struct revocations *revocations; /* borrowed for as long as there is an access */
};

struct access *access_create(const struct access_options *options);
struct access *access_ref(struct access *access);
void access_unref(struct access *access);

bool access_is_open(const struct access *access);

/* A Host header's value: in open mode localhost, 127.0.0.1 or [::1], any port, else any. */
bool access_host_allowed(const struct access *access, const char *host);

/* An Origin header's value: one of the list; or ours, which is in open mode http(s) on localhost,
 * 127.0.0.1 or [::1] at any port, and always the page of this very server, whose host and port are
 * those of Host. */
enum access_origin { ACCESS_ORIGIN_REFUSED, ACCESS_ORIGIN_OURS, ACCESS_ORIGIN_LISTED };
enum access_origin access_judge_origin(const struct access *access, const char *origin,
                                       const char *host);

/* Whose credentials are these: a key or a token; NULL: none were brought? 0 and the identity, to be
 * destroyed; ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED or ERR_OUT_OF_MEMORY, and a few words in *ret_why.
 */
int access_identify(const struct access *access, const char *text, size_t length, int64_t now_ms,
                    struct identity **ret_identity, const char **ret_why);

/* Has the identity been revoked since? */
bool access_revoked(const struct access *access, const struct identity *identity);

/* The publishers' keys, borrowed; NULL: none are configured. */
struct api_keys *access_keys(const struct access *access);
struct revocations *access_revocations(const struct access *access);

/* Signs a token with the rules' issuer and audience; else as token_sign. */
char *access_sign(const struct access *access, struct token_draft draft);

bool access_trusts_proxies(const struct access *access);

/* Who is behind a proxy that we trust: the last address of X-Forwarded-For (NULL: there is none),
 * with or without a port, that no such proxy has; else the peer. False: the peer itself. */
bool access_find_client(const struct access *access, const struct sockaddr *peer,
                        const char *forwarded, union network_address *ret_client);

#endif
