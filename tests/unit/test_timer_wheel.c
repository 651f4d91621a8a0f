#include "support.h"

#include "base/timer_wheel.h"

struct sleeper {
    struct list link;
    int woke; /* in which second; 0: not yet */
};

static void turn(struct timer_wheel *wheel, int second)
{
    struct list due;
    list_init(&due);
    timer_wheel_turn(wheel, &due);
    for (struct sleeper *at; (at = list_first(&due, struct sleeper, link));) {
        list_remove(&at->link);
        at->woke = second;
    }
}

static void everybody_is_due_in_the_second_asked_for(void **state)
{
    enum { SECONDS = 5 };
    struct timer_wheel wheel;
    struct sleeper sleepers[SECONDS + 1] = {0};
    (void)state;
    timer_wheel_init(&wheel, SECONDS);
    for (int round = 0; round < 3; round++) { /* wherever the wheel stands */
        for (size_t i = 1; i <= SECONDS; i++) {
            list_init(&sleepers[i].link);
            timer_wheel_add(&wheel, &sleepers[i].link, i);
        }
        for (int second = 1; second <= SECONDS + 2; second++)
            turn(&wheel, second);
        for (int i = 1; i <= SECONDS; i++)
            assert_int_equal(sleepers[i].woke, i);
    }
    timer_wheel_finish(&wheel);
}

static void whoever_leaves_is_not_due(void **state)
{
    struct timer_wheel wheel;
    struct sleeper gone = {0}, stays = {0};
    (void)state;
    timer_wheel_init(&wheel, 3);
    timer_wheel_add(&wheel, &gone.link, 2);
    timer_wheel_add(&wheel, &stays.link, 2);
    list_remove(&gone.link);
    turn(&wheel, 1);
    turn(&wheel, 2);
    assert_int_equal(gone.woke, 0);
    assert_int_equal(stays.woke, 2);
    timer_wheel_finish(&wheel);
}

static void an_emptied_wheel_holds_nobody(void **state)
{
    struct timer_wheel wheel;
    struct sleeper one = {0}, two = {0};
    struct list all;
    (void)state;
    timer_wheel_init(&wheel, 3);
    timer_wheel_add(&wheel, &one.link, 1);
    timer_wheel_add(&wheel, &two.link, 3);
    list_init(&all);
    timer_wheel_empty(&wheel, &all);
    size_t count = 0;
    list_for_each(at, &all, struct sleeper, link)
        count++;
    assert_int_equal(count, 2);
    list_remove(&one.link);
    list_remove(&two.link);
    for (int second = 1; second <= 4; second++)
        turn(&wheel, second);
    assert_int_equal(one.woke + two.woke, 0);
    timer_wheel_finish(&wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_due_in_the_second_asked_for),
        cmocka_unit_test(whoever_leaves_is_not_due),
        cmocka_unit_test(an_emptied_wheel_holds_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
