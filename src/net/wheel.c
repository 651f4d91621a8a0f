#include "net/wheel.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void wheel_init(struct wheel *wheel, size_t max_seconds)
{
    wheel->count = max_seconds + 1;
    wheel->now = 0;
    wheel->spokes = mem_alloc(wheel->count * sizeof *wheel->spokes);
    for (size_t i = 0; i < wheel->count; i++)
        list_init(&wheel->spokes[i]);
}

void wheel_finish(struct wheel *wheel)
{
    free(wheel->spokes);
    wheel->spokes = NULL;
}

void wheel_add(struct wheel *wheel, struct list *link, size_t seconds)
{
    assert(seconds >= 1 && seconds < wheel->count);
    list_append(&wheel->spokes[(wheel->now + seconds) % wheel->count], link);
}

void wheel_turn(struct wheel *wheel, struct list *ret_due)
{
    wheel->now = (wheel->now + 1) % wheel->count;
    list_splice(ret_due, &wheel->spokes[wheel->now]);
}

void wheel_empty(struct wheel *wheel, struct list *ret_all)
{
    for (size_t i = 0; i < wheel->count; i++)
        list_splice(ret_all, &wheel->spokes[i]);
}
