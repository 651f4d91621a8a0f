#include "model/idempotency.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

struct publisher { /* exists while it holds an entry */
    uint64_t scope;
    struct list entries; /* oldest first */
    size_t count;
};

struct entry {
    struct idempotency_key key;
    uint64_t id;
    int64_t added_at_ms;
    struct list by_age;
    struct list by_publisher;
    struct publisher *publisher;
    bool kept;
};

struct idempotency {
    struct map by_key;
    struct map publishers;
    struct list by_age; /* oldest first */
    size_t max_entries;
    int64_t ttl_ms;
};

struct idempotency *idempotency_create(size_t max_entries, int64_t ttl_ms)
{
    struct idempotency *table = mem_alloc(sizeof *table);
    map_init(&table->by_key);
    map_init(&table->publishers);
    list_init(&table->by_age);
    table->max_entries = max_entries;
    table->ttl_ms = ttl_ms;
    return table;
}

static void discount(struct idempotency *table, struct publisher *publisher)
{
    if (--publisher->count)
        return;
    map_remove(&table->publishers, publisher->scope, publisher);
    free(publisher);
}

static void forget(struct idempotency *table, struct entry *entry)
{
    struct publisher *publisher = entry->publisher;
    list_remove(&entry->by_age);
    list_remove(&entry->by_publisher);
    map_remove(&table->by_key, entry->key.hash, entry);
    discount(table, publisher);
    free(entry);
}

static struct entry *oldest(struct list *by_age)
{
    return list_first(by_age, struct entry, by_age);
}

void idempotency_destroy(struct idempotency *table)
{
    if (!table)
        return;
    while (!list_empty(&table->by_age))
        forget(table, oldest(&table->by_age));
    map_finish(&table->by_key);
    map_finish(&table->publishers);
    free(table);
}

static void forget_expired(struct idempotency *table, int64_t now_ms)
{
    for (struct entry *entry; (entry = oldest(&table->by_age));) {
        if (now_ms - entry->added_at_ms < table->ttl_ms)
            return;
        forget(table, entry);
    }
}

static bool is_entry(const void *value, const void *key)
{
    const struct entry *entry = value;
    const struct idempotency_key *asked = key;
    return entry->key.hash == asked->hash && entry->key.scope == asked->scope;
}

static bool is_publisher(const void *value, const void *key)
{
    return ((const struct publisher *)value)->scope == *(const uint64_t *)key;
}

enum idempotency_answer idempotency_find(struct idempotency *table,
                                         const struct idempotency_key *key, int64_t now_ms,
                                         uint64_t *ret_id, bool *ret_kept)
{
    forget_expired(table, now_ms);
    const struct entry *entry = map_find(&table->by_key, key->hash, is_entry, key);
    if (!entry)
        return IDEMPOTENCY_NEW;
    if (memcmp(entry->key.body, key->body, DIGEST_SIZE) != 0)
        return IDEMPOTENCY_CONFLICT;
    *ret_id = entry->id;
    *ret_kept = entry->kept;
    return IDEMPOTENCY_DUPLICATE;
}

static struct publisher *publisher_of(struct idempotency *table, uint64_t scope)
{
    struct publisher *publisher = map_find(&table->publishers, scope, is_publisher, &scope);
    if (publisher)
        return publisher;
    publisher = malloc(sizeof *publisher);
    if (!publisher)
        return NULL;
    publisher->scope = scope;
    publisher->count = 0;
    list_init(&publisher->entries);
    if (map_add(&table->publishers, scope, publisher))
        return publisher;
    free(publisher);
    return NULL;
}

/* The newcomer's publisher is counted already. */
static void make_room(struct idempotency *table, const struct publisher *publisher)
{
    if (table->by_key.count < table->max_entries)
        return;
    struct entry *own = list_first(&publisher->entries, struct entry, by_publisher);
    if (own && publisher->count > table->max_entries / 4)
        forget(table, own);
    else
        forget(table, oldest(&table->by_age));
}

bool idempotency_add(struct idempotency *table, const struct idempotency_key *key, uint64_t id,
                     bool kept, int64_t now_ms)
{
    struct entry *entry = malloc(sizeof *entry);
    struct publisher *publisher = entry ? publisher_of(table, key->scope) : NULL;
    if (!publisher) {
        free(entry);
        return false;
    }
    publisher->count++; /* so that making room cannot free it */
    make_room(table, publisher);
    /* Needs memory only where nothing had to make room. */
    if (!map_add(&table->by_key, key->hash, entry)) {
        discount(table, publisher);
        free(entry);
        return false;
    }
    *entry = (struct entry){
        .key = *key, .id = id, .added_at_ms = now_ms, .publisher = publisher, .kept = kept};
    list_append(&publisher->entries, &entry->by_publisher);
    list_append(&table->by_age, &entry->by_age);
    return true;
}

void idempotency_remove(struct idempotency *table, const struct idempotency_key *key)
{
    struct entry *entry = map_find(&table->by_key, key->hash, is_entry, key);
    if (entry)
        forget(table, entry);
}

size_t idempotency_count(const struct idempotency *table)
{
    return table->by_key.count;
}
