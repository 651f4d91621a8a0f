#include "support.h"

#include "base/network.h"

static bool has(const char *network, const char *address)
{
    struct network parsed;
    union network_address given;
    assert_true(network_parse(network, &parsed));
    assert_true(network_parse_address(address, strlen(address), &given));
    return network_has(&parsed, &given.any);
}

static void a_network_has_what_shares_its_bits(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.6"));
    assert_true(has("192.0.2.4/30", "192.0.2.7"));
    assert_false(has("192.0.2.4/30", "192.0.2.8"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(has("2001:db8::/32", "2001:db9::1"));
    assert_true(has("::1", "::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3")); /* the same address, as IPv6 shows it */
}

static void networks_have_proper_forms(void **state)
{
    static const char *const bad[] = {
        "",       "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
        "10.0.0", "10.0.0.0 ", "::1/129",     "/8",        "10.0.0.0/8/8",
        "[::1]",  "010.0.0.1", "10.0.0.1:80",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(network_is(bad[i]));
}

static void addresses_are_shown_without_a_port(void **state)
{
    static const char *const texts[] = {"192.0.2.7", "2001:db8::1"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        union network_address address;
        char text[NETWORK_TEXT_SIZE];
        assert_true(network_parse_address(texts[i], strlen(texts[i]), &address));
        network_format(&address.any, text);
        assert_string_equal(text, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_has_what_shares_its_bits),
        cmocka_unit_test(networks_have_proper_forms),
        cmocka_unit_test(addresses_are_shown_without_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
