#include "session/wire_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
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

static struct chunk *make(const struct message *message, const struct form *form)
{
    if (message->body[0] != '"')
        return frame_of(message, form, message->body, message->body_length);
    if (!memchr(message->body, '\\', message->body_length))
        return frame_of(message, form, message->body + 1, message->body_length - 2);
    json_t *body =
        json_loadb(message->body, message->body_length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    struct chunk *frame =
        body ? frame_of(message, form, json_string_value(body), json_string_length(body)) : NULL;
    json_decref(body);
    return frame;
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
