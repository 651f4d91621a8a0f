/* response.h - what goes back for a request: its status, its fields, its bytes.
 *
 * Made once, either as a response of libmicrohttpd's, or written out for a socket that was taken
 * over from it. It knows nothing of the connection. Worker's thread only. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RESPONSE_MAX_FIELDS      6
#define RESPONSE_REQUEST_ID_SIZE 65

struct MHD_Response;
struct buf;

struct response {
    struct MHD_Response *mhd_response; /* owned; NULL: not made */
    int status;
    enum err err;       /* what was refused, for log and metrics */
    const char *origin; /* allowed, and to be told so; or NULL */
    bool credentials;   /* that origin may send what the browser has of them */
    bool varies;        /* even without an Origin another one would get another answer */
    struct {
        const char *name;
        const char *value;
    } fields[RESPONSE_MAX_FIELDS];
    size_t field_count;
    char request_id[RESPONSE_REQUEST_ID_SIZE];
};

/* Adds a field to the response to come. name and value live until then. */
void response_add_field(struct response *response, const char *name, const char *value);

/* Makes the response of these bytes, which change hands; content_type may be NULL. False: out of
 * memory. */
bool response_make(struct response *response, int status, const char *content_type,
                   struct buf *body);
/* The same with bytes that live for ever. */
bool response_make_static(struct response *response, int status, const char *content_type,
                          const void *body, size_t size);
/* A file that is read while it is sent. */
struct response_file {
    int fd; /* changes hands */
    uint64_t size;
    void (*on_read)(void *reader); /* some of it was wanted */
    void *reader;
    void (*on_closed)(void *owner); /* it is over, however it went */
    void *owner;
};

/* The same, with 200. False: out of memory, and it was closed. */
bool response_make_file(struct response *response, const char *content_type,
                        const struct response_file *file);
/* The connection will not be used again: says it in the response. */
void response_say_close(struct response *response);
/* Lets the response go, if there is one. */
void response_finish(struct response *response);

/* A problem (RFC 9457) is a body of this type. field: the one it is about, or NULL. */
#define RESPONSE_PROBLEM_TYPE "application/problem+json"
void response_write_problem(const struct response *response, struct buf *buf, enum err err,
                            const char *field, const char *detail);

/* Nothing on the way may hold an event stream back to pack it. */
#define RESPONSE_STREAM_TYPE  "text/event-stream"
#define RESPONSE_STREAM_CACHE "no-store, no-transform"

/* The head of an answer that ends with the connection; fields may follow. */
void response_write_head(const struct response *response, struct buf *buf, int status,
                         const char *content_type);

#endif
