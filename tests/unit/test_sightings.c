#include "support.h"

#include <stdlib.h>

#include "engine/sightings.h"

static struct sightings sightings;

static int open_sightings(void **state)
{
    (void)state;
    sightings_init(&sightings);
    return 0;
}

static int close_sightings(void **state)
{
    (void)state;
    sightings_finish(&sightings);
    return 0;
}

static void the_last_time_counts(void **state)
{
    (void)state;

    assert_int_equal(sightings_find(&sightings, 7), 0);
    sightings_note(&sightings, 7, 100);
    sightings_note(&sightings, 7, 200);
    assert_int_equal(sightings_find(&sightings, 7), 200);
    assert_int_equal(sightings_find(&sightings, 8), 0);
}

static void a_copy_is_sorted_as_the_file_is(void **state)
{
    (void)state;
    const uint64_t users[] = {3, UINT64_MAX, 0, INT64_MAX, (uint64_t)INT64_MIN};
    const uint64_t sorted[] = {(uint64_t)INT64_MIN, UINT64_MAX, 0, 3, INT64_MAX};
    size_t count;

    for (size_t i = 0; i < 5; i++)
        sightings_note(&sightings, users[i], 100);
    struct sighting *copy = sightings_copy(&sightings, &count);
    assert_int_equal(count, 5);
    qsort(copy, count, sizeof *copy, sighting_compare);
    for (size_t i = 0; i < 5; i++)
        assert_true(copy[i].user == sorted[i] && copy[i].at_ms == 100);
    free(copy);
}

static void of_none_there_is_no_copy(void **state)
{
    (void)state;
    size_t count = 9;

    assert_null(sightings_copy(&sightings, &count));
    assert_int_equal(count, 0);
}

static void who_was_seen_anew_is_not_forgotten(void **state)
{
    (void)state;
    size_t count;

    sightings_note(&sightings, 1, 100);
    sightings_note(&sightings, 2, 100);
    struct sighting *copy = sightings_copy(&sightings, &count);
    sightings_note(&sightings, 2, 200);
    sightings_note(&sightings, 3, 200);
    sightings_forget(&sightings, copy, count);
    assert_int_equal(sightings_find(&sightings, 1), 0);
    assert_int_equal(sightings_find(&sightings, 2), 200);
    assert_int_equal(sightings_find(&sightings, 3), 200);
    sightings_forget(&sightings, copy, count);
    free(copy);
}

static void a_disk_that_is_away_costs_so_much_and_no_more(void **state)
{
    (void)state;

    for (uint64_t user = 1; user <= SIGHTINGS_MAX + 10; user++)
        sightings_note(&sightings, user * 0x9e3779b97f4a7c15u, 100);
    assert_int_equal(sightings.users.count, SIGHTINGS_MAX);
    sightings_note(&sightings, 0x9e3779b97f4a7c15u, 200); /* those that are there go on */
    assert_int_equal(sightings_find(&sightings, 0x9e3779b97f4a7c15u), 200);
}

#define sightings_test(name) cmocka_unit_test_setup_teardown(name, open_sightings, close_sightings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        sightings_test(the_last_time_counts),
        sightings_test(a_copy_is_sorted_as_the_file_is),
        sightings_test(of_none_there_is_no_copy),
        sightings_test(who_was_seen_anew_is_not_forgotten),
        sightings_test(a_disk_that_is_away_costs_so_much_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
