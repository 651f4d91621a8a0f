/* watch_table.h - how many sessions each member has at each topic.
 *
 * Holds keyed 64-bit hashes and counts, no names: 16 bytes an entry, open addressing. Two topics
 * of one hash (one chance in 2^64 a pair) would only cost a member a look into its connection
 * manager, which knows names. Belongs to the sequencer; guarded by its lock. */
#ifndef ENGINE_WATCH_TABLE_H
#define ENGINE_WATCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch {
    uint64_t hash;
    uint32_t member;
    uint32_t sessions; /* 0: a free entry */
};

struct watch_table {
    struct watch *entries;
    size_t capacity;
    size_t count;
};

void watch_table_init(struct watch_table *table);
void watch_table_finish(struct watch_table *table);

/* One session more. False: out of memory, nothing changed. */
bool watch_table_add(struct watch_table *table, uint64_t hash, uint32_t member);
/* One session less; it must be there. */
void watch_table_remove(struct watch_table *table, uint64_t hash, uint32_t member);

/* Walks the members that watch: start with *cursor = 0, ends with NULL. */
const struct watch *watch_table_next(const struct watch_table *table, uint64_t hash,
                                     size_t *cursor);

/* The sum over all members. */
uint32_t watch_table_sessions(const struct watch_table *table, uint64_t hash);

#endif
