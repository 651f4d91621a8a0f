#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

static void a_message_owns_a_copy_of_everything(void **state)
{
    char names[] = "alicebob", sender[] = "eve", body[] = "{\"a\":1}";
    struct topic topics[] = {
        topic_make(TOPIC_USER, names, 5),
        topic_make(TOPIC_USER, names + 5, 3),
    };
    struct draft draft = {
        .topics = topics,
        .topic_count = 2,
        .sender = sender,
        .sender_length = 3,
        .body = body,
        .body_length = 7,
        .ttl_ms = 500,
        .own_ttl = true,
        .except = 9,
    };
    (void)state;

    struct message *message = message_create(77, 1000, &draft);
    memset(names, 'x', sizeof names);
    memset(sender, 'x', sizeof sender);
    memset(body, 'x', sizeof body);
    memset(topics, 0, sizeof topics);
    struct topic alice = a_user("alice"), bob = a_user("bob");
    assert_true(topic_equal(&message->topics[0], &alice));
    assert_true(topic_equal(&message->topics[1], &bob));
    assert_memory_equal(message->sender, "eve", 3);
    assert_memory_equal(message->body, "{\"a\":1}", 7);
    assert_int_equal(message->id, 77);
    assert_int_equal(message->expires_at_ms, 1500);
    assert_true(message->own_ttl);
    assert_int_equal(message->except, 9);
    assert_int_equal(message->size, sizeof *message + 2 * sizeof(struct topic) + 8 + 3 + 7);
    assert_true(message_footprint(message) > message->size);
    message_unref(message);
    message_unref(NULL);
}

static void it_expires_at_the_end_of_its_time(void **state)
{
    struct message *message = a_message_for("alice", 1);
    (void)state;

    assert_false(message_expired(message, 1769860859999));
    assert_true(message_expired(message, 1769860860000));
    message_unref(message);
}

static void members_are_written_as_the_contract_says(void **state)
{
    struct topic channel = topic_make(TOPIC_CHANNEL, "n\"ws", 4);
    struct message *mail = a_message_for("alice", 1855808000000000001);
    struct message *news = a_message_to(&channel, 42);
    struct buf buf;
    (void)state;

    buf_init(&buf);
    message_write_members(mail, &buf);
    buf_add(&buf, "", 1);
    assert_string_equal(buf.data, "\"id\":\"1855808000000000001\",\"sender\":\"bob\","
                                  "\"message\":\"hi\",\"sent_at\":\"2026-01-31T12:00:00.000Z\"");
    buf_consume(&buf, buf.size);
    message_write_members(news, &buf);
    buf_add(&buf, "", 1);
    assert_string_equal(buf.data, "\"id\":\"0000000000000000042\",\"sender\":\"bob\","
                                  "\"channel\":\"n\\\"ws\",\"message\":\"hi\","
                                  "\"sent_at\":\"2026-01-31T12:00:00.000Z\"");
    buf_finish(&buf);
    message_unref(mail);
    message_unref(news);
}

static void expect_event(const char *body, const char *said, const char *outline)
{
    struct topic alice = a_user("alice");
    struct draft draft = a_draft(&alice, 1, 60000);
    struct buf buf;
    draft.kind = MESSAGE_EVENT;
    draft.body = body;
    draft.body_length = strlen(body);
    struct message *message = message_create(5, 1769860800000, &draft);
    char wanted[320];

    buf_init(&buf);
    message_write_members(message, &buf);
    buf_add(&buf, "", 1);
    snprintf(wanted, sizeof wanted,
             "\"id\":\"0000000000000000005\",\"sender\":\"bob\",%s,"
             "\"sent_at\":\"2026-01-31T12:00:00.000Z\"",
             said);
    assert_string_equal(buf.data, wanted);
    buf_consume(&buf, buf.size);
    message_write_outline(message, &buf);
    buf_add(&buf, "", 1);
    snprintf(wanted, sizeof wanted,
             "\"type\":\"too_large\",\"id\":\"0000000000000000005\",\"sender\":\"bob\",%s,"
             "\"after\":\"0000000000000000004\",\"kept\":true,"
             "\"sent_at\":\"2026-01-31T12:00:00.000Z\"",
             outline);
    assert_string_equal(buf.data, wanted);
    buf_finish(&buf);
    message_unref(message);
}

static void an_event_has_its_name_and_its_arguments(void **state)
{
    (void)state;
    expect_event("[\"order\",{\"n\":1.50}]", "\"event\":\"order\",\"message\":{\"n\":1.50}",
                 "\"event\":\"order\",\"size\":20");
    expect_event("[\"a\\\"b\"]", "\"event\":\"a\\\"b\",\"args\":[]",
                 "\"event\":\"a\\\"b\",\"size\":8");
    expect_event("[\"two\",1,null]", "\"event\":\"two\",\"args\":[1,null]",
                 "\"event\":\"two\",\"size\":14");
    expect_event("[[\"p\",{\"_placeholder\":true,\"num\":0}],[\"AQID\"]]",
                 "\"event\":\"p\",\"message\":{\"_placeholder\":true,\"num\":0},"
                 "\"attachments\":[\"AQID\"]",
                 "\"event\":\"p\",\"size\":46");
}

static int made;
static struct message *raced; /* somebody else makes the frame meanwhile */

static struct chunk *make_frame(const struct message *message)
{
    static const struct message_format other = {1, make_frame, NULL};
    struct message *race = raced;
    raced = NULL;
    if (race)
        message_frame(race, &other);
    made++;
    struct chunk *frame = frame_create(8);
    memcpy(frame->bytes, &message->id, 8);
    return frame;
}

static struct chunk *make_none(const struct message *message)
{
    (void)message;
    return NULL;
}

static struct chunk *make_outline(const struct message *message)
{
    (void)message;
    made++;
    return frame_create(3);
}

static void a_frame_too_large_for_its_reader_is_replaced(void **state)
{
    static const struct message_format outline = {6, make_outline, NULL},
                                       format = {2, make_frame, &outline};
    struct message *message = a_message_for("alice", 5);
    (void)state;

    made = 0;
    struct chunk *whole = message_frame_within(message, &format, 0);
    assert_int_equal(whole->size, 8);
    assert_ptr_equal(message_frame_within(message, &format, 8), whole);
    struct chunk *less = message_frame_within(message, &format, 7);
    assert_int_equal(less->size, 3);
    assert_ptr_equal(message_frame_within(message, &format, 3), less); /* made once for all */
    assert_int_equal(made, 2);
    message_unref(message);
}

static void an_outline_says_where_it_is(void **state)
{
    struct message *message = a_message_for("alice", 5);
    struct buf buf;
    (void)state;

    buf_init(&buf);
    message_write_outline(message, &buf);
    buf_add(&buf, "", 1);
    assert_string_equal(buf.data, "\"type\":\"too_large\",\"id\":\"0000000000000000005\","
                                  "\"sender\":\"bob\",\"size\":4,"
                                  "\"after\":\"0000000000000000004\",\"kept\":true,"
                                  "\"sent_at\":\"2026-01-31T12:00:00.000Z\"");
    buf_finish(&buf);
    message_unref(message);
}

static void a_frame_is_made_once_for_all(void **state)
{
    static const struct message_format first = {0, make_frame, NULL},
                                       second = {1, make_frame, NULL},
                                       failing = {0, make_none, NULL};
    struct message *message = a_message_for("alice", 5);
    (void)state;

    made = 0;
    assert_null(message_frame(message, &failing)); /* and it may be tried again */
    struct chunk *frame = message_frame(message, &first);
    assert_int_equal(frame->size, 8);
    assert_ptr_equal(message_frame(message, &first), frame);
    assert_int_equal(made, 1);

    raced = message;
    struct chunk *other = message_frame(message, &second);
    assert_ptr_not_equal(other, frame);
    assert_ptr_equal(message_frame(message, &second), other);
    assert_int_equal(made, 3);

    frame_ref(frame); /* as a socket's queue does; it outlives the message */
    message_ref(message);
    message_unref(message);
    message_unref(message);
    uint64_t id;
    memcpy(&id, frame->bytes, 8);
    assert_int_equal(id, 5);
    frame_unref(frame);
    frame_unref(NULL);
}

static void a_frame_is_made_from_what_a_buffer_holds(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    struct chunk *empty = frame_from(&buf);
    assert_int_equal(empty->size, 0);
    buf_add_text(&buf, "abc");
    struct chunk *frame = frame_from(&buf);
    assert_int_equal(frame->size, 3);
    assert_memory_equal(frame->bytes, "abc", 3);
    assert_int_equal(buf.size, 3); /* still the caller's */
    buf.failed = true;
    assert_null(frame_from(&buf));
    buf_finish(&buf);
    frame_unref(empty);
    frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_owns_a_copy_of_everything),
        cmocka_unit_test(it_expires_at_the_end_of_its_time),
        cmocka_unit_test(members_are_written_as_the_contract_says),
        cmocka_unit_test(an_event_has_its_name_and_its_arguments),
        cmocka_unit_test(a_frame_is_made_once_for_all),
        cmocka_unit_test(a_frame_too_large_for_its_reader_is_replaced),
        cmocka_unit_test(an_outline_says_where_it_is),
        cmocka_unit_test(a_frame_is_made_from_what_a_buffer_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
