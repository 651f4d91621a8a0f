#include "socketio/engine.h"

#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "engine/reactor.h"
#include "model/message.h"
#include "session/sessions.h"
#include "socketio/engine_poll.h"
#include "socketio/engine_state.h"

/* ---- out ---- */

void engine_have_news(struct engine *engine)
{
    if (!engine->poll || !list_empty(&engine->news))
        return;
    list_append(&engine->all->news, &engine->news);
    reactor_again(engine->all->sessions->reactor);
}

/* Who does not come to fetch what there is holds no more than this. */
static bool queue(struct engine *engine, struct chunk *frames)
{
    if (engine->queue.size > engine->all->limits.max_queued) {
        engine_fail(engine, ERR_STALLED);
        return false;
    }
    engine_have_news(engine);
    return engine_queue_add(&engine->queue, frames);
}

bool engine_send(struct engine *engine, struct chunk *frames)
{
    if (engine->closed)
        return false;
    struct chunk *chunk = engine->text_only ? engine_frames_as_text(frames) : frame_ref(frames);
    bool sent = chunk && (engine->socket ? websocket_send(&engine->socket->websocket, chunk)
                                         : queue(engine, chunk));
    frame_unref(chunk);
    if (!sent)
        engine_fail(engine, ERR_OUT_OF_MEMORY);
    return sent;
}

struct chunk *engine_frame_packet(enum engine_packet_type type, const void *text, size_t size)
{
    char *payload;
    struct chunk *frame = websocket_frame(WEBSOCKET_TEXT, 1 + size, &payload);
    if (!frame)
        return NULL;
    payload[0] = (char)('0' + type);
    if (size)
        memcpy(payload + 1, text, size);
    return frame;
}

static struct chunk *frame_bytes(const void *data, size_t size)
{
    char *payload;
    struct chunk *frame = websocket_frame(WEBSOCKET_BINARY, size, &payload);
    if (frame && size)
        memcpy(payload, data, size);
    return frame;
}

bool engine_send_message(struct engine *engine, bool binary, const void *data, size_t size)
{
    struct chunk *frame =
        binary ? frame_bytes(data, size) : engine_frame_packet(ENGINE_MESSAGE, data, size);
    bool sent = frame && engine_send(engine, frame);
    if (!frame)
        engine_fail(engine, ERR_OUT_OF_MEMORY);
    frame_unref(frame);
    return sent;
}

size_t engine_queued(const struct engine *engine)
{
    return engine->socket ? stream_queued(&engine->socket->websocket.stream) : engine->queue.size;
}

void engine_say_drained(struct engine *engine)
{
    if (!engine->closed && engine->all->role->on_drained)
        engine->all->role->on_drained(engine);
}

/* ---- polls ---- */

void engine_write_payload(struct engine *engine, struct buf *payload)
{
    engine_queue_empty(&engine->queue, payload);
    if (!payload->size && engine->probe)
        engine_packet_write(payload, ENGINE_NOOP, NULL, 0);
}

void engine_answer(struct engine *engine, struct buf *payload)
{
    struct engine_poll *poll = engine->poll;
    engine->poll = NULL;
    list_remove(&engine->news);
    engine_poll_answer(poll, payload);
}

void engine_answer_packet(struct engine *engine, enum engine_packet_type type)
{
    struct buf payload;
    if (!engine->poll)
        return;
    buf_init(&payload);
    engine_packet_write(&payload, type, NULL, 0);
    engine_answer(engine, &payload);
}

void engine_refuse(struct engine *engine, enum engine_refusal refusal)
{
    struct engine_poll *poll = engine->poll;
    if (!poll)
        return;
    engine->poll = NULL;
    list_remove(&engine->news);
    engine_poll_refuse(poll, refusal);
}

/* ---- closing ---- */

void engine_fail(struct engine *engine, enum err reason)
{
    if (engine->closed || engine->failure)
        return;
    engine->failure = (uint8_t)reason;
    list_append(&engine->all->failing, &engine->failing);
    reactor_again(engine->all->sessions->reactor);
}

/* The socket's on_closing finds nobody. */
static void release(struct engine_socket *socket, enum err reason)
{
    if (!socket)
        return;
    socket->engine = NULL;
    if (!socket->is_closing)
        websocket_close(&socket->websocket, reason);
}

/* A client that goes sends its word and its next poll side by side, and either may be the first to
 * come here. */
static void part(struct engine *engine)
{
    engine->parting = true;
    list_append(&engine->all->open, &engine->link);
    engine_state_start(engine->all, &engine->heartbeat, ENGINE_PARTING_DUE,
                       engine_state_now(engine->all));
}

static void leave(struct engine *engine)
{
    struct engines *engines = engine->all;
    map_remove(&engines->by_sid, hash_bytes(engine->sid, ENGINE_SID_SIZE - 1), engine);
    list_append(&engines->dead, &engine->link);
    reactor_again(engines->sessions->reactor);
}

void engine_close(struct engine *engine, enum err reason)
{
    bool goes = reason == ERR_PEER_CLOSED;
    if (engine->closed)
        return;
    engine->closed = true;
    list_remove(&engine->heartbeat.link);
    list_remove(&engine->upgrade.link);
    list_remove(&engine->failing);
    list_remove(&engine->link);
    if (engine->all->role->on_closing)
        engine->all->role->on_closing(engine, reason);
    if (goes && !engine->poll && !engine->socket)
        part(engine);
    else
        leave(engine);
    /* Who said that it goes has nothing to be told but that. */
    engine_answer_packet(engine, goes ? ENGINE_NOOP : ENGINE_CLOSE);
    if (engine->socket)
        engine->socket->is_session = true;
    release(engine->socket, reason);
    release(engine->probe, reason);
    engine_queue_clear(&engine->queue);
}

void engine_forget(struct engine *engine)
{
    engine->parting = false;
    list_remove(&engine->heartbeat.link);
    list_remove(&engine->link);
    leave(engine);
}

/* ---- in ---- */

void engine_take(struct engine *engine, const struct engine_packet *packet)
{
    struct engines *engines = engine->all;
    switch (packet->type) {
    case ENGINE_CLOSE:
        engine_close(engine, ERR_PEER_CLOSED);
        break;
    case ENGINE_PING: /* it is the server who pings */
        engine_close(engine, ERR_BAD_FRAME);
        break;
    case ENGINE_PONG:
        engine_state_start(engines, &engine->heartbeat, ENGINE_PING_DUE, engine_state_now(engines));
        break;
    case ENGINE_MESSAGE:
        engines->role->on_message(engine, packet->binary, packet->data, packet->size);
        break;
    case ENGINE_OPEN:
    case ENGINE_UPGRADE:
    case ENGINE_NOOP:
        break;
    }
}

bool engine_take_text(struct engine *engine, const char *text, size_t size)
{
    struct engine_packet packet;
    int err = engine_packet_read(text, size, &engine->all->room, &packet);
    if (err)
        engine_close(engine, (enum err)err);
    else
        engine_take(engine, &packet);
    return !err;
}
