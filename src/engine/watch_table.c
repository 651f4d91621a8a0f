#include "engine/watch_table.h"

#include <assert.h>
#include <stdlib.h>

#define MIN_CAPACITY 64

void watch_table_init(struct watch_table *table)
{
    *table = (struct watch_table){0};
}

void watch_table_finish(struct watch_table *table)
{
    free(table->entries);
    watch_table_init(table);
}

static void place(struct watch_table *table, struct watch entry)
{
    size_t mask = table->capacity - 1;
    size_t i = entry.hash & mask;
    while (table->entries[i].sessions)
        i = (i + 1) & mask;
    table->entries[i] = entry;
}

static bool resize(struct watch_table *table, size_t capacity)
{
    struct watch *entries = calloc(capacity, sizeof *entries);
    if (!entries)
        return false;
    struct watch_table old = *table;
    table->entries = entries;
    table->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].sessions)
            place(table, old.entries[i]);
    }
    free(old.entries);
    return true;
}

/* The index of the entry, or of the free one where the search ended. */
static size_t find(const struct watch_table *table, uint64_t hash, uint32_t member)
{
    size_t mask = table->capacity - 1;
    size_t i = hash & mask;
    while (table->entries[i].sessions &&
           (table->entries[i].hash != hash || table->entries[i].member != member))
        i = (i + 1) & mask;
    return i;
}

bool watch_table_add(struct watch_table *table, uint64_t hash, uint32_t member)
{
    if ((table->count + 1) * 4 > table->capacity * 3 &&
        !resize(table, table->capacity ? table->capacity * 2 : MIN_CAPACITY))
        return false;
    struct watch *entry = &table->entries[find(table, hash, member)];
    if (!entry->sessions) {
        *entry = (struct watch){hash, member, 0};
        table->count++;
    }
    entry->sessions++;
    return true;
}

static void close_hole(struct watch_table *table, size_t i)
{
    size_t mask = table->capacity - 1;
    for (size_t j = (i + 1) & mask; table->entries[j].sessions; j = (j + 1) & mask) {
        size_t home = table->entries[j].hash & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) {
            table->entries[i] = table->entries[j];
            i = j;
        }
    }
    table->entries[i].sessions = 0;
}

void watch_table_remove(struct watch_table *table, uint64_t hash, uint32_t member)
{
    assert(table->capacity);
    size_t i = find(table, hash, member);
    assert(table->entries[i].sessions);
    if (--table->entries[i].sessions)
        return;
    close_hole(table, i);
    table->count--;
    if (table->capacity > MIN_CAPACITY && table->count * 8 < table->capacity)
        resize(table, table->capacity / 2);
}

const struct watch *watch_table_next(const struct watch_table *table, uint64_t hash, size_t *cursor)
{
    if (!table->capacity)
        return NULL;
    size_t mask = table->capacity - 1;
    for (;;) {
        const struct watch *entry = &table->entries[(hash + (*cursor)++) & mask];
        if (!entry->sessions)
            return NULL;
        if (entry->hash == hash)
            return entry;
    }
}

uint32_t watch_table_sessions(const struct watch_table *table, uint64_t hash)
{
    uint32_t sum = 0;
    size_t cursor = 0;
    for (const struct watch *watch; (watch = watch_table_next(table, hash, &cursor));)
        sum += watch->sessions;
    return sum;
}
