#include "model/access.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/origin.h"
#include "base/text.h"
#include "model/api_keys.h"
#include "model/identity.h"
#include "model/revocations.h"

struct access {
    atomic_uint refs;
    struct origin *origins; /* each owns the text it begins at */
    size_t origin_count;
    struct network *proxies;
    size_t proxy_count;
    bool open;
    bool insecure_open;
    struct api_keys *keys;
    struct token_keys *token_keys;
    struct claims_rules rules;
    struct revocations *revocations;
};

static void add_origin(struct access *access, const char *text)
{
    char *copy = mem_strdup(text);
    if (origin_parse_listed(copy, &access->origins[access->origin_count]))
        access->origin_count++;
    else
        free(copy);
}

struct access *access_create(const struct access_options *options)
{
    struct access *access = mem_alloc(sizeof *access);
    atomic_init(&access->refs, 1);
    access->origins = mem_alloc(options->origin_count * sizeof *access->origins);
    for (size_t i = 0; i < options->origin_count; i++)
        add_origin(access, options->origins[i]);
    access->proxies = mem_alloc(options->proxy_count * sizeof *access->proxies);
    for (size_t i = 0; i < options->proxy_count; i++)
        access->proxy_count += network_parse(options->proxies[i], &access->proxies[i]);
    access->open = options->open;
    access->insecure_open = options->insecure_open;
    access->keys = options->keys;
    access->token_keys = options->token_keys;
    access->rules = options->rules;
    access->rules.issuer = mem_strdup(options->rules.issuer);
    access->rules.audience = mem_strdup(options->rules.audience);
    access->revocations = options->revocations;
    return access;
}

struct access *access_ref(struct access *access)
{
    atomic_fetch_add_explicit(&access->refs, 1, memory_order_relaxed);
    return access;
}

void access_unref(struct access *access)
{
    if (!access || atomic_fetch_sub_explicit(&access->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < access->origin_count; i++)
        free((char *)(uintptr_t)access->origins[i].scheme);
    free(access->origins);
    free(access->proxies);
    keys_unref(access->keys);
    token_keys_destroy(access->token_keys);
    free((char *)(uintptr_t)access->rules.issuer);
    free((char *)(uintptr_t)access->rules.audience);
    free(access);
}

bool access_is_open(const struct access *access)
{
    return access->open;
}

/* ---- hosts and origins ---- */

static const char *const this_machine[] = {"localhost", "127.0.0.1", "[::1]"};

static bool is_this_machine(const struct origin *origin)
{
    for (size_t i = 0; i < sizeof this_machine / sizeof *this_machine; i++) {
        if (origin_has_host(origin, this_machine[i]))
            return true;
    }
    return false;
}

bool access_host_allowed(const struct access *access, const char *host)
{
    struct origin here;
    return !access->open || access->insecure_open ||
           (origin_parse_host(host, &here) && is_this_machine(&here));
}

enum access_origin access_judge_origin(const struct access *access, const char *text,
                                       const char *host)
{
    struct origin origin;
    if (!origin_parse(text, &origin))
        return ACCESS_ORIGIN_REFUSED;
    for (size_t i = 0; i < access->origin_count; i++) {
        if (origin_matches(&access->origins[i], &origin))
            return ACCESS_ORIGIN_LISTED;
    }
    if (origin_is_web(&origin) &&
        ((access->open && is_this_machine(&origin)) || origin_is_of(&origin, host)))
        return ACCESS_ORIGIN_OURS;
    return ACCESS_ORIGIN_REFUSED;
}

/* ---- credentials ---- */

static int identify_key(const struct access *access, const char *text, size_t length,
                        struct identity **ret_identity, const char **ret_why)
{
    const struct api_key *key = access->keys ? keys_find(access->keys, text, length) : NULL;
    *ret_why = "this is no key of ours";
    if (!key)
        return ERR_UNAUTHORIZED;
    *ret_identity = identity_of_key(keys_ref(access->keys), key);
    return *ret_identity ? 0 : ERR_OUT_OF_MEMORY;
}

static int identify_token(const struct access *access, const char *text, size_t length,
                          int64_t now_ms, struct identity **ret_identity, const char **ret_why)
{
    struct claims *claims;
    int err =
        token_verify(access->token_keys, &access->rules, text, length, now_ms, &claims, ret_why);
    if (err)
        return err;
    struct identity *identity = identity_of_claims(claims);
    if (!identity)
        return ERR_OUT_OF_MEMORY;
    if (access_revoked(access, identity)) {
        identity_destroy(identity);
        *ret_why = "the user's tokens of that time have been revoked";
        return ERR_UNAUTHORIZED;
    }
    *ret_identity = identity;
    return 0;
}

int access_identify(const struct access *access, const char *text, size_t length, int64_t now_ms,
                    struct identity **ret_identity, const char **ret_why)
{
    *ret_why = "no credentials were brought";
    if (access->open)
        *ret_identity = &identity_anyone;
    else if (!text || !length)
        return ERR_UNAUTHORIZED;
    else if (length > 3 && memcmp(text, "pw_", 3) == 0)
        return identify_key(access, text, length, ret_identity, ret_why);
    else
        return identify_token(access, text, length, now_ms, ret_identity, ret_why);
    return 0;
}

bool access_revoked(const struct access *access, const struct identity *identity)
{
    const char *user = identity_user(identity);
    return user && revocations_has(access->revocations, user, strlen(user),
                                   claims_issued_ms(identity->claims));
}

struct api_keys *access_keys(const struct access *access)
{
    return access->keys;
}

struct revocations *access_revocations(const struct access *access)
{
    return access->revocations;
}

char *access_sign(const struct access *access, struct token_draft draft)
{
    draft.issuer = access->rules.issuer;
    draft.audience = access->rules.audience;
    return token_sign(access->token_keys, &draft);
}

/* ---- proxies ---- */

bool access_trusts_proxies(const struct access *access)
{
    return access->proxy_count > 0;
}

static bool is_trusted(const struct access *access, const struct sockaddr *address)
{
    for (size_t i = 0; i < access->proxy_count; i++) {
        if (network_has(&access->proxies[i], address))
            return true;
    }
    return false;
}

/* The last word of a list of `length` bytes, without blanks; what is before it is left. */
static const char *last_word(const char *list, size_t *length, size_t *ret_size)
{
    size_t end = *length, start;
    while (end && (list[end - 1] == ' ' || list[end - 1] == '\t'))
        end--;
    for (start = end; start && list[start - 1] != ','; start--)
        ;
    *length = start ? start - 1 : 0;
    while (start < end && (list[start] == ' ' || list[start] == '\t'))
        start++;
    *ret_size = end - start;
    return list + start;
}

/* An address as proxies write it: by itself, in brackets, or with the port it asked from. */
static bool parse_node(const char *word, size_t size, union network_address *ret_address)
{
    bool brackets = size && word[0] == '[';
    const char *end = memchr(word, brackets ? ']' : ':', size);
    if (network_parse_address(word, size, ret_address))
        return true;
    if (!end)
        return false;
    const char *address = word + brackets, *port = end + brackets;
    size_t left = (size_t)(word + size - port);
    uint64_t ignored;
    return (left == 0 || (*port == ':' && text_parse_u64(port + 1, left - 1, &ignored))) &&
           network_parse_address(address, (size_t)(end - address), ret_address) &&
           (ret_address->any.sa_family == AF_INET6) == brackets;
}

bool access_find_client(const struct access *access, const struct sockaddr *peer,
                        const char *forwarded, union network_address *ret_client)
{
    size_t left = forwarded ? strlen(forwarded) : 0, size;
    union network_address found;
    bool any = false;
    if (!is_trusted(access, peer))
        return false;
    while (left) {
        const char *word = last_word(forwarded, &left, &size);
        if (!parse_node(word, size, &found))
            break; /* what stands before it nobody vouches for */
        *ret_client = found;
        any = true;
        if (!is_trusted(access, &found.any))
            break;
    }
    return any;
}
