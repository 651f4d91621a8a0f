/* deadlines.h - until when each HTTP connection must have come further.
 *
 * libmicrohttpd's own timeout is for silence; these are absolute, so a client that sends a byte a
 * second is late as well. A connection is in one phase; each phase has one constant limit, so its
 * connections stand in the order they fall due and only list heads are looked at. Time is an
 * argument. Worker's thread only. */
#ifndef HTTP_DEADLINES_H
#define HTTP_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum deadline_phase {
    DEADLINE_FIRST_HEAD, /* accepted; its first head is not whole */
    DEADLINE_NEXT_HEAD,  /* kept alive; between an answer and the next head */
    DEADLINE_BODY,       /* from the head to the body's end */
    DEADLINE_ANSWER,     /* from the answer to its last byte */
    DEADLINE_WAIT,       /* from the question to the broker to its answer */
    DEADLINE_LINGER,     /* from an answer that came before the body's end to that end */
    DEADLINE_PHASES
};

struct MHD_Connection;
struct request;

struct deadline { /* of one connection */
    struct list link;
    int64_t due_ms;
    enum deadline_phase phase;
    int fd;                            /* borrowed */
    struct MHD_Connection *connection; /* the listener's to fill in */
    /* parking.c's: of a body on its way, when last looked at */
    uint64_t calls;
    uint64_t taken; /* at least */
    bool lay;       /* something that was not taken */
    bool looked_at;
    bool parked;
    struct request *request; /* from the head to the answer: whose */
};

struct deadlines {
    struct list by_phase[DEADLINE_PHASES];
    int64_t limit_ms[DEADLINE_PHASES];
    int64_t frozen_ms; /* forgiven so far: that much later is now for the lists */
    size_t count;
};

/* limit_ms by phase. */
void deadlines_init(struct deadlines *deadlines, const int64_t limit_ms[static DEADLINE_PHASES]);

void deadlines_add(struct deadlines *deadlines, struct deadline *deadline, int fd, int64_t now_ms);
void deadlines_move(struct deadlines *deadlines, struct deadline *deadline,
                    enum deadline_phase phase, int64_t now_ms);
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);

/* For so long nobody could be heard, since this process stood still: everybody gets it back. */
void deadlines_forgive(struct deadlines *deadlines, int64_t frozen_ms);

/* Visits those that came into this phase at since_ms or later. visit() changes nothing here. */
void deadlines_visit_recent(const struct deadlines *deadlines, enum deadline_phase phase,
                            int64_t since_ms, void (*visit)(const struct deadline *deadline));

/* One that is late, taken off its list (it stays counted); NULL: nobody is. */
struct deadline *deadlines_take_late(struct deadlines *deadlines, int64_t now_ms);

/* Who can be let go when there is no room, taken off its list: the connection that has been kept
 * alive longest without a request, else one that has said nothing since it came, a second ago or
 * more. NULL: nobody. */
struct deadline *deadlines_take_idle(struct deadlines *deadlines, int64_t now_ms);

/* Has a single byte come on this connection? Browsers open some in case they need them. */
bool deadline_heard(const struct deadline *deadline);

/* Bytes that lie in the kernel and were not taken yet. */
int deadline_unread(const struct deadline *deadline);
/* Bytes that ever came. False: the kernel does not say (a Unix socket). */
bool deadline_received(const struct deadline *deadline, uint64_t *ret_bytes);

#endif
