/* wire_json.h - what a receiver hears, as JSON, whichever way it comes.
 *
 * Each function adds one whole object to a buffer; what a transport puts around it (a WebSocket's
 * frame, the lines of an event stream, a page of a poll) is the transport's. The wire is in
 * docs/wire.md. Any thread. */
#ifndef SESSION_WIRE_JSON_H
#define SESSION_WIRE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;
struct identity;
struct message;
struct publish_request;
struct session;
struct topic;

/* ---- messages ---- */

void wire_json_message(struct buf *buf, const struct message *message);
/* In the place of a message that its reader cannot take. */
void wire_json_outline(struct buf *buf, const struct message *message);

/* Adds a message to a page's, which are parted by commas; its outline, if it is larger than max,
 * where 0 is no limit. */
void wire_json_add_to_page(struct buf *messages, const struct message *message, size_t max);

struct wire_page {
    const struct buf *messages;
    uint64_t next; /* the cursor to go on with */
    bool more;     /* there is more after it */
    uint64_t after;
    uint64_t resumes; /* what lay between after and this may be lost; 0: there is no gap */
};

/* The answer to a poll, with a line end. */
void wire_json_page(struct buf *buf, const struct wire_page *page);

/* ---- the life of a session ---- */

/* who: until when the session may stay, is said; NULL: nothing is said of it. */
void wire_json_welcome(struct buf *buf, const struct session *session, const struct topic *user,
                       int64_t heartbeat_seconds, const struct identity *who);
void wire_json_renewed(struct buf *buf, const struct identity *who);
/* channel NULL: of all the session hears. */
void wire_json_gap(struct buf *buf, uint64_t after, uint64_t resumes, const struct topic *channel);
void wire_json_bye(struct buf *buf, enum err reason, int64_t retry_ms);

/* ---- answers to a client's frames ---- */

void wire_json_pong(struct buf *buf);
void wire_json_subscribed(struct buf *buf, const struct topic *channel);
void wire_json_unsubscribed(struct buf *buf, const struct topic *channel);

/* ref: the client's own word for its frame, or its number, which is repeated; anything else, and
 * NULL, is not. */
void wire_json_sent(struct buf *buf, const struct publish_request *sent, const json_t *ref);
void wire_json_error(struct buf *buf, enum err err, const char *detail, const json_t *ref);

#endif
