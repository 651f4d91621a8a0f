/* room.h - text chat where a WebSocket asks for nothing but the server, `/`.
 *
 * As the servers of the group-chat tutorials have it: the lobby of `/ws`, or the room `root` of
 * `/rooms/root`, whose guests need no name. The other routes of rooms are those of its protocol.
 * Worker's thread only. */
#ifndef SESSION_ROOM_H
#define SESSION_ROOM_H

struct request;

/* A route's serve(); its state is the struct sessions. */
void room_serve_root(struct request *request);

#endif
