/* events.h - reads a stream of Server-Sent Events, in whatever pieces it comes.
 *
 * As the server writes it (docs/wire.md): lines that end in LF, one `data:` an event. One thread.
 */
#ifndef TOP_EVENTS_H
#define TOP_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define EVENTS_TEXT_SIZE 64

struct event {
    const char *type; /* "message" */
    const char *data; /* ends in NUL */
    const char *id;   /* the last one there was; "" */
};

struct events {
    struct buf line; /* not ended yet */
    struct buf data;
    char type[EVENTS_TEXT_SIZE];
    char id[EVENTS_TEXT_SIZE];
    bool (*on_event)(void *context, const struct event *event); /* false: that was the last one */
    void *context;
};

void events_init(struct events *events, bool (*on_event)(void *context, const struct event *event),
                 void *context);
void events_finish(struct events *events);

/* Forgets what was not whole, but not the id: for a stream that begins anew. */
void events_restart(struct events *events);

/* False: on_event said so, or there is no memory. */
bool events_feed(struct events *events, const char *bytes, size_t size);

#endif
