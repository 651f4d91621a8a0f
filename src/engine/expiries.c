#include "engine/expiries.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/mailbox.h"
#include "model/message.h"

#define MIN_ROOM 64

void expiries_init(struct expiries *expiries)
{
    *expiries = (struct expiries){NULL};
}

void expiries_finish(struct expiries *expiries)
{
    assert(expiries->count == 0);
    free(expiries->items);
}

static bool resize(struct expiries *expiries, size_t room)
{
    struct kept **items = realloc(expiries->items, room * sizeof *items);
    if (!items)
        return false;
    expiries->items = items;
    expiries->room = room;
    return true;
}

bool expiries_reserve(struct expiries *expiries)
{
    if (expiries->count < expiries->room)
        return true;
    return resize(expiries, expiries->room ? expiries->room * 2 : MIN_ROOM);
}

static bool is_before(const struct kept *a, const struct kept *b)
{
    return a->message->expires_at_ms < b->message->expires_at_ms;
}

static void put(struct expiries *expiries, size_t at, struct kept *kept)
{
    expiries->items[at] = kept;
    kept->expiry = at;
}

static void rise(struct expiries *expiries, size_t at, struct kept *kept)
{
    while (at && is_before(kept, expiries->items[(at - 1) / 2])) {
        put(expiries, at, expiries->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(expiries, at, kept);
}

static void sink(struct expiries *expiries, size_t at, struct kept *kept)
{
    for (size_t child; (child = 2 * at + 1) < expiries->count; at = child) {
        if (child + 1 < expiries->count &&
            is_before(expiries->items[child + 1], expiries->items[child]))
            child++;
        if (!is_before(expiries->items[child], kept))
            break;
        put(expiries, at, expiries->items[child]);
    }
    put(expiries, at, kept);
}

void expiries_add(struct expiries *expiries, struct kept *kept)
{
    assert(expiries->count < expiries->room);
    rise(expiries, expiries->count++, kept);
}

void expiries_remove(struct expiries *expiries, struct kept *kept)
{
    size_t at = kept->expiry;
    assert(at < expiries->count && expiries->items[at] == kept);
    struct kept *last = expiries->items[--expiries->count];
    if (last != kept && at && is_before(last, expiries->items[(at - 1) / 2]))
        rise(expiries, at, last);
    else if (last != kept)
        sink(expiries, at, last);
    if (expiries->room > MIN_ROOM && expiries->count < expiries->room / 4)
        resize(expiries, expiries->room / 2); /* where it fails there is more room than needed */
}

struct kept *expiries_first(const struct expiries *expiries)
{
    return expiries->count ? expiries->items[0] : NULL;
}
