/* engine_refusal.h - why a request of Engine.IO is refused, in its own form.
 *
 * No state, any thread. */
#ifndef SOCKETIO_ENGINE_REFUSAL_H
#define SOCKETIO_ENGINE_REFUSAL_H

struct buf;

/* Why a request is refused, as Engine.IO numbers it. */
enum engine_refusal {
    ENGINE_ACCEPTED = -1,
    ENGINE_UNKNOWN_TRANSPORT,
    ENGINE_UNKNOWN_SID,
    ENGINE_BAD_METHOD,
    ENGINE_BAD_REQUEST,
    ENGINE_FORBIDDEN,
    ENGINE_BAD_VERSION,
};
/* {"code":…,"message":…} */
void engine_refusal_write(struct buf *buf, enum engine_refusal refusal);

#endif
