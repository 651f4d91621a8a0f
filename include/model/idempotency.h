/* idempotency.h - which keys were used lately, and what came of them.
 *
 * Remembers (scope, key) -> (body digest, id) for a time and up to a number of entries; the oldest
 * go first. While the table is full, a publisher that holds more than a quarter of it gives up its
 * own oldest before anyone else's. Time is an argument. One thread at a time: the sequencer's. */
#ifndef MODEL_IDEMPOTENCY_H
#define MODEL_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct idempotency;

/* What a publisher brings with a key; the hashes are keyed (hash.h). */
struct idempotency_key {
    uint64_t scope; /* the publisher */
    uint64_t hash;  /* of scope and key together */
    unsigned char body[DIGEST_SIZE];
};

enum idempotency_answer { IDEMPOTENCY_NEW, IDEMPOTENCY_DUPLICATE, IDEMPOTENCY_CONFLICT };

struct idempotency *idempotency_create(size_t max_entries, int64_t ttl_ms);
void idempotency_destroy(struct idempotency *table);

/* Was this key used? DUPLICATE sets *ret_id and *ret_kept. */
enum idempotency_answer idempotency_find(struct idempotency *table,
                                         const struct idempotency_key *key, int64_t now_ms,
                                         uint64_t *ret_id, bool *ret_kept);

/* Remembers a key that idempotency_find called new. False: out of memory, nothing changed.
 * max_entries is at least 1. */
bool idempotency_add(struct idempotency *table, const struct idempotency_key *key, uint64_t id,
                     bool kept, int64_t now_ms);

/* Takes back what idempotency_add remembered: it did not come to pass. */
void idempotency_remove(struct idempotency *table, const struct idempotency_key *key);

size_t idempotency_count(const struct idempotency *table);

#endif
