#include "support.h"

#include <stdlib.h>

#include "base/buf.h"
#include "socket/framer.h"

#define MASK "\x01\x02\x03\x04"
#define MANY 100 /* fragments */

/* Bytes as a literal with their size. */
#define BYTES(literal) literal, sizeof literal - 1

/* What came out: for each frame its bytes and an end, as `bytes|`; then how it ended. */
struct outcome {
    struct buf frames;
    int result;
};

static void feed(struct framer *gate, struct outcome *outcome, const char *bytes, size_t size)
{
    struct frame_piece piece;
    /* In a block of its own, gone right after, so that nothing can point into it later. */
    char *copy = malloc(size ? size : 1);
    const char *at = copy;
    memcpy(copy, bytes, size);
    while ((outcome->result = framer_next(gate, &at, &size, MANY, &piece)) > 0) {
        assert_true(piece.size > 0);
        buf_add(&outcome->frames, piece.bytes, piece.size);
        if (piece.frame_ends)
            buf_add_text(&outcome->frames, "|");
    }
    assert_true(outcome->result < 0 || size == 0);
    free(copy);
}

/* The stream cut into blocks of `step` bytes, the first one of `first`. */
static struct outcome run(const char *bytes, size_t size, size_t first, size_t step)
{
    struct framer gate;
    struct outcome outcome = {.result = 0};
    framer_init(&gate);
    buf_init(&outcome.frames);
    for (size_t at = 0, cut = first; at < size && outcome.result == 0; at += cut, cut = step) {
        if (cut > size - at)
            cut = size - at;
        feed(&gate, &outcome, bytes + at, cut);
    }
    framer_finish(&gate);
    return outcome;
}

static void assert_outcome(struct outcome outcome, const char *frames, size_t size, int result)
{
    assert_int_equal(outcome.result, result);
    assert_int_equal(outcome.frames.size, size);
    if (size)
        assert_memory_equal(outcome.frames.data, frames, size);
    buf_finish(&outcome.frames);
}

/* However it is cut, the frames and the end are the same. */
static void assert_gate(const char *bytes, size_t size, const char *frames, size_t frames_size,
                        int result)
{
    for (size_t first = 1; first <= size; first++) {
        for (size_t step = 1; step <= size; step++)
            assert_outcome(run(bytes, size, first, step), frames, frames_size, result);
    }
}

static void any_cutting_gives_the_same_frames(void **state)
{
    (void)state;

    assert_gate(BYTES("\x81\x83" MASK "abc"), BYTES("\x81\x83" MASK "abc|"), 0);
    assert_gate(BYTES("\x82\x80" MASK), BYTES("\x82\x80" MASK "|"), 0);
    assert_gate(BYTES("\x89\x82" MASK "hi\x8a\x80" MASK),
                BYTES("\x89\x82" MASK "hi|\x8a\x80" MASK "|"), 0);
    assert_gate(BYTES("\x01\x81" MASK "a\x89\x80" MASK "\x00\x81" MASK "b\x80\x80" MASK),
                BYTES("\x01\x81" MASK "a|\x89\x80" MASK "|\x00\x81" MASK "b|\x80\x80" MASK "|"), 0);
    assert_gate(BYTES("\x88\x82" MASK "\x02\xea"), BYTES("\x88\x82" MASK "\x02\xea|"), 0);
    assert_gate(BYTES("\x88\x80" MASK), BYTES("\x88\x80" MASK "|"), 0);
}

static void control_frames_and_headers_come_whole(void **state)
{
    struct framer gate;
    struct frame_piece piece;
    static const char stream[] = "\x89\x83" MASK "abc\x81\xfe\x00\x7e" MASK;
    const char *at = stream;
    size_t size;
    (void)state;

    framer_init(&gate);
    for (size_t i = 0; i < 8; i++) { /* the ping comes byte by byte */
        size = 1;
        assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 0);
        assert_false(framer_idle(&gate));
    }
    size = 1;
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 1);
    assert_true(piece.size == 9 && piece.frame_ends);
    assert_memory_equal(piece.bytes, stream, 9);
    assert_true(framer_idle(&gate));
    size = 7; /* all but the last byte of a header */
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 0);
    assert_true(size == 0 && !framer_idle(&gate));
    size = 1;
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 1);
    assert_true(piece.size == 8 && !piece.frame_ends);
    assert_memory_equal(piece.bytes, stream + 9, 8);
    assert_false(framer_idle(&gate)); /* 126 bytes are to come */
    framer_finish(&gate);
}

static void an_idle_gate_holds_no_memory(void **state)
{
    struct framer gate;
    struct frame_piece piece;
    const char *at = "\x89\x80" MASK;
    size_t size = 3;
    (void)state;

    framer_init(&gate);
    assert_true(framer_idle(&gate));
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 0);
    assert_non_null(gate.held);
    size = 3;
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 1);
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 0);
    assert_null(gate.held);
    assert_true(framer_idle(&gate));

    at = "\x89"; /* what is held when the connection ends is freed, too */
    size = 1;
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 0);
    framer_finish(&gate);
    assert_null(gate.held);
    framer_finish(&gate);
}

static void what_section_5_forbids_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {BYTES("\x81\x03"
               "abc")},           /* not masked */
        {BYTES("\x89\x00")},      /* not masked */
        {BYTES("\xc1\x80" MASK)}, /* RSV1 */
        {BYTES("\xa1\x80" MASK)}, /* RSV2 */
        {BYTES("\x91\x80" MASK)}, /* RSV3 */
        {BYTES("\xc9\x80" MASK)}, /* RSV1 of a ping */
        {BYTES("\x83\x80" MASK)}, /* reserved opcodes */
        {BYTES("\x87\x80" MASK)},
        {BYTES("\x8b\x80" MASK)},
        {BYTES("\x8f\x80" MASK)},
        {BYTES("\x09\x80" MASK)}, /* control frames: fragmented, and too long */
        {BYTES("\x08\x80" MASK)},
        {BYTES("\x89\xfe\x00\x7e" MASK)},
        {BYTES("\x8a\xff\x00\x00\x00\x00\x00\x01\x00\x00" MASK)},
        {BYTES("\x88\x81" MASK "a")}, /* half a close code */
        {BYTES("\x80\x80" MASK)},     /* a continuation of nothing */
        {BYTES("\x00\x80" MASK)},
        {BYTES("\x81\xfe\x00\x7d" MASK)}, /* lengths not in their shortest form */
        {BYTES("\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff" MASK)},
        {BYTES("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00" MASK)}, /* the top bit */
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_gate(bad[i].bytes, bad[i].size, "", 0, -ERR_PROTOCOL);
    /* between the fragments of a message only control frames */
    assert_gate(BYTES("\x01\x80" MASK "\x81\x80" MASK), BYTES("\x01\x80" MASK "|"), -ERR_PROTOCOL);
    assert_gate(BYTES("\x02\x80" MASK "\x02\x80" MASK), BYTES("\x02\x80" MASK "|"), -ERR_PROTOCOL);
    /* and none after the last */
    assert_gate(BYTES("\x01\x80" MASK "\x80\x80" MASK "\x80\x80" MASK),
                BYTES("\x01\x80" MASK "|\x80\x80" MASK "|"), -ERR_PROTOCOL);
}

/* Two bytes suffice for most refusals: the rest need not be waited for. */
static void a_refusal_does_not_wait(void **state)
{
    (void)state;

    assert_gate(BYTES("\x81\x7f"), "", 0, -ERR_PROTOCOL);
    assert_gate(BYTES("\xf0\xff"), "", 0, -ERR_PROTOCOL);
    assert_gate(BYTES("\x88\x81"), "", 0, -ERR_PROTOCOL);
    assert_gate(BYTES("\x89\xfe"), "", 0, -ERR_PROTOCOL);
}

/* A message of as many bytes, with the header that fits, cut at every place of the header. */
static void assert_length(const char *header, size_t header_size, size_t length)
{
    size_t size = header_size + length;
    char *stream = malloc(size);
    memcpy(stream, header, header_size);
    memset(stream + header_size, 'x', length);
    for (size_t first = 1; first <= header_size + 1; first++) {
        struct outcome outcome = run(stream, size, first, size);
        assert_int_equal(outcome.result, 0);
        assert_int_equal(outcome.frames.size, size + 1);
        assert_memory_equal(outcome.frames.data, stream, size);
        assert_int_equal(outcome.frames.data[size], '|');
        buf_finish(&outcome.frames);
    }
    free(stream);
}

static void lengths_are_read_in_all_three_forms(void **state)
{
    (void)state;

    assert_length(BYTES("\x82\xfd" MASK), 125);
    assert_length(BYTES("\x82\xfe\x00\x7e" MASK), 126);
    assert_length(BYTES("\x82\xfe\xff\xff" MASK), 65535);
    assert_length(BYTES("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00" MASK), 65536);
    assert_length(BYTES("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01" MASK), 65537);
}

static void the_longest_frame_is_let_through_to_the_limit_of_messages(void **state)
{
    struct framer gate;
    struct frame_piece piece;
    const char *longer = "\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00" MASK "x";
    const char *at = "\x82\xff\x00\x00\x00\x00\xff\xff\xff\xff" MASK "x";
    size_t size = 15;
    (void)state;

    framer_init(&gate);
    assert_int_equal(framer_next(&gate, &longer, &size, MANY, &piece), -ERR_FRAME_TOO_LARGE);
    framer_finish(&gate);
    size = 15;
    assert_int_equal(framer_next(&gate, &at, &size, MANY, &piece), 1);
    assert_true(piece.size == 15 && !piece.frame_ends);
    assert_true(gate.left == UINT32_MAX - 1);
    assert_false(framer_idle(&gate));
    framer_finish(&gate);
}

/* The result of that many fragments, the first of which opens the message, with pings between. */
static int fragments(struct framer *gate, size_t count, uint32_t max)
{
    static const char empty[] = "\x00\x80" MASK, ping[] = "\x89\x80" MASK, open[] = "\x01\x80" MASK;
    struct frame_piece piece;
    int result = 1;
    for (size_t i = 0; i < count && result == 1; i++) {
        const char *at = gate->in_message ? empty : open, *next = ping;
        size_t size = 6, next_size = 6;
        result = framer_next(gate, &at, &size, max, &piece);
        if (result == 1)
            assert_int_equal(framer_next(gate, &next, &next_size, max, &piece), 1);
    }
    return result;
}

static void fragments_are_counted(void **state)
{
    struct framer gate;
    struct frame_piece piece;
    const char *last = "\x80\x80" MASK;
    size_t size = 6;
    (void)state;

    framer_init(&gate);
    assert_int_equal(fragments(&gate, 4, 5), 1);
    assert_int_equal(framer_next(&gate, &last, &size, 5, &piece), 1);
    assert_true(framer_idle(&gate));
    assert_int_equal(fragments(&gate, 5, 5), 1); /* the next message is counted anew */
    assert_int_equal(fragments(&gate, 1, 5), -ERR_TOO_MANY_FRAGMENTS);
    framer_finish(&gate);

    assert_int_equal(fragments(&gate, 2, 1), -ERR_TOO_MANY_FRAGMENTS);
    framer_finish(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cutting_gives_the_same_frames),
        cmocka_unit_test(control_frames_and_headers_come_whole),
        cmocka_unit_test(an_idle_gate_holds_no_memory),
        cmocka_unit_test(what_section_5_forbids_is_refused),
        cmocka_unit_test(a_refusal_does_not_wait),
        cmocka_unit_test(lengths_are_read_in_all_three_forms),
        cmocka_unit_test(the_longest_frame_is_let_through_to_the_limit_of_messages),
        cmocka_unit_test(fragments_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
