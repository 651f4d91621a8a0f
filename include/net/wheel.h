/* wheel.h - who is due in which second.
 *
 * A ring of lists, one a second; a turn a second hands out the next list. So thousands wait at the
 * cost of a link each, and seconds in which the process was stopped do not count. Worker's thread
 * only. */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct wheel {
    struct list *spokes;
    size_t count;
    size_t now;
};

/* For delays of up to max_seconds. */
void wheel_init(struct wheel *wheel, size_t max_seconds);
void wheel_finish(struct wheel *wheel);

/* Due in so many seconds from now: 1 to max_seconds. A link leaves by list_remove. */
void wheel_add(struct wheel *wheel, struct list *link, size_t seconds);

/* A second has passed: moves who is due to ret_due, which the caller has initialised. */
void wheel_turn(struct wheel *wheel, struct list *ret_due);

/* Moves everybody to ret_all. */
void wheel_empty(struct wheel *wheel, struct list *ret_all);

#endif
