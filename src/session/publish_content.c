#include "session/publish_content.h"

#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/json_text.h"
#include "model/event_body.h"
#include "model/message.h"
#include "session/publish_problem.h"

#define PLACEHOLDER "_placeholder" /* Socket.IO's: here belongs the attachment `num` */

struct reading {
    const json_t *object;
    const char *text;
    size_t size;
    struct buf *content;
    struct draft *draft;
    struct publish_problem *problem;
};

static const json_t *field_of(const struct reading *reading, const char *name)
{
    return json_object_get(reading->object, name);
}

/* The value as it was written, so that no number changes on its way; borrowed from the source
 * where it has no white space to lose. */
static bool cut(const struct reading *reading, const char *name, struct buf *spare,
                const char **ret_json, size_t *ret_length)
{
    if (!json_text_member(reading->text, reading->size, name, ret_json, ret_length))
        return false; /* cannot be: it has been parsed */
    if (json_text_is_compact(*ret_json, *ret_length))
        return true;
    json_text_compact(spare, *ret_json, *ret_length);
    *ret_json = spare->data;
    *ret_length = spare->size;
    return buf_ok(spare);
}

static bool read_message(const struct reading *reading)
{
    struct draft *draft = reading->draft;
    draft->kind = MESSAGE_NOTIFICATION;
    if (!field_of(reading, "message"))
        return publish_missing(reading->problem, "message",
                               "Say what to send: \"message\":\"hi\".");
    return cut(reading, "message", reading->content, &draft->body, &draft->body_length) ||
           publish_out_of_memory(reading->problem);
}

/* ---- events ---- */

static bool read_name(const struct reading *reading)
{
    const json_t *name = field_of(reading, "event");
    size_t length = json_string_length(name);
    if (!json_is_string(name) || !length || length > EVENT_NAME_MAX)
        return publish_wrong(reading->problem, "event", "event is a text of 1 to 128 bytes.");
    return !event_name_is_reserved(json_string_value(name), length) ||
           publish_wrong(reading->problem, "event",
                         "A name that Socket.IO has for itself, as disconnect, or that begins with "
                         "pushwire:, is not free.");
}

static bool check_args(const struct reading *reading)
{
    const json_t *args = field_of(reading, "args");
    if (args && field_of(reading, "message"))
        return publish_wrong(reading->problem, "args", "Give message or args, not both.");
    if (!args && !field_of(reading, "message"))
        return publish_missing(reading->problem, "args",
                               "Say what comes with it: \"args\":[], or \"message\":\"hi\".");
    return !args || (json_is_array(args) && json_array_size(args) <= EVENT_ARGS_MAX) ||
           publish_wrong(reading->problem, "args", "args is a list of at most 64 values.");
}

/* Each placeholder, however deep, stands for an attachment that is there. */
static bool are_placeholders_good(const json_t *value, size_t count)
{
    size_t i;
    const char *name;
    json_t *item;
    double number = json_number_value(json_object_get(value, "num"));
    if (json_is_true(json_object_get(value, PLACEHOLDER)) &&
        (!json_is_number(json_object_get(value, "num")) || number < 0 || number >= (double)count ||
         number != (double)(size_t)number))
        return false;
    json_array_foreach(value, i, item)
    {
        if (!are_placeholders_good(item, count))
            return false;
    }
    json_object_foreach((json_t *)value, name, item)
    {
        if (!are_placeholders_good(item, count))
            return false;
    }
    return true;
}

/* Written anew: some programs write `/` as `\/`. */
static bool read_attachments(const struct reading *reading, struct buf *ret_list)
{
    const json_t *list = field_of(reading, "attachments"), *item;
    size_t i;
    if (list && (!json_is_array(list) || json_array_size(list) > EVENT_ATTACHMENTS_MAX))
        return publish_wrong(reading->problem, "attachments",
                             "attachments is a list of at most 10 texts.");
    buf_add_text(ret_list, "[");
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item) || !base64_is(json_string_value(item), json_string_length(item)))
            return publish_refuse(reading->problem, ERR_BAD_FIELD, "attachments",
                                  "Attachment %zu is not base64.", i);
        buf_add_text(ret_list, i ? ",\"" : "\"");
        buf_add(ret_list, json_string_value(item), json_string_length(item));
        buf_add_text(ret_list, "\"");
    }
    buf_add_text(ret_list, "]");
    const char *field = field_of(reading, "args") ? "args" : "message";
    return are_placeholders_good(field_of(reading, field), json_array_size(list)) ||
           publish_wrong(reading->problem, field,
                         "A _placeholder stands for an attachment: its num counts them from 0.");
}

static bool write_event(const struct reading *reading, const struct buf *attachments)
{
    struct buf spare, args;
    const char *json;
    size_t length;
    const json_t *list = field_of(reading, "args"), *name = field_of(reading, "event");
    buf_init(&spare);
    buf_init(&args);
    bool done = cut(reading, list ? "args" : "message", &spare, &json, &length);
    if (done) {
        buf_add(&args, list ? json + 1 : json, list ? length - 2 : length);
        event_body_write(reading->content, json_string_value(name), json_string_length(name), &args,
                         json_array_size(field_of(reading, "attachments")) ? attachments : NULL);
    }
    buf_finish(&args);
    buf_finish(&spare);
    reading->draft->body = reading->content->data;
    reading->draft->body_length = reading->content->size;
    return (done && buf_ok(reading->content)) || publish_out_of_memory(reading->problem);
}

static bool read_event(const struct reading *reading)
{
    struct buf attachments;
    reading->draft->kind = MESSAGE_EVENT;
    buf_init(&attachments);
    bool done = read_name(reading) && check_args(reading) &&
                read_attachments(reading, &attachments) && write_event(reading, &attachments);
    buf_finish(&attachments);
    return done;
}

/* ---- both ---- */

static bool fits(const struct reading *reading, size_t max)
{
    size_t size = reading->draft->body_length;
    bool is_event = reading->draft->kind == MESSAGE_EVENT;
    return size <= max ||
           publish_refuse(reading->problem, ERR_MESSAGE_TOO_LARGE,
                          field_of(reading, "args") ? "args" : "message",
                          "The %s is %zu bytes of JSON, max_message is %zu.",
                          is_event ? "event with all that it brings" : "message", size, max);
}

bool publish_content_read(const json_t *object, const char *text, size_t size, size_t max_message,
                          struct buf *content, struct draft *draft,
                          struct publish_problem *ret_problem)
{
    const struct reading reading = {object, text, size, content, draft, ret_problem};
    static const char *const of_events[] = {"args", "attachments"};
    if (field_of(&reading, "event"))
        return read_event(&reading) && fits(&reading, max_message);
    for (size_t i = 0; i < sizeof of_events / sizeof *of_events; i++) {
        if (field_of(&reading, of_events[i]))
            return publish_missing(ret_problem, "event",
                                   "args and attachments are an event's: \"event\":\"order\".");
    }
    return read_message(&reading) && fits(&reading, max_message);
}
