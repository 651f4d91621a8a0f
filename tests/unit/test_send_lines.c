#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/send_lines.h"
#include "base/clock.h"
#include "desk.h"
#include "engine/broker.h"
#include "session/publish_request.h"

#define MAX_BODY 4096
#define CHUNKED  "POST /send-messages HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked" END
#define LINE     "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":%u}\n"

/* ---- given time ---- */

static int64_t now_us;

int64_t __wrap_clock_mono_us(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_us(void)
{
    return now_us;
}

int64_t __wrap_clock_mono_ms(void)
{
    return now_us / 1000;
}

/* ---- a broker that answers when it is told to ---- */

static struct {
    struct publish_call *asked[2 * SEND_LINES_MAX];
    size_t count;        /* asked so far */
    enum broker_end end; /* what publish returns */
    char bodies[256];
} clerk;

enum broker_end __wrap_broker_publish(struct broker *broker, int member,
                                      struct publish_call *publish);

enum broker_end __wrap_broker_publish(struct broker *broker, int member,
                                      struct publish_call *publish)
{
    (void)broker;
    (void)member;
    publish->call.err = ERR_NONE;
    if (strlen(clerk.bodies) + publish->draft.body_length + 2 < sizeof clerk.bodies) {
        strncat(clerk.bodies, publish->draft.body, publish->draft.body_length);
        strcat(clerk.bodies, " ");
    }
    publish->id = clerk.count + 1;
    publish->kept = true;
    clerk.asked[clerk.count++] = publish;
    return clerk.end;
}

static void clerk_answers(size_t from, size_t to, enum err err)
{
    for (size_t i = from; i < to; i++) {
        assert_non_null(clerk.asked[i]);
        clerk.asked[i]->call.err = err;
        clerk.asked[i]->call.done(&clerk.asked[i]->call);
        clerk.asked[i] = NULL;
    }
}

/* ---- the desk ---- */

static struct publish_options options = {.max_message = 1000, .ttl_ms = 60000, .ttl_max_ms = 60000};

static struct api all = {.publish_options = &options};

static struct route routes[1];

static char *heard; /* the whole answer */

static int open_ours(void **state)
{
    (void)state;
    memset(&clerk, 0, sizeof clerk);
    clerk.end = BROKER_PENDING;
    now_us = 1000000;
    routes[0] = send_lines_routes.routes[0];
    routes[0].state = &all;
    desk_open(routes, COUNT_OF(routes));
    desk.requests.limits.max_body = MAX_BODY;
    return 0;
}

static int close_ours(void **state)
{
    free(heard);
    heard = NULL;
    desk_close(state);
    assert_int_equal(desk.requests.late, 0);
    return 0;
}

/* As much as it takes. */
static size_t say_much(const char *bytes, size_t size)
{
    size_t said = 0;
    while (said < size) {
        ssize_t now = send(desk.client, bytes + said, size - said, MSG_NOSIGNAL);
        if (now < 0)
            break;
        said += (size_t)now;
        run();
    }
    return said;
}

/* One chunk. */
static void say_chunk(const char *text)
{
    char head[32];
    snprintf(head, sizeof head, "%zx\r\n", strlen(text));
    say(head);
    say(text);
    say("\r\n");
}

static void say_lines(unsigned from, unsigned to)
{
    char line[128];
    for (unsigned i = from; i < to; i++) {
        snprintf(line, sizeof line, LINE, i);
        say_chunk(line);
    }
}

static const char *hear_all(void)
{
    size_t size = 0, room = (size_t)4 << 20;
    ssize_t now;
    free(heard);
    heard = malloc(room);
    assert_non_null(heard);
    while ((now = recv(desk.client, heard + size, room - 1 - size, 0)) > 0) {
        size += (size_t)now;
        run();
    }
    heard[size] = '\0';
    return heard;
}

static const char *sent(size_t index, unsigned long long id)
{
    static char text[160];
    snprintf(text, sizeof text,
             "{\"index\":%zu,\"status\":\"Message sent\",\"id\":\"%019llu\",\"delivered\":0,"
             "\"kept\":true,\"durable\":false}\n",
             index, id);
    return text;
}

/* ---- tests ---- */

static void lines_are_published_as_they_arrive(void **state)
{
    (void)state;

    say(CHUNKED);
    say_lines(1, 3);
    say_chunk("{\"sender\":\"b\",\"receiver\":\"a\",");
    assert_int_equal(clerk.count, 2);
    say_chunk("\"message\":3}\n\n \t\r\n");
    assert_string_equal(clerk.bodies, "1 2 3 ");
    assert_int_equal(clerk.count, 3);
    say("0\r\n\r\n");
    assert_string_equal(hear(), "");
    assert_int_equal(desk.deadline.phase, DEADLINE_WAIT);
    clerk_answers(0, 2, ERR_NONE);
    run();
    assert_string_equal(hear(), "");
    clerk_answers(2, 3, ERR_NONE);
    run();
    assert_has(hear(), "HTTP/1.1 200 OK\r\n");
    assert_has(desk.heard, "Content-Type: application/x-ndjson\r\n");
    assert_has(desk.heard, sent(0, 1));
    assert_has(desk.heard, sent(1, 2));
    assert_has(desk.heard, sent(2, 3));
    say(CHUNKED "0\r\n\r\n"); /* the connection lives on; nothing comes of nothing */
    assert_has(hear(), "Content-Length: 0\r\n");
}

static void the_last_line_needs_no_end(void **state)
{
    (void)state;

    clerk.end = BROKER_ANSWERED;
    say("POST /send-messages HTTP/1.1\r\n" HOST "Content-Length: 46" END
        "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":\"last\"}");
    assert_has(hear(), sent(0, 1));
    assert_string_equal(clerk.bodies, "\"last\" ");
}

static void results_have_the_order_of_their_lines(void **state)
{
    char wanted[1024] = "";
    (void)state;

    say(CHUNKED);
    say_lines(0, 1);
    say_chunk("{\"sender\":\"b\"}\n");
    say_lines(1, 3);
    say_chunk("[\n[]\n");
    say("0\r\n\r\n");
    assert_int_equal(clerk.count, 3);
    clerk_answers(2, 3, ERR_NONE);
    clerk_answers(1, 2, ERR_NO_ROOM);
    assert_string_equal(hear(), "");
    clerk_answers(0, 1, ERR_NONE);
    run();
    strcat(wanted, sent(0, 1));
    strcat(wanted,
           "{\"index\":1,\"status\":422,\"code\":\"missing_field\",\"field\":\"receiver\","
           "\"detail\":\"Give exactly one of receiver, receivers, channel, broadcast.\"}\n");
    strcat(wanted, "{\"index\":2,\"status\":507,\"code\":\"no_room\","
                   "\"detail\":\"Send it with \\\"ttl\\\":0, or make room: on the disk, or by "
                   "keep_total in memory.\"}\n");
    strcat(wanted, sent(3, 3));
    strcat(wanted, "{\"index\":4,\"status\":400,\"code\":\"bad_json\",\"detail\":\"Column 1: "
                   "']' expected near end of file\"}\n");
    strcat(wanted, "{\"index\":5,\"status\":400,\"code\":\"bad_json\","
                   "\"detail\":\"A line must be a JSON object.\"}\n");
    assert_has(hear(), END);
    assert_string_equal(strstr(desk.heard, END) + 4, wanted);
}

/* What is on its way is bounded by lines... */
static void the_broker_is_asked_for_a_window_at_a_time(void **state)
{
    enum { LINES = 3 * SEND_LINES_WINDOW };
    char *body = malloc(LINES * 64), head[128];
    size_t size = 0, said;
    (void)state;

    desk.requests.limits.max_body = 1000000;
    for (unsigned i = 0; i < LINES; i++)
        size += (size_t)snprintf(body + size, 64, LINE, i);
    snprintf(head, sizeof head, "POST /send-messages HTTP/1.1\r\n" HOST "Content-Length: %zu" END,
             size);
    say(head);
    said = say_much(body, size);
    assert_int_equal(clerk.count, SEND_LINES_WINDOW);
    assert_int_equal(desk.deadline.phase, DEADLINE_WAIT);
    for (size_t answered = 0; answered < LINES; answered += 250) {
        assert_in_range(clerk.count, answered, answered + SEND_LINES_WINDOW);
        assert_true(clerk.count == LINES || clerk.count == answered + SEND_LINES_WINDOW);
        clerk_answers(answered, answered + 250, ERR_NONE);
        run();
        said += say_much(body + said, size - said);
    }
    hear_all();
    for (size_t i = 0; i < LINES; i++)
        assert_has(heard, sent(i, i + 1));
    assert_int_equal(count_of(heard, "\n{"), LINES);
    free(body);
}

/* ... and by bytes. */
static void the_window_has_room_for_one_long_line(void **state)
{
    char line[1200];
    (void)state;

    memset(line, 'x', sizeof line);
    memcpy(line, "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":\"", 40);
    strcpy(line + sizeof line - 200, "\"}\n");
    desk.requests.limits.max_body = strlen(line) - 1;
    say(CHUNKED);
    say_chunk(line);
    say_chunk(line);
    say_chunk(line);
    assert_int_equal(clerk.count, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(clerk.count, i + 1);
        clerk_answers(i, i + 1, ERR_NONE);
        run();
    }
    line[1] = ' '; /* one byte longer: fails alone */
    say_chunk(line);
    memmove(line + 1, line, strlen(line) + 1);
    say_chunk(line);
    say("0\r\n\r\n");
    assert_has(hear(), "{\"index\":4,\"status\":413,\"code\":\"body_too_large\","
                       "\"detail\":\"A line is at most as long as max_body.\"}\n");
    assert_has(desk.heard, "{\"index\":3,\"status\":400,\"code\":\"bad_json\"");
}

static void who_leaves_midway_leaves_whole_messages(void **state)
{
    (void)state;

    say(CHUNKED);
    say_lines(1, 3);
    say_chunk("{\"sender\":\"b\",\"receiver\":\"a\",\"message\":3}");
    hang_up();
    assert_true(desk.gone);
    assert_string_equal(clerk.bodies, "1 2 ");
    assert_int_equal(desk.requests.late, 1);
    clerk_answers(0, 2, ERR_NONE);
    assert_int_equal(desk.requests.late, 0);
    assert_int_equal(atomic_load(&desk.reactor.metrics.published_message), 2);
}

static void who_leaves_before_the_first_line_leaves_nothing(void **state)
{
    (void)state;

    say("POST /send-messages HTTP/1.1\r\n" HOST "Content-Length: 46" END
        "{\"sender\":\"b\",\"receiver\":\"a\",\"message\":\"last\"");
    hang_up();
    assert_true(desk.gone);
    assert_int_equal(clerk.count, 0);
}

static void who_leaves_while_the_window_is_full_is_noticed_later(void **state)
{
    (void)state;

    desk.requests.limits.max_body = 60; /* two lines */
    say(CHUNKED);
    say_lines(0, 4);
    assert_int_equal(clerk.count, 2);
    hang_up();
    assert_false(desk.gone);
    clerk_answers(0, 2, ERR_NONE);
    run();
    assert_int_equal(clerk.count, 4); /* these had come */
    clerk_answers(2, 4, ERR_NONE);
    run();
    assert_true(desk.gone);
}

static void a_broker_that_is_late_at_the_end_leaves_doubt(void **state)
{
    (void)state;

    say(CHUNKED);
    say_lines(1, 4);
    say("0\r\n\r\n");
    clerk_answers(1, 2, ERR_NONE);
    request_in_give_up(desk.deadline.request);
    run();
    assert_has(hear(), "HTTP/1.1 200 OK\r\n");
    assert_has(desk.heard, "{\"index\":0,\"status\":503,\"code\":\"broker_down\",\"detail\":\"No ");
    assert_has(desk.heard, sent(1, 2));
    assert_has(desk.heard, "{\"index\":2,\"status\":503,\"code\":\"broker_down\",\"detail\":\"No ");
    assert_int_equal(count_of(desk.heard, "\"index\""), 3);
    assert_int_equal(desk.requests.late, 1);
    clerk_answers(0, 1, ERR_NONE);
    assert_int_equal(desk.requests.late, 1);
    clerk_answers(2, 3, ERR_BROKER_DOWN);
    assert_int_equal(desk.requests.late, 0);
    assert_int_equal(atomic_load(&desk.reactor.metrics.published_message), 2);
}

static void a_broker_that_is_late_midway_stops_the_rest(void **state)
{
    (void)state;

    desk.requests.limits.max_body = 60; /* two lines */
    say(CHUNKED);
    say_lines(0, 4);
    request_in_give_up(desk.deadline.request);
    run();
    assert_int_equal(clerk.count, 2);
    assert_int_equal(desk.deadline.phase, DEADLINE_BODY);
    clerk_answers(0, 1, ERR_NONE); /* while the body still comes */
    say_lines(4, 6);
    assert_string_equal(hear(), "");
    say("0\r\n\r\n");
    assert_has(hear(), "{\"index\":1,\"status\":503,\"code\":\"broker_down\",\"detail\":\"No ");
    assert_has(desk.heard, "{\"index\":2,\"status\":503,\"code\":\"broker_down\","
                           "\"detail\":\"This line and those after it were not taken.\"}\n");
    assert_int_equal(count_of(desk.heard, "\"index\""), 3);
    clerk_answers(1, 2, ERR_NONE);
}

static void each_line_has_its_deadline_and_all_of_them_one(void **state)
{
    (void)state;

    clerk.end = BROKER_ANSWERED;
    say(CHUNKED);
    assert_int_equal(desk.deadline.phase, DEADLINE_BODY);
    int64_t due_ms = desk.deadline.due_ms;
    now_us += SEND_LINES_MAX_US / 2;
    say_chunk("{\"sender\":");
    say_chunk("\n  \n"); /* the end of a bad line: it got on */
    assert_int_equal(desk.deadline.due_ms, due_ms + SEND_LINES_MAX_US / 2000);
    now_us += SEND_LINES_MAX_US / 2;
    say_chunk("\n  \n \"");
    assert_int_equal(desk.deadline.due_ms, due_ms + SEND_LINES_MAX_US / 2000);
    say_chunk("\n");
    assert_int_equal(desk.deadline.due_ms, due_ms + SEND_LINES_MAX_US / 1000);
    now_us += 1;
    say_lines(0, 2);
    say("0\r\n\r\n");
    assert_int_equal(clerk.count, 0);
    assert_has(hear(), "{\"index\":2,\"status\":408,\"code\":\"request_timeout\","
                       "\"detail\":\"This line and those after it were not taken.\"}\n");
    assert_int_equal(count_of(desk.heard, "\"index\""), 3);
}

static void there_may_be_so_many_lines(void **state)
{
    char *chunk = malloc((SEND_LINES_MAX + 5) * 64 + 32), *body = chunk + 32;
    size_t size = 0;
    (void)state;

    clerk.end = BROKER_ANSWERED;
    for (unsigned i = 0; i < SEND_LINES_MAX + 5; i++)
        size += (size_t)snprintf(body + size, 64, LINE "\n", i);
    for (size_t most = 0; most < 2; most++) { /* the second time one more than that */
        char head[160];
        size_t whole = most ? size : size - 5 * (strlen("10000") + sizeof LINE - 2);
        snprintf(head, sizeof head,
                 "POST /send-messages HTTP/1.1\r\n" HOST "Content-Length: %zu" END, whole);
        clerk.count = 0;
        say(head);
        assert_int_equal(say_much(body, whole), whole);
        hear_all();
        assert_int_equal(clerk.count, SEND_LINES_MAX);
        assert_has(heard, sent(SEND_LINES_MAX - 1, SEND_LINES_MAX));
        assert_int_equal(count_of(heard, "\"index\""), SEND_LINES_MAX + most);
        assert_int_equal(count_of(heard, "{\"index\":10000,\"status\":413,"
                                         "\"code\":\"too_many_lines\",\"detail\":\"This line and "
                                         "those after it were not taken.\"}\n"),
                         most);
    }
    free(chunk);
}

/* However many requests there are. */
static void results_have_so_much_memory(void **state)
{
    (void)state;

    clerk.end = BROKER_ANSWERED;
    desk.quota.held = desk.quota.limit; /* by others */
    say(CHUNKED);
    say_lines(0, 1000);
    size_t least = BYTE_QUOTA_FREE / strlen(sent(0, 1)) / 2;
    assert_in_range(clerk.count, least, BYTE_QUOTA_FREE / strlen(sent(0, 1)));
    say("0\r\n\r\n");
    assert_has(hear_all(), "\"status\":503,\"code\":\"overloaded\","
                           "\"detail\":\"This line and those after it were not taken.\"}\n");
    desk.quota.held -= desk.quota.limit;
}

static void a_longer_body_is_refused_before_it_comes(void **state)
{
    (void)state;

    say("POST /send-messages HTTP/1.1\r\n" HOST "Content-Length: 16777217\r\n"
        "Expect: 100-continue" END);
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "\"detail\":\"A body has at most 16777216 bytes here.\"");
    assert_int_equal(clerk.count, 0);
}

/* Of lines without an end no memory is left, and after twice the size no patience. */
static void a_body_without_an_end_is_cut_off(void **state)
{
    static char junk[65536];
    (void)state;

    memset(junk, ' ', sizeof junk - 1);
    say(CHUNKED);
    for (size_t said = 0; said <= 2 * SEND_LINES_MAX_SIZE && !desk.gone; said += sizeof junk - 1) {
        char head[32];
        snprintf(head, sizeof head, "%zx\r\n", sizeof junk - 1);
        say(head);
        say_much(junk, sizeof junk - 1);
        if (!desk.gone)
            say("\r\n");
    }
    assert_true(desk.gone);
    assert_int_equal(clerk.count, 0);
}

static void heads_that_cannot_be(void **state)
{
    static const struct {
        const char *head, *status, *detail;
    } cases[] = {
        {"Content-Type: application/json", "415", "application/x-ndjson"},
        {"Content-Type: text/plain", "415", "application/x-ndjson"},
        {"Origin: http://a", "415", "application/x-ndjson"},
        {"Content-Encoding: gzip", "415", "without Content-Encoding"},
        {"Idempotency-Key: k", "422", "each line its own"},
    };
    static const char *const proper[] = {
        "Content-Type: application/x-ndjson",
        "Content-Type: application/X-NDJSON ; charset=utf-8\r\nOrigin: http://a",
        "Content-Type: application/jsonl",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Encoding: Identity",
    };
    char request[256];
    (void)state;

    clerk.end = BROKER_ANSWERED;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(request, sizeof request,
                 "POST /send-messages HTTP/1.1\r\n" HOST "Content-Length: 2\r\n%s" END "{}",
                 cases[i].head);
        say(request);
        assert_has(hear(), "HTTP/1.1 4");
        assert_has(desk.heard, cases[i].status);
        assert_has(desk.heard, cases[i].detail);
        assert_int_equal(clerk.count, 0);
    }
    for (size_t i = 0; i < COUNT_OF(proper); i++) {
        snprintf(request, sizeof request,
                 "POST /send-messages HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n%s" END,
                 proper[i]);
        say(request);
        say_lines(0, 1);
        say("0\r\n\r\n");
        assert_has(hear(), "HTTP/1.1 200 ");
    }
}

#define DESK_TEST(test) cmocka_unit_test_setup_teardown(test, open_ours, close_ours)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(lines_are_published_as_they_arrive),
        DESK_TEST(the_last_line_needs_no_end),
        DESK_TEST(results_have_the_order_of_their_lines),
        DESK_TEST(the_broker_is_asked_for_a_window_at_a_time),
        DESK_TEST(the_window_has_room_for_one_long_line),
        DESK_TEST(who_leaves_midway_leaves_whole_messages),
        DESK_TEST(who_leaves_before_the_first_line_leaves_nothing),
        DESK_TEST(who_leaves_while_the_window_is_full_is_noticed_later),
        DESK_TEST(a_broker_that_is_late_at_the_end_leaves_doubt),
        DESK_TEST(a_broker_that_is_late_midway_stops_the_rest),
        DESK_TEST(each_line_has_its_deadline_and_all_of_them_one),
        DESK_TEST(there_may_be_so_many_lines),
        DESK_TEST(results_have_so_much_memory),
        DESK_TEST(a_longer_body_is_refused_before_it_comes),
        DESK_TEST(a_body_without_an_end_is_cut_off),
        DESK_TEST(heads_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
