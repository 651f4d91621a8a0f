/* engine_state.h - what the connections of Engine.IO at a worker share.
 *
 * For the modules of this wing; others see engines.h. Worker's thread only, but for engines_owner.
 */
#ifndef SOCKETIO_ENGINE_STATE_H
#define SOCKETIO_ENGINE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/reactor.h"
#include "socket/websocket.h"
#include "socketio/engine_packet.h"
#include "socketio/engine_poll.h"
#include "socketio/engine_timers.h"

struct engine;
struct engine_role;
struct engines;
struct sessions;

struct engine_limits {
    int64_t ping_interval_ms;
    int64_t ping_timeout_ms;
    int64_t upgrade_timeout_ms;
    size_t max_payload;
    size_t max_queued; /* bytes that may wait for a poll */
};

/* Those of one role at all workers, by the worker's number; complete before the first of them runs.
 */
struct engine_door {
    struct engines *at[ENGINE_SID_WORKERS];
};

struct engines {
    struct sessions *sessions;
    const struct engine_door *door;
    const struct engine_role *role;
    struct engine_limits limits;
    struct websocket_role websocket_role;
    struct engine_polls polls;
    struct engine_timers timers;
    struct map by_sid;
    struct list open;
    struct list dead;    /* closed; they go at the end of the turn */
    struct list news;    /* their polls are to be answered at the end of this turn */
    struct list failing; /* they close at the end of this turn */
    struct buf room;     /* what came as base64 */
    uv_timer_t timer;
    uv_timer_cb on_timer;
    struct reactor_hook answer;
    struct reactor_hook bury;
    struct reactor_hook second;
    bool stopped;
};

/* The WebSocket of a connection, or one that would like to be. */
struct engine_socket {
    struct websocket websocket; /* first: on_message and the others find the rest */
    struct engines *all;
    struct engine *engine; /* NULL: it is refused, or its connection has closed */
    bool is_session;       /* it gives the connection's place back, in place of that */
    bool is_probe;         /* it has a place of its own */
    bool is_closing;
};

/* Now, for the timers. */
int64_t engine_state_now(struct engines *engines);
/* From that moment on it waits in this phase. */
void engine_state_start(struct engines *engines, struct engine_timer *timer,
                        enum engine_phase phase, int64_t from_ms);
/* The loop comes back when the next timer falls due. */
void engine_state_arm(struct engines *engines, int64_t now_ms);

/* At the worker that has a connection of this name, if there is one. Any worker's thread. NULL: it
 * is no name. */
struct engines *engines_owner(const struct engines *engines, const char *sid);

#endif
