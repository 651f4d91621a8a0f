#include "socketio/suites.h"

#include <string.h>

#include "base/buf.h"
#include "base/json_text.h"
#include "base/list.h"
#include "socketio/engine.h"
#include "socketio/engine_state.h"
#include "socketio/socketio_packet.h"

const struct engine_limits suites_limits = {
    .ping_interval_ms = 300,
    .ping_timeout_ms = 200,
    .upgrade_timeout_ms = 10000,
    .max_payload = 1000000,
    .max_queued = 4000000,
};

/* ---- /engine.io/ ---- */

static void send_back(struct engine *engine, bool binary, const char *data, size_t size)
{
    engine_send_message(engine, binary, data, size);
}

const struct engine_role suites_engine = {
    .size = sizeof(struct engine),
    .on_message = send_back,
};

/* ---- /socket.io/ ---- */

#define CUSTOM "/custom"

enum { SPACE_ROOT, SPACE_CUSTOM, SPACES };

struct visitor {
    struct engine engine; /* first: on_message and the others find the rest */
    bool joined[SPACES];
    struct socketio_assembly *assembly; /* NULL: no attachments are on their way */
};

static int space_of(const struct socketio_packet *packet)
{
    static const char *const names[SPACES] = {"/", CUSTOM};
    for (int i = 0; i < SPACES; i++) {
        if (packet->space_length == strlen(names[i]) &&
            memcmp(packet->space, names[i], packet->space_length) == 0)
            return i;
    }
    return -1;
}

/* A packet of the namespace that another came from; its JSON is parts, one after the other. */
static void say(struct visitor *visitor, struct socketio_packet packet, const char *beginning,
                const char *data, size_t size, const char *end)
{
    struct buf buf;
    buf_init(&buf);
    packet.size = 0;
    socketio_packet_write(&buf, &packet);
    buf_add_text(&buf, beginning);
    buf_add(&buf, data, size);
    buf_add_text(&buf, end);
    if (buf_ok(&buf))
        engine_send_message(&visitor->engine, false, buf.data, buf.size);
    else
        engine_close(&visitor->engine, ERR_OUT_OF_MEMORY);
    buf_finish(&buf);
}

static void connect_to(struct visitor *visitor, const struct socketio_packet *packet, int space)
{
    struct socketio_packet answer = {
        .type = SOCKETIO_CONNECT, .space = packet->space, .space_length = packet->space_length};
    char sid[ENGINE_SID_SIZE];
    visitor->joined[space] = true;
    engine_sid_make(0, sid);
    say(visitor, answer, "{\"sid\":\"", sid, strlen(sid), "\"}");
    answer.type = SOCKETIO_EVENT;
    say(visitor, answer, "[\"auth\",", packet->size ? packet->text : "{}",
        packet->size ? packet->size : 2, "]");
}

static void refuse(struct visitor *visitor, struct socketio_packet packet)
{
    packet.type = SOCKETIO_CONNECT_ERROR;
    say(visitor, packet, "{\"message\":\"Invalid namespace\"}", NULL, 0, "");
}

static bool is_called(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_array_get(json, 0));
    return text && strcmp(text, name) == 0;
}

/* What has an answer, with the same attachments. */
static bool is_served(const struct socketio_packet *packet, const json_t *json)
{
    return packet->type == SOCKETIO_EVENT &&
           (is_called(json, "message") || (is_called(json, "message-with-ack") && packet->has_ack));
}

static void serve_event(struct visitor *visitor, const struct socketio_packet *packet,
                        const json_t *json)
{
    struct socketio_packet answer = *packet;
    size_t size;
    const char *arguments = socketio_packet_arguments(packet, &size);
    if (is_called(json, "message")) {
        answer.has_ack = false;
        say(visitor, answer, size ? "[\"message-back\"," : "[\"message-back\"", arguments, size,
            "]");
    } else if (is_served(packet, json)) {
        answer.type = SOCKETIO_ACK;
        say(visitor, answer, "[", arguments, size, "]");
    }
}

static void serve_packet(struct visitor *visitor, const struct socketio_packet *packet,
                         const json_t *json)
{
    int space = space_of(packet);
    bool joined = space >= 0 && visitor->joined[space];
    if (packet->type == SOCKETIO_CONNECT && space < 0)
        refuse(visitor, *packet);
    else if (packet->type == SOCKETIO_CONNECT && !joined)
        connect_to(visitor, packet, space);
    else if (packet->type == SOCKETIO_DISCONNECT && joined)
        visitor->joined[space] = false;
    else if (packet->type == SOCKETIO_EVENT && joined)
        serve_event(visitor, packet, json);
    else if (packet->type != SOCKETIO_ACK || !joined)
        engine_close(&visitor->engine, ERR_BAD_FRAME);
}

static void take_text(struct visitor *visitor, const char *text, size_t size)
{
    struct socketio_packet packet;
    json_t *json;
    int err = visitor->assembly ? ERR_BAD_FRAME : socketio_packet_read(text, size, &packet, &json);
    if (!err && packet.attachments) {
        visitor->assembly = socketio_assembly_create(&packet, json, suites_limits.max_payload);
        err = visitor->assembly ? 0 : ERR_OUT_OF_MEMORY;
    } else if (!err) {
        serve_packet(visitor, &packet, json);
        json_decref(json);
    }
    if (err)
        engine_close(&visitor->engine, (enum err)err);
}

static void take_bytes(struct visitor *visitor, const char *bytes, size_t size)
{
    struct socketio_assembly *assembly = visitor->assembly;
    if (!assembly || !socketio_assembly_take(assembly, bytes, size) ||
        socketio_assembly_is_too_large(assembly)) {
        engine_close(&visitor->engine, assembly ? ERR_MESSAGE_TOO_LARGE : ERR_BAD_FRAME);
        return;
    }
    if (!socketio_assembly_is_whole(assembly))
        return;
    visitor->assembly = NULL;
    serve_packet(visitor, &assembly->packet, assembly->json);
    for (unsigned i = 0; is_served(&assembly->packet, assembly->json) && i < assembly->count; i++)
        engine_send_message(&visitor->engine, true, assembly->attachments[i].data,
                            assembly->attachments[i].size);
    socketio_assembly_destroy(assembly);
}

static void on_message(struct engine *engine, bool binary, const char *data, size_t size)
{
    struct visitor *visitor = (struct visitor *)engine;
    if (binary)
        take_bytes(visitor, data, size);
    else
        take_text(visitor, data, size);
}

static void finish(struct engine *engine)
{
    socketio_assembly_destroy(((struct visitor *)engine)->assembly);
}

const struct engine_role suites_socketio = {
    .size = sizeof(struct visitor),
    .on_message = on_message,
    .finish = finish,
};
