#include "api/send_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/receipt.h"
#include "base/buf.h"
#include "base/byte_quota.h"
#include "base/clock.h"
#include "base/lines.h"
#include "base/list.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/head.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/route.h"
#include "session/publish_request.h"

/* The body of one request. */
struct batch {
    struct request *request;
    const struct api *all;
    struct reactor *reactor;
    struct lines lines;
    struct list entries; /* lines without a result in `results`, in order */
    size_t entry_count;
    size_t entry_bytes;
    struct buf results;
    size_t held;  /* of the quota: lines on their way, and results */
    size_t count; /* of lines that were taken */
    size_t bytes; /* of the body so far */
    size_t orphans;
    enum err stopped; /* why further lines are not taken */
    bool left_out;    /* and there were some */
    bool waits;       /* for room, in mid-body */
    bool ended;
    bool closed; /* the request is over, and it stays for its orphans */
};

/* One line on its way. If the batch ends before the broker answers, it becomes an orphan, on no
 * list. */
struct entry {
    struct publish_request publish_request; /* first: on_published finds the rest */
    struct list link;
    struct batch *batch;
    size_t index;
    size_t size;
    int64_t began_us;
    struct buf result; /* once done */
    bool done;
    bool orphan;
};

/* ---- results ---- */

static void write_refusal(struct batch *batch, struct buf *buf, size_t index, enum err err,
                          const char *field, const char *detail)
{
    metrics_add(&batch->reactor->metrics.refused[err], 1);
    buf_add_format(buf, "{\"index\":%zu,\"status\":%d,\"code\":\"%s\"", index, err_status(err),
                   err_code(err));
    if (field) {
        buf_add_text(buf, ",\"field\":");
        buf_add_json(buf, field, strlen(field));
    }
    buf_add_text(buf, ",\"detail\":");
    buf_add_json(buf, detail, strlen(detail));
    buf_add_text(buf, "}\n");
}

static void refuse(struct entry *entry, enum err err, const char *field, const char *detail)
{
    write_refusal(entry->batch, &entry->result, entry->index, err, field, detail);
    entry->done = true;
}

static void count_published(struct entry *entry)
{
    struct metrics *metrics = &entry->batch->reactor->metrics;
    const struct publish_call *publish = &entry->publish_request.publish;
    if (publish->call.err)
        return;
    if (!publish->duplicate)
        metrics_add(&metrics->published_message, 1);
    metrics_observe(&metrics->publish_seconds, clock_mono_us() - entry->began_us);
}

static void conclude(struct entry *entry)
{
    enum err err = entry->publish_request.publish.call.err;
    if (err) {
        refuse(entry, err, err == ERR_KEY_CONFLICT ? "key" : NULL, publish_request_advice(err));
        return;
    }
    buf_add_format(&entry->result, "{\"index\":%zu,", entry->index);
    receipt_write(&entry->result, &entry->publish_request);
    buf_add_text(&entry->result, "}\n");
    entry->done = true;
}

/* ---- entries ---- */

static struct entry *entry_create(struct batch *batch, size_t size)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->batch = batch;
    entry->index = batch->count++;
    entry->size = size;
    entry->began_us = clock_mono_us();
    list_append(&batch->entries, &entry->link);
    batch->entry_count++;
    batch->entry_bytes += size;
    return entry;
}

static void entry_remove(struct entry *entry)
{
    list_remove(&entry->link);
    entry->batch->entry_count--;
    entry->batch->entry_bytes -= entry->size;
}

static void entry_destroy(struct entry *entry)
{
    publish_request_finish(&entry->publish_request);
    buf_finish(&entry->result);
    free(entry);
}

static void make_orphan(struct entry *entry)
{
    entry_remove(entry);
    entry->orphan = true;
    entry->batch->orphans++;
}

static struct entry *first_entry(const struct batch *batch)
{
    return list_first(&batch->entries, struct entry, link);
}

/* What this batch holds, if a line of `more` bytes came to it. */
static size_t counted(const struct batch *batch, size_t more)
{
    size_t lines = batch->entry_count + batch->orphans;
    return byte_quota_counted(batch->results.size + batch->entry_bytes +
                              lines * sizeof(struct entry) + more);
}

/* Results go out in the order of their lines. */
static void gather_results(struct batch *batch)
{
    for (struct entry *entry; (entry = first_entry(batch)) && entry->done;) {
        if (buf_ok(&entry->result))
            buf_add(&batch->results, entry->result.data, entry->result.size);
        else
            batch->results.failed = true;
        entry_remove(entry);
        entry_destroy(entry);
    }
    byte_quota_set(request_quota(batch->request), &batch->held, counted(batch, 0));
}

/* ---- the batch ---- */

static void batch_destroy(struct batch *batch)
{
    byte_quota_set(request_quota(batch->request), &batch->held, 0);
    lines_finish(&batch->lines);
    buf_finish(&batch->results);
    free(batch);
}

/* The broker has what can be asked of it at once: one line at least, however long. */
static bool is_full(const struct batch *batch)
{
    return batch->entry_count >= SEND_LINES_WINDOW ||
           batch->entry_bytes >= request_max_body(batch->request);
}

static void answer_if_done(struct batch *batch)
{
    if (!batch->ended || !list_empty(&batch->entries))
        return;
    if (batch->left_out)
        write_refusal(batch, &batch->results, batch->count, batch->stopped, NULL,
                      "This line and those after it were not taken.");
    byte_quota_set(request_quota(batch->request), &batch->held, 0);
    if (buf_ok(&batch->results))
        request_answer(batch->request, 200, "application/x-ndjson", &batch->results);
    else
        request_problem(batch->request, ERR_OUT_OF_MEMORY, NULL,
                        "The results are lost, though lines were published. Send all of them "
                        "again, with the same keys.");
}

static void go_on(struct batch *batch)
{
    if (batch->waits && !is_full(batch)) {
        batch->waits = false;
        request_go_on(batch->request);
    }
    answer_if_done(batch);
}

static void bury_orphan(struct entry *entry)
{
    struct batch *batch = entry->batch;
    entry_destroy(entry);
    if (--batch->orphans || !batch->closed)
        return;
    struct request *request = batch->request;
    batch_destroy(batch);
    request_release(request);
}

static void on_published(struct call *call)
{
    struct entry *entry = (struct entry *)call;
    struct batch *batch = entry->batch;
    count_published(entry);
    if (entry->orphan) {
        bury_orphan(entry);
        return;
    }
    conclude(entry);
    gather_results(batch);
    go_on(batch);
}

/* ---- taking lines ---- */

static json_t *parse(struct entry *entry, const struct line *line)
{
    json_error_t error;
    json_t *root = json_body_parse_around(line->text, line->size, "message");
    int err = root ? 0 : json_body_parse(line->text, line->size, &root, &error);
    if (json_is_object(root))
        return root;
    char detail[sizeof error.text + 32];
    if (err == ERR_BAD_JSON)
        snprintf(detail, sizeof detail, "Column %d: %s", error.column, error.text);
    if (err == ERR_OUT_OF_MEMORY)
        refuse(entry, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else
        refuse(entry, ERR_BAD_JSON, NULL, err ? detail : "A line must be a JSON object.");
    json_decref(root);
    return NULL;
}

static void publish(struct entry *entry, const struct line *line)
{
    struct reactor *reactor = entry->batch->reactor;
    struct publish_request *publish_request = &entry->publish_request;
    struct publish_source source = {
        .text = line->text, .size = line->size, .who = request_who(entry->batch->request)};
    struct publish_problem problem;
    json_t *body = parse(entry, line);
    if (!body)
        return;
    if (publish_request_read(publish_request, body, &source, entry->batch->all->publish_options,
                             &problem)) {
        refuse(entry, problem.err, problem.field, problem.detail);
        return;
    }
    publish_request->publish.call.done = on_published;
    if (broker_publish(reactor->broker, reactor->member, &publish_request->publish) ==
        BROKER_PENDING)
        return;
    count_published(entry);
    conclude(entry);
}

static bool is_blank(const struct line *line)
{
    size_t i = 0;
    while (i < line->size && (line->text[i] == ' ' || line->text[i] == '\t'))
        i++;
    return i == line->size && !line->err;
}

/* A line of so many bytes is not taken. */
static enum err limit_reached(struct batch *batch, size_t size)
{
    if (batch->count >= SEND_LINES_MAX || batch->bytes > SEND_LINES_MAX_SIZE ||
        batch->results.size > SEND_LINES_MAX_SIZE)
        return ERR_TOO_MANY_LINES;
    if (clock_mono_us() - request_began_us(batch->request) > SEND_LINES_MAX_US)
        return ERR_REQUEST_TIMEOUT;
    size_t more = size + sizeof(struct entry);
    return byte_quota_try(request_quota(batch->request), &batch->held, counted(batch, more))
               ? ERR_NONE
               : ERR_OVERLOADED;
}

static void take_line(struct batch *batch, const struct line *line)
{
    struct entry *entry = NULL;
    if (is_blank(line))
        return;
    if (!batch->stopped)
        batch->stopped = limit_reached(batch, line->size);
    if (!batch->stopped && !(entry = entry_create(batch, line->size)))
        batch->stopped = ERR_OUT_OF_MEMORY;
    if (!entry) {
        batch->left_out = true;
        return;
    }
    request_progress(batch->request);
    if (line->err)
        refuse(entry, line->err, NULL,
               line->err == ERR_OUT_OF_MEMORY ? "Try again in a moment."
                                              : "A line is at most as long as max_body.");
    else
        publish(entry, line);
    gather_results(batch);
}

/* ---- the body handler ---- */

static void *open_batch(struct request *request)
{
    if (!request_may_ask(request) || !json_body_is_lines(request))
        return NULL;
    if (head_find(request_head(request), "Idempotency-Key")) {
        request_problem(request, ERR_BAD_FIELD, "key", "Give each line its own \"key\".");
        return NULL;
    }
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return NULL;
    }
    batch->request = request;
    batch->all = request_context(request);
    batch->reactor = request_reactor(request);
    lines_init(&batch->lines, request_max_body(request));
    list_init(&batch->entries);
    buf_init(&batch->results);
    return batch;
}

static size_t take(void *body_reader, const char *bytes, size_t size)
{
    struct batch *batch = body_reader;
    struct line line;
    size_t taken = 0, now;
    for (; taken < size; taken += now) {
        if (is_full(batch)) {
            batch->waits = true;
            request_wait(batch->request);
            return taken;
        }
        bool whole = lines_take(&batch->lines, bytes + taken, size - taken, &now, &line);
        batch->bytes += now;
        if (whole)
            take_line(batch, &line);
    }
    return size;
}

static void end(void *body_reader)
{
    struct batch *batch = body_reader;
    struct line line;
    if (lines_take_last(&batch->lines, &line))
        take_line(batch, &line);
    batch->ended = true;
    request_wait(batch->request);
    answer_if_done(batch);
}

static void give_up(void *body_reader)
{
    struct batch *batch = body_reader;
    for (struct entry *entry; (entry = first_entry(batch)); gather_results(batch)) {
        write_refusal(batch, &batch->results, entry->index, ERR_BROKER_DOWN, NULL,
                      REQUEST_GIVEN_UP);
        make_orphan(entry);
    }
    batch->stopped = ERR_BROKER_DOWN;
    go_on(batch);
}

static bool close_batch(void *body_reader)
{
    struct batch *batch = body_reader;
    for (struct entry *entry; (entry = first_entry(batch)); gather_results(batch))
        make_orphan(entry);
    batch->closed = true;
    bool owed = batch->orphans > 0;
    if (!owed)
        batch_destroy(batch);
    return owed;
}

static const struct body_handler body_handler = {
    .max_size = SEND_LINES_MAX_SIZE,
    .open = open_batch,
    .take = take,
    .end = end,
    .give_up = give_up,
    .close = close_batch,
};

/* ---- the routes ---- */

static const struct route routes[] = {
    {"POST", "/send-messages", NULL, NULL, false, RIGHT_SEND, &body_handler},
};

const struct route_family send_lines_routes = {routes, sizeof routes / sizeof *routes};
