#include "net/api/send.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "engine/worker.h"
#include "net/api/json_body.h"
#include "net/exchange.h"
#include "net/sending.h"

static void write_receivers(struct buf *buf, const struct sending *sending)
{
    buf_add_text(buf, ",\"receivers\":[");
    for (size_t i = 0; i < sending->count; i++) {
        buf_add_text(buf, i ? ",{\"receiver\":" : "{\"receiver\":");
        buf_add_json(buf, sending->addresses[i].name, sending->addresses[i].length);
        buf_add_text(buf, ",\"delivered\":");
        buf_add_number(buf, sending->delivered[i]);
        buf_add_text(buf, "}");
    }
    buf_add_text(buf, "]");
}

/* A misspelt field is easily overlooked, so the answer names what was not understood. */
static void write_ignored(struct buf *buf, const struct sending *sending)
{
    static const char *const known[] = {"sender",    "receiver", "receivers", "channel",
                                        "broadcast", "message",  "ttl",       "key"};
    bool any = false;
    const char *name;
    json_t *value;
    json_object_foreach(sending->body, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (is_known)
            continue;
        buf_add_text(buf, any ? "," : ",\"ignored\":[");
        buf_add_json(buf, name, strlen(name));
        any = true;
    }
    buf_add_text(buf, any ? "]" : "");
}

static void write_answer(struct buf *buf, const struct sending *sending)
{
    const struct publish *publish = &sending->publish;
    char id[TEXT_ID_SIZE];
    text_format_id(publish->id, id);
    buf_add_text(buf, "{\"status\":\"Message sent\",\"id\":\"");
    buf_add(buf, id, TEXT_ID_SIZE - 1);
    if (!publish->duplicate) {
        buf_add_text(buf, "\",\"delivered\":");
        buf_add_number(buf, sending_delivered(sending));
    } else {
        buf_add_text(buf, "\",\"duplicate\":true");
    }
    buf_add_text(buf, publish->kept ? ",\"kept\":true" : ",\"kept\":false");
    buf_add_text(buf, publish->durable ? ",\"durable\":true" : ",\"durable\":false");
    if (sending->many && !publish->duplicate)
        write_receivers(buf, sending);
    write_ignored(buf, sending);
    buf_add_text(buf, "}\n");
}

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
        write_answer(&body, sending);
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
    json_t *body = json_body_read_around(exchange, "message");
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
