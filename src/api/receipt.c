#include "api/receipt.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "session/publish_request.h"

#define MAX_IGNORED 16
#define MORE        "\u2026" /* in the place of those that are not named */

static void write_receivers(struct buf *buf, const struct publish_request *publish_request)
{
    buf_add_text(buf, ",\"receivers\":[");
    for (size_t i = 0; i < publish_request->count; i++) {
        buf_add_text(buf, i ? ",{\"receiver\":" : "{\"receiver\":");
        buf_add_json(buf, publish_request->topics[i].name, publish_request->topics[i].length);
        buf_add_text(buf, ",\"delivered\":");
        buf_add_number(buf, publish_request->delivered[i]);
        buf_add_text(buf, "}");
    }
    buf_add_text(buf, "]");
}

static bool is_known(const char *name)
{
    static const char *const known[] = {"sender",    "receiver", "receivers",   "channel",
                                        "broadcast", "message",  "ttl",         "key",
                                        "event",     "args",     "attachments", "except"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i]) == 0)
            return true;
    }
    return false;
}

/* A misspelt field is easily overlooked, so the answer names what was not understood: the first
 * few, for an answer shall not grow with what nobody asked for. */
static void write_ignored(struct buf *buf, const struct publish_request *publish_request)
{
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(publish_request->body, name, value)
    {
        if (is_known(name))
            continue;
        buf_add_text(buf, count ? "," : ",\"ignored\":[");
        bool listed = count++ < MAX_IGNORED && strlen(name) <= TOPIC_NAME_MAX;
        buf_add_json(buf, listed ? name : MORE, strlen(listed ? name : MORE));
        if (!listed)
            break;
    }
    buf_add_text(buf, count ? "]" : "");
}

void receipt_write(struct buf *buf, const struct publish_request *publish_request)
{
    const struct publish_call *publish = &publish_request->publish;
    char id[TEXT_ID_SIZE];
    text_format_id(publish->id, id);
    buf_add_text(buf, "\"status\":\"Message sent\",\"id\":\"");
    buf_add(buf, id, TEXT_ID_SIZE - 1);
    if (!publish->duplicate) {
        buf_add_text(buf, "\",\"delivered\":");
        buf_add_number(buf, publish_request_delivered(publish_request));
    } else {
        buf_add_text(buf, "\",\"duplicate\":true");
    }
    buf_add_text(buf, publish->kept ? ",\"kept\":true" : ",\"kept\":false");
    buf_add_text(buf, publish->durable ? ",\"durable\":true" : ",\"durable\":false");
    if (publish_request->many && !publish->duplicate)
        write_receivers(buf, publish_request);
    write_ignored(buf, publish_request);
}
