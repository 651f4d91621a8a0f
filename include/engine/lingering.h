/* lingering.h - users who had a poll answered a moment ago, and will be back with the next.
 *
 * They count as online meanwhile, and are no sessions: nothing is delivered to them, and no limit
 * sees them. By the hash of the user's topic. Not locked: the broker's lock guards it. */
#ifndef ENGINE_LINGERING_H
#define ENGINE_LINGERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

#define LINGERING_MS  10000
#define LINGERING_MAX 100000 /* beyond, who has been away longest seems to have left */

struct lingering {
    struct map users;
    struct list order; /* oldest first */
};

void lingering_init(struct lingering *lingering);
void lingering_finish(struct lingering *lingering);

/* Once more for the whole time. Without memory the user merely seems to have left. Lets go of those
 * whose time is over. */
void lingering_note(struct lingering *lingering, uint64_t user, int64_t mono_ms);
void lingering_forget(struct lingering *lingering, uint64_t user);

bool lingering_has(const struct lingering *lingering, uint64_t user, int64_t mono_ms);

#endif
