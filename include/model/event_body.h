/* event_body.h - the body of a message that is an event: a name and its arguments.
 *
 * It is the array that Socket.IO sends, `["order",{"n":1}]`; with attachments a pair, of that array
 * and of a list of their base64 texts: `[["photo",{"_placeholder":true,"num":0}],["AQID"]]`. Either
 * way it is compact JSON, which a store keeps like any other. No state, any thread. */
#ifndef MODEL_EVENT_BODY_H
#define MODEL_EVENT_BODY_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define EVENT_NAME_MAX        128
#define EVENT_ARGS_MAX        64
#define EVENT_ATTACHMENTS_MAX 10

/* Is it a name that Socket.IO has for itself? */
bool event_name_is_of_socketio(const char *name, size_t length);
/* Is it such a name, or one of our own, which begin with `pushwire:`? */
bool event_name_is_reserved(const char *name, size_t length);

/* Its parts as they stand in the body, from which they are borrowed. */
struct event_body {
    const char *array; /* name and arguments: `["order",{"n":1}]` */
    size_t array_length;
    const char *name; /* with its quotes */
    size_t name_length;
    const char *args; /* `{"n":1}`: parted by commas, without brackets */
    size_t args_length;
    const char *attachments; /* `["AQID"]`; NULL: it has none */
    size_t attachments_length;
};

/* False: it is none that event_body_write has written. Asking is safe, whatever the bytes are. */
bool event_body_split(const char *body, size_t length, struct event_body *ret_event);

/* Is it one argument, no more and no less? */
bool event_body_is_single(const struct event_body *event);

/* The body of an event. args: compact JSON, as above; attachments: the list, or NULL. */
void event_body_write(struct buf *buf, const char *name, size_t name_length, const struct buf *args,
                      const struct buf *attachments);

#endif
