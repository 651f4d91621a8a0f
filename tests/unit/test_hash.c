#include "support.h"

#include "base/hash.h"

/* SipHash-1-3 under an all-zero key; the values come from another implementation. */
static void bytes_hash_as_siphash_says(void **state)
{
    char counting[63];
    (void)state;

    for (size_t i = 0; i < sizeof counting; i++)
        counting[i] = (char)i;
    assert_true(hash_bytes("a", 1) == 0x407448d2b89b1813);
    assert_true(hash_bytes("pushwire", 8) == 0x4db38e0624e91b0a);
    assert_true(hash_bytes("12345678", 8) == 0x3489982430560a87);
    assert_true(hash_bytes("user:alice and some more bytes", 30) == 0x7ce6b444474af475);
    assert_true(hash_bytes(counting, sizeof counting) == 0x385d3e39e5f37359);
}

static void numbers_never_share_a_hash(void **state)
{
    enum { N = 20000 };
    static uint64_t seen[N * 4];
    (void)state;

    for (uint64_t n = 0; n < N; n++) {
        uint64_t hash = hash_number(n);
        size_t i = hash % COUNT_OF(seen);
        for (; seen[i]; i = (i + 1) % COUNT_OF(seen))
            assert_true(seen[i] != hash + 1);
        seen[i] = hash + 1; /* so that 0 is free */
    }
}

static void the_seed_changes_both(void **state)
{
    uint64_t bytes = hash_bytes("alice", 5), number = hash_number(7);
    (void)state;

    hash_seed();
    assert_true(hash_bytes("alice", 5) != bytes);
    assert_true(hash_number(7) != number);
    assert_true(hash_bytes("alice", 5) == hash_bytes("alice", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_hash_as_siphash_says), cmocka_unit_test(numbers_never_share_a_hash),
        cmocka_unit_test(the_seed_changes_both), /* last: it seeds for good */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
