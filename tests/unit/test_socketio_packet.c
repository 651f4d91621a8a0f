#include "support.h"

#include "base/err.h"
#include "socketio/socketio_packet.h"

/* The packet again, with all that it says: type, attachments, namespace, acknowledgement, JSON. */
static void expect(const char *text, enum socketio_type type, const char *space, int64_t ack,
                   unsigned attachments, const char *json_text)
{
    struct socketio_packet packet;
    json_t *json;
    struct buf again;
    assert_int_equal(socketio_packet_read(text, strlen(text), &packet, &json), 0);
    assert_int_equal(packet.type, type);
    assert_int_equal(packet.space_length, strlen(space));
    assert_memory_equal(packet.space, space, packet.space_length);
    assert_int_equal(packet.has_ack, ack >= 0);
    assert_true(ack < 0 || packet.ack == (uint64_t)ack);
    assert_int_equal(packet.attachments, attachments);
    assert_int_equal(packet.size, strlen(json_text));
    assert_memory_equal(packet.text, json_text, packet.size);
    assert_int_equal(json != NULL, packet.size > 0);
    buf_init(&again);
    socketio_packet_write(&again, &packet);
    assert_int_equal(again.size, strlen(text));
    assert_memory_equal(again.data, text, again.size);
    buf_finish(&again);
    json_decref(json);
}

static void packets_are_read_and_written(void **state)
{
    (void)state;
    expect("0", SOCKETIO_CONNECT, "/", -1, 0, "");
    expect("0{\"token\":\"x\"}", SOCKETIO_CONNECT, "/", -1, 0, "{\"token\":\"x\"}");
    expect("0/admin,{\"sid\":\"a\"}", SOCKETIO_CONNECT, "/admin", -1, 0, "{\"sid\":\"a\"}");
    expect("1", SOCKETIO_DISCONNECT, "/", -1, 0, "");
    expect("1/admin,", SOCKETIO_DISCONNECT, "/admin", -1, 0, "");
    expect("2[\"foo\"]", SOCKETIO_EVENT, "/", -1, 0, "[\"foo\"]");
    expect("2[7,1.10,\"a\\u0000\"]", SOCKETIO_EVENT, "/", -1, 0, "[7,1.10,\"a\\u0000\"]");
    expect("2/admin,12[\"foo\",{\"a\":1e999}]", SOCKETIO_EVENT, "/admin", 12, 0,
           "[\"foo\",{\"a\":1e999}]");
    expect("30[]", SOCKETIO_ACK, "/", 0, 0, "[]");
    expect("3/admin,13[\"bar\"]", SOCKETIO_ACK, "/admin", 13, 0, "[\"bar\"]");
    expect("4{\"message\":\"no\"}", SOCKETIO_CONNECT_ERROR, "/", -1, 0, "{\"message\":\"no\"}");
    expect("4/admin,\"no\"", SOCKETIO_CONNECT_ERROR, "/admin", -1, 0, "\"no\"");
    expect("51-[\"baz\",{\"_placeholder\":true,\"num\":0}]", SOCKETIO_EVENT, "/", -1, 1,
           "[\"baz\",{\"_placeholder\":true,\"num\":0}]");
    expect("52-/admin,5[\"baz\",[{\"_placeholder\":true,\"num\":1}]]", SOCKETIO_EVENT, "/admin", 5,
           2, "[\"baz\",[{\"_placeholder\":true,\"num\":1}]]");
    expect("61-/admin,15[{\"_placeholder\":true,\"num\":0}]", SOCKETIO_ACK, "/admin", 15, 1,
           "[{\"_placeholder\":true,\"num\":0}]");
    /* Without attachments that is an object like any other. */
    expect("2[\"foo\",{\"_placeholder\":true,\"num\":9}]", SOCKETIO_EVENT, "/", -1, 0,
           "[\"foo\",{\"_placeholder\":true,\"num\":9}]");
}

static void a_namespace_may_end_the_packet(void **state)
{
    (void)state;
    struct socketio_packet packet;
    json_t *json;
    assert_int_equal(socketio_packet_read("0/admin", 7, &packet, &json), 0);
    assert_int_equal(packet.space_length, 6);
    assert_null(json);
}

static void what_breaks_the_protocol_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "7",
        "abc",
        "{}",
        "2",
        "2{}",
        "2[]",
        "2[{}]",
        "2[null]",
        "2[\"a\"",
        "2[\"a\"]x",
        "2\"a\"",
        "2[\"connect\"]",
        "2[\"connect_error\"]",
        "2[\"disconnect\"]",
        "2[\"disconnecting\"]",
        "2[\"newListener\"]",
        "2[\"removeListener\"]",
        "2[\"a\",\"\xff\"]",
        "299999999999999999999[\"a\"]",
        "0[]",
        "0\"a\"",
        "1{}",
        "3[]",
        "30{}",
        "4[]",
        "4",
        "5[\"a\"]",
        "5-[\"a\"]",
        "50-[\"a\"]",
        "511-[\"a\"]",
        "51[\"a\"]",
        "51",
        "599999999999999999999-[\"a\"]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]",
        "51-[\"a\",{\"b\":[{\"_placeholder\":true}]}]",
        "61-[1]",
    };
    struct socketio_packet packet;
    json_t *json;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(socketio_packet_read(wrong[i], strlen(wrong[i]), &packet, &json),
                         ERR_BAD_FRAME);
}

static struct socketio_assembly *an_assembly(const char *text, size_t max_size)
{
    struct socketio_packet packet;
    json_t *json;
    char *copy = strdup(text); /* gone right after, so that nothing can point into it later */
    assert_int_equal(socketio_packet_read(copy, strlen(copy), &packet, &json), 0);
    struct socketio_assembly *assembly = socketio_assembly_create(&packet, json, max_size);
    assert_non_null(assembly);
    free(copy);
    return assembly;
}

static void attachments_are_collected(void **state)
{
    (void)state;
    struct socketio_assembly *assembly =
        an_assembly("52-/a,[\"b\",{\"_placeholder\":true,\"num\":1}]", 1000);
    assert_false(socketio_assembly_is_whole(assembly));
    assert_true(socketio_assembly_take(assembly, "\x00\x01", 2));
    assert_false(socketio_assembly_is_whole(assembly));
    assert_true(socketio_assembly_take(assembly, "", 0));
    assert_true(socketio_assembly_is_whole(assembly));
    assert_false(socketio_assembly_is_too_large(assembly));
    assert_memory_equal(assembly->attachments[0].data, "\x00\x01", 2);
    assert_int_equal(assembly->attachments[1].size, 0);
    assert_memory_equal(assembly->packet.space, "/a", 2);
    assert_memory_equal(assembly->packet.text, "[\"b\",", 5);
    socketio_assembly_destroy(assembly);
}

static void attachments_beyond_the_limit_are_not_held(void **state)
{
    (void)state;
    struct socketio_assembly *assembly = an_assembly("52-[\"b\"]", 10);
    assert_true(socketio_assembly_take(assembly, "12345", 5));
    assert_false(socketio_assembly_is_too_large(assembly));
    assert_true(socketio_assembly_take(assembly, "6", 1));
    assert_true(socketio_assembly_is_too_large(assembly));
    assert_int_equal(assembly->attachments[1].size, 0);
    assert_true(socketio_assembly_is_whole(assembly));
    socketio_assembly_destroy(assembly);
    socketio_assembly_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_read_and_written),
        cmocka_unit_test(a_namespace_may_end_the_packet),
        cmocka_unit_test(what_breaks_the_protocol_is_refused),
        cmocka_unit_test(attachments_are_collected),
        cmocka_unit_test(attachments_beyond_the_limit_are_not_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
