/* broker_memory.h - the broker whose store is this process's memory.
 *
 * Survives nothing and says so: `durable` is never true. Bounded by its limits: per topic by
 * count and bytes, in total by bytes; the oldest go first and leave a gap. Every call ends at once
 * (control messages apart). Any member's thread; one mutex is the sequencer. */
#ifndef ENGINE_BROKER_MEMORY_H
#define ENGINE_BROKER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/memory_store.h"

struct broker;

struct broker_memory_limits {
    struct memory_store_limits store;
    size_t devices_per_user;
    size_t idempotency_entries;
    int64_t idempotency_ttl_ms;
    int64_t (*wall_ms)(void); /* clock_wall_ms but in tests */
    int64_t (*mono_ms)(void); /* clock_mono_ms but in tests; messages age by it */
};

struct broker *broker_memory_create(const struct broker_memory_limits *limits);

#endif
