#include "socketio/engine_socket.h"

#include <stdlib.h>
#include <string.h>

#include "model/connection_limits.h"
#include "model/message.h"
#include "session/sessions.h"
#include "socketio/engine.h"
#include "socketio/engine_state.h"

#define PROBE "probe"

static struct engine_socket *from_websocket(struct websocket *websocket)
{
    return (struct engine_socket *)websocket;
}

/* ---- one that would like to be the carrier ---- */

static bool is_packet(const char *text, size_t size, enum engine_packet_type type, const char *data)
{
    return size == 1 + strlen(data) && text[0] == '0' + (char)type &&
           memcmp(text + 1, data, size - 1) == 0;
}

/* The polls end here: what waits for one goes over to the WebSocket. A client has none on its way
 * by then; one that was sent after this word, and came before it, is refused as if it had come
 * after. */
static void take_over(struct engine *engine)
{
    struct engine_socket *socket = engine->probe;
    engine->probe = NULL;
    engine->socket = socket;
    list_remove(&engine->upgrade.link);
    socket->is_probe = false;
    connection_limits_give_socket(engine->all->sessions->connection_limits);
    engine_refuse(engine, ENGINE_BAD_REQUEST);
    bool sent = true;
    for (struct chunk *frames; sent && (frames = engine_queue_first(&engine->queue));
         engine_queue_drop(&engine->queue))
        sent = websocket_send(&socket->websocket, frames);
    if (!sent)
        engine_close(engine, ERR_OUT_OF_MEMORY);
}

static void take_probe(struct engine *engine, const char *text, size_t size)
{
    struct engine_socket *socket = engine->probe;
    if (is_packet(text, size, ENGINE_UPGRADE, "")) {
        take_over(engine);
        return;
    }
    struct chunk *pong = is_packet(text, size, ENGINE_PING, PROBE)
                             ? engine_frame_packet(ENGINE_PONG, PROBE, strlen(PROBE))
                             : NULL;
    if (pong && websocket_send(&socket->websocket, pong))
        engine_have_news(engine);
    else
        websocket_close(&socket->websocket, ERR_BAD_FRAME);
    frame_unref(pong);
}

/* ---- the WebSocket's news ---- */

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    struct engine *engine = from_websocket(websocket)->engine;
    bool binary = opcode == WEBSOCKET_BINARY;
    if (!engine)
        return;
    if (engine->probe == from_websocket(websocket))
        take_probe(engine, binary ? "" : bytes, binary ? 0 : size);
    else if (binary)
        engine_take(engine, &(struct engine_packet){ENGINE_MESSAGE, true, bytes, size});
    else
        engine_take_text(engine, bytes, size);
}

static void on_drained(struct websocket *websocket)
{
    struct engine_socket *socket = from_websocket(websocket);
    if (socket->engine && socket->engine->socket == socket)
        engine_say_drained(socket->engine);
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    struct engine_socket *socket = from_websocket(websocket);
    struct engine *engine = socket->engine;
    socket->engine = NULL;
    socket->is_closing = true;
    if (!engine)
        return;
    if (engine->probe == socket) {
        engine->probe = NULL;
        list_remove(&engine->upgrade.link);
        return;
    }
    engine_close(engine, reason);
}

static void free_socket(struct websocket *websocket)
{
    struct engine_socket *socket = from_websocket(websocket);
    struct sessions *sessions = socket->all->sessions;
    if (socket->is_session)
        connection_limits_give_session(sessions->connection_limits);
    if (socket->is_probe)
        connection_limits_give_socket(sessions->connection_limits);
    sessions->open--;
    free(socket);
}

struct engine_socket *engine_socket_create(struct engines *engines, struct engine *engine)
{
    struct engine_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return NULL;
    socket->all = engines;
    socket->engine = engine;
    engines->sessions->open++;
    websocket_prepare(&socket->websocket, engines->sessions->websockets, &engines->websocket_role);
    return socket;
}

void engine_socket_init_role(struct websocket_role *role, size_t max_payload)
{
    *role = (struct websocket_role){
        .max_message = max_payload,
        .on_message = on_message,
        .on_drained = on_drained,
        .on_closing = on_closing,
        .free = free_socket,
    };
}
