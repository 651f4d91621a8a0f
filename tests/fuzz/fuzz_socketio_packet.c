/* fuzz_socketio_packet.c - a packet of Socket.IO. What is proper means the same after it was
 * written and read again, and its attachments are held up to a limit. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "socketio/socketio_packet.h"

#define MAX_SIZE 64

static bool same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    return a_size == b_size && !memcmp(a, b, a_size);
}

static void read_again(const struct socketio_packet *packet)
{
    struct socketio_packet again;
    struct buf buf;
    json_t *json;

    buf_init(&buf);
    socketio_packet_write(&buf, packet);
    assert(socketio_packet_read(buf.data, buf.size, &again, &json) == 0);
    assert(again.type == packet->type && again.attachments == packet->attachments);
    assert(again.has_ack == packet->has_ack && (!again.has_ack || again.ack == packet->ack));
    assert(same(again.space, again.space_length, packet->space, packet->space_length));
    assert(same(again.text, again.size, packet->text, packet->size));
    json_decref(json);
    buf_finish(&buf);
}

static void collect(const struct socketio_packet *packet, json_t *json, const char *bytes,
                    size_t size)
{
    struct socketio_assembly *assembly = socketio_assembly_create(packet, json, MAX_SIZE);
    size_t held = 0;

    while (!socketio_assembly_is_whole(assembly))
        assert(socketio_assembly_take(assembly, bytes, size));
    for (unsigned i = 0; i < assembly->count; i++)
        held += assembly->attachments[i].size;
    assert(held <= MAX_SIZE);
    socketio_assembly_destroy(assembly);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socketio_packet packet;
    json_t *json;

    if (socketio_packet_read((const char *)data, size, &packet, &json) != 0)
        return 0;
    read_again(&packet);
    if (packet.attachments)
        collect(&packet, json, (const char *)data, size);
    else
        json_decref(json);
    return 0;
}
