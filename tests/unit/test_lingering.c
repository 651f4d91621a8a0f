#include "support.h"

#include "engine/lingering.h"

static struct lingering lingering;

static int open_lingering(void **state)
{
    (void)state;
    lingering_init(&lingering);
    return 0;
}

static int close_lingering(void **state)
{
    (void)state;
    lingering_finish(&lingering);
    return 0;
}

/* As the hashes of names are: scattered. */
static uint64_t a_user_of(uint64_t n)
{
    return n * 0x9e3779b97f4a7c15U;
}

static void each_poll_counts_for_the_whole_time(void **state)
{
    (void)state;

    assert_false(lingering_has(&lingering, 7, 1000));
    lingering_note(&lingering, 7, 1000);
    assert_true(lingering_has(&lingering, 7, 1000 + LINGERING_MS - 1));
    assert_false(lingering_has(&lingering, 7, 1000 + LINGERING_MS));
    lingering_note(&lingering, 7, 2000);
    assert_true(lingering_has(&lingering, 7, 1000 + LINGERING_MS));
    assert_false(lingering_has(&lingering, 7, 2000 + LINGERING_MS));
    assert_false(lingering_has(&lingering, 8, 2000));
}

static void who_is_sent_away_does_not_linger(void **state)
{
    (void)state;

    lingering_note(&lingering, 7, 1000);
    lingering_note(&lingering, 8, 1000);
    lingering_forget(&lingering, 7);
    lingering_forget(&lingering, 7);
    assert_false(lingering_has(&lingering, 7, 1000));
    assert_true(lingering_has(&lingering, 8, 1000));
}

static void what_is_over_is_let_go(void **state)
{
    (void)state;

    for (uint64_t user = 0; user < 100; user++)
        lingering_note(&lingering, a_user_of(user), 1000 + (int64_t)user);
    lingering_note(&lingering, a_user_of(0), 2000);
    assert_int_equal(lingering.users.count, 100);
    lingering_note(&lingering, a_user_of(100), 1050 + LINGERING_MS);
    assert_int_equal(lingering.users.count, 51); /* 51 to 99, 0 and 100 */
    assert_true(lingering_has(&lingering, a_user_of(0), 1050 + LINGERING_MS));
    assert_true(lingering_has(&lingering, a_user_of(51), 1050 + LINGERING_MS));
}

static void beyond_so_many_the_longest_away_has_left(void **state)
{
    (void)state;

    for (uint64_t user = 0; user < LINGERING_MAX + 10; user++)
        lingering_note(&lingering, a_user_of(user), 1000);
    assert_int_equal(lingering.users.count, LINGERING_MAX);
    assert_false(lingering_has(&lingering, a_user_of(9), 1000));
    assert_true(lingering_has(&lingering, a_user_of(10), 1000));
    assert_true(lingering_has(&lingering, a_user_of(LINGERING_MAX + 9), 1000));
}

#define lingering_test(name) cmocka_unit_test_setup_teardown(name, open_lingering, close_lingering)

int main(void)
{
    const struct CMUnitTest tests[] = {
        lingering_test(each_poll_counts_for_the_whole_time),
        lingering_test(who_is_sent_away_does_not_linger),
        lingering_test(what_is_over_is_let_go),
        lingering_test(beyond_so_many_the_longest_away_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
