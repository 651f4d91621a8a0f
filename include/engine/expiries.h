/* expiries.h - which of the messages in memory expires next.
 *
 * A heap of what mailboxes hold (see mailbox.h); each entry knows its place in it. Guarded by the
 * store's lock. */
#ifndef ENGINE_EXPIRIES_H
#define ENGINE_EXPIRIES_H

#include <stdbool.h>
#include <stddef.h>

struct kept;

struct expiries {
    struct kept **items;
    size_t count;
    size_t room;
};

void expiries_init(struct expiries *expiries);
void expiries_finish(struct expiries *expiries);

/* Makes room for one more. False: out of memory. */
bool expiries_reserve(struct expiries *expiries);
/* There is room. */
void expiries_add(struct expiries *expiries, struct kept *kept);
void expiries_remove(struct expiries *expiries, struct kept *kept);

/* NULL: there is none. */
struct kept *expiries_first(const struct expiries *expiries);

#endif
