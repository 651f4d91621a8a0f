#include "engine/age.h"

#include "model/message.h"

/* What clocks are set by all the time. */
#define AHEAD_MS  1000
#define BEHIND_MS 60000

int64_t age_begin(const struct age *age, int64_t wall_ms)
{
    int64_t by_wall_ms = wall_ms - age->lag_ms;
    return age->doubted || by_wall_ms < age->last_ms ? age->last_ms : by_wall_ms;
}

bool age_is_behind(const struct age *age, int64_t age_ms, int64_t wall_ms)
{
    return wall_ms - age_ms < age->lag_ms - BEHIND_MS;
}

bool age_follow(struct age *age, int64_t age_ms, int64_t wall_ms)
{
    bool behind = age_is_behind(age, age_ms, wall_ms);
    bool ahead = wall_ms - age_ms > age->lag_ms + AHEAD_MS;
    bool changed = ahead || behind != age->doubted;
    age->doubted = behind;
    if (ahead)
        age->lag_ms = wall_ms - age_ms;
    return changed;
}

bool expiry_hides(const struct expiry *expiry, const struct message *message)
{
    return message_expired(message, message->own_ttl ? expiry->own_ms : expiry->any_ms);
}
