#include "session/wire_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "model/event_body.h"
#include "session/protocols.h"
#include "socket/websocket.h"

struct form {
    const char *before; /* the sender */
    const char *after;
    bool has_sender;
};

static struct chunk *frame_of(const struct message *message, const struct form *form,
                              const char *text, size_t length)
{
    size_t before = strlen(form->before), after = strlen(form->after);
    size_t sender = form->has_sender ? message->sender_length : 0;
    char *at;
    struct chunk *frame = websocket_frame(WEBSOCKET_TEXT, before + sender + after + length, &at);
    if (!frame)
        return NULL;
    at = mempcpy(at, form->before, before);
    at = mempcpy(at, message->sender, sender);
    at = mempcpy(at, form->after, after);
    memcpy(at, text, length);
    return frame;
}

static struct chunk *frame_of_json(const struct message *message, const struct form *form,
                                   const char *json, size_t length)
{
    if (json[0] != '"')
        return frame_of(message, form, json, length);
    if (!memchr(json, '\\', length))
        return frame_of(message, form, json + 1, length - 2);
    json_t *text = json_loadb(json, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    struct chunk *frame =
        text ? frame_of(message, form, json_string_value(text), json_string_length(text)) : NULL;
    json_decref(text);
    return frame;
}

/* Of an event its one argument, or the list of them. */
static struct chunk *frame_of_event(const struct message *message, const struct form *form)
{
    struct event_body event;
    struct buf list;
    message_split(message, &event);
    if (event_body_is_single(&event))
        return frame_of_json(message, form, event.args, event.args_length);
    buf_init(&list);
    buf_add_text(&list, "[");
    buf_add(&list, event.args, event.args_length);
    buf_add_text(&list, "]");
    struct chunk *frame = buf_ok(&list) ? frame_of(message, form, list.data, list.size) : NULL;
    buf_finish(&list);
    return frame;
}

static struct chunk *make(const struct message *message, const struct form *form)
{
    return message->kind == MESSAGE_EVENT
               ? frame_of_event(message, form)
               : frame_of_json(message, form, message->body, message->body_length);
}

static struct chunk *make_session(const struct message *message)
{
    return make(message, &(struct form){"[", "]: ", true});
}

static struct chunk *make_room(const struct message *message)
{
    return make(message, &(struct form){"", ": ", true});
}

static struct chunk *make_lobby(const struct message *message)
{
    return make(message, &(struct form){"", "", false});
}

static struct chunk *make_outline(const struct message *message)
{
    char text[128], id[TEXT_ID_SIZE];
    text_format_id(message->id, id);
    int length = snprintf(text, sizeof text, "(too large: %u bytes, id %s)",
                          (unsigned)message->body_length, id);
    return frame_of(message, &(struct form){"[", "]: ", true}, text, (size_t)length);
}

static const struct message_format outline = {FRAME_TEXT_OUTLINE, make_outline, NULL};

const struct message_format wire_text_session = {FRAME_TEXT, make_session, &outline};
const struct message_format wire_text_room = {FRAME_ROOM, make_room, NULL};
const struct message_format wire_text_lobby = {FRAME_LOBBY, make_lobby, NULL};
