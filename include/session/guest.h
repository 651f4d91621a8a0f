/* guest.h - somebody in a text chat room: hears it, and is heard there.
 *
 * A text frame is published to the channel of the room; `/exit` leaves a room where one does not
 * hear oneself. How one comes in is room.c's. Worker's thread only. */
#ifndef SESSION_GUEST_H
#define SESSION_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "model/topic.h"
#include "session/client.h"
#include "socket/websocket.h"

struct message_format;

struct guest {
    struct websocket websocket; /* first: the role's callbacks find the rest */
    struct client client;
    const struct message_format *format;
    const char *greeting; /* the first that it hears; NULL: nothing */
    bool hears_itself;
    uint8_t name_length;
    uint8_t channel_length;
    char name[TOPIC_NAME_MAX];
    char channel[TOPIC_NAME_MAX];
};

extern const struct session_ops guest_session_ops;
extern const struct websocket_role guest_role; /* frees it at its end */

/* Its own topic, which nobody can name; ret_id is the topic's name. */
struct topic guest_topic(uint64_t session, char ret_id[static SESSION_ID_TEXT_SIZE]);

#endif
