/* part.h - one worker and what stands on it: routes, listeners, streams, the sessions' doors.
 *
 * The server makes and destroys parts on the main thread, and calls from there while they run; what
 * it says reaches a part on its worker's thread. A part stops itself once it is drained. */
#ifndef TOP_PART_H
#define TOP_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/parser.h"

struct access;
struct broker;
struct budget;
struct config;
struct endpoints;
struct metrics;
struct part;
struct status;

/* What all parts stand on; borrowed. */
struct part_ground {
    const struct config *config;
    struct broker *broker;
    struct budget *budget;
    struct status *status;
    const struct endpoints *endpoints;         /* a socket of each for each part, which takes it */
    const struct endpoints *metrics_endpoints; /* the first part's; count 0: none */
    size_t part_count;
    bool can_adopt;       /* see adoption.h */
    struct parser parser; /* see parser.h */
    /* On the part's thread, when it has ended: its worker can be joined. */
    void (*on_gone)(void *context);
    void *context;
};

/* NULL: libmicrohttpd does not start, and this process ends. The part has a reference of its own to
 * access. */
struct part *part_create(const struct part_ground *ground, size_t index, struct access *access);
/* NULL is fine. Joined, or never started. */
void part_destroy(struct part *part);

void part_start(struct part *part);
/* From now on this access and these limits count. Whom the old access let in keeps what it has. */
void part_change(struct part *part, const struct config *config, struct access *access);
/* Nobody comes in any more; sessions are told to go, and answers close their connections. */
void part_drain(struct part *part);
/* Closes what is left. */
void part_abort(struct part *part);
/* When its loop came to its last second, by clock_mono_ms. */
int64_t part_turned_ms(const struct part *part);
/* Has on_gone been called? */
bool part_is_gone(const struct part *part);
void part_join(struct part *part);

const struct metrics *part_metrics(const struct part *part);

#endif
