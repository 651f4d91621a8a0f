#include "support.h"

#include "socketio/engine_timers.h"

static const int64_t delays[] = {[ENGINE_PING_DUE] = 300,
                                 [ENGINE_PONG_DUE] = 200,
                                 [ENGINE_UPGRADE_DUE] = 10000,
                                 [ENGINE_PARTING_DUE] = 1000};

static void fall_due_in_their_order(void **state)
{
    (void)state;
    struct engine_timers timers;
    struct engine_timer a, b;
    engine_timers_init(&timers, delays, 1000);
    list_init(&a.link);
    list_init(&b.link);
    assert_int_equal(engine_timers_left(&timers, 1000), -1);
    engine_timers_start(&timers, &a, ENGINE_PING_DUE, 1000);
    engine_timers_start(&timers, &b, ENGINE_PING_DUE, 1010);
    assert_int_equal(engine_timers_left(&timers, 1000), 300);
    assert_null(engine_timers_take(&timers, ENGINE_PING_DUE, 1299));
    assert_ptr_equal(engine_timers_take(&timers, ENGINE_PING_DUE, 1300), &a);
    assert_null(engine_timers_take(&timers, ENGINE_PING_DUE, 1300));
    /* From when it fell due, however late that was seen. */
    engine_timers_start(&timers, &a, ENGINE_PONG_DUE, a.due_ms);
    assert_null(engine_timers_take(&timers, ENGINE_PONG_DUE, 1499));
    assert_int_equal(engine_timers_left(&timers, 1499), 0); /* the other's ping */
    assert_ptr_equal(engine_timers_take(&timers, ENGINE_PONG_DUE, 1500), &a);
    list_remove(&b.link);
    assert_int_equal(engine_timers_left(&timers, 1500), -1);
}

static void starting_again_moves_to_the_end(void **state)
{
    (void)state;
    struct engine_timers timers;
    struct engine_timer a, b;
    engine_timers_init(&timers, delays, 0);
    list_init(&a.link);
    list_init(&b.link);
    engine_timers_start(&timers, &a, ENGINE_PING_DUE, 0);
    engine_timers_start(&timers, &b, ENGINE_PING_DUE, 10);
    engine_timers_start(&timers, &a, ENGINE_PING_DUE, 20);
    assert_ptr_equal(engine_timers_take(&timers, ENGINE_PING_DUE, 1000), &b);
    assert_ptr_equal(engine_timers_take(&timers, ENGINE_PING_DUE, 1000), &a);
}

/* Between looks a second passes; what is longer was no time of anybody's. */
static void time_that_stood_still_does_not_count(void **state)
{
    (void)state;
    struct engine_timers timers;
    struct engine_timer a;
    engine_timers_init(&timers, delays, 5000);
    list_init(&a.link);
    assert_int_equal(engine_timers_now(&timers, 5000), 5000);
    engine_timers_start(&timers, &a, ENGINE_UPGRADE_DUE, 5000);
    assert_int_equal(engine_timers_now(&timers, 6900), 6900);
    assert_int_equal(engine_timers_now(&timers, 66900), 7900);
    assert_null(engine_timers_take(&timers, ENGINE_UPGRADE_DUE, 7900));
    assert_int_equal(engine_timers_now(&timers, 67000), 8000);
    assert_int_equal(engine_timers_left(&timers, 8000), 7000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fall_due_in_their_order),
        cmocka_unit_test(starting_again_moves_to_the_end),
        cmocka_unit_test(time_that_stood_still_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
