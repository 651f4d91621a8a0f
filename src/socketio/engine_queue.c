#include "socketio/engine_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "model/message.h"
#include "socket/websocket.h"
#include "socketio/engine_packet.h"

#define FRAME_COST 64 /* of one besides its bytes */

struct engine_frame {
    struct engine_frame *next;
    struct chunk *chunk; /* one reference */
};

bool engine_queue_add(struct engine_queue *queue, struct chunk *frames)
{
    struct engine_frame *frame = malloc(sizeof *frame);
    if (!frame)
        return false;
    *frame = (struct engine_frame){NULL, frame_ref(frames)};
    if (queue->tail)
        queue->tail->next = frame;
    else
        queue->head = frame;
    queue->tail = frame;
    queue->size += frames->size + FRAME_COST;
    return true;
}

struct chunk *engine_queue_first(const struct engine_queue *queue)
{
    return queue->head ? queue->head->chunk : NULL;
}

void engine_queue_drop(struct engine_queue *queue)
{
    struct engine_frame *frame = queue->head;
    queue->head = frame->next;
    if (!queue->head)
        queue->tail = NULL;
    queue->size -= frame->chunk->size + FRAME_COST;
    frame_unref(frame->chunk);
    free(frame);
}

void engine_queue_clear(struct engine_queue *queue)
{
    while (queue->head)
        engine_queue_drop(queue);
}

void engine_queue_empty(struct engine_queue *queue, struct buf *payload)
{
    for (; queue->head; engine_queue_drop(queue))
        engine_payload_add_frames(payload, queue->head->chunk->bytes, queue->head->chunk->size);
}

/* A packet as a text frame. */
static bool add_frame(struct buf *frames, const struct buf *packet)
{
    char *payload;
    struct chunk *frame =
        buf_ok(packet) ? websocket_frame(WEBSOCKET_TEXT, packet->size, &payload) : NULL;
    if (!frame)
        return false;
    if (packet->size)
        memcpy(payload, packet->data, packet->size);
    buf_add(frames, frame->bytes, frame->size);
    frame_unref(frame);
    return true;
}

struct chunk *engine_frames_as_text(const struct chunk *frames)
{
    struct engine_frames left = {frames->bytes, frames->bytes + frames->size};
    struct buf all, packet;
    const char *data;
    size_t size;
    bool is_text, added = true;
    buf_init(&all);
    buf_init(&packet);
    while (added && engine_frames_next(&left, &is_text, &data, &size)) {
        packet.size = 0;
        if (is_text)
            buf_add(&packet, data, size);
        else
            engine_packet_write_bytes(&packet, data, size);
        added = add_frame(&all, &packet);
    }
    struct chunk *text = added ? frame_from(&all) : NULL;
    buf_finish(&all);
    buf_finish(&packet);
    return text;
}
