/* parking.h - connections with which libmicrohttpd comes no further, out of its way.
 *
 * 0.9.75 gathers the line of a chunk's size in its buffer, and when that is full without the line's
 * end it asks to be run again, for ever: each run goes over all of that again. Who sends such a
 * line is found by bytes that lie in the kernel and are not taken, though the library was run, and
 * is ended. One with nothing unread may be such a one, or only slow: it is suspended until
 * something comes, and costs nothing meanwhile. Deadlines hold for both. Not from within
 * libmicrohttpd. Worker's thread only. */
#ifndef HTTP_PARKING_H
#define HTTP_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline;
struct deadlines;

struct parking {
    struct deadlines *deadlines;
    /* Ends a connection that makes no sense. */
    void (*end)(void *context, struct deadline *deadline);
    void *context;
    int64_t looked_ms;
    size_t count; /* of those that are suspended */
};

#define PARKING_LOOK_MS 10 /* between two looks the library has been run */

/* libmicrohttpd says that there is work, after it was run: whose is it? Does nothing if the last
 * look was a moment ago. */
void parking_look(struct parking *parking, int64_t now_ms);
/* Lets go on for whom something has come. True: for some, so libmicrohttpd has to be run. */
bool parking_wake(struct parking *parking);
/* This one goes on, to be ended. */
void parking_release(struct parking *parking, struct deadline *deadline);

#endif
