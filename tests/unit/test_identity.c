#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "model/access.h"
#include "model/api_keys.h"
#include "model/identity.h"
#include "model/revocations.h"
#include "model/token.h"

#define NOW    INT64_C(1769860800000)
#define SECRET "0123456789abcdef0123456789abcdef"

/* One key of each kind, and a secret. */
static struct access *access;
static struct revocations *revocations;

static const char *const lines[] = {
    "sender scope=send sender=bill",
    "reader scope=read",
    "manager scope=manage",
    "minter scope=token",
    "tenant scope=send,read,manage,token prefix=acme:",
};

static int make_access(void **state)
{
    char text[2048] = "", *error = NULL;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        char key[64], digest[DIGEST_HEX_SIZE];
        int id = (int)strcspn(lines[i], " ");
        snprintf(key, sizeof key, "pw_%.*s_x", id, lines[i]);
        digest_sha256_hex(key, strlen(key), digest);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s %s%s\n", id, lines[i],
                 digest, lines[i] + id);
    }
    struct api_keys *keys = keys_parse(text, strlen(text), &error);
    struct token_keys *token_keys = token_keys_create();
    revocations = revocations_open(NULL, 86400000, NOW);
    if (!keys || !token_keys_add_secrets(token_keys, SECRET, strlen(SECRET), &error))
        return -1;
    access = access_create(&(struct access_options){
        .keys = keys,
        .token_keys = token_keys,
        .rules = {.max_age_ms = 86400000},
        .revocations = revocations,
    });
    return 0;
}

static int finish_access(void **state)
{
    (void)state;
    access_unref(access);
    revocations_close(revocations);
    return 0;
}

static struct identity *of(const char *credentials)
{
    struct identity *who = NULL;
    const char *why;
    assert_int_equal(access_identify(access, credentials, strlen(credentials), NOW, &who, &why), 0);
    return who;
}

static struct identity *of_token(struct token_draft draft)
{
    draft.issued_ms = NOW;
    draft.ttl_ms = 60000;
    char *token = access_sign(access, draft);
    struct identity *who = of(token);
    free(token);
    return who;
}

enum { OK = 0, SCOPE = ERR_MISSING_SCOPE, NO = ERR_FORBIDDEN };

/* ada's token hears news and may publish to room:x. */
static struct identity *everybody[7];
static const char *const names[] = {"anyone", "sender", "reader", "manager",
                                    "minter", "tenant", "ada"};

static void gather(void)
{
    static const char *const heard[] = {"news", NULL}, *const said[] = {"room:x", NULL};
    everybody[0] = &identity_anyone;
    for (size_t i = 1; i < 6; i++) {
        char key[64];
        snprintf(key, sizeof key, "pw_%s_x", names[i]);
        everybody[i] = of(key);
    }
    everybody[6] =
        of_token((struct token_draft){.user = "ada", .channels = heard, .publish = said});
}

static void part(void)
{
    for (size_t i = 0; i < COUNT_OF(everybody); i++)
        identity_destroy(everybody[i]);
}

static void rights_are_those_of_the_table(void **state)
{
    static const struct {
        enum right right;
        const char *id;
        int expected[7];
    } cases[] = {
        /* anyone, sender, reader, manager, minter, tenant, ada */
        {RIGHT_OPEN, NULL, {OK, OK, OK, OK, OK, OK, OK}},
        {RIGHT_SEND, NULL, {OK, OK, SCOPE, SCOPE, SCOPE, OK, OK}},
        {RIGHT_READ, NULL, {OK, SCOPE, OK, SCOPE, SCOPE, OK, SCOPE}},
        {RIGHT_READ, "ada", {OK, SCOPE, OK, SCOPE, SCOPE, NO, SCOPE}},
        {RIGHT_READ_MESSAGE, "1769860800000", {OK, SCOPE, OK, SCOPE, SCOPE, OK, SCOPE}},
        {RIGHT_READ_USER, "ada", {OK, SCOPE, OK, SCOPE, SCOPE, NO, OK}},
        {RIGHT_READ_USER, "acme:bob", {OK, SCOPE, OK, SCOPE, SCOPE, OK, NO}},
        {RIGHT_READ_CHANNEL, "news", {OK, SCOPE, OK, SCOPE, SCOPE, NO, OK}},
        {RIGHT_READ_CHANNEL, "acme:x", {OK, SCOPE, OK, SCOPE, SCOPE, OK, NO}},
        {RIGHT_OWN, "ada", {OK, SCOPE, SCOPE, SCOPE, SCOPE, SCOPE, OK}},
        {RIGHT_OWN, "ad", {OK, SCOPE, SCOPE, SCOPE, SCOPE, SCOPE, NO}},
        {RIGHT_RECEIVE, "ada", {OK, SCOPE, SCOPE, SCOPE, SCOPE, SCOPE, OK}},
        {RIGHT_RECEIVE, "adam", {OK, SCOPE, SCOPE, SCOPE, SCOPE, SCOPE, NO}},
        {RIGHT_MANAGE, "ada", {OK, SCOPE, SCOPE, OK, SCOPE, NO, SCOPE}},
        {RIGHT_MANAGE, "acme:bob", {OK, SCOPE, SCOPE, OK, SCOPE, OK, SCOPE}},
        {RIGHT_MANAGE_ALL, NULL, {OK, SCOPE, SCOPE, OK, SCOPE, NO, SCOPE}},
        {RIGHT_TOKEN, NULL, {OK, SCOPE, SCOPE, SCOPE, OK, OK, SCOPE}},
        {RIGHT_TOKEN, "ada", {OK, SCOPE, SCOPE, SCOPE, OK, NO, SCOPE}},
    };
    (void)state;
    gather();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct topic topic = {.name = cases[i].id,
                              .length = cases[i].id ? (uint32_t)strlen(cases[i].id) : 0};
        for (size_t j = 0; j < COUNT_OF(everybody); j++) {
            int err = identity_may(everybody[j], cases[i].right, cases[i].id ? &topic : NULL);
            if (err != cases[i].expected[j])
                fail_msg("row %zu, %s: %s", i, names[j], err_code((enum err)err));
        }
    }
    part();
}

static void messages_go_where_they_may(void **state)
{
    const struct {
        struct topic to;
        int expected[7];
    } cases[] = {
        {a_user("bob"), {OK, OK, SCOPE, SCOPE, SCOPE, NO, NO}},
        {a_user("acme:bob"), {OK, OK, SCOPE, SCOPE, SCOPE, OK, NO}},
        {a_channel("acme:x"), {OK, OK, SCOPE, SCOPE, SCOPE, OK, NO}},
        {a_channel("acme"), {OK, OK, SCOPE, SCOPE, SCOPE, NO, NO}},
        {a_channel("room:x"), {OK, OK, SCOPE, SCOPE, SCOPE, NO, OK}},
        {a_user("room:x"), {OK, OK, SCOPE, SCOPE, SCOPE, NO, NO}},
        {all_of_them(), {OK, SCOPE, SCOPE, OK, SCOPE, NO, SCOPE}},
    };
    (void)state;
    gather();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t j = 0; j < COUNT_OF(everybody); j++) {
            int err = identity_may_send(everybody[j], &cases[i].to);
            if (err != cases[i].expected[j])
                fail_msg("row %zu, %s: %s", i, names[j], err_code((enum err)err));
        }
    }
    part();
}

static void channels_are_heard_by_whose_token_covers_them(void **state)
{
    static const char *const heard[] = {"acme:*", "other", NULL};
    struct topic own = a_channel("acme:x"), other = a_channel("other");
    (void)state;
    struct identity *who =
        of_token((struct token_draft){.user = "acme:ada", .channels = heard, .prefix = "acme:"});
    assert_int_equal(identity_may_hear(who, &own), OK);
    assert_int_equal(identity_may_hear(who, &other), NO); /* outside of its prefix */
    assert_int_equal(identity_may_hear(&identity_anyone, &other), OK);
    identity_destroy(who);
    who = of("pw_tenant_x");
    assert_int_equal(identity_may_hear(who, &own), NO);
    identity_destroy(who);
}

static void publish_anywhere_stays_within_the_prefix(void **state)
{
    struct topic bob = a_user("acme:bob"), eve = a_user("eve"), all = all_of_them();
    (void)state;
    struct identity *who = of_token(
        (struct token_draft){.user = "acme:ada", .publish_anywhere = true, .prefix = "acme:"});
    assert_int_equal(identity_may_send(who, &bob), OK);
    assert_int_equal(identity_may_send(who, &eve), NO);
    assert_int_equal(identity_may_send(who, &all), SCOPE);
    assert_string_equal(identity_sender(who), "acme:ada");
    identity_destroy(who);
    who = of("pw_sender_x");
    assert_string_equal(identity_sender(who), "bill");
    identity_destroy(who);
}

static void nobody_else_comes_in(void **state)
{
    static const char *const bad[] = {"", "x", "pw_sender_y", "pw_nobody_x", "a.b.c"};
    struct identity *who = NULL;
    const char *why;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(access_identify(access, bad[i], strlen(bad[i]), NOW, &who, &why),
                         ERR_UNAUTHORIZED);
    assert_int_equal(access_identify(access, NULL, 0, NOW, &who, &why), ERR_UNAUTHORIZED);
    assert_null(who);
}

static void a_revoked_token_is_refused(void **state)
{
    struct identity *who = of_token((struct token_draft){.user = "eve"}), *again = NULL;
    const char *why;
    (void)state;
    char *token =
        access_sign(access, (struct token_draft){.user = "eve", .issued_ms = NOW, .ttl_ms = 60000});
    assert_false(access_revoked(access, who));
    assert_true(revocations_add(revocations, "eve", 3, NOW + 1));
    assert_true(access_revoked(access, who));
    assert_int_equal(access_identify(access, token, strlen(token), NOW, &again, &why),
                     ERR_UNAUTHORIZED);
    free(token);
    identity_destroy(who);
    identity_destroy(of_token((struct token_draft){.user = "adam"}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_are_those_of_the_table),
        cmocka_unit_test(messages_go_where_they_may),
        cmocka_unit_test(channels_are_heard_by_whose_token_covers_them),
        cmocka_unit_test(publish_anywhere_stays_within_the_prefix),
        cmocka_unit_test(nobody_else_comes_in),
        cmocka_unit_test(a_revoked_token_is_refused),
    };
    return cmocka_run_group_tests(tests, make_access, finish_access);
}
