/* engine_timers.h - when connections of Engine.IO are pinged, given up, or late with an upgrade.
 *
 * Of each phase all wait equally long, so they stand in the order they fall due, and only heads are
 * looked at. Time is an argument, in milliseconds; time in which the process stood still counts
 * against nobody. Worker's thread only. */
#ifndef SOCKETIO_ENGINE_TIMERS_H
#define SOCKETIO_ENGINE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum engine_phase {
    ENGINE_PING_DUE,    /* it is to be pinged */
    ENGINE_PONG_DUE,    /* by then it has answered */
    ENGINE_UPGRADE_DUE, /* by then its WebSocket has taken over */
    ENGINE_PARTING_DUE, /* until then a poll of one that has gone is answered */
    ENGINE_PHASES
};

/* Embedded, one for each phase that may run beside another. */
struct engine_timer {
    struct list link;
    int64_t due_ms;
};

struct engine_timers {
    struct list due[ENGINE_PHASES];
    int64_t delay_ms[ENGINE_PHASES];
    int64_t frozen_ms; /* forgiven so far: that much later is now */
    int64_t seen_ms;   /* when somebody last looked */
};

void engine_timers_init(struct engine_timers *timers, const int64_t delay_ms[static ENGINE_PHASES],
                        int64_t now_ms);

/* The time that counts, from that of the clock. To be asked at least once a second while the
 * process runs: a longer gap is one in which it stood still. */
int64_t engine_timers_now(struct engine_timers *timers, int64_t clock_ms);

/* From now on, or from when it fell due, it waits in this phase. */
void engine_timers_start(struct engine_timers *timers, struct engine_timer *timer,
                         enum engine_phase phase, int64_t from_ms);

/* The first that has fallen due, which is taken off; NULL: none. */
struct engine_timer *engine_timers_take(struct engine_timers *timers, enum engine_phase phase,
                                        int64_t now_ms);

/* How long until the next falls due, 0 if one has; -1: none waits. */
int64_t engine_timers_left(const struct engine_timers *timers, int64_t now_ms);

#endif
