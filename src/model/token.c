#include "model/token.h"

#include <jansson.h>
#include <jose/b64.h>
#include <jose/cfg.h>
#include <jose/jws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/topic.h"

#define MAX_SECRETS  16
#define MAX_JWKS     64
#define PARTS        3 /* header, payload, signature (RFC 7515 section 3.1) */
#define BASE64_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

struct token_keys {
    json_t *secrets[MAX_SECRETS]; /* JWKs; the first signs */
    size_t secret_count;
    json_t *jwks[MAX_JWKS]; /* public keys */
    size_t jwk_count;
};

/* ---- keys ---- */

struct token_keys *token_keys_create(void)
{
    return mem_alloc(sizeof(struct token_keys));
}

void token_keys_destroy(struct token_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->secret_count; i++)
        json_decref(keys->secrets[i]);
    for (size_t i = 0; i < keys->jwk_count; i++)
        json_decref(keys->jwks[i]);
    free(keys);
}

static bool wrong(char **ret_error, size_t line, const char *text)
{
    char error[160];
    if (line)
        snprintf(error, sizeof error, "%zu: %s", line, text);
    else
        snprintf(error, sizeof error, "%s", text);
    *ret_error = mem_strdup(error);
    return false;
}

static bool add_secret(struct token_keys *keys, const char *secret, size_t length)
{
    json_t *jwk =
        json_pack("{s:s,s:s,s:o}", "kty", "oct", "alg", "HS256", "k", jose_b64_enc(secret, length));
    if (jwk)
        keys->secrets[keys->secret_count++] = jwk;
    return jwk != NULL;
}

bool token_keys_add_secrets(struct token_keys *keys, const char *text, size_t size,
                            char **ret_error)
{
    size_t before = keys->secret_count;
    for (size_t line = 1; size; line++) {
        const char *end = memchr(text, '\n', size);
        size_t taken = end ? (size_t)(end - text) + 1 : size, length = taken - (end != NULL);
        if (length && text[length - 1] == '\r')
            length--;
        if (length && length < TOKEN_SECRET_MIN)
            return wrong(ret_error, line, "a secret has at least 32 bytes");
        if (length && keys->secret_count == MAX_SECRETS)
            return wrong(ret_error, line, "there are more than 16 secrets");
        if (length && !add_secret(keys, text, length))
            return wrong(ret_error, line, "out of memory");
        text += taken;
        size -= taken;
    }
    return keys->secret_count > before || wrong(ret_error, 0, "there is no secret in it");
}

static bool has(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

/* What it says there; null, which some write for what they do not say, is nothing. */
static json_t *said(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* The one algorithm that this key is for, or NULL. */
static const char *algorithm_of(const json_t *jwk)
{
    const char *fits = has(jwk, "kty", "RSA")                              ? "RS256"
                       : has(jwk, "kty", "EC") && has(jwk, "crv", "P-256") ? "ES256"
                                                                           : NULL;
    if (!fits || (said(jwk, "alg") && !has(jwk, "alg", fits)) ||
        (said(jwk, "use") && !has(jwk, "use", "sig")))
        return NULL;
    return fits;
}

/* Its public part alone, bound to its algorithm; NULL: not one for us. */
static json_t *public_key(const json_t *jwk)
{
    static const char *const members[] = {"kty", "kid", "crv", "x", "y", "n", "e"};
    const char *algorithm = algorithm_of(jwk);
    json_t *key = algorithm ? json_pack("{s:s}", "alg", algorithm) : NULL;
    for (size_t i = 0; key && i < sizeof members / sizeof *members; i++) {
        json_t *value = said(jwk, members[i]);
        if (value && (!json_is_string(value) || json_object_set(key, members[i], value) != 0)) {
            json_decref(key);
            return NULL;
        }
    }
    return key;
}

bool token_keys_add_jwks(struct token_keys *keys, const char *text, size_t size, char **ret_error)
{
    json_error_t error;
    size_t i, before = keys->jwk_count;
    json_t *jwk, *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    json_t *list = json_object_get(root, "keys");
    json_array_foreach(list, i, jwk)
    {
        json_t *key = keys->jwk_count < MAX_JWKS ? public_key(jwk) : NULL;
        if (key)
            keys->jwks[keys->jwk_count++] = key;
    }
    bool is_set = json_is_array(list);
    json_decref(root);
    if (!is_set)
        return wrong(ret_error, root ? 0 : (size_t)error.line,
                     "this is no JWK set: {\"keys\":[…]} (RFC 7517)");
    return keys->jwk_count > before ||
           wrong(ret_error, 0, "no key in it is for RS256 or ES256 (P-256)");
}

/* ---- signatures ---- */

/* libjose tells standard error otherwise. */
static void say_nothing(void *misc, const char *file, int line, uint64_t err, const char *format,
                        va_list args)
{
    (void)misc;
    (void)file;
    (void)line;
    (void)err;
    (void)format;
    (void)args;
}

static jose_cfg_t *silence(void)
{
    jose_cfg_t *cfg = jose_cfg();
    if (cfg)
        jose_cfg_set_err_func(cfg, say_nothing, NULL);
    return cfg;
}

/* The parts of `header.payload.signature`. False: it is not of that form. */
static bool split(const char *text, size_t length, const char *ret_parts[static PARTS],
                  size_t ret_lengths[static PARTS])
{
    const char *end = text + length;
    for (size_t i = 0; i < PARTS; i++) {
        const char *stop = i + 1 < PARTS ? memchr(text, '.', (size_t)(end - text)) : end;
        if (!stop || stop == text)
            return false;
        for (const char *at = text; at < stop; at++) {
            if (!*at || !strchr(BASE64_CHARS, *at))
                return false;
        }
        ret_parts[i] = text;
        ret_lengths[i] = (size_t)(stop - text);
        text = stop + 1;
    }
    return true;
}

static json_t *decode_object(const char *part, size_t length)
{
    size_t size = jose_b64_dec_buf(part, length, NULL, 0);
    char *bytes = size == SIZE_MAX ? NULL : malloc(size + 1);
    json_t *object = NULL;
    if (bytes && jose_b64_dec_buf(part, length, bytes, size) == size)
        object = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    free(bytes);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

/* Does this key come into question? */
static bool fits(const json_t *jwk, const char *algorithm, const json_t *kid)
{
    const json_t *own = json_object_get(jwk, "kid");
    return has(jwk, "alg", algorithm) && (!kid || !own || json_equal(kid, own));
}

/* At most `tries` of the keys that come into question are asked: nobody is known yet who could be
 * charged for it. */
static bool is_signed_by_one(const json_t *jws, json_t *const *jwks, size_t count, size_t tries,
                             const char *algorithm, const json_t *kid)
{
    bool good = false;
    jose_cfg_t *cfg = silence();
    for (size_t i = 0; cfg && i < count && tries && !good; i++) {
        if (!fits(jwks[i], algorithm, kid))
            continue;
        good = jose_jws_ver(cfg, jws, NULL, jwks[i], false);
        tries--;
    }
    if (cfg)
        jose_cfg_decref(cfg);
    return good;
}

/* From the first key that has the token's kid, where there is one. */
static bool is_signed_by_public(const struct token_keys *keys, const json_t *jws,
                                const char *algorithm, const json_t *kid)
{
    json_t *const *jwks = keys->jwks;
    for (size_t i = 0; kid && i < keys->jwk_count; i++) {
        if (has(jwks[i], "alg", algorithm) && json_equal(kid, json_object_get(jwks[i], "kid")))
            return is_signed_by_one(jws, jwks + i, keys->jwk_count - i, TOKEN_TRIES, algorithm,
                                    kid);
    }
    return is_signed_by_one(jws, jwks, keys->jwk_count, TOKEN_TRIES, algorithm, kid);
}

/* What a header says of keys (`jwk`, `jku`, `x5c`) counts for nothing. */
static bool check_signature(const struct token_keys *keys, const json_t *header, const json_t *jws,
                            const char **ret_why)
{
    const json_t *kid = said(header, "kid");
    *ret_why = "the token's signature is by no key of ours";
    if (json_object_get(header, "crit")) {
        *ret_why = "the token's header asks for what we do not know";
        return false;
    }
    if (has(header, "alg", "HS256"))
        return is_signed_by_one(jws, keys->secrets, keys->secret_count, MAX_SECRETS, "HS256", NULL);
    if (has(header, "alg", "RS256"))
        return is_signed_by_public(keys, jws, "RS256", kid);
    if (has(header, "alg", "ES256"))
        return is_signed_by_public(keys, jws, "ES256", kid);
    *ret_why = "the token's alg is none of HS256, RS256, ES256";
    return false;
}

/* ---- verifying ---- */

int token_verify(const struct token_keys *keys, const struct claims_rules *rules, const char *text,
                 size_t length, int64_t now_ms, struct claims **ret_claims, const char **ret_why)
{
    const char *parts[PARTS];
    size_t lengths[PARTS];
    int err = ERR_UNAUTHORIZED;
    *ret_why = "this is no token: header.payload.signature";
    if (length > TOKEN_MAX || !split(text, length, parts, lengths))
        return ERR_UNAUTHORIZED;
    json_t *header = decode_object(parts[0], lengths[0]);
    json_t *claims = decode_object(parts[1], lengths[1]);
    json_t *jws = json_pack("{s:s%,s:s%,s:s%}", "protected", parts[0], lengths[0], "payload",
                            parts[1], lengths[1], "signature", parts[2], lengths[2]);
    if (header && claims && jws && check_signature(keys, header, jws, ret_why))
        err = claims_read(claims, rules, now_ms, ret_claims, ret_why);
    json_decref(header);
    json_decref(claims);
    json_decref(jws);
    return err;
}

/* ---- making one ---- */

static bool set_patterns(json_t *claims, const char *name, const char *const *patterns)
{
    json_t *list = json_array();
    for (; patterns && *patterns; patterns++)
        json_array_append_new(list, json_string(*patterns));
    return json_object_set_new(claims, name, list) == 0;
}

static bool set_text(json_t *claims, const char *name, const char *text)
{
    return !text || json_object_set_new(claims, name, json_string(text)) == 0;
}

/* iat has its milliseconds, so that a token made right after a revocation counts. */
static json_t *draft_claims(const struct token_draft *draft)
{
    double issued = (double)draft->issued_ms / 1000;
    json_t *claims = json_pack("{s:s,s:f,s:I}", "sub", draft->user, "iat", issued, "exp",
                               (json_int_t)((draft->issued_ms + draft->ttl_ms) / 1000));
    bool done = claims && set_text(claims, "iss", draft->issuer) &&
                set_text(claims, "aud", draft->audience) &&
                set_text(claims, "prefix", draft->prefix) &&
                (!draft->channels || set_patterns(claims, "channels", draft->channels));
    if (done && draft->publish_anywhere)
        done = json_object_set_new(claims, "publish", json_true()) == 0;
    else if (done && draft->publish)
        done = set_patterns(claims, "publish", draft->publish);
    if (done)
        return claims;
    json_decref(claims);
    return NULL;
}

static char *join(const json_t *jws)
{
    char *token;
    const char *header = json_string_value(json_object_get(jws, "protected"));
    const char *payload = json_string_value(json_object_get(jws, "payload"));
    const char *signature = json_string_value(json_object_get(jws, "signature"));
    if (!header || !payload || !signature ||
        asprintf(&token, "%s.%s.%s", header, payload, signature) < 0)
        return NULL;
    return token;
}

char *token_sign(const struct token_keys *keys, const struct token_draft *draft)
{
    char *token = NULL;
    json_t *claims = draft_claims(draft);
    json_t *jws = claims ? json_pack("{s:o}", "payload", jose_b64_enc_dump(claims)) : NULL;
    json_t *header = json_pack("{s:{s:s,s:s}}", "protected", "alg", "HS256", "typ", "JWT");
    jose_cfg_t *cfg = silence();
    if (keys->secret_count && jws && header && cfg &&
        jose_jws_sig(cfg, jws, header, keys->secrets[0]))
        token = join(jws);
    if (cfg)
        jose_cfg_decref(cfg);
    json_decref(header);
    json_decref(jws);
    json_decref(claims);
    return token;
}
