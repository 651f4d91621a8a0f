#include "socketio/engine_requests.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"
#include "engine/reactor.h"
#include "model/connection_limits.h"
#include "model/message.h"
#include "session/sessions.h"
#include "socketio/engine.h"
#include "socketio/engine_poll.h"
#include "socketio/engine_socket.h"
#include "socketio/engine_state.h"
#include "socketio/engines.h"

/* ---- coming in ---- */

static void destroy_unopened(struct engine *engine)
{
    connection_limits_give_session(engine->all->sessions->connection_limits);
    free(engine);
}

static int create(struct engines *engines, bool text_only, struct engine **ret_engine)
{
    struct connection_limits *limits = engines->sessions->connection_limits;
    if (engines->sessions->stopping)
        return ERR_STOPPING;
    if (!connection_limits_take_session(limits))
        return ERR_TOO_MANY_SESSIONS;
    struct engine *engine = calloc(1, engines->role->size);
    if (!engine) {
        connection_limits_give_session(limits);
        return ERR_OUT_OF_MEMORY;
    }
    engine->all = engines;
    engine->text_only = text_only;
    list_init(&engine->link);
    list_init(&engine->news);
    list_init(&engine->failing);
    list_init(&engine->heartbeat.link);
    list_init(&engine->upgrade.link);
    engine_sid_make(engines->sessions->reactor->index, engine->sid);
    *ret_engine = engine;
    return 0;
}

static bool add(struct engine *engine)
{
    struct engines *engines = engine->all;
    if (!map_add(&engines->by_sid, hash_bytes(engine->sid, ENGINE_SID_SIZE - 1), engine))
        return false;
    list_append(&engines->open, &engine->link);
    engines->sessions->open++;
    engine_state_start(engines, &engine->heartbeat, ENGINE_PING_DUE, engine_state_now(engines));
    return true;
}

static void write_greeting(const struct engine *engine, bool may_upgrade, struct buf *buf)
{
    const struct engine_limits *limits = &engine->all->limits;
    engine_packet_write_open(buf, &(struct engine_greeting){
                                      .sid = engine->sid,
                                      .may_upgrade = may_upgrade,
                                      .ping_interval_ms = limits->ping_interval_ms,
                                      .ping_timeout_ms = limits->ping_timeout_ms,
                                      .max_payload = limits->max_payload,
                                  });
}

static void say_open(struct engine *engine, struct request *request)
{
    if (engine->all->role->on_open)
        engine->all->role->on_open(engine, request);
}

int engine_open_polling(struct engines *engines, struct request *request, bool text_only,
                        struct buf *ret_answer)
{
    struct engine *engine;
    int err = create(engines, text_only, &engine);
    if (err)
        return err;
    if (!add(engine)) {
        destroy_unopened(engine);
        return ERR_OUT_OF_MEMORY;
    }
    write_greeting(engine, true, ret_answer);
    say_open(engine, request);
    return 0;
}

static struct chunk *frame_greeting(const struct engine *engine)
{
    struct buf greeting;
    buf_init(&greeting);
    write_greeting(engine, false, &greeting);
    struct chunk *frame =
        buf_ok(&greeting) ? engine_frame_packet(ENGINE_OPEN, greeting.data + 1, greeting.size - 1)
                          : NULL;
    buf_finish(&greeting);
    return frame;
}

int engine_open_websocket(struct engines *engines, struct request *request, bool text_only,
                          struct websocket **ret_websocket)
{
    struct engine *engine;
    int err = create(engines, text_only, &engine);
    if (err)
        return err;
    struct chunk *greeting = frame_greeting(engine);
    bool added = greeting && add(engine);
    struct engine_socket *socket = added ? engine_socket_create(engines, engine) : NULL;
    if (!socket) {
        frame_unref(greeting);
        if (added)
            engine_close(engine, ERR_OUT_OF_MEMORY);
        else
            destroy_unopened(engine);
        return ERR_OUT_OF_MEMORY;
    }
    engine->socket = socket;
    *ret_websocket = &socket->websocket;
    if (!websocket_send(&socket->websocket, greeting))
        engine_fail(engine, ERR_OUT_OF_MEMORY);
    frame_unref(greeting);
    say_open(engine, request);
    return 0;
}

/* ---- its requests ---- */

static bool is_engine(const void *value, const void *key)
{
    return strcmp(((const struct engine *)value)->sid, key) == 0;
}

static struct engine *look_up(struct engines *engines, const char *sid)
{
    return map_find(&engines->by_sid, hash_bytes(sid, strlen(sid)), is_engine, sid);
}

/* As it is at this moment, whether or not the loop has come to see it: late ones are gone, so is
 * one whose waiting client has left, and a WebSocket has taken over if it said so. */
static struct engine *find(struct engines *engines, const char *sid)
{
    engines_run_timers(engines);
    struct engine *engine = look_up(engines, sid);
    if (engine && engine->poll && engine_poll_is_left(engine->poll)) {
        engine_poll_drop(engine->poll);
        engine->poll = NULL;
        engine_close(engine, ERR_CONNECTION_LOST);
    } else if (engine && engine->probe) {
        stream_look(&engine->probe->websocket.stream);
    }
    return look_up(engines, sid);
}

/* One that is to be polled, or why not. */
static struct engine *find_polled(struct engines *engines, const char *sid,
                                  enum engine_refusal *ret_refusal)
{
    struct engine *engine = find(engines, sid);
    *ret_refusal = ENGINE_ACCEPTED;
    if (!engine || engine->closed)
        *ret_refusal = ENGINE_UNKNOWN_SID;
    else if (engine->socket)
        *ret_refusal = ENGINE_BAD_REQUEST;
    return *ret_refusal == ENGINE_ACCEPTED ? engine : NULL;
}

/* The poll that was sent beside its client's farewell. */
static bool answer_farewell(struct engines *engines, const char *sid, struct buf *ret_answer)
{
    struct engine *engine = look_up(engines, sid);
    bool parting = engine && engine->parting;
    if (!parting)
        return false;
    engine_packet_write(ret_answer, ENGINE_NOOP, NULL, 0);
    engine_forget(engine);
    return true;
}

enum engine_refusal engine_poll_now(struct engines *engines, const char *sid,
                                    struct buf *ret_answer)
{
    enum engine_refusal refusal;
    struct engine *engine = find_polled(engines, sid, &refusal);
    if (!engine)
        return answer_farewell(engines, sid, ret_answer) ? ENGINE_ACCEPTED : refusal;
    if (engine->poll) { /* two at once: nobody could say which has what */
        engine_close(engine, ERR_BAD_REQUEST);
        return ENGINE_BAD_REQUEST;
    }
    engine_write_payload(engine, ret_answer);
    if (ret_answer->size)
        engine_say_drained(engine);
    return ENGINE_ACCEPTED;
}

void engine_poll_wait(struct engines *engines, const char *sid, int fd,
                      struct engine_poll_heads *heads)
{
    struct buf answer;
    buf_init(&answer);
    enum engine_refusal refusal = engine_poll_now(engines, sid, &answer);
    bool waits = refusal == ENGINE_ACCEPTED && !answer.size;
    struct engine *engine = waits ? look_up(engines, sid) : NULL;
    struct engine_poll *poll = engine_poll_open(&engines->polls, fd, heads, engine);
    if (poll && engine)
        engine->poll = poll;
    else if (engine)
        engine_close(engine, ERR_CONNECTION_LOST);
    else if (poll && answer.size)
        engine_poll_answer(poll, &answer);
    else if (poll)
        engine_poll_refuse(poll, waits ? ENGINE_UNKNOWN_SID : refusal);
    buf_finish(&answer);
}

enum engine_refusal engine_post(struct engines *engines, const char *sid, const char *bytes,
                                size_t size)
{
    enum engine_refusal refusal;
    struct engine *engine = find_polled(engines, sid, &refusal);
    struct engine_payload payload;
    const char *text;
    size_t length;
    if (!engine)
        return refusal;
    if (!text_is_utf8(bytes, size)) {
        engine_close(engine, ERR_BAD_UTF8);
        return ENGINE_BAD_REQUEST;
    }
    engine_payload_begin(&payload, bytes, size);
    while (!engine->closed && engine_payload_next(&payload, &text, &length)) {
        if (!engine_take_text(engine, text, length))
            return ENGINE_BAD_REQUEST;
    }
    return ENGINE_ACCEPTED;
}

void engine_upgrade(struct engines *engines, const char *sid, int fd, const char *bytes,
                    size_t size)
{
    struct connection_limits *limits = engines->sessions->connection_limits;
    bool taken = connection_limits_take_socket(limits);
    struct engine_socket *socket = taken ? engine_socket_create(engines, NULL) : NULL;
    if (!socket) {
        if (taken)
            connection_limits_give_socket(limits);
        close(fd);
        return;
    }
    socket->is_probe = true;
    struct engine *engine = find(engines, sid);
    if (engine && !engine->closed && !engine->socket && !engine->probe) {
        socket->engine = engine;
        engine->probe = socket;
        engine_state_start(engines, &engine->upgrade, ENGINE_UPGRADE_DUE,
                           engine_state_now(engines));
    } else {
        websocket_close(&socket->websocket, ERR_NOT_FOUND);
    }
    websocket_open(&socket->websocket, fd, bytes, size);
}
