/* room.h - text chat rooms, as in the group-chat tutorials.
 *
 * `/ws` is one lobby: a text frame from anyone goes to everyone, its sender too. `/rooms/<room>` is
 * a room: a text frame goes to all others as `bob: text`, and `/exit` leaves. They are the channels
 * `lobby` and `room:<room>` with a ttl of 0: nothing said there is kept. Worker's thread only. */
#ifndef SESSION_ROOM_H
#define SESSION_ROOM_H

struct request;

/* The routes' serve(); their state is a struct sessions. */
void room_lobby_serve(struct request *request);
void room_serve(struct request *request);

#endif
