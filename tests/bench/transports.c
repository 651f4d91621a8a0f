#include "transports.h"

#include "bench.h"
#include "client.h"
#include "receivers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MASK_SIZE 4
#define TIME_SIZE 24 /* RFC 3339, UTC, milliseconds */

/* The example of RFC 6455, so that the proof is known beforehand. */
#define KEY   "dGhlIHNhbXBsZSBub25jZQ=="
#define PROOF "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define WEBSOCKET_HEADERS                                                                          \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY                         \
    "\r\nSec-WebSocket-Version: 13\r\n"

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

static bool has(const char *at, size_t size, const char *text)
{
    return memmem(at, size, text, strlen(text)) != NULL;
}

static bool begins(const char *at, size_t size, const char *text)
{
    size_t length = strlen(text);

    return size >= length && memcmp(at, text, length) == 0;
}

static void on_message(struct receiver *r, const char *text)
{
    char proper[MESSAGE_SIZE];
    uint32_t number = (uint32_t)read_digits(text, MESSAGE_DIGITS);
    uint32_t user = (uint32_t)read_digits(text + MESSAGE_DIGITS + 2, USER_DIGITS);

    message_write(proper, number, user);
    if (memcmp(text, proper, MESSAGE_SIZE) != 0)
        r->pool->faults->corrupt++;
    else if (user != r->user)
        r->pool->faults->misdirected++;
    else
        r->pool->on_message(r->pool->owner, r, number);
}

/* The size of an HTTP answer's head with the given status and mark; 0: it is not all there. */
static size_t take_head(struct receiver *r, const char *at, size_t size, const char *status,
                        const char *mark)
{
    const char *end = memmem(at, size, "\r\n\r\n", 4);

    if (!end)
        return 0;
    size_t head = (size_t)(end + 4 - at);
    errno = 0;
    if (!begins(at, head, status))
        die("handshake %u was refused: %.*s", r->pool->opened, (int)head, at);
    if (!has(at, head, mark))
        die("handshake %u lacks its \"%s\"", r->pool->opened, mark);
    return head;
}

/* ---- WebSocket ---- */

static void on_text(struct receiver *r, const char *text, size_t size)
{
    static const char head[] = "[" SENDER "]: ";

    if (size == sizeof(head) - 1 + MESSAGE_SIZE && begins(text, size, head))
        on_message(r, text + sizeof(head) - 1);
    else
        r->pool->faults->corrupt++;
}

/* A mask of zeros leaves the bytes as they are. */
static void send_pong(struct receiver *r, const char *payload, size_t size)
{
    char frame[2 + MASK_SIZE + 125] = {(char)(0x80 | OPCODE_PONG), (char)(0x80 | size)};

    memcpy(frame + 2 + MASK_SIZE, payload, size);
    send(r->watch.fd, frame, 2 + MASK_SIZE + size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static size_t take_frame(struct receiver *r, const char *at, size_t size)
{
    size_t head = 2;

    if (size < head)
        return 0;
    int opcode = at[0] & 0x0f;
    size_t length = (unsigned char)at[1] & 0x7f;
    bool proper = (at[0] & 0xf0) == 0x80 && !(at[1] & 0x80) && length < 127;
    if (length == 126) {
        head = 4;
        if (size < head)
            return 0;
        length = (size_t)(unsigned char)at[2] << 8 | (unsigned char)at[3];
    }
    if (size < head + length)
        return 0;

    if (!proper)
        r->pool->faults->corrupt++;
    else if (opcode == OPCODE_TEXT)
        on_text(r, at + head, length);
    else if (opcode == OPCODE_PING && length < 126)
        send_pong(r, at + head, length);
    else if (opcode != OPCODE_CLOSE) /* that is counted when the connection ends */
        r->pool->faults->corrupt++;
    return head + length;
}

static size_t take_handshake(struct receiver *r, const char *at, size_t size)
{
    size_t used = take_head(r, at, size, "HTTP/1.1 101 ", "Sec-WebSocket-Accept: " PROOF);

    if (used)
        receiver_opened(r);
    return used;
}

const struct transport transport_websocket = {
    .path = "/ws/",
    .query = "",
    .headers = WEBSOCKET_HEADERS,
    .take_opening = take_handshake,
    .take = take_frame,
};

const struct transport transport_return = {
    .path = "/ws/",
    .query = "?after=0",
    .headers = WEBSOCKET_HEADERS,
    .take_opening = take_handshake,
    .take = take_frame,
};

/* ---- Server-Sent Events ---- */

/* What stands around the id, and behind the message's text but for the time. */
static const char event_id[] = "id: ";
static const char event_data[] = "\nevent: message\ndata: {\"type\":\"message\",\"id\":\"";
static const char event_time[] = "\",\"sent_at\":\"";
static const char event_end[] = "\"}\n\n";

/* The message's text; NULL: the event is none of ours. */
static const char *text_of_event(const char *event, size_t size, uint64_t *ret_id)
{
    static const char mark[] = "\",\"sender\":\"" SENDER "\",";
    static const char before[] = "\"message\":\"";
    const char *id = event + sizeof(event_id) - 1, *data = id + ID_DIGITS;
    const char *again = data + sizeof(event_data) - 1, *rest = again + ID_DIGITS;
    const char *end = event + size;

    if (size < (size_t)(rest - event) || !begins(data, (size_t)(end - data), event_data) ||
        memcmp(id, again, ID_DIGITS) != 0 || !begins(rest, (size_t)(end - rest), mark))
        return NULL;
    *ret_id = read_digits(id, ID_DIGITS);
    const char *text = memmem(rest, (size_t)(end - rest), before, sizeof(before) - 1);
    const size_t behind = sizeof(event_time) - 1 + TIME_SIZE + sizeof(event_end) - 1;
    if (!text || (size_t)(end - text) != sizeof(before) - 1 + MESSAGE_SIZE + behind ||
        !begins(end - behind, behind, event_time) ||
        !begins(end - sizeof(event_end) + 1, sizeof(event_end) - 1, event_end))
        return NULL;
    return text + sizeof(before) - 1;
}

static void on_event(struct receiver *r, const char *event, size_t size)
{
    uint64_t id = 0;
    const char *text = text_of_event(event, size, &id);

    if (!text) {
        r->pool->faults->corrupt++;
        return;
    }
    if (id <= r->last_id)
        r->pool->faults->disordered++;
    r->last_id = id;
    on_message(r, text);
}

static size_t take_event(struct receiver *r, const char *at, size_t size)
{
    const char *end = memmem(at, size, "\n\n", 2);

    if (!end)
        return 0;
    size_t length = (size_t)(end + 2 - at);
    if (begins(at, length, event_id))
        on_event(r, at, length);
    else if (at[0] != ':' && !has(at, length, "event: welcome\n") &&
             !has(at, length, "event: bye\n")) /* that is counted when the connection ends */
        r->pool->faults->corrupt++;
    return length;
}

static size_t take_stream_head(struct receiver *r, const char *at, size_t size)
{
    size_t used = take_head(r, at, size, "HTTP/1.1 200 ", "Content-Type: text/event-stream");

    if (used)
        receiver_opened(r);
    return used;
}

const struct transport transport_events = {
    .path = "/sse/",
    .query = "",
    .headers = "Accept: text/event-stream\r\n",
    .take_opening = take_stream_head,
    .take = take_event,
};

/* ---- long poll ---- */

static size_t take_answer(struct receiver *r, const char *at, size_t size)
{
    static const char mark[] = "Content-Length: ", before[] = "\"message\":\"";
    size_t head = take_head(r, at, size, "HTTP/1.1 200 ", mark);

    if (!head)
        return 0;
    const char *length = memmem(at, head, mark, sizeof(mark) - 1);
    size_t body = strtoul(length + sizeof(mark) - 1, NULL, 10);
    if (body > size - head)
        return 0;
    const char *text = memmem(at + head, body, before, sizeof(before) - 1);
    if (text && (size_t)(at + head + body - text) >= sizeof(before) - 1 + MESSAGE_SIZE) {
        r->answered = true;
        on_message(r, text + sizeof(before) - 1);
    }
    return head + body; /* an empty answer is counted when the connection ends */
}

const struct transport transport_poll = {
    .path = "/poll/",
    .query = "?wait=55",
    .headers = "",
    .take = take_answer,
};
