/* broker_options.h - what a broker is told: about keeping, whatever the store, and about its store.
 */
#ifndef ENGINE_BROKER_OPTIONS_H
#define ENGINE_BROKER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics;

struct broker_options {
    size_t keep_messages; /* a topic; in a file to within an eighth */
    uint64_t keep_bytes;  /* a topic; in a file to within an eighth */
    uint64_t keep_total;
    size_t devices_per_user;
    size_t idempotency_entries;
    int64_t idempotency_ttl_ms;
    int64_t (*wall_ms)(void); /* clock_wall_ms but in tests */
    int64_t (*mono_ms)(void); /* clock_mono_ms but in tests; messages age by it */
    /* Of a file: */
    const char *folder; /* outlives the broker */
    bool full_sync;
    uint64_t recent_bytes; /* of the newest messages, in memory */
    uint64_t disk_reserve; /* free space of the disk that is left alone; at most 2 % of the disk */
    struct metrics *metrics; /* the writer's own; outlives the broker */
};

#endif
