#include "net/websocket_echo.h"

#include <stdlib.h>
#include <string.h>

#include "model/message.h"
#include "net/budget.h"
#include "net/door.h"
#include "net/exchange.h"
#include "net/handshake.h"
#include "net/websocket.h"

#define MAX_MESSAGE (16 * 1024 * 1024)
#define MAX_FRAGMENTS                                                                              \
    65537 /* Autobahn cuts 4 MiB in pieces of 64 bytes, and sends an empty one last */

struct echo {
    struct websocket websocket;
    struct door *door;
};

static void on_message(struct websocket *websocket, enum websocket_opcode opcode, const char *bytes,
                       size_t size)
{
    char *payload;
    struct frame *frame = websocket_frame(opcode, size, &payload);
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
    echo->door->open--;
    budget_give_session(echo->door->budget);
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

void websocket_echo_serve(struct exchange *exchange)
{
    char accept[DIGEST_ACCEPT_SIZE];
    struct door *door = exchange_state(exchange);
    if (!handshake_check(exchange, accept))
        return;
    struct echo *echo = calloc(1, sizeof *echo);
    if (!echo || !budget_take_session(door->budget)) {
        free(echo);
        exchange_problem(exchange, ERR_TOO_MANY_SESSIONS, NULL, "Try again later.");
        return;
    }
    echo->door = door;
    door->open++;
    websocket_prepare(&echo->websocket, door->websockets, &role);
    handshake_answer(exchange, &echo->websocket, accept, NULL);
}
