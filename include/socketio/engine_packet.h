/* engine_packet.h - the packets of Engine.IO 4, as text and as payloads.
 *
 * A packet is a digit and its data; bytes are a binary frame where the transport has such, else `b`
 * and base64. A payload, the body of a poll or of a POST, is packets parted by the byte 0x1e. No
 * I/O, no state; any thread. */
#ifndef SOCKETIO_ENGINE_PACKET_H
#define SOCKETIO_ENGINE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum engine_packet_type {
    ENGINE_OPEN,
    ENGINE_CLOSE,
    ENGINE_PING,
    ENGINE_PONG,
    ENGINE_MESSAGE,
    ENGINE_UPGRADE,
    ENGINE_NOOP,
};

struct engine_packet {
    enum engine_packet_type type;
    bool binary; /* a message of bytes */
    const char *data;
    size_t size;
};

/* ---- in ---- */

/* Reads one packet, in the form that text has. Bytes are decoded into `room`, whose contents they
 * replace; all else is borrowed from the text. 0, ERR_BAD_FRAME or ERR_OUT_OF_MEMORY. */
int engine_packet_read(const char *text, size_t size, struct buf *room,
                       struct engine_packet *ret_packet);

/* Cuts the first packet's text off a payload, which has at least one, if an empty one. False: there
 * was none left. */
struct engine_payload {
    const char *at; /* NULL: after the last one */
    const char *end;
};
void engine_payload_begin(struct engine_payload *payload, const char *bytes, size_t size);
bool engine_payload_next(struct engine_payload *payload, const char **ret_text, size_t *ret_size);

/* ---- out ---- */

void engine_packet_write(struct buf *buf, enum engine_packet_type type, const void *text,
                         size_t size);
/* A message of bytes, in the form that text has. */
void engine_packet_write_bytes(struct buf *buf, const void *bytes, size_t size);

struct engine_greeting {
    const char *sid;
    bool may_upgrade;
    int64_t ping_interval_ms;
    int64_t ping_timeout_ms;
    uint64_t max_payload;
};
/* The packet that opens a connection. */
void engine_packet_write_open(struct buf *buf, const struct engine_greeting *greeting);

/* Takes the first packet off whole WebSocket frames of ours, which are never fragmented: text, or
 * the bytes of a message. False: there was none left. */
struct engine_frames {
    const char *at;
    const char *end;
};
bool engine_frames_next(struct engine_frames *frames, bool *ret_text, const char **ret_data,
                        size_t *ret_size);
/* Adds what stands in such frames to a payload: so what is ready for a WebSocket is ready for a
 * poll. */
void engine_payload_add_frames(struct buf *payload, const char *frames, size_t size);

/* ---- names ---- */

/* The name of a connection: a secret of 114 bits behind the number of the worker that has it. 20
 * characters of base64url and a NUL. */
#define ENGINE_SID_SIZE    21
#define ENGINE_SID_WORKERS 64
void engine_sid_make(int worker, char ret_sid[static ENGINE_SID_SIZE]);
/* Whose is it? -1: it has not the form of one. */
int engine_sid_worker(const char *sid);

#endif
