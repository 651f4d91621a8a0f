#include "net/api/receipt.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "net/sending.h"

#define MAX_IGNORED 16
#define MORE        "\u2026" /* in the place of those that are not named */

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

static bool is_known(const char *name)
{
    static const char *const known[] = {"sender",    "receiver", "receivers", "channel",
                                        "broadcast", "message",  "ttl",       "key"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i]) == 0)
            return true;
    }
    return false;
}

/* A misspelt field is easily overlooked, so the answer names what was not understood: the first
 * few, for an answer shall not grow with what nobody asked for. */
static void write_ignored(struct buf *buf, const struct sending *sending)
{
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(sending->body, name, value)
    {
        if (is_known(name))
            continue;
        buf_add_text(buf, count ? "," : ",\"ignored\":[");
        bool listed = count++ < MAX_IGNORED && strlen(name) <= ADDRESS_NAME_MAX;
        buf_add_json(buf, listed ? name : MORE, strlen(listed ? name : MORE));
        if (!listed)
            break;
    }
    buf_add_text(buf, count ? "]" : "");
}

void receipt_write(struct buf *buf, const struct sending *sending)
{
    const struct publish *publish = &sending->publish;
    char id[TEXT_ID_SIZE];
    text_format_id(publish->id, id);
    buf_add_text(buf, "\"status\":\"Message sent\",\"id\":\"");
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
}
