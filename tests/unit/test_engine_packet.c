#include "support.h"

#include "base/buf.h"
#include "base/err.h"
#include "socketio/engine_packet.h"

static struct buf room;

static void expect_packet(const char *text, size_t size, enum engine_packet_type type, bool binary,
                          const char *data, size_t data_size)
{
    struct engine_packet packet;
    assert_int_equal(engine_packet_read(text, size, &room, &packet), 0);
    assert_int_equal(packet.type, type);
    assert_int_equal(packet.binary, binary);
    assert_int_equal(packet.size, data_size);
    assert_memory_equal(packet.data, data, data_size);
}

#define EXPECT_PACKET(text, type, binary, data)                                                    \
    expect_packet(text, sizeof(text) - 1, type, binary, data, sizeof(data) - 1)

static void a_digit_says_what_it_is(void **state)
{
    (void)state;
    EXPECT_PACKET("1", ENGINE_CLOSE, false, "");
    EXPECT_PACKET("2probe", ENGINE_PING, false, "probe");
    EXPECT_PACKET("3", ENGINE_PONG, false, "");
    EXPECT_PACKET("4h\xc3\xa9llo", ENGINE_MESSAGE, false, "h\xc3\xa9llo");
    EXPECT_PACKET("5", ENGINE_UPGRADE, false, "");
    EXPECT_PACKET("6", ENGINE_NOOP, false, "");
}

static void bytes_come_as_base64(void **state)
{
    (void)state;
    EXPECT_PACKET("bAQIDBA==", ENGINE_MESSAGE, true, "\x01\x02\x03\x04");
    EXPECT_PACKET("bAP8=", ENGINE_MESSAGE, true, "\x00\xff"); /* the room is used anew */
    EXPECT_PACKET("b", ENGINE_MESSAGE, true, "");
    buf_finish(&room);
    EXPECT_PACKET("b", ENGINE_MESSAGE, true, ""); /* it never had any */
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "abc", "7", "/", "bAQ", "b====", "B", "\xff"};
    struct engine_packet packet;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(engine_packet_read(wrong[i], strlen(wrong[i]), &room, &packet),
                         ERR_BAD_FRAME);
}

/* Each packet's text and a bar. */
static void expect_cuts(const char *payload, const char *cuts)
{
    struct engine_payload at;
    struct buf all;
    const char *text;
    size_t size;
    buf_init(&all);
    engine_payload_begin(&at, payload, strlen(payload));
    while (engine_payload_next(&at, &text, &size)) {
        buf_add(&all, text, size);
        buf_add_text(&all, "|");
    }
    assert_int_equal(all.size, strlen(cuts));
    assert_memory_equal(all.data, cuts, all.size);
    buf_finish(&all);
}

static void a_payload_is_cut_at_its_separators(void **state)
{
    (void)state;
    expect_cuts("4hello\x1e"
                "2\x1e"
                "bAQID",
                "4hello|2|bAQID|");
    expect_cuts("4a", "4a|");
    expect_cuts("", "|");
    expect_cuts("\x1e", "||");
    expect_cuts("4a\x1e", "4a||");
}

static void packets_are_written(void **state)
{
    (void)state;
    static const char text[] = "3probe4hibAP8=";
    struct buf buf;
    buf_init(&buf);
    engine_packet_write(&buf, ENGINE_PONG, "probe", 5);
    engine_packet_write(&buf, ENGINE_MESSAGE, "hi", 2);
    engine_packet_write_bytes(&buf, "\x00\xff", 2);
    assert_int_equal(buf.size, strlen(text));
    assert_memory_equal(buf.data, text, buf.size);
    buf_finish(&buf);
}

static void the_greeting_has_five_members(void **state)
{
    (void)state;
    static const char polling[] =
        "0{\"sid\":\"s\",\"upgrades\":[\"websocket\"],\"pingInterval\":300,\"pingTimeout\":200,"
        "\"maxPayload\":1000000}";
    static const char websocket[] = "0{\"sid\":\"s\",\"upgrades\":[],\"pingInterval\":300,"
                                    "\"pingTimeout\":200,\"maxPayload\":1000000}";
    struct engine_greeting greeting = {"s", true, 300, 200, 1000000};
    struct buf buf;
    buf_init(&buf);
    engine_packet_write_open(&buf, &greeting);
    assert_int_equal(buf.size, strlen(polling));
    assert_memory_equal(buf.data, polling, buf.size);
    buf.size = 0;
    greeting.may_upgrade = false;
    engine_packet_write_open(&buf, &greeting);
    assert_int_equal(buf.size, strlen(websocket));
    assert_memory_equal(buf.data, websocket, buf.size);
    buf_finish(&buf);
}

/* Three frames in one go, as an event with an attachment has, then one of 16 bits of length. */
static void frames_become_a_payload(void **state)
{
    (void)state;
    static const char frames[] = "\x81\x02"
                                 "4a"
                                 "\x82\x02\x00\xff"
                                 "\x81\x01"
                                 "2";
    static const char text[] = "4a\x1e"
                               "bAP8=\x1e"
                               "2";
    char large[4 + 300] = {(char)0x81, 126, 1, 44};
    struct buf payload;
    buf_init(&payload);
    engine_payload_add_frames(&payload, frames, sizeof frames - 1);
    assert_int_equal(payload.size, sizeof text - 1);
    assert_memory_equal(payload.data, text, payload.size);
    memset(large + 4, '4', 300);
    engine_payload_add_frames(&payload, large, sizeof large);
    assert_int_equal(payload.size, sizeof text - 1 + 1 + 300);
    assert_memory_equal(payload.data + sizeof text, large + 4, 300);
    buf_finish(&payload);
}

static void a_sid_says_whose_it_is(void **state)
{
    (void)state;
    char a[ENGINE_SID_SIZE], b[ENGINE_SID_SIZE];
    for (int worker = 0; worker < ENGINE_SID_WORKERS; worker++) {
        engine_sid_make(worker, a);
        assert_int_equal(strlen(a), ENGINE_SID_SIZE - 1);
        assert_int_equal(engine_sid_worker(a), worker);
    }
    engine_sid_make(0, a);
    engine_sid_make(0, b);
    assert_string_not_equal(a, b);
    assert_int_equal(a[0], 'A');
    assert_int_equal(engine_sid_worker("_aaaaaaaaaaaaaaaaaaa"), 63);
    assert_int_equal(engine_sid_worker(""), -1);
    assert_int_equal(engine_sid_worker("nobody"), -1);
    assert_int_equal(engine_sid_worker("aaaaaaaaaaaaaaaaaaa+"), -1);
    assert_int_equal(engine_sid_worker("aaaaaaaaaaaaaaaaaaaaa"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digit_says_what_it_is),
        cmocka_unit_test(bytes_come_as_base64),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_payload_is_cut_at_its_separators),
        cmocka_unit_test(packets_are_written),
        cmocka_unit_test(the_greeting_has_five_members),
        cmocka_unit_test(frames_become_a_payload),
        cmocka_unit_test(a_sid_says_whose_it_is),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_finish(&room);
    return failed;
}
