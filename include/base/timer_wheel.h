/* timer_wheel.h - who is due in which second.
 *
 * A ring of lists, one a second; a turn a second hands out the next list. So thousands wait at the
 * cost of a link each, and seconds in which the process was stopped do not count. Worker's thread
 * only. */
#ifndef BASE_TIMER_WHEEL_H
#define BASE_TIMER_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct timer_wheel {
    struct list *spokes;
    size_t count;
    size_t now;
};

/* For delays of up to max_seconds. */
void timer_wheel_init(struct timer_wheel *wheel, size_t max_seconds);
void timer_wheel_finish(struct timer_wheel *wheel);

/* Due in so many seconds from now: 1 to max_seconds. A link leaves by list_remove. */
void timer_wheel_add(struct timer_wheel *wheel, struct list *link, size_t seconds);

/* A second has passed: moves who is due to ret_due, which the caller has initialised. */
void timer_wheel_turn(struct timer_wheel *wheel, struct list *ret_due);

/* Moves everybody to ret_all. */
void timer_wheel_empty(struct timer_wheel *wheel, struct list *ret_all);

#endif
