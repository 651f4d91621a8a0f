/* session.h - one receiving connection of one user, whatever it speaks.
 *
 * Embedded in the transport's own struct and driven through session_ops. A session is live (a
 * message is queued at once and moves its cursor) or behind (it reads pages after its cursor; a
 * new message only leaves the note "there is more"). This module holds the state and the one rule
 * of delivery; who reads pages and when is catch_up's business (engine). Belongs to its worker's
 * thread. */
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/metrics.h"

struct listeners;
struct message;
struct session;
struct topic;

/* What a transport does. None of these frees the session: that takes effect on a later turn of the
 * loop. close detaches it at once, and so do deliver and tell_gap where they fail: who walks over
 * sessions has the next one in hand before it calls. */
struct session_ops {
    const char *transport; /* what it is called where sessions are told of */
    uint8_t protocol;      /* which counters of struct metrics are its own */
    /* Queues the message's frame. False: out of memory, and the session closes itself. */
    bool (*deliver)(struct session *session, struct message *message);
    /* Tells that what lay between `after` and `resumes` may be lost; of one channel only, or of all
     * (NULL). False: the session ended because of it. */
    bool (*tell_gap)(struct session *session, uint64_t after, uint64_t resumes,
                     const struct topic *channel);
    /* Bytes that wait for the socket. */
    size_t (*queued)(const struct session *session);
    void (*close)(struct session *session, enum err reason);
};

enum session_state {
    SESSION_CLOSED, /* not attached: before opening and from closing on */
    SESSION_LIVE,
    SESSION_BEHIND,
};

/* A channel of a session. Made and freed by the connection manager. */
struct subscription {
    struct list link; /* among the channel's listeners */
    struct listeners *listeners;
    struct session *session;
    struct subscription *next; /* of the same session */
    uint64_t from;             /* head when it was made: what came before is not for it */
    uint64_t told;             /* as the session's own */
};

/* What few sessions have. */
struct session_cold {
    uint64_t told;     /* losses among own mail up to here are known or were told */
    uint64_t all_told; /* the same for broadcasts */
    char *device;      /* owned; NULL: none */
};

struct session {
    const struct session_ops *ops;
    uint64_t id;
    uint64_t cursor;
    struct subscription *channels; /* the connection manager's */
    struct session_cold *cold;     /* catch_up's, while attached; NULL: all of it is 0 */
    struct list link;              /* connection_manager: all sessions of this worker */
    struct list user_link;         /* connection_manager: sessions of this user */
    struct list waiting;           /* catch_up: wants to read a page */
    struct listeners *user;        /* borrowed from the connection manager while attached */
    uint32_t opened_at_s;          /* wall clock */
    uint32_t queue_high : 28;      /* bytes; above it a live session falls behind */
    uint32_t state : 2;            /* enum session_state */
    uint32_t more : 1;             /* the note: something came while behind */
    uint32_t reading : 1;          /* a page is on its way */
};

enum session_offer {
    SESSION_IGNORED,     /* not for it, or it has it already */
    SESSION_NOTED,       /* behind: it will read it */
    SESSION_DELIVERED,   /* queued */
    SESSION_FELL_BEHIND, /* queued, and the queue is above its mark now */
};

/* Sets everything but ops, id and queue_high, which the transport fills in. */
void session_init(struct session *session);

/* The name of its device, or NULL. */
const char *session_device(const struct session *session);

/* The one rule of delivery to one session. Messages must come with rising ids. */
enum session_offer session_offer(struct session *session, struct message *message);

/* The same for a message of a page; moves the cursor. False: the session ended meanwhile. */
bool session_replay(struct session *session, struct message *message);

/* The one door out; safe to call twice. */
void session_close(struct session *session, enum err reason);

/* 16 hex digits and a NUL. */
#define SESSION_ID_TEXT_SIZE 17
void session_format_id(uint64_t id, char ret_text[static SESSION_ID_TEXT_SIZE]);

#endif
