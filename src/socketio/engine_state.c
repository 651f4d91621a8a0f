#include "socketio/engine_state.h"

#include "base/clock.h"

int64_t engine_state_now(struct engines *engines)
{
    return engine_timers_now(&engines->timers, clock_mono_us() / 1000);
}

void engine_state_arm(struct engines *engines, int64_t now_ms)
{
    int64_t left = engine_timers_left(&engines->timers, now_ms);
    bool active = uv_is_active((uv_handle_t *)&engines->timer);
    if (left < 0 || engines->stopped)
        return;
    if (!active || (int64_t)uv_timer_get_due_in(&engines->timer) > left)
        uv_timer_start(&engines->timer, engines->on_timer, (uint64_t)left + 1, 0);
}

void engine_state_start(struct engines *engines, struct engine_timer *timer,
                        enum engine_phase phase, int64_t from_ms)
{
    engine_timers_start(&engines->timers, timer, phase, from_ms);
    engine_state_arm(engines, from_ms);
}

struct engines *engines_owner(const struct engines *engines, const char *sid)
{
    int worker = engine_sid_worker(sid);
    return worker < 0 ? NULL : engines->door->at[worker];
}
