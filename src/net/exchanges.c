#include "net/exchanges.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/worker.h"
#include "model/identity.h"
#include "net/quota.h"

#define SPARE_BODY 4096 /* a larger body's buffer is not kept for the next */
#define MAX_SPARE  64

/* Requests come and go by the ten thousand a second, and this struct is too large for the
 * allocator's quick bins: a few are used again and again. What they keep is the body's buffer. */
static struct exchange *take_spare(struct exchanges *exchanges, struct buf *ret_body)
{
    struct exchange *exchange = exchanges->spare;
    buf_init(ret_body);
    if (!exchange)
        return malloc(sizeof *exchange);
    exchanges->spare = exchange->next_spare;
    exchanges->spare_count--;
    *ret_body = exchange->body;
    return exchange;
}

struct exchange *exchanges_take(struct exchanges *exchanges, struct MHD_Connection *connection,
                                const char *target)
{
    struct buf body;
    struct exchange *exchange = take_spare(exchanges, &body);
    if (!exchange)
        return NULL;
    memset(exchange, 0, offsetof(struct exchange, head.fields));
    exchange->all = exchanges;
    exchange->connection = connection;
    exchange->body = body;
    if (target_init(&exchange->target, target))
        return exchange;
    exchanges_give_back(exchange);
    return NULL;
}

void exchanges_give_back(struct exchange *exchange)
{
    struct exchanges *exchanges = exchange->all;
    quota_set(exchanges->quota, &exchange->body_held, 0);
    quota_set(exchanges->quota, &exchange->answer_held, 0);
    identity_destroy(exchange->who);
    target_finish(&exchange->target);
    if (exchanges->spare_count >= MAX_SPARE || exchange->body.capacity > SPARE_BODY ||
        !buf_ok(&exchange->body)) {
        buf_finish(&exchange->body);
        free(exchange);
        return;
    }
    exchange->body.size = 0;
    exchange->next_spare = exchanges->spare;
    exchanges->spare = exchange;
    exchanges->spare_count++;
}

bool exchanges_is_answered(const struct exchange *exchange)
{
    return exchange->answer.response || exchange->close || exchange->lingers;
}

void exchanges_run_again(struct exchanges *exchanges)
{
    exchanges->run_again = true;
    worker_again(exchanges->worker);
}

void exchanges_resume(struct exchange *exchange)
{
    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    exchanges_run_again(exchange->all);
    MHD_resume_connection(exchange->connection);
}

void exchanges_move_deadline(struct exchange *exchange, enum deadline_phase phase)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct deadline *deadline = info ? info->socket_context : NULL;
    if (!deadline)
        return;
    deadline->exchange = exchange;
    deadlines_move(&exchange->all->deadlines, deadline, phase, clock_mono_ms());
}

void exchanges_hold(struct exchange *exchange)
{
    exchange->held = true;
    exchange->all->late++;
}

void exchanges_finish(struct exchanges *exchanges)
{
    for (struct exchange *exchange; (exchange = exchanges->spare);) {
        exchanges->spare = exchange->next_spare;
        buf_finish(&exchange->body);
        free(exchange);
    }
}
