/* publish_request.h - one message on its way from a JSON object to the broker.
 *
 * What POST /send-message and the client frame `send` have in common: reading the fields, and what
 * the answer needs. Worker's thread only. The wire is in docs/wire.md. */
#ifndef SESSION_PUBLISH_REQUEST_H
#define SESSION_PUBLISH_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/broker.h"
#include "model/idempotency.h"
#include "session/publish_problem.h"

struct identity;

struct publish_options {
    size_t max_message;
    int64_t ttl_ms; /* the default */
    int64_t ttl_max_ms;
};

struct publish_request {
    struct publish_call publish; /* first: done() finds the rest */
    json_t *body;                /* owned; names are borrowed from it */
    struct buf content;          /* the draft's body, where the object has it not as it is to be */
    struct idempotency_key key;
    bool many; /* it came with `receivers` */
    size_t count;
    struct topic *topics;   /* count of them */
    uint32_t *delivered;    /* likewise */
    struct topic one_topic; /* where there is but one */
    uint32_t one_delivered;
    void *owner; /* who asked */
};

/* What the object came with. Borrowed, the text until the message is published. */
struct publish_source {
    const char *text; /* the object as it was written */
    size_t size;
    const char *key;            /* from a header, or NULL */
    const struct identity *who; /* may it go there? */
    const char *sender;         /* of who sends; NULL: the object says, unless the identity does */
    size_t sender_length;
    bool is_client; /* a session's own frame: to one user or one channel only */
};

/* Reads an object, which changes hands. 0, and the publish request is ready for broker_publish with
 * a done() of the caller's; or the problem is set. Either way publish_request_finish is due. */
int publish_request_read(struct publish_request *ret_request, json_t *body,
                         const struct publish_source *source, const struct publish_options *options,
                         struct publish_problem *ret_problem);
void publish_request_finish(struct publish_request *publish_request);

/* The sessions it reached, over all its topics. */
uint64_t publish_request_delivered(const struct publish_request *publish_request);

/* The sentence to a refusal of the broker's. */
const char *publish_request_advice(enum err err);

#endif
