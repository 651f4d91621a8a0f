#include "support.h"

#include "base/byte_quota.h"

static void test_the_sum_has_a_limit(void **state)
{
    (void)state;
    struct byte_quota quota = {.limit = 100};
    size_t a = 0, b = 0;
    assert_true(byte_quota_try(&quota, &a, 60));
    assert_true(byte_quota_try(&quota, &b, 40));
    assert_false(byte_quota_try(&quota, &b, 41));
    assert_int_equal(b, 40);
    assert_int_equal(quota.held, 100);
    assert_true(byte_quota_try(&quota, &a, 10));
    assert_true(byte_quota_try(&quota, &b, 90));
    assert_int_equal(quota.held, 100);
}

static void test_who_is_alone_may_hold_what_is_larger_than_the_limit(void **state)
{
    (void)state;
    struct byte_quota quota = {.limit = 100};
    size_t a = 0, b = 0;
    assert_true(byte_quota_try(&quota, &a, 300));
    assert_false(byte_quota_try(&quota, &b, 1));
    assert_true(byte_quota_try(&quota, &a, 400));
    assert_true(byte_quota_try(&quota, &b, 0));
    assert_true(byte_quota_try(&quota, &a, 0));
    assert_int_equal(quota.held, 0);
}

static void test_a_gauge_shows_the_sum(void **state)
{
    (void)state;
    _Atomic int64_t gauge = 0;
    struct byte_quota quota = {.limit = 100, .gauge = &gauge};
    size_t a = 0, b = 0;
    assert_true(byte_quota_try(&quota, &a, 60));
    byte_quota_set(&quota, &b, 50);
    assert_int_equal(gauge, 110);
    assert_false(byte_quota_try(&quota, &a, 70));
    byte_quota_set(&quota, &b, 10);
    assert_int_equal(gauge, 70);
}

static void test_what_cannot_be_refused_counts(void **state)
{
    (void)state;
    struct byte_quota quota = {.limit = 100};
    size_t a = 0, b = 0;
    byte_quota_set(&quota, &a, 150);
    assert_false(byte_quota_try(&quota, &b, 1));
    byte_quota_set(&quota, &a, 20);
    assert_true(byte_quota_try(&quota, &b, 80));
    byte_quota_set(&quota, &a, 0);
    byte_quota_set(&quota, &b, 0);
    assert_int_equal(quota.held, 0);
}

static void test_shares_grow_smaller_and_never_nothing(void **state)
{
    (void)state;
    struct byte_quota quota = {.limit = 8 * 1024 * 1024};
    size_t holder[400] = {0};
    size_t before = SIZE_MAX;
    assert_int_equal(byte_quota_share(&quota, 1000), 1000);
    for (size_t i = 0; i < 400; i++) {
        size_t share = byte_quota_share(&quota, 4 * 1024 * 1024);
        assert_true(share <= before && share >= BYTE_QUOTA_FREE);
        assert_true(byte_quota_try(&quota, &holder[i], byte_quota_counted(share)));
        before = share;
    }
    assert_true(quota.held <= quota.limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sum_has_a_limit),
        cmocka_unit_test(test_who_is_alone_may_hold_what_is_larger_than_the_limit),
        cmocka_unit_test(test_a_gauge_shows_the_sum),
        cmocka_unit_test(test_what_cannot_be_refused_counts),
        cmocka_unit_test(test_shares_grow_smaller_and_never_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
