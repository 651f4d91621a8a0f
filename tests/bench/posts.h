/* posts.h - the ledger of a run: every message that was posted, what became of it, and all
 * that went wrong. One thread.
 *
 * A message is known by its number, 1 and up, which travels in its text. Its user has
 * "expected" sockets and each must get it once; without any, its business is over with the answer.
 * The order is proved by two things: the ids
 * that the server gave must rise along each socket, and all sockets of a user must see one
 * order. For that each message remembers the one before it on its first socket. */
#ifndef POSTS_H
#define POSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
    uint64_t lost;        /* deliveries that never came */
    uint64_t doubled;     /* deliveries beyond what was expected */
    uint64_t disordered;  /* not in the order of the ids, or not in that of the user's others */
    uint64_t misdirected; /* came to a socket of somebody else */
    uint64_t corrupt;     /* not the bytes that were sent, or not proper WebSocket or HTTP */
    uint64_t miscounted;  /* the answer's "delivered" is not the number of sockets */
    uint64_t refused;     /* answered with another status than expected, or not at all */
    uint64_t closed;      /* connections that the server ended */
};

struct post {
    uint64_t id; /* the server's; 0: not answered yet */
    int64_t due_ns;
    uint32_t user;
    uint32_t expected, arrived;
    uint32_t before; /* the message before it on its user's sockets */
};

struct posts {
    struct post *all; /* by number; all[0] stands for "none" */
    uint32_t count, room;
    uint32_t open;          /* neither answered nor delivered to all */
    uint64_t deliveries;    /* since posts_start_window */
    uint32_t *latencies_ns; /* due to the last delivery, or else the answer; of the window */
    uint32_t latency_count, latency_room;
    uint32_t window_from; /* the first message of the window */
    struct faults faults;
};

void posts_init(struct posts *p);
void posts_finish(struct posts *p);

/* What came before was warm-up: its faults stay counted, its figures do not. */
void posts_start_window(struct posts *p);

/* Returns the new message's number. */
uint32_t posts_add(struct posts *p, uint32_t user, uint32_t expected, int64_t due_ns);

/* The server answered; id 0 is a refusal. True when all of the message's business is over. */
bool posts_answered(struct posts *p, uint32_t number, uint64_t id, uint64_t delivered);

/* The message came to a socket of "user" whose last one is *last, which it becomes. True when
 * all of the message's business is over. */
bool posts_arrived(struct posts *p, uint32_t number, uint32_t user, uint32_t *last);

/* Counts as lost, refused and disordered what is so by now. Once, at the end. */
void posts_settle(struct posts *p);

/* The latency that "share" of the window's messages did not exceed, in microseconds. */
double posts_latency_us(struct posts *p, double share);

uint64_t faults_total(const struct faults *f);

#endif
