#include "session/websocket_echo.h"

#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "model/connection_limits.h"
#include "model/message.h"
#include "session/sessions.h"
#include "session/websocket_handshake.h"
#include "socket/websocket.h"

#define MAX_MESSAGE (16 * 1024 * 1024)
#define MAX_FRAGMENTS                                                                              \
    65537 /* Autobahn cuts 4 MiB in pieces of 64 bytes, and sends an empty one last */

struct echo {
    struct websocket websocket;
    struct sessions *sessions;
};

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    char *payload;
    struct chunk *frame = websocket_frame(opcode, size, &payload);
    if (!frame) {
        websocket_close(websocket, ERR_OUT_OF_MEMORY);
        return;
    }
    if (size)
        memcpy(payload, bytes, size);
    websocket_send(websocket, frame);
    frame_unref(frame);
}

static void on_drained(struct websocket *websocket)
{
    (void)websocket;
}

static void on_closing(struct websocket *websocket, enum err reason)
{
    (void)websocket;
    (void)reason;
}

static void free_echo(struct websocket *websocket)
{
    struct echo *echo = (struct echo *)websocket;
    echo->sessions->open--;
    connection_limits_give_session(echo->sessions->connection_limits);
    free(echo);
}

static const struct websocket_role role = {
    .max_message = MAX_MESSAGE,
    .max_fragments = MAX_FRAGMENTS,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = free_echo,
};

void websocket_echo_serve(struct request *request)
{
    char accept[DIGEST_ACCEPT_SIZE];
    struct sessions *sessions = request_context(request);
    if (!websocket_handshake_check(request, accept))
        return;
    struct echo *echo = calloc(1, sizeof *echo);
    if (!echo || !connection_limits_take_session(sessions->connection_limits)) {
        free(echo);
        request_problem(request, ERR_TOO_MANY_SESSIONS, NULL, "Try again later.");
        return;
    }
    echo->sessions = sessions;
    sessions->open++;
    websocket_prepare(&echo->websocket, sessions->websockets, &role);
    websocket_handshake_answer(request, &echo->websocket, accept, NULL);
}
