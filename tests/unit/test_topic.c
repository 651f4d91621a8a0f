#include "support.h"

#include "base/hash.h"
#include "model/topic.h"

static void names_follow_the_contract(void **state)
{
    static const char *const good[] = {
        "a",      "alice",   "...",         ".a",       "a.",
        "a b",    "acme:42", "caf\xc3\xa9", "\xc2\xa0", "\xf0\x9f\x98\x80",
        "a?b#c%", "~",
    };
    static const char *const bad[] = {
        "",     ".",         "..",       "/",    "a/b",   "a\nb",         "\x1f",
        "\x7f", "a\xc2\x80", "\xc2\x9f", "\xff", "a\xc3", "\xed\xa0\x80",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(topic_is_name(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(topic_is_name(bad[i], strlen(bad[i])));
    assert_false(topic_is_name("a\0b", 3));
}

static void names_have_at_most_128_bytes(void **state)
{
    char name[TOPIC_NAME_MAX + 1];
    (void)state;

    memset(name, 'x', sizeof name);
    assert_true(topic_is_name(name, TOPIC_NAME_MAX));
    assert_false(topic_is_name(name, TOPIC_NAME_MAX + 1));
}

static void kinds_do_not_mix(void **state)
{
    struct topic user = topic_make(TOPIC_USER, "news", 4);
    struct topic channel = topic_make(TOPIC_CHANNEL, "news", 4);
    struct topic all = all_of_them();
    (void)state;

    assert_true(user.hash != channel.hash);
    assert_false(topic_equal(&user, &channel));
    assert_true(all.length == 0 && all.kind == TOPIC_ALL);
    assert_true(user.hash == hash_bytes("\0news", 5));
}

static void equal_is_byte_for_byte(void **state)
{
    char copy[] = "alice";
    struct topic a = topic_make(TOPIC_USER, "alice", 5);
    struct topic b = topic_make(TOPIC_USER, copy, 5);
    struct topic longer = topic_make(TOPIC_USER, "alicea", 6);
    struct topic other = topic_make(TOPIC_USER, "Alice", 5);
    (void)state;

    assert_true(topic_equal(&a, &b));
    assert_false(topic_equal(&a, &longer));
    assert_false(topic_equal(&a, &other));
    other.hash = a.hash; /* as two names of one hash would */
    assert_false(topic_equal(&a, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_contract),
        cmocka_unit_test(names_have_at_most_128_bytes),
        cmocka_unit_test(kinds_do_not_mix),
        cmocka_unit_test(equal_is_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
