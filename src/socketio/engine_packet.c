#include "socketio/engine_packet.h"

#include <assert.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#define SEPARATOR '\x1e'

/* ---- in ---- */

static int read_bytes(const char *text, size_t size, struct buf *room,
                      struct engine_packet *ret_packet)
{
    room->size = 0;
    if (!base64_decode(room, text, size))
        return ERR_BAD_FRAME;
    if (!buf_ok(room))
        return ERR_OUT_OF_MEMORY;
    *ret_packet =
        (struct engine_packet){ENGINE_MESSAGE, true, room->data ? room->data : "", room->size};
    return 0;
}

int engine_packet_read(const char *text, size_t size, struct buf *room,
                       struct engine_packet *ret_packet)
{
    if (!size)
        return ERR_BAD_FRAME;
    if (text[0] == 'b')
        return read_bytes(text + 1, size - 1, room, ret_packet);
    if (text[0] < '0' + ENGINE_OPEN || text[0] > '0' + ENGINE_NOOP)
        return ERR_BAD_FRAME;
    *ret_packet =
        (struct engine_packet){(enum engine_packet_type)(text[0] - '0'), false, text + 1, size - 1};
    return 0;
}

void engine_payload_begin(struct engine_payload *payload, const char *bytes, size_t size)
{
    *payload = (struct engine_payload){bytes, bytes + size};
}

bool engine_payload_next(struct engine_payload *payload, const char **ret_text, size_t *ret_size)
{
    const char *at = payload->at;
    if (!at)
        return false;
    const char *separator = memchr(at, SEPARATOR, (size_t)(payload->end - at));
    *ret_text = at;
    *ret_size = (size_t)((separator ? separator : payload->end) - at);
    payload->at = separator ? separator + 1 : NULL;
    return true;
}

/* ---- out ---- */

void engine_packet_write(struct buf *buf, enum engine_packet_type type, const void *text,
                         size_t size)
{
    char digit = (char)('0' + type);
    buf_add(buf, &digit, 1);
    buf_add(buf, text, size);
}

void engine_packet_write_bytes(struct buf *buf, const void *bytes, size_t size)
{
    buf_add_text(buf, "b");
    base64_encode(buf, bytes, size);
}

void engine_packet_write_open(struct buf *buf, const struct engine_greeting *greeting)
{
    buf_add_format(buf,
                   "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%lld,\"pingTimeout\":%lld,"
                   "\"maxPayload\":%llu}",
                   greeting->sid, greeting->may_upgrade ? "\"websocket\"" : "",
                   (long long)greeting->ping_interval_ms, (long long)greeting->ping_timeout_ms,
                   (unsigned long long)greeting->max_payload);
}

bool engine_frames_next(struct engine_frames *frames, bool *ret_text, const char **ret_data,
                        size_t *ret_size)
{
    const unsigned char *at = (const unsigned char *)frames->at;
    if (frames->at == frames->end)
        return false;
    size_t extra = at[1] < 126 ? 0 : at[1] == 126 ? 2 : 8; /* RFC 6455 section 5.2 */
    size_t size = extra ? 0 : at[1];
    for (size_t i = 0; i < extra; i++)
        size = size << 8 | at[2 + i];
    *ret_text = (at[0] & 0xf) == 1;
    *ret_data = frames->at + 2 + extra;
    *ret_size = size;
    assert(size <= (size_t)(frames->end - *ret_data));
    frames->at = *ret_data + size;
    return true;
}

void engine_payload_add_frames(struct buf *payload, const char *frames, size_t size)
{
    struct engine_frames left = {frames, frames + size};
    const char *data;
    size_t length;
    bool is_text;
    while (engine_frames_next(&left, &is_text, &data, &length)) {
        if (payload->size)
            buf_add(payload, &(char){SEPARATOR}, 1);
        if (is_text)
            buf_add(payload, data, length);
        else
            engine_packet_write_bytes(payload, data, length);
    }
}

/* ---- names ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void engine_sid_make(int worker, char ret_sid[static ENGINE_SID_SIZE])
{
    unsigned char random[ENGINE_SID_SIZE - 1];
    assert(worker >= 0 && worker < ENGINE_SID_WORKERS);
    digest_random(random, sizeof random);
    random[0] = (unsigned char)worker;
    for (size_t i = 0; i < sizeof random; i++)
        ret_sid[i] = alphabet[random[i] & 63];
    ret_sid[sizeof random] = '\0';
}

int engine_sid_worker(const char *sid)
{
    if (strlen(sid) != ENGINE_SID_SIZE - 1 || strspn(sid, alphabet) != ENGINE_SID_SIZE - 1)
        return -1;
    return (int)(strchr(alphabet, sid[0]) - alphabet);
}
