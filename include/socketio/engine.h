/* engine.h - a connection of Engine.IO: packets over polls, over a WebSocket, or first the one and
 * then the other.
 *
 * What the messages mean is a role's business. All connections of a worker stand in a struct
 * engines (engines.h); who serves their requests is engine_requests.h. Closing takes effect at
 * once, the memory goes at the end of the turn. Worker's thread only. */
#ifndef SOCKETIO_ENGINE_H
#define SOCKETIO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "socketio/engine_packet.h"
#include "socketio/engine_queue.h"
#include "socketio/engine_refusal.h"
#include "socketio/engine_timers.h"

struct buf;
struct chunk;
struct engine;
struct engine_poll;
struct engine_socket;
struct request;
struct engines;

/* ---- what the messages mean ---- */

struct engine_role {
    size_t size; /* of what embeds a struct engine, as its first member, and begins as zeros */
    /* It is there, by this request; what is sent now follows its greeting. NULL: of no interest. */
    void (*on_open)(struct engine *engine, struct request *request);
    /* A message: text, which is UTF-8, or bytes. */
    void (*on_message)(struct engine *engine, bool binary, const char *data, size_t size);
    /* Its carrier took something. NULL: of no interest. */
    void (*on_drained)(struct engine *engine);
    /* Said exactly once; nothing can be sent any more. NULL: of no interest. */
    void (*on_closing)(struct engine *engine, enum err reason);
    /* Nothing refers to it any more; its memory goes right after. NULL: there is nothing to do. */
    void (*finish)(struct engine *engine);
};

/* Embedded first in what a role keeps; the fields belong to the modules of
 * this wing. */
struct engine {
    struct engines *all;
    struct list link; /* among all that are open, or among the dead */
    struct list news; /* it has an answer for its poll */
    struct list failing;
    struct engine_timer heartbeat;
    struct engine_timer upgrade;
    struct engine_queue queue;    /* waits for a poll */
    struct engine_poll *poll;     /* waits for an answer; or NULL */
    struct engine_socket *socket; /* the carrier, once there is one; or NULL: polls are */
    struct engine_socket *probe;  /* that would like to be; or NULL */
    uint8_t failure;              /* enum err, by engine_fail */
    bool closed;
    bool parting;   /* closed by its client, whose poll may still be on its way */
    bool text_only; /* the client asked for base64 */
    char sid[ENGINE_SID_SIZE];
};

/* Sends what is ready: whole WebSocket frames, each with a packet, text or bytes. False: closed, or
 * it fails, because it took nothing for too long or there was no memory. */
bool engine_send(struct engine *engine, struct chunk *frames);
/* Sends one message. */
bool engine_send_message(struct engine *engine, bool binary, const void *data, size_t size);
/* Bytes that wait for its carrier. */
size_t engine_queued(const struct engine *engine);
/* For who cannot close where it stands (in the middle of a delivery): it closes at the end of the
 * turn.
 */
void engine_fail(struct engine *engine, enum err reason);
/* Twice is fine. */
void engine_close(struct engine *engine, enum err reason);

/* ---- for its carriers ---- */

/* One that is parting: its client's last poll was answered, or comes no more. */
void engine_forget(struct engine *engine);

/* A packet of the client's. */
void engine_take(struct engine *engine, const struct engine_packet *packet);
/* The same as text. False: it was no packet, and the connection is closed. */
bool engine_take_text(struct engine *engine, const char *text, size_t size);
/* Its carrier took something. */
void engine_say_drained(struct engine *engine);

/* The payload for a poll: what waits; or, while a WebSocket is about to take over, a packet that
 * says nothing, since then no poll is to wait. */
void engine_write_payload(struct engine *engine, struct buf *payload);
/* The poll that waits, if there is one, is to be answered at the end of the turn. */
void engine_have_news(struct engine *engine);
/* Answers the poll that waits with a payload, which is emptied; or, if there is one, with a packet.
 */
void engine_answer(struct engine *engine, struct buf *payload);
void engine_answer_packet(struct engine *engine, enum engine_packet_type type);
/* Refuses it, if there is one. */
void engine_refuse(struct engine *engine, enum engine_refusal refusal);

/* A ready frame of a packet. NULL: out of memory. */
struct chunk *engine_frame_packet(enum engine_packet_type type, const void *text, size_t size);

#endif
