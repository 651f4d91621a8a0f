#include "base/timer_wheel.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void timer_wheel_init(struct timer_wheel *wheel, size_t max_seconds)
{
    wheel->count = max_seconds + 1;
    wheel->now = 0;
    wheel->spokes = mem_alloc(wheel->count * sizeof *wheel->spokes);
    for (size_t i = 0; i < wheel->count; i++)
        list_init(&wheel->spokes[i]);
}

void timer_wheel_finish(struct timer_wheel *wheel)
{
    free(wheel->spokes);
    wheel->spokes = NULL;
}

void timer_wheel_add(struct timer_wheel *wheel, struct list *link, size_t seconds)
{
    assert(seconds >= 1 && seconds < wheel->count);
    list_append(&wheel->spokes[(wheel->now + seconds) % wheel->count], link);
}

void timer_wheel_turn(struct timer_wheel *wheel, struct list *ret_due)
{
    wheel->now = (wheel->now + 1) % wheel->count;
    list_splice(ret_due, &wheel->spokes[wheel->now]);
}

void timer_wheel_empty(struct timer_wheel *wheel, struct list *ret_all)
{
    for (size_t i = 0; i < wheel->count; i++)
        list_splice(ret_all, &wheel->spokes[i]);
}
