/* fuzz_engine_payload.c - the body of a POST of Engine.IO as it is cut into packets. What is proper
 * is the same after it was written and read again. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "socketio/engine_packet.h"

static void write(struct buf *buf, const struct engine_packet *packet)
{
    if (packet->binary)
        engine_packet_write_bytes(buf, packet->data, packet->size);
    else
        engine_packet_write(buf, packet->type, packet->data, packet->size);
}

static void read_again(const struct buf *text, const struct engine_packet *packet)
{
    struct engine_packet again;
    struct buf room;

    buf_init(&room);
    assert(engine_packet_read(text->data, text->size, &room, &again) == 0);
    assert(again.type == packet->type && again.binary == packet->binary);
    assert(again.size == packet->size && !memcmp(again.data, packet->data, again.size));
    buf_finish(&room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct engine_payload payload;
    struct engine_packet packet;
    struct buf room, again;
    const char *text;
    size_t length, sum = 0;

    buf_init(&room);
    buf_init(&again);
    engine_payload_begin(&payload, (const char *)data, size);
    while (engine_payload_next(&payload, &text, &length)) {
        sum += length + 1;
        if (engine_packet_read(text, length, &room, &packet) != 0)
            continue;
        again.size = 0;
        write(&again, &packet);
        assert(again.size == length);
        read_again(&again, &packet);
    }
    assert(sum == size + 1);
    buf_finish(&room);
    buf_finish(&again);
    return 0;
}
