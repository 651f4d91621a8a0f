#include "socket/framer.h"

#include <stdlib.h>
#include <string.h>

/* RFC 6455 section 5.2 */
#define BIT_FIN           0x80
#define BITS_RSV          0x70
#define BITS_OPCODE       0x0f
#define BIT_MASK          0x80
#define BITS_LENGTH       0x7f
#define OPCODE_CONTINUE   0x0
#define OPCODE_CLOSE      0x8
#define MASK_SIZE         4
#define MAX_HEADER        14
#define MAX_CONTROL       125
#define IS_CONTROL(first) ((first)&0x08)

void framer_init(struct framer *gate)
{
    *gate = (struct framer){0};
}

void framer_finish(struct framer *gate)
{
    free(gate->held);
    framer_init(gate);
}

/* Size of the whole header, from its first two bytes. */
static size_t header_size(const unsigned char *header)
{
    unsigned length = header[1] & BITS_LENGTH;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + MASK_SIZE;
}

static uint64_t payload_size(const unsigned char *header)
{
    unsigned length = header[1] & BITS_LENGTH;
    if (length < 126)
        return length;
    uint64_t size = 0;
    for (unsigned i = 0; i < (length == 126 ? 2u : 8u); i++)
        size = size << 8 | header[2 + i];
    return size;
}

/* What can be said from the first two bytes; the rest of the rules are wslay's. */
static int check_start(const struct framer *gate, const unsigned char *header)
{
    unsigned opcode = header[0] & BITS_OPCODE, length = header[1] & BITS_LENGTH;
    if ((header[0] & BITS_RSV) || !(header[1] & BIT_MASK) || (opcode & 0x7) > 2)
        return -ERR_PROTOCOL;
    if (IS_CONTROL(header[0])) {
        bool bad = !(header[0] & BIT_FIN) || length > MAX_CONTROL ||
                   (opcode == OPCODE_CLOSE && length == 1);
        return bad ? -ERR_PROTOCOL : 0;
    }
    return (opcode == OPCODE_CONTINUE) == gate->in_message ? 0 : -ERR_PROTOCOL;
}

/* Lengths must take the shortest form, and the top bit is zero. */
static int check_length(const unsigned char *header)
{
    unsigned form = header[1] & BITS_LENGTH;
    uint64_t size = payload_size(header);
    bool bad = (form == 126 && size < 126) || (form == 127 && (size < 65536 || size >> 63));
    if (bad)
        return -ERR_PROTOCOL;
    return size > FRAMER_MAX_PAYLOAD ? -ERR_FRAME_TOO_LARGE : 0;
}

static int begin_data(struct framer *gate, const unsigned char *header, uint32_t max_fragments)
{
    bool fin = header[0] & BIT_FIN;
    gate->fragments = gate->in_message ? gate->fragments + 1 : 1;
    gate->in_message = !fin;
    gate->left = (uint32_t)payload_size(header); /* see check_length */
    return gate->fragments > max_fragments ? -ERR_TOO_MANY_FRAGMENTS : 0;
}

/* How many bytes from `start` make a header, or a control frame, as far as can be told. */
static size_t whole_size(const unsigned char *start, size_t size)
{
    if (size < 2)
        return 2;
    size_t header = header_size(start);
    return IS_CONTROL(start[0]) ? header + (start[1] & BITS_LENGTH) : header;
}

/* A header or control frame lies whole at start. Its data, if any has come, joins the piece. */
static int hand_out(struct framer *gate, const unsigned char *start, size_t whole,
                    uint32_t max_fragments, struct frame_piece *ret_piece)
{
    *ret_piece = (struct frame_piece){(const char *)start, whole, true};
    if (IS_CONTROL(start[0]))
        return 1;
    int err = check_length(start);
    if (!err)
        err = begin_data(gate, start, max_fragments);
    ret_piece->frame_ends = gate->left == 0;
    return err ? err : 1;
}

static size_t take_payload(struct framer *gate, size_t available)
{
    size_t taken = gate->left < available ? gate->left : available;
    gate->left -= (uint32_t)taken;
    return taken;
}

static int hold(struct framer *gate, const char **bytes, size_t *size, size_t wanted)
{
    if (!gate->held)
        gate->held = malloc(FRAMER_HELD);
    if (!gate->held)
        return -ERR_OUT_OF_MEMORY;
    size_t taken = wanted < *size ? wanted : *size;
    memcpy(gate->held + gate->held_size, *bytes, taken);
    gate->held_size += (uint32_t)taken & 0xff;
    *bytes += taken;
    *size -= taken;
    return 0;
}

/* Completes what is held from the new bytes. */
static int next_from_held(struct framer *gate, const char **bytes, size_t *size,
                          uint32_t max_fragments, struct frame_piece *ret_piece)
{
    for (;;) {
        int err = gate->held_size >= 2 ? check_start(gate, gate->held) : 0;
        if (err)
            return err;
        size_t whole = whole_size(gate->held, gate->held_size);
        if (gate->held_size >= 2 && gate->held_size == whole) {
            gate->served = true;
            return hand_out(gate, gate->held, whole, max_fragments, ret_piece);
        }
        if (*size == 0)
            return 0;
        err = hold(gate, bytes, size, whole - gate->held_size);
        if (err)
            return err;
    }
}

int framer_next(struct framer *gate, const char **bytes, size_t *size, uint32_t max_fragments,
                struct frame_piece *ret_piece)
{
    if (gate->served) {
        free(gate->held);
        gate->held = NULL;
        gate->held_size = 0;
        gate->served = false;
    }
    if (gate->held)
        return next_from_held(gate, bytes, size, max_fragments, ret_piece);
    if (*size == 0)
        return 0;
    if (gate->left) {
        size_t taken = take_payload(gate, *size);
        *ret_piece = (struct frame_piece){*bytes, taken, gate->left == 0};
        *bytes += taken;
        *size -= taken;
        return 1;
    }
    const unsigned char *start = (const unsigned char *)*bytes;
    int err = *size >= 2 ? check_start(gate, start) : 0;
    if (err)
        return err;
    size_t whole = whole_size(start, *size);
    if (*size < whole) {
        err = hold(gate, bytes, size, *size);
        return err;
    }
    int result = hand_out(gate, start, whole, max_fragments, ret_piece);
    *bytes += whole;
    *size -= whole;
    if (result == 1 && gate->left) {
        size_t taken = take_payload(gate, *size);
        ret_piece->size += taken;
        ret_piece->frame_ends = gate->left == 0;
        *bytes += taken;
        *size -= taken;
    }
    return result;
}
