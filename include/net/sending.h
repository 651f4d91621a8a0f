/* sending.h - one message on its way from a JSON object to the broker.
 *
 * What POST /send-message and the client frame `send` have in common: reading the fields, and what
 * the answer needs. Worker's thread only. The wire is in docs/wire.md. */
#ifndef NET_SENDING_H
#define NET_SENDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/broker.h"
#include "model/idempotency.h"

struct identity;

struct sending_options {
    size_t max_message;
    int64_t ttl_ms; /* the default */
    int64_t ttl_max_ms;
};

/* Why an object is no message. */
struct sending_problem {
    enum err err;
    const char *field; /* or NULL */
    char detail[160];
};

struct sending {
    struct publish publish; /* first: done() finds the rest */
    json_t *body;           /* owned; names are borrowed from it */
    struct buf message;
    struct idempotency_key key;
    bool many; /* it came with `receivers` */
    size_t count;
    struct address *addresses;  /* count of them */
    uint32_t *delivered;        /* likewise */
    struct address one_address; /* where there is but one */
    uint32_t one_delivered;
    void *owner; /* who asked */
};

/* What the object came with. Borrowed, the text until the message is published. */
struct sending_source {
    const char *text; /* the object as it was written */
    size_t size;
    const char *key;            /* from a header, or NULL */
    const struct identity *who; /* may it go there? */
    const char *sender;         /* of who sends; NULL: the object says, unless the identity does */
    size_t sender_length;
    bool is_client; /* a session's own frame: to one user or one channel only */
};

/* Reads an object, which changes hands. 0, and the sending is ready for broker_publish with a
 * done() of the caller's; or the problem is set. Either way sending_finish is due. */
int sending_read(struct sending *ret_sending, json_t *body, const struct sending_source *source,
                 const struct sending_options *options, struct sending_problem *ret_problem);
void sending_finish(struct sending *sending);

/* The sessions it reached, over all its addresses. */
uint64_t sending_delivered(const struct sending *sending);

/* The sentence to a refusal of the broker's. */
const char *sending_advice(enum err err);

#endif
