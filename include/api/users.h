/* users.h - how it is told when a user was last there. Pure; any thread. */
#ifndef API_USERS_H
#define API_USERS_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

/* Adds `,"last_seen":"…"` to an object: now for who is online, null (last_seen_ms 0) for whom
 * nobody has seen. */
void users_add_last_seen(struct buf *body, bool online, int64_t last_seen_ms);

#endif
