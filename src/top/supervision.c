#include "top/supervision.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "top/worker.h"

#define HANG_MIN_MS  5000 /* a loop has this much time for a turn, however impatient the manager */
#define STATUS_BEATS 5

static bool all_turn(struct worker *const *workers, size_t count)
{
    int64_t now_ms = clock_mono_ms();
    int64_t patience_ms = notify_watchdog_ms();
    patience_ms = patience_ms > HANG_MIN_MS ? patience_ms : HANG_MIN_MS;
    for (size_t i = 0; i < count; i++) {
        if (!worker_is_gone(workers[i]) && now_ms - worker_turned_ms(workers[i]) > patience_ms)
            return false;
    }
    return true;
}

static void tell_status(const struct metrics *const *metrics, size_t count)
{
    int64_t live = 0, behind = 0;
    for (size_t i = 0; i < count; i++) {
        for (int p = 0; p < METRICS_PROTOCOLS; p++) {
            live += atomic_load_explicit(&metrics[i]->live[p], memory_order_relaxed);
            behind += atomic_load_explicit(&metrics[i]->behind[p], memory_order_relaxed);
        }
    }
    notify_say("STATUS=%lld sessions, %lld behind", (long long)(live + behind), (long long)behind);
}

void supervision_beat(struct worker *const *workers, const struct metrics *const *metrics,
                      size_t count)
{
    static unsigned beats;
    if (!notify_is_heard())
        return;
    if (notify_watchdog_ms() && all_turn(workers, count))
        notify_say("WATCHDOG=1");
    if (beats++ % STATUS_BEATS == 0)
        tell_status(metrics, count);
}
