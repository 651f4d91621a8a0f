#include "socketio/engine_refusal.h"

#include "base/buf.h"

void engine_refusal_write(struct buf *buf, enum engine_refusal refusal)
{
    static const char *const messages[] = {
        [ENGINE_UNKNOWN_TRANSPORT] = "Transport unknown",
        [ENGINE_UNKNOWN_SID] = "Session ID unknown",
        [ENGINE_BAD_METHOD] = "Bad handshake method",
        [ENGINE_BAD_REQUEST] = "Bad request",
        [ENGINE_FORBIDDEN] = "Forbidden",
        [ENGINE_BAD_VERSION] = "Unsupported protocol version",
    };
    buf_add_format(buf, "{\"code\":%d,\"message\":\"%s\"}", (int)refusal, messages[refusal]);
}
