#include "support.h"

#include <stdlib.h>

#include "engine/last_seen.h"

static struct last_seen last_seen;

static int open_sightings(void **state)
{
    (void)state;
    last_seen_init(&last_seen);
    return 0;
}

static int close_sightings(void **state)
{
    (void)state;
    last_seen_finish(&last_seen);
    return 0;
}

static void the_last_time_counts(void **state)
{
    (void)state;

    assert_int_equal(last_seen_find(&last_seen, 7), 0);
    last_seen_note(&last_seen, 7, 100);
    last_seen_note(&last_seen, 7, 200);
    assert_int_equal(last_seen_find(&last_seen, 7), 200);
    assert_int_equal(last_seen_find(&last_seen, 8), 0);
}

static void a_copy_is_sorted_as_the_file_is(void **state)
{
    (void)state;
    const uint64_t users[] = {3, UINT64_MAX, 0, INT64_MAX, (uint64_t)INT64_MIN};
    const uint64_t sorted[] = {(uint64_t)INT64_MIN, UINT64_MAX, 0, 3, INT64_MAX};
    size_t count;

    for (size_t i = 0; i < 5; i++)
        last_seen_note(&last_seen, users[i], 100);
    struct last_seen_row *copy = last_seen_copy(&last_seen, &count);
    assert_int_equal(count, 5);
    qsort(copy, count, sizeof *copy, last_seen_compare);
    for (size_t i = 0; i < 5; i++)
        assert_true(copy[i].user == sorted[i] && copy[i].at_ms == 100);
    free(copy);
}

static void of_none_there_is_no_copy(void **state)
{
    (void)state;
    size_t count = 9;

    assert_null(last_seen_copy(&last_seen, &count));
    assert_int_equal(count, 0);
}

static void who_was_seen_anew_is_not_forgotten(void **state)
{
    (void)state;
    size_t count;

    last_seen_note(&last_seen, 1, 100);
    last_seen_note(&last_seen, 2, 100);
    struct last_seen_row *copy = last_seen_copy(&last_seen, &count);
    last_seen_note(&last_seen, 2, 200);
    last_seen_note(&last_seen, 3, 200);
    last_seen_forget(&last_seen, copy, count);
    assert_int_equal(last_seen_find(&last_seen, 1), 0);
    assert_int_equal(last_seen_find(&last_seen, 2), 200);
    assert_int_equal(last_seen_find(&last_seen, 3), 200);
    last_seen_forget(&last_seen, copy, count);
    free(copy);
}

static void a_disk_that_is_away_costs_so_much_and_no_more(void **state)
{
    (void)state;

    for (uint64_t user = 1; user <= LAST_SEEN_MAX + 10; user++)
        last_seen_note(&last_seen, user * 0x9e3779b97f4a7c15u, 100);
    assert_int_equal(last_seen.users.count, LAST_SEEN_MAX);
    for (uint64_t user = 1; user <= 10; user++) /* who left longest ago is forgotten */
        assert_int_equal(last_seen_find(&last_seen, user * 0x9e3779b97f4a7c15u), 0);
    last_seen_note(&last_seen, 11 * 0x9e3779b97f4a7c15u, 200);
    assert_int_equal(last_seen_find(&last_seen, 11 * 0x9e3779b97f4a7c15u), 200);
}

#define last_seen_test(name) cmocka_unit_test_setup_teardown(name, open_sightings, close_sightings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        last_seen_test(the_last_time_counts),
        last_seen_test(a_copy_is_sorted_as_the_file_is),
        last_seen_test(of_none_there_is_no_copy),
        last_seen_test(who_was_seen_anew_is_not_forgotten),
        last_seen_test(a_disk_that_is_away_costs_so_much_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
