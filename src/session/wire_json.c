#include "session/wire_json.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "model/identity.h"
#include "model/message.h"
#include "model/session.h"
#include "model/token.h"
#include "session/publish_request.h"

#define MAX_REF 9007199254740992.0 /* up to here a double holds every whole number */

static void add_id(struct buf *buf, const char *before, uint64_t id)
{
    char text[TEXT_ID_SIZE];
    text_format_id(id, text);
    buf_add_format(buf, "%s\"%s\"", before, text);
}

static void add_name(struct buf *buf, const char *before, const struct topic *topic)
{
    buf_add_text(buf, before);
    buf_add_json(buf, topic->name, topic->length);
}

/* ---- messages ---- */

void wire_json_message(struct buf *buf, const struct message *message)
{
    buf_add_text(buf, "{\"type\":\"message\",");
    message_write_members(message, buf);
    buf_add_text(buf, "}");
}

void wire_json_outline(struct buf *buf, const struct message *message)
{
    buf_add_text(buf, "{");
    message_write_outline(message, buf);
    buf_add_text(buf, "}");
}

void wire_json_add_to_page(struct buf *messages, const struct message *message, size_t max)
{
    size_t before;
    buf_add_text(messages, messages->size ? ",{" : "{");
    before = messages->size;
    message_write_members(message, messages);
    if (max && buf_ok(messages) && messages->size - before + 2 > max) {
        messages->size = before;
        message_write_outline(message, messages);
    }
    buf_add_text(messages, "}");
}

void wire_json_page(struct buf *buf, const struct wire_page *page)
{
    buf_add_text(buf, "{\"messages\":[");
    buf_add(buf, page->messages->data, page->messages->size);
    add_id(buf, "],\"next\":", page->next);
    buf_add_text(buf, page->more ? ",\"more\":true,\"gap\":" : ",\"more\":false,\"gap\":");
    if (page->resumes) {
        add_id(buf, "{\"after\":", page->after);
        add_id(buf, ",\"resumes\":", page->resumes);
        buf_add_text(buf, "}}\n");
    } else {
        buf_add_text(buf, "null}\n");
    }
    buf->failed = buf->failed || !buf_ok(page->messages);
}

/* ---- the life of a session ---- */

/* As the token says it; that it counts a little longer is for clocks that differ. */
static void add_end(struct buf *buf, const struct identity *who)
{
    char text[CLOCK_TEXT_SIZE];
    if (!who || identity_end_ms(who) == INT64_MAX)
        return;
    clock_format(identity_end_ms(who) - CLAIMS_LEEWAY_MS, text);
    buf_add_format(buf, ",\"expires_at\":\"%s\"", text);
}

void wire_json_welcome(struct buf *buf, const struct session *session, const struct topic *user,
                       int64_t heartbeat_seconds, const struct identity *who)
{
    char id[SESSION_ID_TEXT_SIZE];
    session_format_id(session->id, id);
    buf_add_format(buf, "{\"type\":\"welcome\",\"session\":\"%s\"", id);
    add_name(buf, ",\"user\":", user);
    add_id(buf, ",\"cursor\":", session->cursor);
    buf_add_format(buf, ",\"heartbeat\":%lld", (long long)heartbeat_seconds);
    add_end(buf, who);
    buf_add_text(buf, "}");
}

void wire_json_renewed(struct buf *buf, const struct identity *who)
{
    buf_add_text(buf, "{\"type\":\"renewed\"");
    add_end(buf, who);
    buf_add_text(buf, "}");
}

void wire_json_gap(struct buf *buf, uint64_t after, uint64_t resumes, const struct topic *channel)
{
    add_id(buf, "{\"type\":\"gap\",\"after\":", after);
    add_id(buf, ",\"resumes\":", resumes);
    if (channel)
        add_name(buf, ",\"channel\":", channel);
    buf_add_text(buf, "}");
}

void wire_json_bye(struct buf *buf, enum err reason, int64_t retry_ms)
{
    buf_add_format(buf, "{\"type\":\"bye\",\"code\":\"%s\",\"retry_ms\":%lld}", err_code(reason),
                   (long long)retry_ms);
}

/* ---- answers to a client's frames ---- */

void wire_json_pong(struct buf *buf)
{
    buf_add_text(buf, "{\"type\":\"pong\"}");
}

void wire_json_subscribed(struct buf *buf, const struct topic *channel)
{
    add_name(buf, "{\"type\":\"subscribed\",\"channel\":", channel);
    buf_add_text(buf, "}");
}

void wire_json_unsubscribed(struct buf *buf, const struct topic *channel)
{
    add_name(buf, "{\"type\":\"unsubscribed\",\"channel\":", channel);
    buf_add_text(buf, "}");
}

static void add_ref(struct buf *buf, const json_t *ref)
{
    double number = json_number_value(ref);
    if (json_is_string(ref) && json_string_length(ref) <= TOPIC_NAME_MAX) {
        buf_add_text(buf, ",\"ref\":");
        buf_add_json(buf, json_string_value(ref), json_string_length(ref));
    } else if (json_is_number(ref) && number >= -MAX_REF && number <= MAX_REF &&
               number == (double)(int64_t)number) {
        buf_add_format(buf, ",\"ref\":%lld", (long long)number);
    }
}

void wire_json_sent(struct buf *buf, const struct publish_request *sent, const json_t *ref)
{
    buf_add_text(buf, "{\"type\":\"sent\"");
    add_ref(buf, ref);
    add_id(buf, ",\"id\":", sent->publish.id);
    if (sent->publish.duplicate)
        buf_add_text(buf, ",\"duplicate\":true}");
    else
        buf_add_format(buf, ",\"delivered\":%llu}",
                       (unsigned long long)publish_request_delivered(sent));
}

void wire_json_error(struct buf *buf, enum err err, const char *detail, const json_t *ref)
{
    buf_add_format(buf, "{\"type\":\"error\",\"code\":\"%s\",\"detail\":", err_code(err));
    buf_add_json(buf, detail, strlen(detail));
    add_ref(buf, ref);
    buf_add_text(buf, "}");
}
