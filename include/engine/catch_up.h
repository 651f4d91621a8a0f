/* catch_up.h - opens and closes sessions, and brings those that are behind up to date.
 *
 * One mechanism serves reconnects, slow readers and history: a session that is behind reads pages
 * from the broker after its cursor, as fast as its socket drains; when a page comes back short and
 * nothing was noted meanwhile it is live. One for each worker, on its thread. The rules (a) to (g)
 * that make this right stand in docs/design.md. */
#ifndef ENGINE_CATCH_UP_H
#define ENGINE_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/topic.h"

struct broker;
struct catch_up;
struct connection_manager;
struct metrics;
struct session;

#define CATCH_UP_MAX_CHANNELS 1000 /* of one session; the configuration allows fewer */

struct catch_up_limits {
    size_t sessions_per_user;
    size_t channels_per_session; /* at most CATCH_UP_MAX_CHANNELS */
    size_t channels;             /* at this worker; joining others at one is always fine */
};

struct catch_up *catch_up_create(struct connection_manager *manager, struct broker *broker,
                                 int member, struct metrics *metrics,
                                 const struct catch_up_limits *limits);
/* By then every session is closed; pages still on their way are awaited by the worker. */
void catch_up_destroy(struct catch_up *catch_up);

/* Where a session's stream begins; borrowed for the call. */
struct catch_up_start {
    struct topic user;
    const struct topic *channels;
    size_t channel_count;
    bool has_after;
    uint64_t after;
    const char *device; /* known to the broker; NULL: none */
    size_t device_length;
};

/* Attaches a session that session_init prepared and watches its topics. With `after` it starts
 * behind that cursor, else live at head; session->cursor tells where. Nothing is delivered before
 * this returns. ERR_TOO_MANY_SESSIONS_OF_USER, ERR_TOO_MANY_CHANNELS or ERR_OUT_OF_MEMORY: it stays
 * closed. */
int catch_up_open(struct catch_up *catch_up, struct session *session,
                  const struct catch_up_start *start);

/* Adds a channel to an open session's stream, from now on; it may be there already.
 * ERR_TOO_MANY_CHANNELS or ERR_OUT_OF_MEMORY: nothing changed. */
int catch_up_subscribe(struct catch_up *catch_up, struct session *session,
                       const struct topic *channel);
/* False: it was not subscribed. */
bool catch_up_unsubscribe(struct catch_up *catch_up, struct session *session,
                          const struct topic *channel);

/* The session's device has everything up to this id. ERR_BAD_FRAME: it has none; ERR_BAD_FIELD: the
 * session was not given that much; ERR_OUT_OF_MEMORY. */
int catch_up_ack(struct catch_up *catch_up, struct session *session, uint64_t id);

/* Detaches; the session may be freed afterwards. Twice is fine. */
void catch_up_close(struct catch_up *catch_up, struct session *session);

/* The transport's word that the session's socket took something. */
void catch_up_drained(struct catch_up *catch_up, struct session *session);

/* Something may have been missed: every live session reads on from its cursor. */
void catch_up_resync(struct catch_up *catch_up);

/* Issues a few of the reads that wait, in fair order. */
void catch_up_run(struct catch_up *catch_up);
/* Could catch_up_run issue more now? */
bool catch_up_waiting(const struct catch_up *catch_up);

/* Pages on their way from the broker. */
size_t catch_up_in_flight(const struct catch_up *catch_up);

#endif
