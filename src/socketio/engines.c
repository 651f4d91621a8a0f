#include "socketio/engines.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/reactor.h"
#include "model/connection_limits.h"
#include "model/message.h"
#include "session/sessions.h"
#include "socketio/engine.h"
#include "socketio/engine_socket.h"
#include "socketio/engine_state.h"

#define PARTING_MS 1000

/* ---- time ---- */

static void ping(struct engine *engine)
{
    struct chunk *frame = engine_frame_packet(ENGINE_PING, NULL, 0);
    bool sent = frame && engine_send(engine, frame);
    frame_unref(frame);
    if (sent)
        engine_state_start(engine->all, &engine->heartbeat, ENGINE_PONG_DUE,
                           engine->heartbeat.due_ms);
    else
        engine_close(engine, ERR_OUT_OF_MEMORY);
}

/* Who reads slowly has not seen the ping yet: the stall time looks after it. */
static void give_up(struct engine *engine, int64_t now_ms)
{
    if (engine->socket && stream_blocked(&engine->socket->websocket.stream))
        engine_state_start(engine->all, &engine->heartbeat, ENGINE_PONG_DUE, now_ms);
    else
        engine_close(engine, ERR_NO_HEARTBEAT);
}

void engines_run_timers(struct engines *engines)
{
    struct engine_timers *timers = &engines->timers;
    int64_t now_ms = engine_state_now(engines);
    struct engine_timer *late;
    while ((late = engine_timers_take(timers, ENGINE_PING_DUE, now_ms)))
        ping(list_entry(late, struct engine, heartbeat));
    while ((late = engine_timers_take(timers, ENGINE_PONG_DUE, now_ms)))
        give_up(list_entry(late, struct engine, heartbeat), now_ms);
    while ((late = engine_timers_take(timers, ENGINE_UPGRADE_DUE, now_ms)))
        websocket_close(&list_entry(late, struct engine, upgrade)->probe->websocket,
                        ERR_REQUEST_TIMEOUT);
    while ((late = engine_timers_take(timers, ENGINE_PARTING_DUE, now_ms)))
        engine_forget(list_entry(late, struct engine, heartbeat));
    engine_state_arm(engines, now_ms);
}

static void on_timer(uv_timer_t *timer)
{
    engines_run_timers(timer->data);
}

static void on_second(struct reactor_hook *hook)
{
    engines_run_timers(list_entry(hook, struct engines, second));
}

/* ---- the end of a turn ---- */

static void close_failing(struct engines *engines)
{
    for (struct engine *engine; (engine = list_first(&engines->failing, struct engine, failing));)
        engine_close(engine, (enum err)engine->failure);
}

/* Whoever is on the list has a poll. */
static void answer_news(struct reactor_hook *hook)
{
    struct engines *engines = list_entry(hook, struct engines, answer);
    close_failing(engines);
    for (struct engine *engine; (engine = list_first(&engines->news, struct engine, news));) {
        struct buf payload;
        buf_init(&payload);
        engine_write_payload(engine, &payload);
        if (payload.size || !buf_ok(&payload)) {
            engine_answer(engine, &payload);
            engine_say_drained(engine);
        } else { /* the WebSocket that was about to take over has gone */
            list_remove(&engine->news);
        }
    }
}

static void bury(struct reactor_hook *hook)
{
    struct engines *engines = list_entry(hook, struct engines, bury);
    for (struct engine *engine; (engine = list_first(&engines->dead, struct engine, link));) {
        list_remove(&engine->link);
        if (engines->role->finish)
            engines->role->finish(engine);
        if (!engine->socket)
            connection_limits_give_session(engines->sessions->connection_limits);
        engines->sessions->open--;
        free(engine);
    }
}

static void on_poll_lost(void *owner)
{
    struct engine *engine = owner;
    engine->poll = NULL;
    engine_close(engine, ERR_CONNECTION_LOST);
}

/* ---- life ---- */

struct engines *engines_create(struct sessions *sessions, struct engine_door *door,
                               const struct engine_role *role, const struct engine_limits *limits)
{
    struct engines *engines = mem_alloc(sizeof *engines);
    const int64_t delay_ms[] = {
        [ENGINE_PING_DUE] = limits->ping_interval_ms,
        [ENGINE_PONG_DUE] = limits->ping_timeout_ms,
        [ENGINE_UPGRADE_DUE] = limits->upgrade_timeout_ms,
        [ENGINE_PARTING_DUE] = PARTING_MS,
    };
    engines->sessions = sessions;
    engines->door = door;
    door->at[sessions->reactor->index] = engines;
    engines->role = role;
    engines->limits = *limits;
    engine_socket_init_role(&engines->websocket_role, limits->max_payload);
    engine_polls_init(&engines->polls, sessions, on_poll_lost);
    engine_timers_init(&engines->timers, delay_ms, clock_mono_us() / 1000);
    map_init(&engines->by_sid);
    list_init(&engines->open);
    list_init(&engines->dead);
    list_init(&engines->news);
    list_init(&engines->failing);
    buf_init(&engines->room);
    uv_timer_init(&sessions->reactor->loop, &engines->timer);
    engines->timer.data = engines;
    engines->on_timer = on_timer;
    engines->answer.run = answer_news;
    reactor_on_turn(sessions->reactor, TURN_ANSWER, &engines->answer);
    engines->bury.run = bury;
    reactor_on_turn(sessions->reactor, TURN_CHECK, &engines->bury);
    engines->second.run = on_second;
    reactor_on_second(sessions->reactor, &engines->second);
    return engines;
}

void engines_stop(struct engines *engines)
{
    engines->stopped = true;
    uv_close((uv_handle_t *)&engines->timer, NULL);
}

void engines_destroy(struct engines *engines)
{
    if (!engines)
        return;
    assert(list_empty(&engines->open) && list_empty(&engines->dead));
    map_finish(&engines->by_sid);
    buf_finish(&engines->room);
    free(engines);
}

void engines_change(struct engines *engines, size_t max_payload)
{
    engines->limits.max_payload = engines->websocket_role.max_message = max_payload;
}

void engines_close_all(struct engines *engines, enum err reason)
{
    for (struct engine *engine; (engine = list_first(&engines->open, struct engine, link));) {
        if (engine->closed)
            engine_forget(engine);
        else
            engine_close(engine, reason);
    }
}

void engines_abort_all(struct engines *engines)
{
    engines_close_all(engines, ERR_STOPPING);
    engine_polls_abort(&engines->polls);
}
