/* poll.h - `/poll/<user_id>`: a long poll, for clients that can do no better.
 *
 * Answers at once when something lies after the cursor; else the socket is adopted and waits as a
 * session does, at no cost to anybody, and answers with what comes, or empty when its time is up.
 * A user counts as online for ten seconds more, until the next poll. Worker's thread only. */
#ifndef SESSION_POLL_H
#define SESSION_POLL_H

#include "base/err.h"

struct polls;
struct reactor;
struct request;

/* All polls of a worker. */
struct polls *polls_create(struct reactor *reactor);
/* Every poll has been answered and freed. */
void polls_destroy(struct polls *polls);

/* Answers all that wait; then, where time is up, cuts them off. */
void polls_answer_all(struct polls *polls, enum err reason);
void polls_abort_all(struct polls *polls);

/* The route's serve(); its state is a struct sessions. */
void poll_serve(struct request *request);

#endif
