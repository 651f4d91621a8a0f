/* wire_text.h - messages as plain text, for WebSocket clients that know no JSON.
 *
 * Frames ready to be written, in three forms. A message that is a JSON string shows as its text,
 * anything else as compact JSON; an event as its one argument, or the list. Any thread. */
#ifndef SESSION_WIRE_TEXT_H
#define SESSION_WIRE_TEXT_H

#include "model/message.h"
#include "session/protocols.h"

#define TEXT_FORM_PROTOCOL "pushwire.v1.text" /* of Sec-WebSocket-Protocol */

/* The slots of all that is sent as a WebSocket's frame; JSON among it. */
enum {
    FRAME_TEXT = FRAMES_OF_WEBSOCKET,
    FRAME_TEXT_OUTLINE,
    FRAME_JSON,
    FRAME_JSON_OUTLINE,
};
enum { FRAME_LOBBY = FRAMES_OF_ROOM, FRAME_ROOM };

extern const struct message_format wire_text_session; /* `[bob]: hi` */
extern const struct message_format wire_text_room;    /* `bob: hi` */
extern const struct message_format wire_text_lobby;   /* `hi` */

#endif
