#include "support.h"

#include <stdio.h>

#include "base/digest.h"
#include "base/hash.h"
#include "model/identity.h"
#include "session/publish_request.h"

static const struct publish_options options = {
    .max_message = 20, .ttl_ms = 7000, .ttl_max_ms = 60000};

/* What the last object came to; begin() makes it ready for another. */
static struct publish_request publish_request;
static struct publish_problem problem;

static void begin(void)
{
    publish_request_finish(&publish_request);
    memset(&publish_request, 0, sizeof publish_request);
    memset(&problem, 0, sizeof problem);
}

static int read_from(const char *text, struct publish_source source)
{
    begin();
    source.text = text;
    source.who = source.who ? source.who : &identity_anyone;
    source.size = strlen(text);
    json_t *body = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(body);
    return publish_request_read(&publish_request, body, &source, &options, &problem);
}

static int read_text(const char *text)
{
    return read_from(text, (struct publish_source){0});
}

/* A client's frame, from alice. */
static int read_frame(const char *text)
{
    return read_from(
        text, (struct publish_source){.sender = "alice", .sender_length = 5, .is_client = true});
}

static void expect_problem(int err, enum err wanted, const char *field, const char *detail)
{
    assert_int_equal(err, wanted);
    assert_int_equal(problem.err, wanted);
    assert_string_equal(problem.field ? problem.field : "-", field);
    assert_string_equal(problem.detail, detail);
}

static void expect_topic(size_t i, struct topic wanted)
{
    assert_true(i < publish_request.publish.draft.topic_count);
    assert_true(topic_equal(&publish_request.publish.draft.topics[i], &wanted));
}

static void expect_body(const char *wanted)
{
    const struct draft *draft = &publish_request.publish.draft;
    assert_int_equal(draft->body_length, strlen(wanted));
    assert_memory_equal(draft->body, wanted, draft->body_length);
}

static void the_plainest_message(void **state)
{
    static const char text[] = "{\"sender\":\"bob\",\"receiver\":\"alice\",\"message\":\"hi\"}";
    const struct publish_call *publish = &publish_request.publish;
    (void)state;

    assert_int_equal(read_text(text), 0);
    assert_int_equal(publish->draft.sender_length, 3);
    assert_memory_equal(publish->draft.sender, "bob", 3);
    assert_int_equal(publish->draft.topic_count, 1);
    expect_topic(0, a_user("alice"));
    expect_body("\"hi\"");
    assert_ptr_equal(publish->draft.body, strstr(text, "\"hi\"")); /* as it stands there */
    assert_int_equal(publish->draft.kind, MESSAGE_NOTIFICATION);
    assert_int_equal(publish->draft.ttl_ms, 7000);
    assert_false(publish->draft.own_ttl);
    assert_int_equal(publish->draft.except, 0);
    assert_null(publish->key);
    assert_ptr_equal(publish->delivered, publish_request.delivered);
    assert_false(publish_request.many);
    assert_int_equal(publish_request_delivered(&publish_request), 0);
}

static void one_of_four_says_where_it_goes(void **state)
{
    (void)state;

    assert_int_equal(read_text("{\"sender\":\"b\",\"channel\":\"news\",\"message\":1}"), 0);
    expect_topic(0, a_channel("news"));
    assert_int_equal(read_text("{\"sender\":\"b\",\"broadcast\":true,\"message\":1}"), 0);
    expect_topic(0, all_of_them());
    assert_int_equal(
        read_text("{\"sender\":\"b\",\"receivers\":[\"x\",\"y\",\"z\"],\"message\":1}"), 0);
    assert_int_equal(publish_request.publish.draft.topic_count, 3);
    expect_topic(0, a_user("x"));
    expect_topic(1, a_user("y"));
    expect_topic(2, a_user("z"));
    assert_true(publish_request.many);
    publish_request.delivered[0] = 1;
    publish_request.delivered[1] = 0;
    publish_request.delivered[2] = UINT32_MAX;
    assert_true(publish_request_delivered(&publish_request) == (uint64_t)UINT32_MAX + 1);
    assert_int_equal(read_text("{\"sender\":\"b\",\"receivers\":[\"x\"],\"message\":1}"), 0);
    assert_true(publish_request.many);
    assert_int_equal(publish_request.count, 1);
}

static void a_receiver_named_twice_is_meant_once(void **state)
{
    (void)state;

    assert_int_equal(
        read_text("{\"sender\":\"b\",\"receivers\":[\"x\",\"y\",\"x\",\"\\u0078\"],\"message\":1}"),
        0);
    assert_int_equal(publish_request.publish.draft.topic_count, 2);
    expect_topic(0, a_user("x"));
    expect_topic(1, a_user("y"));
}

#define CHOICE "Give exactly one of receiver, receivers, channel, broadcast."

static void two_of_four_are_too_many_and_none_too_few(void **state)
{
    (void)state;

    expect_problem(read_text("{\"sender\":\"b\",\"message\":1}"), ERR_MISSING_FIELD, "receiver",
                   CHOICE);
    expect_problem(
        read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"receivers\":[\"a\"],\"message\":1}"),
        ERR_BAD_FIELD, "receivers", CHOICE);
    expect_problem(
        read_text("{\"sender\":\"b\",\"channel\":\"a\",\"receiver\":\"a\",\"message\":1}"),
        ERR_BAD_FIELD, "channel", CHOICE);
    expect_problem(
        read_text("{\"sender\":\"b\",\"channel\":\"a\",\"broadcast\":true,\"message\":1}"),
        ERR_BAD_FIELD, "broadcast", CHOICE);
    expect_problem(
        read_text("{\"sender\":\"b\",\"channel\":\"a\",\"receiver\":null,\"message\":1}"),
        ERR_BAD_FIELD, "channel", CHOICE);
}

static void a_destination_must_be_proper(void **state)
{
    static const char user[] =
        "A user id is 1 to 128 bytes of UTF-8 without control characters or /.";
    static const char channel[] =
        "A channel's name is 1 to 128 bytes of UTF-8 without control characters or /.";
    static const char list[] = "receivers is a list of 1 to 1000 user ids.";
    (void)state;

    expect_problem(read_text("{\"sender\":\"b\",\"receiver\":\"a/b\",\"message\":1}"),
                   ERR_BAD_FIELD, "receiver", user);
    expect_problem(read_text("{\"sender\":\"b\",\"receiver\":\"\",\"message\":1}"), ERR_BAD_FIELD,
                   "receiver", user);
    expect_problem(read_text("{\"sender\":\"b\",\"receiver\":7,\"message\":1}"), ERR_BAD_FIELD,
                   "receiver", user);
    expect_problem(read_text("{\"sender\":\"b\",\"receivers\":[\"a\",null],\"message\":1}"),
                   ERR_BAD_FIELD, "receivers", user);
    expect_problem(read_text("{\"sender\":\"b\",\"receivers\":[],\"message\":1}"), ERR_BAD_FIELD,
                   "receivers", list);
    expect_problem(read_text("{\"sender\":\"b\",\"receivers\":\"a\",\"message\":1}"), ERR_BAD_FIELD,
                   "receivers", list);
    expect_problem(read_text("{\"sender\":\"b\",\"channel\":\"..\",\"message\":1}"), ERR_BAD_FIELD,
                   "channel", channel);
    expect_problem(read_text("{\"sender\":\"b\",\"channel\":[\"a\"],\"message\":1}"), ERR_BAD_FIELD,
                   "channel", channel);
    expect_problem(read_text("{\"sender\":\"b\",\"broadcast\":false,\"message\":1}"), ERR_BAD_FIELD,
                   "broadcast", "broadcast can only be true.");
    expect_problem(read_text("{\"sender\":\"b\",\"broadcast\":\"true\",\"message\":1}"),
                   ERR_BAD_FIELD, "broadcast", "broadcast can only be true.");
}

static void there_may_be_a_thousand_receivers(void **state)
{
    static char text[16384];
    (void)state;

    for (int count = 1000; count <= 1001; count++) {
        size_t size = (size_t)sprintf(text, "{\"sender\":\"b\",\"message\":1,\"receivers\":[");
        for (int i = 0; i < count; i++)
            size += (size_t)sprintf(text + size, "%s\"u%d\"", i ? "," : "", i);
        strcpy(text + size, "]}");
        assert_int_equal(read_text(text), count == 1000 ? 0 : ERR_BAD_FIELD);
    }
}

static void the_sender_must_be_there_and_proper(void **state)
{
    static const char proper[] =
        "sender is 1 to 128 bytes of text without control characters, / or ].";
    (void)state;

    expect_problem(read_text("{\"receiver\":\"a\",\"message\":1}"), ERR_MISSING_FIELD, "sender",
                   "Say who sends it: \"sender\":\"bob\".");
    expect_problem(read_text("{\"sender\":\"a]b\",\"receiver\":\"a\",\"message\":1}"),
                   ERR_BAD_FIELD, "sender", proper);
    expect_problem(read_text("{\"sender\":\"\",\"receiver\":\"a\",\"message\":1}"), ERR_BAD_FIELD,
                   "sender", proper);
    expect_problem(read_text("{\"sender\":null,\"receiver\":\"a\",\"message\":1}"), ERR_BAD_FIELD,
                   "sender", proper);
    expect_problem(read_text("{\"sender\":\"a\\nb\",\"receiver\":\"a\",\"message\":1}"),
                   ERR_BAD_FIELD, "sender", proper);
}

static void a_message_stays_as_it_was_written(void **state)
{
    (void)state;

    assert_int_equal(read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":19.990}"), 0);
    expect_body("19.990");
    assert_int_equal(read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":null}"), 0);
    expect_body("null");
    assert_int_equal(
        read_text(
            "{\"sender\":\"b\",\"receiver\":\"a\", \"message\" : { \"a\" : [ 1E2, \" \" ] } }"),
        0);
    expect_body("{\"a\":[1E2,\" \"]}");
    assert_int_equal(
        read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"messag\\u0065\":{ \"a\":\"\\u00e4\" }}"),
        0);
    expect_body("{\"a\":\"\\u00e4\"}");
}

static void a_message_must_be_there_and_fit(void **state)
{
    (void)state;

    expect_problem(read_text("{\"sender\":\"b\",\"receiver\":\"a\"}"), ERR_MISSING_FIELD, "message",
                   "Say what to send: \"message\":\"hi\".");
    assert_int_equal(
        read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":\"123456789012345678\"}"), 0);
    expect_problem(
        read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":\"1234567890123456789\"}"),
        ERR_MESSAGE_TOO_LARGE, "message", "The message is 21 bytes of JSON, max_message is 20.");
    assert_int_equal(/* white space does not count */
                     read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":[                 "
                               "  1 ]}"),
                     0);
    expect_body("[1]");
}

/* ---- events ---- */

static const struct publish_options roomy = {
    .max_message = 100, .ttl_ms = 7000, .ttl_max_ms = 60000};

/* An event to ann from bob, with these members. */
static int read_event(const char *members)
{
    static char text[4096];
    begin();
    int size = snprintf(text, sizeof text, "{\"sender\":\"bob\",\"receiver\":\"ann\",%s}", members);
    assert_true(size < (int)sizeof text);
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    const struct publish_source source = {
        .text = text, .size = strlen(text), .who = &identity_anyone};
    return publish_request_read(&publish_request, body, &source, &roomy, &problem);
}

static void expect_event(const char *members, const char *body)
{
    assert_int_equal(read_event(members), 0);
    assert_int_equal(publish_request.publish.draft.kind, MESSAGE_EVENT);
    expect_body(body);
}

static void an_event_is_a_name_and_its_arguments(void **state)
{
    (void)state;

    expect_event("\"event\":\"order\",\"message\":{ \"n\": 1.50 }", "[\"order\",{\"n\":1.50}]");
    expect_event("\"event\":\"\\u00e4\\n\",\"message\":null", "[\"\xc3\xa4\\n\",null]");
    expect_event("\"event\":\"a\",\"args\":[]", "[\"a\"]");
    expect_event("\"event\":\"a\",\"args\":[ ]", "[\"a\"]");
    expect_event("\"event\":\"a\",\"args\":[ null, 1.50, \"x y\" ]", "[\"a\",null,1.50,\"x y\"]");
    expect_event("\"event\":\"a\",\"attachments\":[],\"message\":1", "[\"a\",1]");
}

static void an_event_needs_a_name_that_is_free(void **state)
{
    static const char wanted[] = "event is a text of 1 to 128 bytes.";
    static const char reserved[] = "A name that Socket.IO has for itself, as disconnect, or that "
                                   "begins with pushwire:, is not free.";
    char members[200];
    (void)state;

    expect_problem(read_event("\"event\":\"\",\"message\":1"), ERR_BAD_FIELD, "event", wanted);
    expect_problem(read_event("\"event\":7,\"message\":1"), ERR_BAD_FIELD, "event", wanted);
    for (int length = 128; length <= 129; length++) {
        snprintf(members, sizeof members, "\"event\":\"%0*d\",\"args\":[]", length, 7);
        assert_int_equal(read_event(members),
                         length == 128 ? ERR_MESSAGE_TOO_LARGE : ERR_BAD_FIELD);
    }
    expect_problem(read_event("\"event\":\"disconnect\",\"message\":1"), ERR_BAD_FIELD, "event",
                   reserved);
    expect_problem(read_event("\"event\":\"pushwire:gap\",\"message\":1"), ERR_BAD_FIELD, "event",
                   reserved);
}

static void arguments_are_a_list_in_the_place_of_a_message(void **state)
{
    char members[400];
    (void)state;

    expect_problem(read_event("\"event\":\"a\",\"args\":[1],\"message\":1"), ERR_BAD_FIELD, "args",
                   "Give message or args, not both.");
    expect_problem(read_event("\"event\":\"a\""), ERR_MISSING_FIELD, "args",
                   "Say what comes with it: \"args\":[], or \"message\":\"hi\".");
    expect_problem(read_event("\"event\":\"a\",\"args\":{}"), ERR_BAD_FIELD, "args",
                   "args is a list of at most 64 values.");
    for (int count = 64; count <= 65; count++) {
        int size = snprintf(members, sizeof members, "\"event\":\"a\",\"args\":[");
        for (int i = 0; i < count; i++)
            size += snprintf(members + size, sizeof members - (size_t)size, "%s1", i ? "," : "");
        snprintf(members + size, sizeof members - (size_t)size, "]");
        assert_int_equal(read_event(members), count == 64 ? ERR_MESSAGE_TOO_LARGE : ERR_BAD_FIELD);
    }
    expect_problem(read_event("\"message\":1,\"args\":[1]"), ERR_MISSING_FIELD, "event",
                   "args and attachments are an event's: \"event\":\"order\".");
    expect_problem(read_event("\"message\":1,\"attachments\":[]"), ERR_MISSING_FIELD, "event",
                   "args and attachments are an event's: \"event\":\"order\".");
}

#define HERE(num) "{\"_placeholder\":true,\"num\":" num "}"

static void attachments_are_base64_and_stand_where_they_are_put(void **state)
{
    static const char place[] =
        "A _placeholder stands for an attachment: its num counts them from 0.";
    static const char *const nowhere[] = {"[" HERE("1") "]",           "[" HERE("-1") "]",
                                          "[" HERE("0.5") "]",         "[" HERE("\"0\"") "]",
                                          "[[{\"a\":" HERE("1") "}]]", "[{\"_placeholder\":true}]"};
    char members[200];
    (void)state;

    expect_event("\"event\":\"p\",\"message\":" HERE("0") ",\"attachments\":[\"AQID\"]",
                 "[[\"p\"," HERE("0") "],[\"AQID\"]]");
    expect_event("\"event\":\"p\",\"args\":[[" HERE("1") "]],\"attachments\":[ \"\", \"A\\/==\" ]",
                 "[[\"p\",[" HERE("1") "]],[\"\",\"A/==\"]]");
    expect_event("\"event\":\"p\",\"args\":[{\"_placeholder\":false,\"num\":9}]",
                 "[\"p\",{\"_placeholder\":false,\"num\":9}]");
    for (size_t i = 0; i < COUNT_OF(nowhere); i++) {
        snprintf(members, sizeof members, "\"event\":\"p\",\"args\":%s,\"attachments\":[\"AQID\"]",
                 nowhere[i]);
        expect_problem(read_event(members), ERR_BAD_FIELD, "args", place);
    }
    expect_problem(read_event("\"event\":\"p\",\"message\":" HERE("0")), ERR_BAD_FIELD, "message",
                   place);
    expect_problem(read_event("\"event\":\"p\",\"args\":[],\"attachments\":[\"\",\"AQI\"]"),
                   ERR_BAD_FIELD, "attachments", "Attachment 1 is not base64.");
    expect_problem(read_event("\"event\":\"p\",\"args\":[],\"attachments\":[7]"), ERR_BAD_FIELD,
                   "attachments", "Attachment 0 is not base64.");
    for (int count = 10; count <= 11; count++) {
        int size =
            snprintf(members, sizeof members, "\"event\":\"p\",\"args\":[],\"attachments\":[");
        for (int i = 0; i < count; i++)
            size += snprintf(members + size, sizeof members - (size_t)size, "%s\"\"", i ? "," : "");
        snprintf(members + size, sizeof members - (size_t)size, "]");
        assert_int_equal(read_event(members), count == 10 ? 0 : ERR_BAD_FIELD);
    }
}

static void all_of_an_event_has_to_fit(void **state)
{
    char members[200];
    (void)state;

    for (int length = 90; length <= 91; length++) { /* and ["a","…"] */
        snprintf(members, sizeof members, "\"event\":\"a\",\"args\":[\"%0*d\"]", length + 2, 7);
        int err = read_event(members);
        if (length == 90)
            assert_int_equal(err, 0);
        else
            expect_problem(err, ERR_MESSAGE_TOO_LARGE, "args",
                           "The event with all that it brings is 101 bytes of JSON, max_message is "
                           "100.");
    }
    snprintf(members, sizeof members, "\"event\":\"a\",\"message\":1,\"attachments\":[\"%0*d\"]",
             96, 7);
    assert_int_equal(read_event(members), ERR_MESSAGE_TOO_LARGE);
}

static void a_session_can_be_left_out(void **state)
{
    static const char *const bad[] = {"7", "\"7\"", "\"0123456789abcdeg\"", "[]"};
    char members[100];
    (void)state;

    assert_int_equal(read_event("\"message\":1,\"except\":\"0123456789abcdef\""), 0);
    assert_true(publish_request.publish.draft.except == 0x0123456789abcdef);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(members, sizeof members, "\"message\":1,\"except\":%s", bad[i]);
        expect_problem(read_event(members), ERR_BAD_FIELD, "except",
                       "except is the id of a session, 16 hex digits.");
    }
}

static int read_ttl(const char *ttl)
{
    static char text[160];
    snprintf(text, sizeof text, "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":1,\"ttl\":%s}",
             ttl);
    return read_text(text);
}

static void a_ttl_is_whole_seconds(void **state)
{
    static const char *const bad[] = {"61", "-1", "1.5", "1e300", "\"5\"", "null", "true", "[]"};
    (void)state;

    assert_int_equal(read_ttl("60"), 0);
    assert_int_equal(publish_request.publish.draft.ttl_ms, 60000);
    assert_true(publish_request.publish.draft.own_ttl);
    assert_int_equal(read_ttl("0"), 0);
    assert_int_equal(publish_request.publish.draft.ttl_ms, 0);
    assert_true(publish_request.publish.draft.own_ttl);
    assert_int_equal(read_ttl("2.0"), 0);
    assert_int_equal(publish_request.publish.draft.ttl_ms, 2000);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        expect_problem(read_ttl(bad[i]), ERR_BAD_FIELD, "ttl",
                       "ttl is a whole number of seconds from 0 to 60.");
}

/* ---- keys ---- */

static const char with_key[] = "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":1,\"key\":\"k1\"}";
static const char without_key[] = "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":1}";

static int read_header(const char *text, const char *header)
{
    return read_from(text, (struct publish_source){.key = header});
}

static void a_key_is_scoped_by_the_sender(void **state)
{
    (void)state;

    assert_int_equal(read_text(with_key), 0);
    assert_ptr_equal(publish_request.publish.key, &publish_request.key);
    assert_true(publish_request.key.scope == hash_bytes("b", 1));
    uint64_t hash = publish_request.key.hash;
    assert_int_equal(
        read_text("{\"sender\":\"c\",\"receiver\":\"a\",\"message\":1,\"key\":\"k1\"}"), 0);
    assert_true(publish_request.key.scope != hash_bytes("b", 1));
    assert_true(publish_request.key.hash != hash);
    assert_int_equal(
        read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":2,\"key\":\"k1\"}"), 0);
    assert_true(publish_request.key.hash == hash);
}

static void expect_digest(const char *text)
{
    uint8_t digest[sizeof publish_request.key.body];
    assert_true(digest_sha256(text, strlen(text), digest));
    assert_memory_equal(publish_request.key.body, digest, sizeof digest);
}

static void a_key_remembers_what_the_message_means(void **state)
{
    static const char wanted[] = "\"alice\",0\"b\"={\"n\":1.50}";
    (void)state;

    assert_int_equal(read_text("{\"sender\":\"alice\",\"receiver\":\"b\",\"message\":{\"n\":1.50},"
                               "\"key\":\"k\"}"),
                     0);
    expect_digest(wanted);
    assert_int_equal(read_text("{\"key\":\"k\", \"message\": {\"n\": 1.50}, \"x\": 7,"
                               "\"receivers\":[\"b\",\"b\"],\"sender\":\"\\u0061lice\"}"),
                     0);
    expect_digest(wanted);
    assert_int_equal(read_frame("{\"type\":\"send\",\"ref\":7,\"receiver\":\"b\","
                                "\"message\":{\"n\":1.50},\"key\":\"k\"}"),
                     0);
    expect_digest(wanted);

    assert_int_equal(read_text("{\"sender\":\"c\",\"receivers\":[\"a\",\"b,\"],\"ttl\":7,"
                               "\"message\":2,\"key\":\"k\"}"),
                     0);
    expect_digest("\"c\",0\"a\",0\"b,\",7000=2");
    assert_int_equal(read_text("{\"sender\":\"c\",\"channel\":\"a\",\"message\":2,\"key\":\"k\"}"),
                     0);
    expect_digest("\"c\",1\"a\"=2");
}

static void an_event_is_another_message_than_its_body(void **state)
{
    (void)state;

    assert_int_equal(read_event("\"message\":[\"a\",1],\"key\":\"k\""), 0);
    expect_digest("\"bob\",0\"ann\"=[\"a\",1]");
    assert_int_equal(read_event("\"event\":\"a\",\"args\":[1],\"key\":\"k\""), 0);
    expect_digest("\"bob\",0\"ann\"![\"a\",1]");
    assert_int_equal(read_event("\"event\":\"a\",\"message\":1,\"key\":\"k\","
                                "\"except\":\"0123456789abcdef\""),
                     0);
    expect_digest("\"bob\",0\"ann\"![\"a\",1]"); /* who comes back has another session */
}

static void a_key_comes_as_field_or_header(void **state)
{
    (void)state;

    assert_int_equal(read_text(with_key), 0);
    uint64_t hash = publish_request.key.hash;
    assert_int_equal(read_header(without_key, "k1"), 0);
    assert_true(publish_request.key.hash == hash);
    assert_int_equal(read_header(without_key, "\"k1\""), 0);
    assert_true(publish_request.key.hash == hash);
    assert_int_equal(read_header(with_key, "k1"), 0);
    assert_true(publish_request.key.hash == hash);
    expect_problem(read_header(with_key, "k2"), ERR_BAD_FIELD, "key",
                   "key and Idempotency-Key differ.");
    expect_problem(read_header(with_key, "k11"), ERR_BAD_FIELD, "key",
                   "key and Idempotency-Key differ.");
    assert_int_equal(read_header(without_key, "\""), 0); /* a quote is a key, if an odd one */
}

static void a_key_is_a_short_text(void **state)
{
    static const char wanted[] = "key is a text of 1 to 128 bytes.";
    char header[130] = {0};
    (void)state;

    memset(header, 'k', 128);
    assert_int_equal(read_header(without_key, header), 0);
    header[128] = 'k';
    expect_problem(read_header(without_key, header), ERR_BAD_FIELD, "key", wanted);
    expect_problem(read_header(without_key, ""), ERR_BAD_FIELD, "key", wanted);
    expect_problem(read_header(without_key, "\"\""), ERR_BAD_FIELD, "key", wanted);
    expect_problem(read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":1,\"key\":\"\"}"),
                   ERR_BAD_FIELD, "key", wanted);
    expect_problem(read_text("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":1,\"key\":7}"),
                   ERR_BAD_FIELD, "key", wanted);
    expect_problem(
        read_header("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":1,\"key\":null}", "k"),
        ERR_BAD_FIELD, "key", wanted);
}

/* ---- clients ---- */

static void a_client_sends_as_itself(void **state)
{
    (void)state;

    assert_int_equal(
        read_frame("{\"type\":\"send\",\"sender\":\"eve\",\"channel\":\"news\",\"message\":1}"), 0);
    assert_int_equal(publish_request.publish.draft.sender_length, 5);
    assert_memory_equal(publish_request.publish.draft.sender, "alice", 5);
    expect_topic(0, a_channel("news"));
    assert_int_equal(
        read_frame("{\"type\":\"send\",\"receiver\":\"bob\",\"key\":\"k\",\"message\":1}"), 0);
    expect_topic(0, a_user("bob"));
    assert_true(publish_request.key.scope == hash_bytes("alice", 5));
    expect_problem(
        read_from("{\"receiver\":\"bob\",\"message\":1}",
                  (struct publish_source){.sender = "a]", .sender_length = 2, .is_client = true}),
        ERR_BAD_FIELD, "sender", "A user whose id has a ] cannot send.");
}

static void a_client_reaches_one_address_only(void **state)
{
    static const char choice[] = "Give exactly one of receiver, channel.";
    (void)state;

    expect_problem(read_frame("{\"broadcast\":true,\"message\":1}"), ERR_MISSING_FIELD, "receiver",
                   choice);
    expect_problem(read_frame("{\"receivers\":[\"a\",\"b\"],\"message\":1}"), ERR_MISSING_FIELD,
                   "receiver", choice);
    expect_problem(read_frame("{\"receiver\":\"a\",\"channel\":\"c\",\"message\":1}"),
                   ERR_BAD_FIELD, "channel", choice);
}

static int finish_the_last(void **state)
{
    (void)state;
    begin();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plainest_message),
        cmocka_unit_test(one_of_four_says_where_it_goes),
        cmocka_unit_test(a_receiver_named_twice_is_meant_once),
        cmocka_unit_test(two_of_four_are_too_many_and_none_too_few),
        cmocka_unit_test(a_destination_must_be_proper),
        cmocka_unit_test(there_may_be_a_thousand_receivers),
        cmocka_unit_test(the_sender_must_be_there_and_proper),
        cmocka_unit_test(a_message_stays_as_it_was_written),
        cmocka_unit_test(a_message_must_be_there_and_fit),
        cmocka_unit_test(an_event_is_a_name_and_its_arguments),
        cmocka_unit_test(an_event_needs_a_name_that_is_free),
        cmocka_unit_test(arguments_are_a_list_in_the_place_of_a_message),
        cmocka_unit_test(attachments_are_base64_and_stand_where_they_are_put),
        cmocka_unit_test(all_of_an_event_has_to_fit),
        cmocka_unit_test(a_session_can_be_left_out),
        cmocka_unit_test(a_ttl_is_whole_seconds),
        cmocka_unit_test(a_key_is_scoped_by_the_sender),
        cmocka_unit_test(a_key_remembers_what_the_message_means),
        cmocka_unit_test(an_event_is_another_message_than_its_body),
        cmocka_unit_test(a_key_comes_as_field_or_header),
        cmocka_unit_test(a_key_is_a_short_text),
        cmocka_unit_test(a_client_sends_as_itself),
        cmocka_unit_test(a_client_reaches_one_address_only),
    };
    return cmocka_run_group_tests(tests, NULL, finish_the_last);
}
