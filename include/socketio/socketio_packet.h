/* socketio_packet.h - the packets of the Socket.IO protocol, revision 5.
 *
 * A packet is the text of an Engine.IO message, `2/chat,7["hello",1]`: type, namespace,
 * acknowledgement, JSON. Bytes among its arguments stand there as placeholders and follow as binary
 * messages, which an assembly collects. Bounded in its number of attachments and their bytes. No
 * I/O; any thread. */
#ifndef SOCKETIO_SOCKETIO_PACKET_H
#define SOCKETIO_SOCKETIO_PACKET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/event_body.h"

#define SOCKETIO_MAX_ATTACHMENTS EVENT_ATTACHMENTS_MAX

enum socketio_type {
    SOCKETIO_CONNECT,
    SOCKETIO_DISCONNECT,
    SOCKETIO_EVENT,
    SOCKETIO_ACK,
    SOCKETIO_CONNECT_ERROR,
};

struct socketio_packet {
    enum socketio_type type;
    const char *space; /* the namespace with its slash; not NUL-terminated */
    size_t space_length;
    bool has_ack;
    uint64_t ack;
    unsigned attachments; /* of an event or an acknowledgement */
    const char *text;     /* its JSON, as it was written; size 0: none */
    size_t size;
};

/* ---- in ---- */

/* Reads a packet, which borrows the text; *ret_json is its JSON, owned, or NULL where there is
 * none. It is proper: an event is a list that begins with a free name, or a number, and has no
 * placeholder without an attachment. 0, ERR_BAD_FRAME or ERR_OUT_OF_MEMORY. */
int socketio_packet_read(const char *text, size_t size, struct socketio_packet *ret_packet,
                         json_t **ret_json);

/* An event's arguments, as they were written, with commas between them and nothing around: what
 * follows its name in the list. */
const char *socketio_packet_arguments(const struct socketio_packet *event, size_t *ret_size);

/* A packet whose attachments are on their way. */
struct socketio_assembly {
    struct socketio_packet packet; /* its texts are in `text` */
    json_t *json;                  /* owned */
    char *text;                    /* owned */
    struct buf attachments[SOCKETIO_MAX_ATTACHMENTS];
    unsigned count; /* of those that have come */
    size_t size;    /* bytes that have come, with the text's */
    size_t max_size;
};

/* Takes over a packet with attachments; its texts are copied, json changes hands, also where there
 * is no memory: NULL. */
struct socketio_assembly *socketio_assembly_create(const struct socketio_packet *packet,
                                                   json_t *json, size_t max_size);
/* NULL is fine. */
void socketio_assembly_destroy(struct socketio_assembly *assembly);
/* The next attachment has come. What is beyond max_size is only counted. False: out of memory. */
bool socketio_assembly_take(struct socketio_assembly *assembly, const void *bytes, size_t size);
bool socketio_assembly_is_whole(const struct socketio_assembly *assembly);
bool socketio_assembly_is_too_large(const struct socketio_assembly *assembly);

/* ---- out ---- */

/* Adds the packet's text, without the Engine.IO digit; what else belongs to its JSON may follow. */
void socketio_packet_write(struct buf *buf, const struct socketio_packet *packet);

#endif
