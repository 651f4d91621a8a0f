/* supervision.h - tells the service manager how the server is.
 *
 * Main thread. The manager hears that all is well only while every worker's loop still turns, so
 * that one that hangs is restarted. */
#ifndef TOP_SUPERVISION_H
#define TOP_SUPERVISION_H

#include <stddef.h>

struct metrics;
struct worker;

/* Once a second. The metrics are those of the workers. */
void supervision_beat(struct worker *const *workers, const struct metrics *const *metrics,
                      size_t count);

#endif
