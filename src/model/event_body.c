#include "model/event_body.h"

#include <string.h>

#include "base/buf.h"
#include "base/json_text.h"

#define OURS "pushwire:"

bool event_name_is_of_socketio(const char *name, size_t length)
{
    static const char *const reserved[] = {"connect",       "connect_error", "disconnect",
                                           "disconnecting", "newListener",   "removeListener"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strlen(reserved[i]) == length && memcmp(name, reserved[i], length) == 0)
            return true;
    }
    return false;
}

bool event_name_is_reserved(const char *name, size_t length)
{
    return event_name_is_of_socketio(name, length) ||
           (length >= strlen(OURS) && memcmp(name, OURS, strlen(OURS)) == 0);
}

/* The array of a pair that begins at body; its attachments follow. */
static bool split_pair(const char *body, size_t length, struct event_body *ret_event)
{
    const char *array = body + 1;
    size_t size = json_text_value_size(array, length - 1);
    const char *after = array + size; /* `,["AQID"]]` */
    size_t left = length - 1 - size;
    if (left < 4 || after[0] != ',' || after[1] != '[' || after[left - 1] != ']')
        return false;
    ret_event->array = array;
    ret_event->array_length = size;
    ret_event->attachments = after + 1;
    ret_event->attachments_length = left - 2;
    return true;
}

bool event_body_split(const char *body, size_t length, struct event_body *ret_event)
{
    *ret_event = (struct event_body){.array = body, .array_length = length};
    if (length >= 2 && body[1] == '[' && !split_pair(body, length, ret_event))
        return false;
    const char *array = ret_event->array, *end = array + ret_event->array_length - 1;
    if (ret_event->array_length < 4 || array[0] != '[' || array[1] != '"' || *end != ']')
        return false;
    ret_event->name = array + 1;
    ret_event->name_length = json_text_value_size(array + 1, ret_event->array_length - 1);
    const char *after = ret_event->name + ret_event->name_length;
    if (after > end || after[-1] != '"' || (after < end && *after != ','))
        return false;
    ret_event->args = after < end ? after + 1 : end;
    ret_event->args_length = (size_t)(end - ret_event->args);
    return true;
}

bool event_body_is_single(const struct event_body *event)
{
    return event->args_length &&
           json_text_value_size(event->args, event->args_length) == event->args_length;
}

void event_body_write(struct buf *buf, const char *name, size_t name_length, const struct buf *args,
                      const struct buf *attachments)
{
    buf_add_text(buf, attachments ? "[[" : "[");
    buf_add_json(buf, name, name_length);
    buf_add_text(buf, args->size ? "," : "");
    buf_add(buf, args->data, args->size);
    buf_add_text(buf, attachments ? "]," : "]");
    if (attachments) {
        buf_add(buf, attachments->data, attachments->size);
        buf_add_text(buf, "]");
    }
    buf->failed = buf->failed || !buf_ok(args) || (attachments && !buf_ok(attachments));
}
