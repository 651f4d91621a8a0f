/* engines.h - all connections of Engine.IO of one role at a worker.
 *
 * They are pinged, and given up, in milliseconds; what has come up for a waiting poll in a turn of
 * the loop is its answer at the end of it. Worker's thread only. */
#ifndef SOCKETIO_ENGINES_H
#define SOCKETIO_ENGINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct engine_door;
struct engine_limits;
struct engine_role;
struct engines;
struct sessions;

/* door is borrowed, and has it from now on. */
struct engines *engines_create(struct sessions *sessions, struct engine_door *door,
                               const struct engine_role *role, const struct engine_limits *limits);
/* Ends its timer. Every connection has been closed. Its memory goes by engines_destroy once the
 * loop is empty. */
void engines_stop(struct engines *engines);
void engines_destroy(struct engines *engines);
/* From now on. */
void engines_change(struct engines *engines, size_t max_payload);

void engines_close_all(struct engines *engines, enum err reason);
/* Where time is up. */
void engines_abort_all(struct engines *engines);

/* Those who are late are pinged, or closed. */
void engines_run_timers(struct engines *engines);

#endif
