#include "support.h"

#include <jansson.h>
#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "model/token.h"

#define SECRET   "0123456789abcdef0123456789abcdef"
#define OTHER    "ffffffffffffffffffffffffffffffff"
#define NOW      INT64_C(1769860800000)
#define NOW_S    "1769860800"
#define TOMORROW "1769947200"

static const struct claims_rules any = {.max_age_ms = INT64_C(30) * 86400000};

static struct token_keys *keys_of(const char *secrets)
{
    char *error = NULL;
    struct token_keys *keys = token_keys_create();
    if (!token_keys_add_secrets(keys, secrets, strlen(secrets), &error))
        fail_msg("%s", error);
    return keys;
}

/* Signed by libjose itself, whatever it says; static. */
static const char *token_by(json_t *jwk, const char *header, const char *claims)
{
    static char token[4096];
    json_t *jws = json_pack("{s:o}", "payload", jose_b64_enc(claims, strlen(claims)));
    json_t *signature = json_pack("{s:o}", "protected", json_loads(header, 0, NULL));
    assert_true(jose_jws_sig(NULL, jws, signature, jwk));
    snprintf(token, sizeof token, "%s.%s.%s", json_string_value(json_object_get(jws, "protected")),
             json_string_value(json_object_get(jws, "payload")),
             json_string_value(json_object_get(jws, "signature")));
    json_decref(signature);
    json_decref(jws);
    return token;
}

static const char *token_of(const char *secret, const char *claims)
{
    json_t *jwk = json_pack("{s:s,s:o}", "kty", "oct", "k", jose_b64_enc(secret, strlen(secret)));
    const char *token = token_by(jwk, "{\"alg\":\"HS256\"}", claims);
    json_decref(jwk);
    return token;
}

static int verify_by(const struct token_keys *keys, const struct claims_rules *rules,
                     const char *token, struct claims **ret_claims)
{
    const char *why = NULL;
    int err = token_verify(keys, rules, token, strlen(token), NOW, ret_claims, &why);
    if (err)
        assert_non_null(why);
    return err;
}

static int verify(const char *token)
{
    struct token_keys *keys = keys_of(SECRET);
    struct claims *claims = NULL;
    int err = verify_by(keys, &any, token, &claims);
    claims_destroy(claims);
    token_keys_destroy(keys);
    return err;
}

static int judge(const char *claims)
{
    return verify(token_of(SECRET, claims));
}

static void a_token_says_who_and_what(void **state)
{
    struct token_keys *keys = keys_of(SECRET);
    struct claims *claims = NULL;
    (void)state;
    const char *token = token_of(SECRET, "{\"sub\":\"ada\",\"exp\":" TOMORROW ",\"iat\":" NOW_S
                                         ",\"channels\":[\"news\",\"team-*\"],"
                                         "\"publish\":[\"room:*\"],\"prefix\":\"a\"}");
    assert_int_equal(verify_by(keys, &any, token, &claims), 0);
    assert_string_equal(claims_user(claims), "ada");
    assert_string_equal(claims_prefix(claims), "a");
    assert_int_equal(claims_issued_ms(claims), NOW);
    assert_int_equal(claims_end_ms(claims), NOW + 86400000 + CLAIMS_LEEWAY_MS);
    assert_true(claims_cover_channel(claims, "news", 4));
    assert_false(claims_cover_channel(claims, "new", 3));
    assert_false(claims_cover_channel(claims, "newsx", 5));
    assert_true(claims_cover_channel(claims, "team-", 5));
    assert_true(claims_cover_channel(claims, "team-x", 6));
    assert_false(claims_cover_channel(claims, "team", 4));
    assert_false(claims_cover_channel(claims, "room:x", 6));
    assert_true(claims_may_publish(claims, "room:x", 6));
    assert_false(claims_may_publish(claims, "news", 4));
    assert_false(claims_may_publish_anywhere(claims));
    assert_true(claims_publish_some(claims));
    claims_destroy(claims);
    token_keys_destroy(keys);
}

static void times_hold_within_the_leeway(void **state)
{
    (void)state;
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":1769860771}"), 0); /* 29 s ago */
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":1769860770}"), ERR_TOKEN_EXPIRED);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":1769860770.001}"), 0);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":0}"), ERR_TOKEN_EXPIRED);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":" TOMORROW ",\"nbf\":1769860830}"), 0);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":" TOMORROW ",\"nbf\":1769860831}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":" TOMORROW ",\"iat\":1769860830}"), 0);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":" TOMORROW ",\"iat\":1769860831}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":253402300799,\"iat\":253402300000}"),
                     ERR_UNAUTHORIZED);
}

static void exp_is_required_and_near(void **state)
{
    static const char *const bad[] = {
        "{\"sub\":\"a\"}",
        "{\"sub\":\"a\",\"exp\":null}",
        "{\"sub\":\"a\",\"exp\":\"" TOMORROW "\"}",
        "{\"sub\":\"a\",\"exp\":true}",
        "{\"sub\":\"a\",\"exp\":-1}",
        "{\"sub\":\"a\",\"exp\":1e300}",
        "{\"sub\":\"a\",\"exp\":1e400}",
        "{\"sub\":\"a\",\"exp\":1772452801}", /* 30 days and a second */
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"iat\":1767268799}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"iat\":\"now\"}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"nbf\":\"now\"}",
        "{\"sub\":\"a\",\"exp\":1,\"exp\":" TOMORROW "}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(judge(bad[i]), ERR_UNAUTHORIZED);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":1772452800}"), 0);
}

static void claims_have_their_forms(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"exp\":" TOMORROW "}",
        "{\"sub\":7,\"exp\":" TOMORROW "}",
        "{\"sub\":\"\",\"exp\":" TOMORROW "}",
        "{\"sub\":\"a/b\",\"exp\":" TOMORROW "}",
        "{\"sub\":\"a\\u0000b\",\"exp\":" TOMORROW "}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"channels\":\"news\"}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"channels\":[\"a*b/\"]}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"channels\":[7]}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"channels\":[\"\"]}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"publish\":\"*\"}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"publish\":1}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"prefix\":7}",
        "{\"sub\":\"a\",\"exp\":" TOMORROW ",\"prefix\":\"\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(judge(bad[i]), ERR_UNAUTHORIZED);
    assert_int_equal(judge("{\"sub\":\"a\",\"exp\":" TOMORROW ",\"channels\":[\"*\"],"
                           "\"publish\":false}"),
                     0);
}

static void issuer_and_audience_count_when_configured(void **state)
{
    static const struct {
        const char *claims;
        int err;
    } cases[] = {
        {"\"iss\":\"me\",\"aud\":\"push\"", 0},
        {"\"iss\":\"me\",\"aud\":[\"web\",\"push\"]", 0},
        {"\"iss\":\"me\"", ERR_UNAUTHORIZED},
        {"\"aud\":\"push\"", ERR_UNAUTHORIZED},
        {"\"iss\":\"you\",\"aud\":\"push\"", ERR_UNAUTHORIZED},
        {"\"iss\":\"me\",\"aud\":\"pus\"", ERR_UNAUTHORIZED},
        {"\"iss\":\"me\",\"aud\":[]", ERR_UNAUTHORIZED},
        {"\"iss\":\"me\",\"aud\":[7]", ERR_UNAUTHORIZED},
        {"\"iss\":[\"me\"],\"aud\":\"push\"", ERR_UNAUTHORIZED},
    };
    const struct claims_rules rules = {"me", "push", any.max_age_ms};
    struct token_keys *keys = keys_of(SECRET);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct claims *claims = NULL;
        char text[256];
        snprintf(text, sizeof text, "{\"sub\":\"a\",\"exp\":" TOMORROW ",%s}", cases[i].claims);
        assert_int_equal(verify_by(keys, &rules, token_of(SECRET, text), &claims), cases[i].err);
        claims_destroy(claims);
    }
    token_keys_destroy(keys);
}

/* A copy of a good token, with its parts replaced by what is not NULL. */
static int verify_with(const char *header, const char *payload, const char *signature)
{
    static char text[4096];
    char good[4096], *rest;
    snprintf(good, sizeof good, "%s", token_of(SECRET, "{\"sub\":\"a\",\"exp\":" TOMORROW "}"));
    char *parts[] = {strtok_r(good, ".", &rest), strtok_r(NULL, ".", &rest),
                     strtok_r(NULL, ".", &rest)};
    const char *by[] = {header, payload, signature};
    snprintf(text, sizeof text, "%s.%s.%s", by[0] ? by[0] : parts[0], by[1] ? by[1] : parts[1],
             by[2] ? by[2] : parts[2]);
    return verify(text);
}

static void forgeries_are_refused(void **state)
{
    static const char *const texts[] = {"", ".", "..", "a.b", "a.b.c", "a.b.c.d", "pw_a_b", "{}"};
    (void)state;
    assert_int_equal(verify_with(NULL, NULL, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(verify(texts[i]), ERR_UNAUTHORIZED);
    assert_int_equal(verify_with("eyJhbGciOiJub25lIn0", NULL, NULL), ERR_UNAUTHORIZED); /* none */
    assert_int_equal(verify_with("eyJhbGciOiJub25lIn0", NULL, ""), ERR_UNAUTHORIZED);
    assert_int_equal(verify_with("e30", NULL, NULL), ERR_UNAUTHORIZED); /* {} */
    assert_int_equal(verify_with("W10", NULL, NULL), ERR_UNAUTHORIZED); /* [] */
    assert_int_equal(verify_with(NULL, "eyJzdWIiOiJhIiwiZXhwIjoxNzY5OTQ3MjAxfQ", NULL),
                     ERR_UNAUTHORIZED);
    assert_int_equal(verify_with(NULL, NULL, "AAAA"), ERR_UNAUTHORIZED);
    assert_int_equal(verify_with(NULL, NULL, ""), ERR_UNAUTHORIZED);
    assert_int_equal(verify(token_of(OTHER, "{\"sub\":\"a\",\"exp\":" TOMORROW "}")),
                     ERR_UNAUTHORIZED);
    char padded[4096];
    snprintf(padded, sizeof padded,
             "%s=", token_of(SECRET, "{\"sub\":\"a\",\"exp\":" TOMORROW "}"));
    assert_int_equal(verify(padded), ERR_UNAUTHORIZED);
}

static int verify_header(const char *header)
{
    json_t *jwk = json_pack("{s:s,s:o}", "kty", "oct", "k", jose_b64_enc(SECRET, strlen(SECRET)));
    const char *token = token_by(jwk, header, "{\"sub\":\"a\",\"exp\":" TOMORROW "}");
    json_decref(jwk);
    return verify(token);
}

static void a_header_decides_nothing_but_the_algorithm(void **state)
{
    (void)state;
    assert_int_equal(verify_header("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../etc\"}"), 0);
    assert_int_equal(verify_header("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(verify_header("{\"alg\":\"HS256\",\"jku\":\"http://x\"}"), 0);
}

static void all_secrets_verify_and_the_first_signs(void **state)
{
    struct token_keys *old = keys_of(OTHER), *both = keys_of("\r\n" SECRET "\n\n" OTHER);
    struct token_keys *fresh = keys_of(SECRET "\n");
    const char *const channels[] = {"news", "a*", NULL}, *const publish[] = {NULL};
    struct token_draft draft = {.user = "ada",
                                .channels = channels,
                                .publish = publish,
                                .prefix = "a",
                                .issuer = "me",
                                .audience = "push",
                                .issued_ms = NOW + 7,
                                .ttl_ms = 60000};
    const struct claims_rules rules = {"me", "push", any.max_age_ms};
    struct claims *claims = NULL;
    (void)state;
    char *before = token_sign(old, &draft), *after = token_sign(both, &draft);
    assert_int_equal(verify_by(both, &rules, before, &claims), 0);
    claims_destroy(claims);
    assert_int_equal(verify_by(fresh, &rules, before, &claims), ERR_UNAUTHORIZED);
    assert_int_equal(verify_by(old, &rules, after, &claims), ERR_UNAUTHORIZED);
    assert_int_equal(verify_by(fresh, &rules, after, &claims), 0);
    assert_string_equal(claims_user(claims), "ada");
    assert_int_equal(claims_issued_ms(claims), NOW + 7); /* to the millisecond */
    assert_true(claims_cover_channel(claims, "abc", 3));
    assert_false(claims_publish_some(claims));
    claims_destroy(claims);
    free(before);
    free(after);
    token_keys_destroy(old);
    token_keys_destroy(both);
    token_keys_destroy(fresh);
    token_keys_destroy(NULL);
}

static void expect_wrong_secrets(const char *text, const char *wanted)
{
    struct token_keys *keys = token_keys_create();
    char *error = NULL;
    assert_false(token_keys_add_secrets(keys, text, strlen(text), &error));
    assert_string_equal(error, wanted);
    free(error);
    token_keys_destroy(keys);
}

static void secrets_are_long(void **state)
{
    (void)state;
    expect_wrong_secrets("", "there is no secret in it");
    expect_wrong_secrets("\n\n", "there is no secret in it");
    expect_wrong_secrets(SECRET "\nshort\n", "2: a secret has at least 32 bytes");
}

static json_t *draw_ec_key(const char *kid)
{
    json_t *jwk = json_pack("{s:s,s:s,s:s}", "kty", "EC", "crv", "P-256", "kid", kid);
    assert_true(jose_jwk_gen(NULL, jwk));
    return jwk;
}

static struct token_keys *keys_of_set(json_t *jwk)
{
    char *error = NULL, *text;
    json_t *set = json_pack("{s:[O]}", "keys", jwk);
    text = json_dumps(set, 0);
    struct token_keys *keys = token_keys_create();
    if (!token_keys_add_jwks(keys, text, strlen(text), &error))
        fail_msg("%s", error);
    free(text);
    json_decref(set);
    return keys;
}

static int verify_es256(const struct token_keys *keys, json_t *jwk, const char *header)
{
    struct claims *claims = NULL;
    const char *token = token_by(jwk, header, "{\"sub\":\"a\",\"exp\":" TOMORROW "}");
    int err = verify_by(keys, &any, token, &claims);
    claims_destroy(claims);
    return err;
}

static void public_keys_are_found_by_kid(void **state)
{
    json_t *one = draw_ec_key("one"), *other = draw_ec_key("one");
    struct token_keys *keys = keys_of_set(one);
    (void)state;
    assert_int_equal(verify_es256(keys, one, "{\"alg\":\"ES256\",\"kid\":\"one\"}"), 0);
    assert_int_equal(verify_es256(keys, one, "{\"alg\":\"ES256\"}"), 0);
    assert_int_equal(verify_es256(keys, one, "{\"alg\":\"ES256\",\"kid\":\"two\"}"),
                     ERR_UNAUTHORIZED);
    assert_int_equal(verify_es256(keys, other, "{\"alg\":\"ES256\",\"kid\":\"one\"}"),
                     ERR_UNAUTHORIZED);
    token_keys_destroy(keys);
    json_decref(one);
    json_decref(other);
}

/* `count` keys, named k0 and so on or not at all; the last one is handed out. */
static struct token_keys *keys_of_many(size_t count, bool named, json_t **ret_last)
{
    char kid[8], *error = NULL;
    json_t *list = json_array(), *set = json_pack("{s:o}", "keys", list);
    for (size_t i = 0; i < count; i++) {
        snprintf(kid, sizeof kid, "k%zu", i);
        json_t *jwk = draw_ec_key(kid);
        if (!named)
            json_object_del(jwk, "kid");
        json_array_append_new(list, jwk);
    }
    *ret_last = json_incref(json_array_get(list, count - 1));
    char *text = json_dumps(set, 0);
    struct token_keys *keys = token_keys_create();
    assert_true(token_keys_add_jwks(keys, text, strlen(text), &error));
    free(text);
    json_decref(set);
    return keys;
}

static void expect_last_of(size_t count, bool named, const char *header, int wanted)
{
    json_t *last;
    struct token_keys *keys = keys_of_many(count, named, &last);
    assert_int_equal(verify_es256(keys, last, header), wanted);
    token_keys_destroy(keys);
    json_decref(last);
}

static void a_token_is_held_against_a_few_keys(void **state)
{
    (void)state;
    expect_last_of(TOKEN_TRIES, false, "{\"alg\":\"ES256\"}", 0);
    expect_last_of(TOKEN_TRIES, false, "{\"alg\":\"ES256\",\"kid\":\"any\"}", 0);
    expect_last_of(TOKEN_TRIES, true, "{\"alg\":\"ES256\"}", 0);
    expect_last_of(TOKEN_TRIES + 1, false, "{\"alg\":\"ES256\"}", ERR_UNAUTHORIZED);
    expect_last_of(TOKEN_TRIES + 1, false, "{\"alg\":\"ES256\",\"kid\":\"any\"}", ERR_UNAUTHORIZED);
    expect_last_of(TOKEN_TRIES + 1, true, "{\"alg\":\"ES256\"}", ERR_UNAUTHORIZED);
    expect_last_of(TOKEN_TRIES + 9, true, "{\"alg\":\"ES256\",\"kid\":\"k12\"}", 0);
}

/* So do some programs write what they do not say. */
static void null_in_a_key_or_a_header_is_not_there(void **state)
{
    static const char *const names[] = {"alg", "use", "n"};
    json_t *jwk = draw_ec_key("one");
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        json_object_set_new(jwk, names[i], json_null());
    struct token_keys *keys = keys_of_set(jwk);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        json_object_del(jwk, names[i]);
    assert_int_equal(verify_es256(keys, jwk, "{\"alg\":\"ES256\",\"kid\":null}"), 0);
    token_keys_destroy(keys);
    json_decref(jwk);
}

/* The old trick: HS256, "signed" with what everybody knows. */
static void a_public_key_is_no_secret(void **state)
{
    json_t *jwk = draw_ec_key("one");
    struct token_keys *keys = keys_of_set(jwk);
    struct claims *claims = NULL;
    (void)state;
    const char *x = json_string_value(json_object_get(jwk, "x"));
    assert_int_equal(
        verify_by(keys, &any, token_of(x, "{\"sub\":\"a\",\"exp\":" TOMORROW "}"), &claims),
        ERR_UNAUTHORIZED);
    token_keys_destroy(keys);
    json_decref(jwk);
}

static void a_set_without_a_key_for_us_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[7]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"\",\"y\":\"\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS512\",\"n\":\"AAAA\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AAAA\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"}]}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct token_keys *keys = token_keys_create();
        char *error = NULL;
        assert_false(token_keys_add_jwks(keys, bad[i], strlen(bad[i]), &error));
        assert_non_null(error);
        free(error);
        token_keys_destroy(keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_who_and_what),
        cmocka_unit_test(times_hold_within_the_leeway),
        cmocka_unit_test(exp_is_required_and_near),
        cmocka_unit_test(claims_have_their_forms),
        cmocka_unit_test(issuer_and_audience_count_when_configured),
        cmocka_unit_test(forgeries_are_refused),
        cmocka_unit_test(a_header_decides_nothing_but_the_algorithm),
        cmocka_unit_test(all_secrets_verify_and_the_first_signs),
        cmocka_unit_test(secrets_are_long),
        cmocka_unit_test(public_keys_are_found_by_kid),
        cmocka_unit_test(a_token_is_held_against_a_few_keys),
        cmocka_unit_test(null_in_a_key_or_a_header_is_not_there),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(a_set_without_a_key_for_us_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
