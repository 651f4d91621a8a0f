#include "support.h"

#include "http/deadlines.h"

static const int64_t limits[] = {
    [DEADLINE_FIRST_HEAD] = 100, [DEADLINE_NEXT_HEAD] = 750, [DEADLINE_BODY] = 150,
    [DEADLINE_ANSWER] = 150,     [DEADLINE_WAIT] = 200,      [DEADLINE_LINGER] = 50,
};

static void who_is_late_comes_in_the_order_it_fell_due(void **state)
{
    struct deadlines deadlines;
    struct deadline a, b, c;
    (void)state;

    deadlines_init(&deadlines, limits);
    deadlines_add(&deadlines, &a, 3, 1000);
    deadlines_add(&deadlines, &b, 4, 1000);
    deadlines_add(&deadlines, &c, 5, 1001);
    assert_int_equal(deadlines.count, 3);
    assert_int_equal(a.fd, 3);
    assert_null(deadlines_take_late(&deadlines, 1099));
    assert_ptr_equal(deadlines_take_late(&deadlines, 1100), &a);
    assert_ptr_equal(deadlines_take_late(&deadlines, 1100), &b);
    assert_null(deadlines_take_late(&deadlines, 1100)); /* each once, and c is not late yet */
    assert_ptr_equal(deadlines_take_late(&deadlines, 1101), &c);
    assert_int_equal(deadlines.count, 3);
    deadlines_remove(&deadlines, &a); /* though it is on no list any more */
    deadlines_remove(&deadlines, &b);
    deadlines_remove(&deadlines, &c);
    assert_int_equal(deadlines.count, 0);
}

static void each_phase_has_its_own_limit(void **state)
{
    struct deadlines deadlines;
    struct deadline one;
    (void)state;

    deadlines_init(&deadlines, limits);
    deadlines_add(&deadlines, &one, 3, 0);
    for (enum deadline_phase phase = 0; phase < DEADLINE_PHASES; phase++) {
        int64_t now = 10000 * (int64_t)(phase + 1);
        deadlines_move(&deadlines, &one, phase, now);
        assert_null(deadlines_take_late(&deadlines, now + limits[phase] - 1));
        assert_ptr_equal(deadlines_take_late(&deadlines, now + limits[phase]), &one);
    }
    deadlines_remove(&deadlines, &one);
}

/* A client that sends a byte now and then does not move its deadline; only a new phase does. */
static void a_move_starts_the_time_anew(void **state)
{
    struct deadlines deadlines;
    struct deadline a, b;
    (void)state;

    deadlines_init(&deadlines, limits);
    deadlines_add(&deadlines, &a, 3, 0);
    deadlines_add(&deadlines, &b, 4, 50);
    deadlines_move(&deadlines, &a, DEADLINE_BODY, 99);
    deadlines_move(&deadlines, &a, DEADLINE_ANSWER, 200);
    assert_ptr_equal(deadlines_take_late(&deadlines, 349), &b);
    assert_null(deadlines_take_late(&deadlines, 349));
    assert_ptr_equal(deadlines_take_late(&deadlines, 350), &a);
    deadlines_move(&deadlines, &a, DEADLINE_NEXT_HEAD, 350); /* it was answered all the same */
    assert_ptr_equal(deadlines_take_late(&deadlines, 1100), &a);
    deadlines_remove(&deadlines, &a);
    deadlines_remove(&deadlines, &b);
}

static void room_is_made_by_whoever_idles_longest(void **state)
{
    struct deadlines deadlines;
    struct deadline fresh, idle, longest;
    (void)state;

    deadlines_init(&deadlines, limits);
    deadlines_add(&deadlines, &longest, 3, 0);
    deadlines_add(&deadlines, &idle, 4, 0);
    deadlines_add(&deadlines, &fresh, 5, 0);
    deadlines_move(&deadlines, &longest, DEADLINE_NEXT_HEAD, 10);
    deadlines_move(&deadlines, &idle, DEADLINE_NEXT_HEAD, 20);
    assert_ptr_equal(deadlines_take_idle(&deadlines, 0), &longest);
    assert_ptr_equal(deadlines_take_idle(&deadlines, 0), &idle);
    assert_null(deadlines_take_idle(&deadlines, 0)); /* fresh has not been heard yet */
    deadlines_remove(&deadlines, &longest);
    deadlines_remove(&deadlines, &idle);
    deadlines_remove(&deadlines, &fresh);
}

static void time_in_which_nobody_was_heard_does_not_count(void **state)
{
    struct deadlines deadlines;
    struct deadline before, after;
    (void)state;

    deadlines_init(&deadlines, limits);
    deadlines_add(&deadlines, &before, 3, 0);
    deadlines_forgive(&deadlines, 8000);
    deadlines_add(&deadlines, &after, 4, 8010);
    assert_null(deadlines_take_late(&deadlines, 8099));
    assert_ptr_equal(deadlines_take_late(&deadlines, 8100), &before);
    assert_null(deadlines_take_late(&deadlines, 8109));
    assert_ptr_equal(deadlines_take_late(&deadlines, 8110), &after);
    deadlines_remove(&deadlines, &before);
    deadlines_remove(&deadlines, &after);
}

static int visited;

static void count_visit(const struct deadline *deadline)
{
    (void)deadline;
    visited++;
}

static void those_who_came_lately_are_visited(void **state)
{
    struct deadlines deadlines;
    struct deadline old, recent, other;
    (void)state;

    deadlines_init(&deadlines, limits);
    deadlines_add(&deadlines, &old, 3, 1000);
    deadlines_add(&deadlines, &recent, 4, 2000);
    deadlines_add(&deadlines, &other, 5, 2000);
    deadlines_move(&deadlines, &other, DEADLINE_BODY, 2500);
    visited = 0;
    deadlines_visit_recent(&deadlines, DEADLINE_FIRST_HEAD, 2001, count_visit);
    assert_int_equal(visited, 0);
    deadlines_visit_recent(&deadlines, DEADLINE_FIRST_HEAD, 1001, count_visit);
    assert_int_equal(visited, 1);
    deadlines_visit_recent(&deadlines, DEADLINE_FIRST_HEAD, 0, count_visit);
    assert_int_equal(visited, 3);
    deadlines_remove(&deadlines, &old);
    deadlines_remove(&deadlines, &recent);
    deadlines_remove(&deadlines, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_late_comes_in_the_order_it_fell_due),
        cmocka_unit_test(each_phase_has_its_own_limit),
        cmocka_unit_test(a_move_starts_the_time_anew),
        cmocka_unit_test(room_is_made_by_whoever_idles_longest),
        cmocka_unit_test(time_in_which_nobody_was_heard_does_not_count),
        cmocka_unit_test(those_who_came_lately_are_visited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
