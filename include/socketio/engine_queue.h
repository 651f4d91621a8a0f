/* engine_queue.h - packets that wait until somebody comes to fetch them.
 *
 * Ready WebSocket frames, as references. Worker's thread only. */
#ifndef SOCKETIO_ENGINE_QUEUE_H
#define SOCKETIO_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct chunk;
struct engine_frame;

/* Empty when it is all zeros. */
struct engine_queue {
    struct engine_frame *head; /* oldest first */
    struct engine_frame *tail;
    size_t size; /* bytes of memory */
};

/* With a reference of its own. False: out of memory. */
bool engine_queue_add(struct engine_queue *queue, struct chunk *frames);
/* The oldest, borrowed, which engine_queue_drop takes off; NULL: none. */
struct chunk *engine_queue_first(const struct engine_queue *queue);
void engine_queue_drop(struct engine_queue *queue);
void engine_queue_clear(struct engine_queue *queue);
/* All of it as a payload. */
void engine_queue_empty(struct engine_queue *queue, struct buf *payload);

/* The same frames for a client that takes no bytes: with text in their place. NULL: out of memory.
 */
struct chunk *engine_frames_as_text(const struct chunk *frames);

#endif
