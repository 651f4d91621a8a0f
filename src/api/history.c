#include "api/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "http/target.h"
#include "model/message.h"

#define JSON_TYPE     "application/json"
#define DEFAULT_LIMIT 100
#define PAGE_BYTES    ((size_t)4 * 1024 * 1024)

bool history_read_limit(struct request *request, size_t *ret_limit)
{
    const char *text = target_query(request_target(request), "limit");
    uint64_t limit = DEFAULT_LIMIT;
    if (text &&
        (!text_parse_u64(text, strlen(text), &limit) || !limit || limit > HISTORY_MAX_LIMIT)) {
        request_problem(request, ERR_BAD_PARAMETER, "limit", "limit is a number from 1 to %d.",
                        HISTORY_MAX_LIMIT);
        return false;
    }
    *ret_limit = (size_t)limit;
    return true;
}

struct history {
    struct read_call read;
    struct request *request;
    struct read_topic topic;
    struct message *messages[]; /* read.max_count of them */
};

/* after or before, as an id; unset without a value where that is allowed. False: a problem was
 * answered. */
static bool read_id(struct request *request, const char *name, bool may_be_empty, bool *ret_given,
                    uint64_t *ret_id)
{
    const char *text = target_query(request_target(request), name);
    *ret_given = text != NULL;
    if (!text || (may_be_empty && !*text) ||
        (strlen(text) < TEXT_ID_SIZE && text_parse_u64(text, strlen(text), ret_id)))
        return true;
    request_problem(request, ERR_BAD_PARAMETER, name, "%s is a message's id.", name);
    return false;
}

static void add_id(struct buf *body, uint64_t id)
{
    char text[TEXT_ID_SIZE];
    text_format_id(id, text);
    buf_add_format(body, "\"%s\"", text);
}

static void write_gap(struct buf *body, const struct history *history)
{
    const struct read_call *read = &history->read;
    if (!read->above_head && !(history->topic.gap && !read->descending)) {
        buf_add_text(body, "null");
        return;
    }
    buf_add_text(body, "{\"after\":");
    add_id(body, read->after);
    buf_add_text(body, ",\"resumes\":");
    add_id(body, read->above_head ? read->head : history->topic.told);
    buf_add_text(body, "}");
}

/* Where the next page begins: behind the last message, or where this one began. */
static void write_next(struct buf *body, const struct read_call *read)
{
    if (read->count)
        add_id(body, read->messages[read->count - 1]->id);
    else if (!read->descending)
        add_id(body, read->above_head ? read->head : read->after);
    else
        buf_add_text(body, "null");
}

static void answer_history(struct history *history)
{
    const struct read_call *read = &history->read;
    struct buf body;
    buf_init(&body);
    buf_add_text(&body, "{\"messages\":[");
    for (size_t i = 0; i < read->count; i++) {
        buf_add_text(&body, i ? ",{" : "{");
        message_write_members(read->messages[i], &body);
        buf_add_text(&body, "}");
    }
    buf_add_text(&body, "],\"next\":");
    write_next(&body, read);
    buf_add_text(&body, read->more ? ",\"more\":true,\"gap\":" : ",\"more\":false,\"gap\":");
    write_gap(&body, history);
    buf_add_text(&body, "}\n");
    request_answer(history->request, 200, JSON_TYPE, &body);
}

static void on_page(struct call *call)
{
    struct history *history = (struct history *)call;
    if (history->read.call.err)
        request_problem(history->request, history->read.call.err, NULL, "Try again in a moment.");
    else
        answer_history(history);
    for (size_t i = 0; i < history->read.count; i++)
        message_unref(history->read.messages[i]);
    free(history);
}

void history_serve(struct request *request, enum topic_kind kind)
{
    struct reactor *reactor = request_reactor(request);
    bool has_after, has_before;
    uint64_t after = 0, before = UINT64_MAX;
    size_t limit;
    if (!request_may_ask(request) || !read_id(request, "after", false, &has_after, &after) ||
        !read_id(request, "before", true, &has_before, &before) ||
        !history_read_limit(request, &limit))
        return;
    if (has_after && has_before) {
        request_problem(request, ERR_BAD_PARAMETER, "before", "Give after or before, not both.");
        return;
    }
    struct history *history = calloc(1, sizeof *history + limit * sizeof *history->messages);
    if (!history) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    history->request = request;
    size_t length;
    const char *name = target_id(request_target(request), &length);
    history->topic.topic = topic_make(kind, name, length);
    history->read = (struct read_call){
        .call = {.done = on_page},
        .topics = &history->topic,
        .topic_count = 1,
        .after = after,
        .before = before ? before : 1,
        .descending = !has_after,
        .max_count = limit,
        .max_bytes = request_reserve(request, PAGE_BYTES),
        .messages = history->messages,
    };
    request_await(request, &history->read.call,
                  broker_read(reactor->broker, reactor->member, &history->read));
}
