#include "net/api/send.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "engine/worker.h"
#include "net/api/json_body.h"
#include "net/api/receipt.h"
#include "net/exchange.h"
#include "net/sending.h"

/* Answers and ends the sending. */
static void finish(struct sending *sending)
{
    struct exchange *exchange = sending->owner;
    struct metrics *metrics = &exchange_worker(exchange)->metrics;
    enum err err = sending->publish.err;
    if (err) {
        exchange_problem(exchange, err, err == ERR_KEY_CONFLICT ? "key" : NULL, "%s",
                         sending_advice(err));
    } else {
        struct buf body;
        buf_init(&body);
        buf_add_text(&body, "{");
        receipt_write(&body, sending);
        buf_add_text(&body, "}\n");
        if (!sending->publish.duplicate)
            metrics_add(&metrics->published_message, 1);
        metrics_observe(&metrics->publish_seconds, clock_mono_us() - exchange_began_us(exchange));
        exchange_answer(exchange, 200, "application/json", &body);
    }
    sending_finish(sending);
    free(sending);
}

static void on_published(struct call *call)
{
    finish((struct sending *)call);
}

static void publish(struct exchange *exchange, struct sending *sending)
{
    struct worker *worker = exchange_worker(exchange);
    sending->owner = exchange;
    sending->publish.call.done = on_published;
    int err = broker_publish(worker->broker, worker->member, &sending->publish);
    if (err == BROKER_PENDING) {
        exchange_wait(exchange);
        return;
    }
    sending->publish.err = (enum err)err;
    finish(sending);
}

void send_message_serve(struct exchange *exchange)
{
    struct sending_source source = {
        .key = exchange_header(exchange, "Idempotency-Key"),
        .who = exchange_who(exchange),
    };
    struct sending_problem problem;
    json_t *body = exchange_may_ask(exchange) ? json_body_read_around(exchange, "message") : NULL;
    if (!body)
        return;
    struct sending *sending = malloc(sizeof *sending);
    if (!sending) {
        json_decref(body);
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    source.text = exchange_body(exchange, &source.size);
    if (sending_read(sending, body, &source, exchange_state(exchange), &problem) == 0) {
        publish(exchange, sending);
        return;
    }
    if (err_status(problem.err) == 403)
        exchange_note_refusal(exchange, problem.err, problem.detail);
    exchange_problem(exchange, problem.err, problem.field, "%s", problem.detail);
    sending_finish(sending);
    free(sending);
}
