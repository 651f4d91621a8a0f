#include "support.h"

#include "base/digest.h"

/* RFC 6455 section 1.3 */
static void the_sample_key_is_accepted(void **state)
{
    char accept[DIGEST_ACCEPT_SIZE];
    (void)state;

    assert_true(digest_websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void keys_are_16_bytes_in_base64(void **state)
{
    static const char *const good[] = {
        "dGhlIHNhbXBsZSBub25jZQ==",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "//////////////////////==",
        "AQIDBAUGBwgJCgsMDQ4PEA==",
    };
    static const char *const bad[] = {
        "",
        "==",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZTE=",
        "dGhlIHNhbXBsZSBub25jZTEy",
        "dGhlIHNhbXBsZSBub2==ZQ==",
        "dGhl IHNhbXBsZSBub25jQ==",
        "    dGhlIHNhbXBsZSBub2==",
        "dGhlIHNhbXBsZSBub25j-_==",
        "dGhlIHNhbXBsZSBub25jZQ==\n",
        "dGhlIHNhbXBsZSBub25jZ\xff==",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(digest_is_websocket_key(good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(digest_is_websocket_key(bad[i]));
}

static void bodies_have_the_start_of_their_sha256(void **state)
{
    unsigned char digest[DIGEST_SIZE];
    (void)state;

    assert_true(digest_sha256("abc", 3, digest));
    assert_memory_equal(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23",
                        DIGEST_SIZE);
    assert_true(digest_sha256("", 0, digest));
    assert_memory_equal(digest, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24",
                        DIGEST_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_key_is_accepted),
        cmocka_unit_test(keys_are_16_bytes_in_base64),
        cmocka_unit_test(bodies_have_the_start_of_their_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
