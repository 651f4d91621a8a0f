#include "socketio/socketio_packet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json_load.h"
#include "base/json_text.h"
#include "base/text.h"
#include "model/event_body.h"

#define ROOT "/"

/* The digits that say so; of an event and of an acknowledgement with attachments: 5 and 6. */
enum { BINARY_EVENT = 5, BINARY_ACK = 6 };

/* ---- in: the head ---- */

/* What is left of the text. */
struct rest {
    const char *at;
    const char *end;
};

static size_t count_digits(const struct rest *rest)
{
    size_t count = 0;
    while (rest->at + count < rest->end && rest->at[count] >= '0' && rest->at[count] <= '9')
        count++;
    return count;
}

static bool read_type(struct rest *rest, struct socketio_packet *packet, bool *ret_binary)
{
    if (rest->at == rest->end || *rest->at < '0' || *rest->at > '0' + BINARY_ACK)
        return false;
    int digit = *rest->at++ - '0';
    *ret_binary = digit >= BINARY_EVENT;
    packet->type = digit == BINARY_EVENT ? SOCKETIO_EVENT
                   : digit == BINARY_ACK ? SOCKETIO_ACK
                                         : (enum socketio_type)digit;
    return true;
}

static bool read_attachments(struct rest *rest, struct socketio_packet *packet)
{
    uint64_t count;
    size_t digits = count_digits(rest);
    if (!text_parse_u64(rest->at, digits, &count) || !count || count > SOCKETIO_MAX_ATTACHMENTS)
        return false;
    packet->attachments = (unsigned)count;
    rest->at += digits;
    return rest->at < rest->end && *rest->at++ == '-';
}

static void read_space(struct rest *rest, struct socketio_packet *packet)
{
    packet->space = ROOT;
    packet->space_length = strlen(ROOT);
    if (rest->at == rest->end || *rest->at != '/')
        return;
    const char *comma = memchr(rest->at, ',', (size_t)(rest->end - rest->at));
    packet->space = rest->at;
    packet->space_length = (size_t)((comma ? comma : rest->end) - rest->at);
    rest->at = comma ? comma + 1 : rest->end;
}

static bool read_ack(struct rest *rest, struct socketio_packet *packet)
{
    size_t digits = count_digits(rest);
    if (!digits)
        return true;
    packet->has_ack = text_parse_u64(rest->at, digits, &packet->ack);
    rest->at += digits;
    return packet->has_ack;
}

static bool read_head(struct rest *rest, struct socketio_packet *packet)
{
    bool binary;
    if (!read_type(rest, packet, &binary) || (binary && !read_attachments(rest, packet)))
        return false;
    read_space(rest, packet);
    return read_ack(rest, packet);
}

/* ---- in: the JSON ---- */

static bool is_event(const json_t *json)
{
    const json_t *name = json_array_get(json, 0);
    return json_is_number(name) ||
           (json_is_string(name) &&
            !event_name_is_of_socketio(json_string_value(name), json_string_length(name)));
}

static bool has_its_json(const struct socketio_packet *packet, const json_t *json)
{
    switch (packet->type) {
    case SOCKETIO_CONNECT:
        return !json || json_is_object(json);
    case SOCKETIO_DISCONNECT:
        return !json;
    case SOCKETIO_EVENT:
        return is_event(json);
    case SOCKETIO_ACK:
        return json_is_array(json) && packet->has_ack;
    case SOCKETIO_CONNECT_ERROR:
        return json_is_object(json) || json_is_string(json);
    }
    return false;
}

static bool is_placeholder(const json_t *json)
{
    return json_is_true(json_object_get(json, "_placeholder"));
}

/* Does each placeholder stand for an attachment? jansson has bounded the depth. */
static bool has_its_attachments(const json_t *json, unsigned count)
{
    const char *name;
    size_t i;
    json_t *value;
    if (is_placeholder(json)) {
        double number = json_number_value(json_object_get(json, "num"));
        return json_is_number(json_object_get(json, "num")) && number >= 0 && number < count &&
               number == (double)(unsigned)number;
    }
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        if (!has_its_attachments(value, count))
            return false;
    }
    json_array_foreach(json, i, value)
    {
        if (!has_its_attachments(value, count))
            return false;
    }
    return true;
}

int socketio_packet_read(const char *text, size_t size, struct socketio_packet *ret_packet,
                         json_t **ret_json)
{
    struct rest rest = {text, text + size};
    struct socketio_packet packet = {.type = SOCKETIO_CONNECT};
    json_error_t error;
    json_t *json = NULL;
    int err = 0;
    if (!read_head(&rest, &packet))
        return ERR_BAD_FRAME;
    packet.text = rest.at;
    packet.size = (size_t)(rest.end - rest.at);
    if (packet.size)
        err = json_load(packet.text, packet.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json, &error);
    bool fits = !err && has_its_json(&packet, json) &&
                (!packet.attachments || has_its_attachments(json, packet.attachments));
    if (!fits) {
        json_decref(json);
        return err == ERR_OUT_OF_MEMORY ? err : ERR_BAD_FRAME;
    }
    *ret_packet = packet;
    *ret_json = json;
    return 0;
}

const char *socketio_packet_arguments(const struct socketio_packet *event, size_t *ret_size)
{
    const char *arguments;
    bool is_list = json_text_tail(event->text, event->size, &arguments, ret_size);
    assert(is_list);
    return arguments;
}

/* ---- in: attachments ---- */

struct socketio_assembly *socketio_assembly_create(const struct socketio_packet *packet,
                                                   json_t *json, size_t max_size)
{
    struct socketio_assembly *assembly = calloc(1, sizeof *assembly);
    char *text = malloc(packet->size + packet->space_length);
    if (!assembly || !text) {
        free(assembly);
        free(text);
        json_decref(json);
        return NULL;
    }
    memcpy(text, packet->text, packet->size);
    memcpy(text + packet->size, packet->space, packet->space_length);
    assembly->packet = *packet;
    assembly->packet.text = assembly->text = text;
    assembly->packet.space = text + packet->size;
    assembly->json = json;
    assembly->size = packet->size;
    assembly->max_size = max_size;
    return assembly;
}

void socketio_assembly_destroy(struct socketio_assembly *assembly)
{
    if (!assembly)
        return;
    for (unsigned i = 0; i < assembly->count; i++)
        buf_finish(&assembly->attachments[i]);
    json_decref(assembly->json);
    free(assembly->text);
    free(assembly);
}

bool socketio_assembly_take(struct socketio_assembly *assembly, const void *bytes, size_t size)
{
    assert(!socketio_assembly_is_whole(assembly));
    struct buf *attachment = &assembly->attachments[assembly->count++];
    assembly->size += size;
    if (!socketio_assembly_is_too_large(assembly))
        buf_add(attachment, bytes, size);
    return buf_ok(attachment);
}

bool socketio_assembly_is_whole(const struct socketio_assembly *assembly)
{
    return assembly->count == assembly->packet.attachments;
}

bool socketio_assembly_is_too_large(const struct socketio_assembly *assembly)
{
    return assembly->size > assembly->max_size;
}

/* ---- out ---- */

void socketio_packet_write(struct buf *buf, const struct socketio_packet *packet)
{
    bool binary = packet->attachments > 0;
    int digit =
        binary ? packet->type == SOCKETIO_EVENT ? BINARY_EVENT : BINARY_ACK : (int)packet->type;
    buf_add_number(buf, (uint64_t)digit);
    if (binary)
        buf_add_format(buf, "%u-", packet->attachments);
    if (packet->space_length > strlen(ROOT)) {
        buf_add(buf, packet->space, packet->space_length);
        buf_add_text(buf, ",");
    }
    if (packet->has_ack)
        buf_add_number(buf, packet->ack);
    buf_add(buf, packet->text, packet->size);
}
