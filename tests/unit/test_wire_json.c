#include "support.h"

#include <jansson.h>

#include "base/buf.h"
#include "model/identity.h"
#include "session/publish_request.h"
#include "session/wire_json.h"

static struct buf buf;

static int empty(void **state)
{
    (void)state;
    buf_finish(&buf);
    buf_init(&buf);
    return 0;
}

static void expect(const char *text)
{
    assert_true(buf_ok(&buf));
    buf_add(&buf, "", 1);
    assert_string_equal(buf.data, text);
    empty(NULL);
}

#define MEMBERS                                                                                    \
    "\"id\":\"0000000000000000007\",\"sender\":\"bob\",\"message\":\"hi\","                        \
    "\"sent_at\":\"2026-01-31T12:00:00.000Z\""
#define OUTLINE                                                                                    \
    "\"type\":\"too_large\",\"id\":\"0000000000000000007\",\"sender\":\"bob\",\"size\":4,"         \
    "\"after\":\"0000000000000000006\",\"kept\":true,\"sent_at\":\"2026-01-31T12:00:00.000Z\""

static void a_message_or_its_outline(void **state)
{
    (void)state;
    struct message *message = a_message_for("alice", 7);
    wire_json_message(&buf, message);
    expect("{\"type\":\"message\"," MEMBERS "}");
    wire_json_outline(&buf, message);
    expect("{" OUTLINE "}");
    message_unref(message);
}

static void a_page_of_messages(void **state)
{
    (void)state;
    struct message *message = a_message_for("alice", 7);
    struct buf messages;
    buf_init(&messages);
    wire_json_add_to_page(&messages, message, 0);
    wire_json_add_to_page(&messages, message, 20);
    wire_json_page(&buf, &(struct wire_page){&messages, .next = 7, .more = true});
    expect("{\"messages\":[{" MEMBERS "},{" OUTLINE
           "}],\"next\":\"0000000000000000007\",\"more\":true,\"gap\":null}\n");
    buf_finish(&messages);
    message_unref(message);
}

static void a_page_with_a_gap(void **state)
{
    (void)state;
    struct buf none;
    buf_init(&none);
    wire_json_page(&buf, &(struct wire_page){&none, .next = 9, .after = 7, .resumes = 8});
    expect("{\"messages\":[],\"next\":\"0000000000000000009\",\"more\":false,\"gap\":{\"after\":"
           "\"0000000000000000007\",\"resumes\":\"0000000000000000008\"}}\n");
    none.failed = true;
    wire_json_page(&buf, &(struct wire_page){&none, .next = 9});
    assert_false(buf_ok(&buf)); /* half a page is none */
    buf_finish(&none);
}

static void the_life_of_a_session(void **state)
{
    (void)state;
    struct topic alice = a_user("al\"ice"), news = a_channel("news");
    wire_json_welcome(&buf, &(struct session){.id = 0xab, .cursor = 7}, &alice, 15,
                      &identity_anyone);
    expect("{\"type\":\"welcome\",\"session\":\"00000000000000ab\",\"user\":\"al\\\"ice\","
           "\"cursor\":\"0000000000000000007\",\"heartbeat\":15}");
    wire_json_renewed(&buf, &identity_anyone);
    expect("{\"type\":\"renewed\"}");
    wire_json_gap(&buf, 7, 8, NULL);
    expect("{\"type\":\"gap\",\"after\":\"0000000000000000007\",\"resumes\":"
           "\"0000000000000000008\"}");
    wire_json_gap(&buf, 7, 8, &news);
    expect("{\"type\":\"gap\",\"after\":\"0000000000000000007\",\"resumes\":"
           "\"0000000000000000008\",\"channel\":\"news\"}");
    wire_json_bye(&buf, ERR_STOPPING, 1500);
    expect("{\"type\":\"bye\",\"code\":\"stopping\",\"retry_ms\":1500}");
}

static void answers_to_frames(void **state)
{
    (void)state;
    struct topic news = a_channel("news");
    wire_json_pong(&buf);
    expect("{\"type\":\"pong\"}");
    wire_json_subscribed(&buf, &news);
    expect("{\"type\":\"subscribed\",\"channel\":\"news\"}");
    wire_json_unsubscribed(&buf, &news);
    expect("{\"type\":\"unsubscribed\",\"channel\":\"news\"}");
    uint32_t delivered = 3;
    struct publish_request sent = {.publish = {.id = 7}, .count = 1, .delivered = &delivered};
    wire_json_sent(&buf, &sent, NULL);
    expect("{\"type\":\"sent\",\"id\":\"0000000000000000007\",\"delivered\":3}");
    sent.publish.duplicate = true;
    wire_json_sent(&buf, &sent, NULL);
    expect("{\"type\":\"sent\",\"id\":\"0000000000000000007\",\"duplicate\":true}");
    wire_json_error(&buf, ERR_BAD_FRAME, "No \"type\".", NULL);
    expect("{\"type\":\"error\",\"code\":\"bad_frame\",\"detail\":\"No \\\"type\\\".\"}");
}

static void expect_ref(json_t *ref, const char *text)
{
    wire_json_error(&buf, ERR_BAD_FRAME, "", ref);
    expect(text);
    json_decref(ref);
}

#define ERROR_WITH(members) "{\"type\":\"error\",\"code\":\"bad_frame\",\"detail\":\"\"" members "}"

static void a_ref_is_a_short_text_or_a_whole_number(void **state)
{
    (void)state;
    char longest[129], too_long[130];
    memset(longest, 'a', 128);
    memset(too_long, 'a', 129);
    longest[128] = too_long[129] = '\0';
    expect_ref(json_string("a\"b"), ERROR_WITH(",\"ref\":\"a\\\"b\""));
    expect_ref(json_integer(-5), ERROR_WITH(",\"ref\":-5"));
    expect_ref(json_real(9007199254740992.0), ERROR_WITH(",\"ref\":9007199254740992"));
    expect_ref(json_real(1.5), ERROR_WITH(""));
    expect_ref(json_real(1e300), ERROR_WITH(""));
    expect_ref(json_true(), ERROR_WITH(""));
    expect_ref(json_object(), ERROR_WITH(""));
    expect_ref(json_string(too_long), ERROR_WITH(""));
    wire_json_error(&buf, ERR_BAD_FRAME, "", NULL);
    size_t bare = buf.size;
    expect(ERROR_WITH(""));
    json_t *ref = json_string(longest);
    wire_json_error(&buf, ERR_BAD_FRAME, "", ref);
    assert_int_equal(buf.size, bare + strlen(",\"ref\":\"\"") + 128);
    json_decref(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_or_its_outline, empty, empty),
        cmocka_unit_test_setup_teardown(a_page_of_messages, empty, empty),
        cmocka_unit_test_setup_teardown(a_page_with_a_gap, empty, empty),
        cmocka_unit_test_setup_teardown(the_life_of_a_session, empty, empty),
        cmocka_unit_test_setup_teardown(answers_to_frames, empty, empty),
        cmocka_unit_test_setup_teardown(a_ref_is_a_short_text_or_a_whole_number, empty, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
