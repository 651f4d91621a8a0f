/* text_form.h - messages as plain text, for WebSocket clients that know no JSON.
 *
 * Frames ready to be written, in three forms. A message that is a JSON string shows as its text,
 * anything else as compact JSON. Any thread. */
#ifndef NET_TEXT_FORM_H
#define NET_TEXT_FORM_H

#include "model/message.h"

#define TEXT_FORM_PROTOCOL "pushwire.v1.text" /* of Sec-WebSocket-Protocol */

extern const struct message_format text_form_session; /* `[bob]: hi` */
extern const struct message_format text_form_room;    /* `bob: hi` */
extern const struct message_format text_form_lobby;   /* `hi` */

#endif
