#include "support.h"

#include "engine/age.h"

#define NOW  ((int64_t)1769860800000)
#define HOUR ((int64_t)3600000)
#define DAY  (24 * HOUR)
#define YEAR (365 * DAY)

/* Lives on one file: what the steady clock has gone on and what the wall clock says. */
static struct {
    struct age age;
    int64_t age_ms;
    int64_t wall_ms;
} epoch;

static void begin(int64_t wall_ms)
{
    epoch.wall_ms = wall_ms;
    epoch.age_ms = age_begin(&epoch.age, wall_ms);
}

static bool follow(void)
{
    return age_follow(&epoch.age, epoch.age_ms, epoch.wall_ms);
}

static void pass(int64_t ms)
{
    epoch.age_ms += ms;
    epoch.wall_ms += ms;
}

static void end(void)
{
    follow();
    epoch.age.last_ms = epoch.age_ms;
}

static int begin_first(void **state)
{
    (void)state;
    epoch.age = (struct age){0};
    begin(NOW);
    return 0;
}

static void the_first_life_begins_with_the_wall_clock(void **state)
{
    (void)state;

    assert_true(epoch.age_ms == NOW);
    assert_false(follow());
    pass(DAY);
    assert_false(follow());
}

static void a_pause_counts(void **state)
{
    (void)state;

    pass(HOUR);
    end();
    begin(epoch.wall_ms + DAY);
    assert_true(epoch.age_ms == NOW + HOUR + DAY);
    assert_false(follow());
}

static void a_clock_set_ahead_ages_nothing_in_the_next_life_either(void **state)
{
    (void)state;

    epoch.wall_ms += YEAR;
    assert_true(follow());
    assert_false(follow());
    pass(HOUR);
    end();
    begin(epoch.wall_ms + DAY);
    assert_true(epoch.age_ms == NOW + HOUR + DAY);
    assert_false(follow());
}

static void sleep_ages_nothing(void **state)
{
    (void)state;

    for (int night = 0; night < 3; night++) {
        epoch.wall_ms += 8 * HOUR;
        assert_true(follow());
    }
    end();
    begin(epoch.wall_ms + 1);
    assert_true(epoch.age_ms == NOW + 1);
}

static void small_steps_are_nothing_to_note(void **state)
{
    (void)state;

    epoch.wall_ms += 1000;
    assert_false(follow());
    epoch.wall_ms -= 61000;
    assert_false(follow());
    epoch.wall_ms -= 1;
    assert_true(follow());
    epoch.wall_ms += 1;
    assert_true(follow());
    assert_false(epoch.age.doubted);
}

/* A life on a clock that is behind cannot tell how long the pause before it was, and the next one
 * not how long the one after. */
static void a_life_on_a_clock_that_is_behind_costs_nobody_anything(void **state)
{
    (void)state;

    pass(HOUR);
    end();
    begin(NOW - YEAR);
    assert_true(epoch.age_ms == NOW + HOUR);
    assert_true(follow());
    pass(HOUR);
    end();
    begin(NOW + 3 * HOUR);
    assert_true(epoch.age_ms == NOW + 2 * HOUR);
    assert_true(follow());
    pass(HOUR);
    end();
    begin(epoch.wall_ms + DAY); /* from here on pauses count again */
    assert_true(epoch.age_ms == NOW + 3 * HOUR + DAY);
}

static void a_clock_that_is_behind_at_first_may_be_set_right(void **state)
{
    (void)state;

    end();
    begin(NOW - YEAR);
    assert_true(follow());
    epoch.wall_ms = NOW + DAY;
    assert_true(follow());
    end();
    begin(NOW + 2 * DAY);
    assert_true(epoch.age_ms == NOW + DAY);
}

static void it_never_goes_back(void **state)
{
    (void)state;

    pass(DAY);
    end();
    begin(NOW);
    assert_true(epoch.age_ms == NOW + DAY);
    assert_true(age_is_behind(&epoch.age, epoch.age_ms, epoch.wall_ms));
}

#define life_test(f) cmocka_unit_test_setup(f, begin_first)

int main(void)
{
    const struct CMUnitTest tests[] = {
        life_test(the_first_life_begins_with_the_wall_clock),
        life_test(a_pause_counts),
        life_test(a_clock_set_ahead_ages_nothing_in_the_next_life_either),
        life_test(sleep_ages_nothing),
        life_test(small_steps_are_nothing_to_note),
        life_test(a_life_on_a_clock_that_is_behind_costs_nobody_anything),
        life_test(a_clock_that_is_behind_at_first_may_be_set_right),
        life_test(it_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
