#include "engine/last_seen.h"

#include <stdlib.h>

void last_seen_init(struct last_seen *last_seen)
{
    map_init(&last_seen->users);
}

void last_seen_finish(struct last_seen *last_seen)
{
    size_t cursor = 0;
    for (struct last_seen_row *one; (one = map_next(&last_seen->users, &cursor));)
        free(one);
    map_finish(&last_seen->users);
}

static bool is_of(const void *value, const void *key)
{
    return ((const struct last_seen_row *)value)->user == *(const uint64_t *)key;
}

static struct last_seen_row *find(const struct last_seen *last_seen, uint64_t user)
{
    return map_find(&last_seen->users, user, is_of, &user);
}

void last_seen_note(struct last_seen *last_seen, uint64_t user, int64_t at_ms)
{
    struct last_seen_row *last_seen_row = find(last_seen, user);
    if (last_seen_row) {
        last_seen_row->at_ms = at_ms;
        return;
    }
    last_seen_row = last_seen->users.count < LAST_SEEN_MAX ? malloc(sizeof *last_seen_row) : NULL;
    if (!last_seen_row)
        return;
    *last_seen_row = (struct last_seen_row){user, at_ms};
    if (!map_add(&last_seen->users, user, last_seen_row))
        free(last_seen_row);
}

int64_t last_seen_find(const struct last_seen *last_seen, uint64_t user)
{
    const struct last_seen_row *last_seen_row = find(last_seen, user);
    return last_seen_row ? last_seen_row->at_ms : 0;
}

struct last_seen_row *last_seen_copy(const struct last_seen *last_seen, size_t *ret_count)
{
    struct last_seen_row *copy = NULL;
    size_t cursor = 0, count = 0;
    if (last_seen->users.count)
        copy = malloc(last_seen->users.count * sizeof *copy);
    for (const struct last_seen_row *one; copy && (one = map_next(&last_seen->users, &cursor));)
        copy[count++] = *one;
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
        struct last_seen_row *last_seen_row = find(last_seen, copy[i].user);
        if (!last_seen_row || last_seen_row->at_ms != copy[i].at_ms)
            continue;
        map_remove(&last_seen->users, last_seen_row->user, last_seen_row);
        free(last_seen_row);
    }
}
