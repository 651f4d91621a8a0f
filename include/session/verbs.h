/* verbs.h - what a client may say to its session: ping, subscribe, unsubscribe, send, ack, auth.
 *
 * A JSON object each, as docs/wire.md has them, however it came; the answers are objects as well,
 * and go back through client_ops. Worker's thread only. */
#ifndef SESSION_VERBS_H
#define SESSION_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/session.h"
#include "socket/stream.h"

struct buf;
struct client;
struct identity;
struct sessions;
struct topic;

/* What a protocol whose clients speak does for them, besides delivering. Its session's ops are the
 * first member of these. */
struct client_ops {
    struct session_ops session;
    /* Sends an answer, and empties the buffer. */
    void (*reply)(struct client *client, struct buf *body);
    /* So many bytes go to the broker: *ret_held counts them until they are answered. False: too
     * many are on their way already. */
    bool (*hold)(struct client *client, size_t size, size_t *ret_held);
    /* The broker has answered. client NULL: it has left meanwhile. */
    void (*release)(struct sessions *sessions, struct client *client, size_t *held);
    /* As stream_peer. */
    void (*peer)(const struct client *client, char ret_peer[static STREAM_PEER_SIZE]);
};

/* What a client said. */
struct client_frame {
    struct client *client;
    json_t *object;
    const char *text; /* as it was written */
    size_t size;
};

/* For an open client; every object is answered, with an error where it is not understood. */
void verbs_serve(const struct client_frame *frame);

/* ---- for a client that is still to open ---- */

void verbs_answer_error(const struct client_frame *frame, enum err err, const char *detail);
/* Whose token does the frame bring? 0, and *ret_who, owned; or why not, with words for the log. */
int verbs_identify(const struct client_frame *frame, struct identity **ret_who,
                   const char **ret_why);
/* Notes that the token was refused for the user. */
void verbs_log_refusal(const struct client_frame *frame, const struct topic *user, enum err err,
                       const char *why);

#endif
