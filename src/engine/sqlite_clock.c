#include "engine/sqlite_clock.h"

#include "base/log.h"
#include "engine/sqlite_state.h"
#include "engine/sqlite_writer.h"

#define DAY_MS   ((int64_t)24 * 3600 * 1000)
#define DOUBT_MS ((int64_t)3600 * 1000)

int64_t sqlite_clock_expiry_ms(const struct sqlite_store *sqlite)
{
    int64_t until_ms = atomic_load_explicit(&sqlite->doubted_until_ms, memory_order_relaxed);
    return sqlite->options.mono_ms() < until_ms ? 0 : store_age_ms(&sqlite->store);
}

struct expiry sqlite_clock_expiry(const struct sqlite_store *sqlite)
{
    return (struct expiry){sqlite_clock_expiry_ms(sqlite), store_age_ms(&sqlite->store)};
}

static bool is_in_doubt(const struct sqlite_store *sqlite)
{
    return sqlite_clock_expiry_ms(sqlite) == 0;
}

static void begin_age(struct sqlite_store *sqlite, int64_t wall_ms)
{
    store_set_age(&sqlite->store, age_begin(&sqlite->age, wall_ms) - sqlite->options.mono_ms());
}

/* A clock that ran on alone while the disk stood still would age everything at once. */
static void judge(struct sqlite_store *sqlite, int64_t wall_ms)
{
    int64_t newest_ms = sqlite_writer_newest_ms(sqlite->writer);
    bool doubt = newest_ms && wall_ms - newest_ms > DAY_MS;
    atomic_store_explicit(&sqlite->doubted_until_ms,
                          doubt ? sqlite->options.mono_ms() + DOUBT_MS : INT64_MIN,
                          memory_order_relaxed);
    if (doubt)
        log_warn("the newest message is more than a day old: if the clock is wrong, set it right; "
                 "nothing is let go for its age in the next hour",
                 LOG_NUMBER("hours", (wall_ms - newest_ms) / 3600000));
}

int sqlite_clock_begin(struct sqlite_store *sqlite, int64_t wall_ms)
{
    sqlite->steady_offset_ms = wall_ms - sqlite->options.mono_ms();
    int err = sqlite_writer_get_age(sqlite->writer, &sqlite->age);
    begin_age(sqlite, wall_ms);
    judge(sqlite, wall_ms);
    return err;
}

bool sqlite_clock_has_news(struct sqlite_store *sqlite, int64_t wall_ms)
{
    if (is_in_doubt(sqlite))
        return false;
    bool changed = age_follow(&sqlite->age, store_age_ms(&sqlite->store), wall_ms);
    return changed || !sqlite->age_noted;
}

int sqlite_clock_note(struct sqlite_store *sqlite)
{
    if (is_in_doubt(sqlite))
        return 0;
    sqlite->age.last_ms = store_age_ms(&sqlite->store);
    sqlite->age_noted = true; /* unless the transaction is lost */
    return sqlite_writer_set_age(sqlite->writer, &sqlite->age);
}

void sqlite_clock_look(struct sqlite_store *sqlite)
{
    int64_t wall_ms = sqlite->options.wall_ms();
    if (!is_in_doubt(sqlite) || !age_is_behind(&sqlite->age, store_age_ms(&sqlite->store), wall_ms))
        return;
    log_info("the clock was set back: messages age as it says now");
    begin_age(sqlite, wall_ms);
    judge(sqlite, wall_ms);
}

int64_t sqlite_clock_steady_ms(const struct sqlite_store *sqlite)
{
    return sqlite->options.mono_ms() + sqlite->steady_offset_ms;
}

uint64_t sqlite_clock_old_keys(const struct sqlite_store *sqlite)
{
    int64_t oldest_ms = sqlite_clock_steady_ms(sqlite) - sqlite->options.idempotency_ttl_ms;
    return oldest_ms > 0 ? (uint64_t)oldest_ms << MESSAGE_ID_CLOCK_SHIFT : 0;
}
