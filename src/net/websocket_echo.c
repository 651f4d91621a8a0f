#include "net/websocket_echo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/message.h"
#include "net/budget.h"
#include "net/door.h"
#include "net/exchange.h"
#include "net/handshake.h"
#include "net/websocket.h"

#define MAX_MESSAGE   (16 * 1024 * 1024)
#define MAX_FRAGMENTS 65536

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

static void release(struct echo *echo)
{
    budget_give_session(echo->door->budget);
    free(echo);
}

static void free_echo(struct websocket *websocket)
{
    struct echo *echo = (struct echo *)websocket;
    echo->door->open--;
    release(echo);
}

static const struct websocket_role role = {
    .max_message = MAX_MESSAGE,
    .max_fragments = MAX_FRAGMENTS,
    .on_message = on_message,
    .on_drained = on_drained,
    .on_closing = on_closing,
    .free = free_echo,
};

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    struct echo *echo = context;
    if (fd < 0 || !websocket_open(&echo->websocket, echo->door->websockets, &role, fd)) {
        if (fd >= 0)
            close(fd);
        release(echo);
        return;
    }
    echo->door->open++;
    websocket_feed(&echo->websocket, extra, size);
}

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
    exchange_upgrade(exchange, accept, NULL, on_adopted, echo);
}
