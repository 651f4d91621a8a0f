#include "support.h"

#include "base/hash.h"
#include "model/address.h"

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
        assert_true(address_is_name(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(address_is_name(bad[i], strlen(bad[i])));
    assert_false(address_is_name("a\0b", 3));
}

static void names_have_at_most_128_bytes(void **state)
{
    char name[ADDRESS_NAME_MAX + 1];
    (void)state;

    memset(name, 'x', sizeof name);
    assert_true(address_is_name(name, ADDRESS_NAME_MAX));
    assert_false(address_is_name(name, ADDRESS_NAME_MAX + 1));
}

static void kinds_do_not_mix(void **state)
{
    struct address user = address_make(ADDRESS_USER, "news", 4);
    struct address channel = address_make(ADDRESS_CHANNEL, "news", 4);
    struct address all = all_of_them();
    (void)state;

    assert_true(user.hash != channel.hash);
    assert_false(address_equal(&user, &channel));
    assert_true(all.length == 0 && all.kind == ADDRESS_ALL);
    assert_true(user.hash == hash_bytes("\0news", 5));
}

static void equal_is_byte_for_byte(void **state)
{
    char copy[] = "alice";
    struct address a = address_make(ADDRESS_USER, "alice", 5);
    struct address b = address_make(ADDRESS_USER, copy, 5);
    struct address longer = address_make(ADDRESS_USER, "alicea", 6);
    struct address other = address_make(ADDRESS_USER, "Alice", 5);
    (void)state;

    assert_true(address_equal(&a, &b));
    assert_false(address_equal(&a, &longer));
    assert_false(address_equal(&a, &other));
    other.hash = a.hash; /* as two names of one hash would */
    assert_false(address_equal(&a, &other));
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
