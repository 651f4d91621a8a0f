/* answer.h - what goes back for a request: its status, its fields, its bytes.
 *
 * Made once, either as a response of libmicrohttpd's, or written out for a socket that was taken
 * over from it. It knows nothing of the connection. Worker's thread only. */
#ifndef NET_ANSWER_H
#define NET_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define ANSWER_MAX_FIELDS      6
#define ANSWER_REQUEST_ID_SIZE 65

struct MHD_Response;
struct buf;

struct answer {
    struct MHD_Response *response; /* owned; NULL: not made */
    int status;
    enum err err;       /* what was refused, for log and metrics */
    const char *origin; /* allowed, and to be told so; or NULL */
    bool credentials;   /* that origin may send what the browser has of them */
    bool varies;        /* even without an Origin another one would get another answer */
    struct {
        const char *name;
        const char *value;
    } fields[ANSWER_MAX_FIELDS];
    size_t field_count;
    char request_id[ANSWER_REQUEST_ID_SIZE];
};

/* Adds a field to the response to come. name and value live until then. */
void answer_add_field(struct answer *answer, const char *name, const char *value);

/* Makes the response of these bytes, which change hands; content_type may be NULL. False: out of
 * memory. */
bool answer_make(struct answer *answer, int status, const char *content_type, struct buf *body);
/* The same with bytes that live for ever. */
bool answer_make_static(struct answer *answer, int status, const char *content_type,
                        const void *body, size_t size);
/* The connection will not be used again: says it in the response. */
void answer_say_close(struct answer *answer);
/* Lets the response go, if there is one. */
void answer_finish(struct answer *answer);

/* A problem (RFC 9457) is a body of this type. field: the one it is about, or NULL. */
#define ANSWER_PROBLEM_TYPE "application/problem+json"
void answer_write_problem(const struct answer *answer, struct buf *buf, enum err err,
                          const char *field, const char *detail);

/* Nothing on the way may hold an event stream back to pack it. */
#define ANSWER_STREAM_TYPE  "text/event-stream"
#define ANSWER_STREAM_CACHE "no-store, no-transform"

/* The head of an answer that ends with the connection; fields may follow. */
void answer_write_head(const struct answer *answer, struct buf *buf, int status,
                       const char *content_type);

#endif
