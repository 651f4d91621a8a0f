#include "model/session.h"

#include "base/text.h"
#include "model/message.h"

void session_init(struct session *session)
{
    session->cursor = 0;
    session->user = NULL;
    session->channels = NULL;
    session->cold = NULL;
    session->opened_at_s = 0;
    session->state = SESSION_CLOSED;
    session->more = session->reading = false;
    list_init(&session->link);
    list_init(&session->user_link);
    list_init(&session->waiting);
}

enum session_offer session_offer(struct session *session, struct message *message)
{
    if (session->state == SESSION_CLOSED || message->except == session->id)
        return SESSION_IGNORED;
    if (session->state == SESSION_BEHIND) {
        session->more = true;
        return SESSION_NOTED;
    }
    if (message->id <= session->cursor || !session->ops->deliver(session, message))
        return SESSION_IGNORED;
    session->cursor = message->id;
    if (session->ops->queued(session) <= session->queue_high)
        return SESSION_DELIVERED;
    session->state = SESSION_BEHIND;
    session->more = true;
    return SESSION_FELL_BEHIND;
}

bool session_replay(struct session *session, struct message *message)
{
    if (message->id <= session->cursor)
        return true;
    if (message->except != session->id && !session->ops->deliver(session, message))
        return false;
    session->cursor = message->id;
    return session->state != SESSION_CLOSED;
}

const char *session_device(const struct session *session)
{
    return session->cold ? session->cold->device : NULL;
}

void session_close(struct session *session, enum err reason)
{
    session->ops->close(session, reason);
}

void session_format_id(uint64_t id, char ret_text[static SESSION_ID_TEXT_SIZE])
{
    text_format_hex(id, ret_text);
}
