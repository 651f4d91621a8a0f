#include "engine/lingering.h"

#include <stdlib.h>

struct linger {
    struct list link;
    uint64_t user;
    int64_t until_ms;
};

void lingering_init(struct lingering *lingering)
{
    map_init(&lingering->users);
    list_init(&lingering->order);
}

static void drop(struct lingering *lingering, struct linger *linger)
{
    list_remove(&linger->link);
    map_remove(&lingering->users, linger->user, linger);
    free(linger);
}

void lingering_finish(struct lingering *lingering)
{
    list_for_each_safe(linger, &lingering->order, struct linger, link)
        drop(lingering, linger);
    map_finish(&lingering->users);
}

static bool is_of(const void *value, const void *key)
{
    return ((const struct linger *)value)->user == *(const uint64_t *)key;
}

static struct linger *find(const struct lingering *lingering, uint64_t user)
{
    return map_find(&lingering->users, user, is_of, &user);
}

static struct linger *oldest(const struct lingering *lingering)
{
    return list_first(&lingering->order, struct linger, link);
}

static void make_room(struct lingering *lingering, int64_t mono_ms)
{
    for (struct linger *linger; (linger = oldest(lingering));) {
        if (linger->until_ms > mono_ms && lingering->users.count < LINGERING_MAX)
            return;
        drop(lingering, linger);
    }
}

static struct linger *add(struct lingering *lingering, uint64_t user)
{
    struct linger *linger = malloc(sizeof *linger);
    if (!linger)
        return NULL;
    linger->user = user;
    list_init(&linger->link);
    if (map_add(&lingering->users, user, linger))
        return linger;
    free(linger);
    return NULL;
}

void lingering_note(struct lingering *lingering, uint64_t user, int64_t mono_ms)
{
    lingering_forget(lingering, user);
    make_room(lingering, mono_ms);
    struct linger *linger = add(lingering, user);
    if (!linger)
        return;
    linger->until_ms = mono_ms + LINGERING_MS;
    list_append(&lingering->order, &linger->link);
}

void lingering_forget(struct lingering *lingering, uint64_t user)
{
    struct linger *linger = find(lingering, user);
    if (linger)
        drop(lingering, linger);
}

bool lingering_has(const struct lingering *lingering, uint64_t user, int64_t mono_ms)
{
    const struct linger *linger = find(lingering, user);
    return linger && linger->until_ms > mono_ms;
}
