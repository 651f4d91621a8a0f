#include "engine/last_seen.h"

#include <stdlib.h>

struct entry {
    struct list order;
    struct last_seen_row row;
};

void last_seen_init(struct last_seen *last_seen)
{
    map_init(&last_seen->users);
    list_init(&last_seen->order);
}

static void forget(struct last_seen *last_seen, struct entry *entry)
{
    map_remove(&last_seen->users, entry->row.user, entry);
    list_remove(&entry->order);
    free(entry);
}

static struct entry *oldest(const struct last_seen *last_seen)
{
    return list_empty(&last_seen->order) ? NULL
                                         : list_first(&last_seen->order, struct entry, order);
}

void last_seen_finish(struct last_seen *last_seen)
{
    for (struct entry *entry; (entry = oldest(last_seen));)
        forget(last_seen, entry);
    map_finish(&last_seen->users);
}

static bool is_of(const void *value, const void *key)
{
    return ((const struct entry *)value)->row.user == *(const uint64_t *)key;
}

static struct entry *find(const struct last_seen *last_seen, uint64_t user)
{
    return map_find(&last_seen->users, user, is_of, &user);
}

static struct entry *add(struct last_seen *last_seen, uint64_t user)
{
    if (last_seen->users.count >= LAST_SEEN_MAX)
        forget(last_seen, oldest(last_seen));
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        return NULL;
    entry->row.user = user;
    list_init(&entry->order);
    if (map_add(&last_seen->users, user, entry))
        return entry;
    free(entry);
    return NULL;
}

void last_seen_note(struct last_seen *last_seen, uint64_t user, int64_t at_ms)
{
    struct entry *entry = find(last_seen, user);
    if (!entry && !(entry = add(last_seen, user)))
        return;
    entry->row.at_ms = at_ms;
    list_remove(&entry->order);
    list_append(&last_seen->order, &entry->order);
}

int64_t last_seen_find(const struct last_seen *last_seen, uint64_t user)
{
    const struct entry *entry = find(last_seen, user);
    return entry ? entry->row.at_ms : 0;
}

struct last_seen_row *last_seen_copy(const struct last_seen *last_seen, size_t *ret_count)
{
    struct last_seen_row *copy = NULL;
    size_t count = 0;
    if (last_seen->users.count)
        copy = malloc(last_seen->users.count * sizeof *copy);
    if (copy) {
        list_for_each(entry, &last_seen->order, struct entry, order)
            copy[count++] = entry->row;
    }
    *ret_count = count;
    return copy;
}

int last_seen_compare(const void *a, const void *b)
{
    int64_t x = (int64_t)((const struct last_seen_row *)a)->user;
    int64_t y = (int64_t)((const struct last_seen_row *)b)->user;
    return (x > y) - (x < y);
}

void last_seen_forget(struct last_seen *last_seen, const struct last_seen_row *copy, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = find(last_seen, copy[i].user);
        if (entry && entry->row.at_ms == copy[i].at_ms)
            forget(last_seen, entry);
    }
}
