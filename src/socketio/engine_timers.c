#include "socketio/engine_timers.h"

#include <string.h>

#define LOOK_MS 1000 /* somebody looks so often */

void engine_timers_init(struct engine_timers *timers, const int64_t delay_ms[static ENGINE_PHASES],
                        int64_t now_ms)
{
    for (int i = 0; i < ENGINE_PHASES; i++)
        list_init(&timers->due[i]);
    memcpy(timers->delay_ms, delay_ms, sizeof timers->delay_ms);
    timers->frozen_ms = 0;
    timers->seen_ms = now_ms;
}

int64_t engine_timers_now(struct engine_timers *timers, int64_t clock_ms)
{
    if (clock_ms - timers->seen_ms > 2 * LOOK_MS)
        timers->frozen_ms += clock_ms - timers->seen_ms - LOOK_MS;
    timers->seen_ms = clock_ms;
    return clock_ms - timers->frozen_ms;
}

void engine_timers_start(struct engine_timers *timers, struct engine_timer *timer,
                         enum engine_phase phase, int64_t from_ms)
{
    timer->due_ms = from_ms + timers->delay_ms[phase];
    list_remove(&timer->link);
    list_append(&timers->due[phase], &timer->link);
}

static struct engine_timer *first(const struct engine_timers *timers, int phase)
{
    return list_first(&timers->due[phase], struct engine_timer, link);
}

struct engine_timer *engine_timers_take(struct engine_timers *timers, enum engine_phase phase,
                                        int64_t now_ms)
{
    struct engine_timer *timer = first(timers, phase);
    if (!timer || timer->due_ms > now_ms)
        return NULL;
    list_remove(&timer->link);
    return timer;
}

int64_t engine_timers_left(const struct engine_timers *timers, int64_t now_ms)
{
    int64_t left = -1;
    for (int phase = 0; phase < ENGINE_PHASES; phase++) {
        const struct engine_timer *timer = first(timers, phase);
        int64_t its = !timer ? -1 : timer->due_ms > now_ms ? timer->due_ms - now_ms : 0;
        if (its >= 0 && (left < 0 || its < left))
            left = its;
    }
    return left;
}
