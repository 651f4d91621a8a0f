#include "api/api.h"

#include <stdlib.h>

#include "api/receipt.h"
#include "base/buf.h"
#include "base/clock.h"
#include "engine/reactor.h"
#include "http/head.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/route.h"
#include "session/publish_request.h"

/* Answers and ends the publish request. */
static void on_published(struct call *call)
{
    struct publish_request *publish_request = (struct publish_request *)call;
    struct request *request = publish_request->owner;
    struct metrics *metrics = &request_reactor(request)->metrics;
    enum err err = publish_request->publish.call.err;
    if (err) {
        request_problem(request, err, err == ERR_KEY_CONFLICT ? "key" : NULL, "%s",
                        publish_request_advice(err));
    } else {
        struct buf body;
        buf_init(&body);
        buf_add_text(&body, "{");
        receipt_write(&body, publish_request);
        buf_add_text(&body, "}\n");
        if (!publish_request->publish.duplicate)
            metrics_add(&metrics->published_message, 1);
        metrics_observe(&metrics->publish_seconds, clock_mono_us() - request_began_us(request));
        request_answer(request, 200, "application/json", &body);
    }
    publish_request_finish(publish_request);
    free(publish_request);
}

static void publish(struct request *request, struct publish_request *publish_request)
{
    struct reactor *reactor = request_reactor(request);
    publish_request->owner = request;
    publish_request->publish.call.done = on_published;
    request_await(request, &publish_request->publish.call,
                  broker_publish(reactor->broker, reactor->member, &publish_request->publish));
}

static void send_message_serve(struct request *request)
{
    struct publish_source source = {
        .key = head_find(request_head(request), "Idempotency-Key"),
        .who = request_who(request),
    };
    struct publish_problem problem;
    json_t *body = request_may_ask(request) ? json_body_read_around(request, "message") : NULL;
    if (!body)
        return;
    struct publish_request *publish_request = malloc(sizeof *publish_request);
    if (!publish_request) {
        json_decref(body);
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    source.text = request_body(request, &source.size);
    if (publish_request_read(publish_request, body, &source,
                             ((const struct api *)request_context(request))->publish_options,
                             &problem) == 0) {
        publish(request, publish_request);
        return;
    }
    if (err_status(problem.err) == 403)
        request_note_refusal(request, problem.err, problem.detail);
    request_problem(request, problem.err, problem.field, "%s", problem.detail);
    publish_request_finish(publish_request);
    free(publish_request);
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"POST", "/send-message", send_message_serve, NULL, false, RIGHT_SEND},
};

const struct route_family send_routes = {routes, sizeof routes / sizeof *routes};
