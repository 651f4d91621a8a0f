#include "support.h"

#include "session/wire_text.h"

static void expect_kind(enum message_kind kind, const char *body,
                        const struct message_format *format, const char *bytes, size_t size)
{
    struct topic alice = a_user("alice");
    struct draft draft = {
        .topics = &alice,
        .topic_count = 1,
        .kind = kind,
        .sender = "bob",
        .sender_length = 3,
        .body = body,
        .body_length = strlen(body),
        .ttl_ms = 1000,
    };
    struct message *message = message_create(1, 0, &draft);
    struct chunk *frame = message_frame(message, format);
    assert_non_null(frame);
    assert_int_equal(frame->size, size);
    assert_memory_equal(frame->bytes, bytes, size);
    assert_ptr_equal(message_frame(message, format), frame); /* made once */
    message_unref(message);
}

#define EXPECT(body, format, literal)                                                              \
    expect_kind(MESSAGE_NOTIFICATION, body, format, literal, sizeof(literal) - 1)
#define EXPECT_EVENT(body, literal)                                                                \
    expect_kind(MESSAGE_EVENT, body, &wire_text_lobby, literal, sizeof(literal) - 1)

static void a_string_shows_as_its_text(void **state)
{
    (void)state;
    EXPECT("\"hi\"", &wire_text_session, "\x81\x09[bob]: hi");
    EXPECT("\"hi\"", &wire_text_room,
           "\x81\x07"
           "bob: hi");
    EXPECT("\"hi\"", &wire_text_lobby, "\x81\x02hi");
    EXPECT("\"\"", &wire_text_lobby, "\x81\x00");
}

static void escapes_are_undone(void **state)
{
    (void)state;
    EXPECT("\"a\\\"b\\n\\u00e9\"", &wire_text_lobby,
           "\x81\x06"
           "a\"b\n\xc3\xa9");
    EXPECT("\"a\\u0000b\"", &wire_text_lobby,
           "\x81\x03"
           "a\0b");
}

static void anything_else_shows_as_json(void **state)
{
    (void)state;
    EXPECT("{\"x\":19.90}", &wire_text_session, "\x81\x12[bob]: {\"x\":19.90}");
    EXPECT("null", &wire_text_room,
           "\x81\x09"
           "bob: null");
}

static void an_event_shows_as_its_argument_or_the_list(void **state)
{
    (void)state;
    EXPECT_EVENT("[\"said\",\"hi\"]", "\x81\x02hi");
    EXPECT_EVENT("[\"said\",\"a\\nb\"]", "\x81\x03"
                                         "a\nb");
    EXPECT_EVENT("[\"said\",{\"n\":1}]", "\x81\x07{\"n\":1}");
    EXPECT_EVENT("[\"said\",\"a\",2]", "\x81\x07[\"a\",2]");
    EXPECT_EVENT("[\"said\"]", "\x81\x02[]");
    EXPECT_EVENT("[[\"said\",1],[\"AQID\"]]", "\x81\x01"
                                              "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_shows_as_its_text),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(anything_else_shows_as_json),
        cmocka_unit_test(an_event_shows_as_its_argument_or_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
