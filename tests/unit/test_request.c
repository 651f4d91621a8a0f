#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "desk.h"
#include "http/head.h"
#include "http/target.h"

#define MAX_BODY 100
#define MAX_LATE 256
#define UPGRADE  "GET /upgrade HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: x\r\n\r\n"

/* What the routes write down. */
static struct {
    unsigned served;
    struct request *waiting;
    char said[256];
    int adoptions;
    int adopted;
    char extra[64];
    size_t room; /* of the body reader; then it waits */
    int opened, gave_up, closed;
    bool owes;
} book;

/* ---- the routes ---- */

static void serve_now(struct request *request)
{
    book.served++;
    request_answer_static(request, 200, "text/plain", "now\n", 4);
}

static void serve_later(struct request *request)
{
    if (!request_may_ask(request))
        return;
    book.served++;
    book.waiting = request;
    request_wait(request);
}

static void serve_body(struct request *request)
{
    size_t size;
    const char *body = request_body(request, &size);
    book.served++;
    snprintf(book.said, sizeof book.said, "%.*s", (int)size, body);
    request_answer_static(request, 200, "text/plain", "read\n", 5);
}

static void serve_words(struct request *request)
{
    size_t length;
    const char *id = target_id(request_target(request), &length);
    const char *a = target_query(request_target(request), "a"),
               *lone = target_query(request_target(request), "lone");
    book.served++;
    snprintf(book.said, sizeof book.said, "%.*s|%s|%s|%s", (int)length, id, a ? a : "-",
             lone ? lone : "-", target_query(request_target(request), "none") ? "?" : "-");
    serve_now(request);
}

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    assert_ptr_equal(context, &book);
    book.adoptions++;
    book.adopted = fd;
    snprintf(book.extra, sizeof book.extra, "%.*s", (int)size, extra ? extra : "");
}

static void serve_upgrade(struct request *request)
{
    book.served++;
    request_upgrade(request, "accepted", "protocol", on_adopted, &book);
}

/* ---- a body handler: what it has taken is in book.said ---- */

static void *open_body_reader(struct request *request)
{
    if (head_find(request_head(request), "X-Refuse")) {
        request_problem(request, ERR_FORBIDDEN, NULL, "No.");
        return NULL;
    }
    book.opened++;
    book.waiting = request;
    return &book;
}

static size_t take_pieces(void *body_reader, const char *bytes, size_t size)
{
    size_t taken = size < book.room ? size : book.room;
    assert_ptr_equal(body_reader, &book);
    assert_int_not_equal(size, 0);
    assert_int_not_equal(desk.deadline.phase, DEADLINE_WAIT); /* never while it waits */
    strncat(book.said, bytes, taken);
    book.room -= taken;
    if (taken < size)
        request_wait(book.waiting);
    return taken;
}

static void end_body_reader(void *body_reader)
{
    assert_ptr_equal(body_reader, &book);
    strcat(book.said, ".");
    request_answer_static(book.waiting, 200, NULL, "taken", 5);
}

static void give_up_body_reader(void *body_reader)
{
    assert_ptr_equal(body_reader, &book);
    book.gave_up++;
    book.room = 1000;
    request_go_on(book.waiting);
}

static bool close_body_reader(void *body_reader)
{
    assert_ptr_equal(body_reader, &book);
    book.closed++;
    return book.owes;
}

static const struct body_handler pieces = {
    .max_size = 20,
    .open = open_body_reader,
    .take = take_pieces,
    .end = end_body_reader,
    .give_up = give_up_body_reader,
    .close = close_body_reader,
};

/* The client leaves while its handshake is looked at. */
static void serve_upgrade_of_nobody(struct request *request)
{
    close(desk.client);
    desk.client = -1;
    serve_upgrade(request);
}

static const struct route routes[] = {
    {.method = "GET", .path = "/now", .serve = serve_now, .right = RIGHT_OPEN},
    {.method = "POST", .path = "/now", .serve = serve_body, .right = RIGHT_OPEN},
    {.method = "GET", .path = "/later", .serve = serve_later, .right = RIGHT_OPEN},
    {.method = "POST", .path = "/later", .serve = serve_later, .right = RIGHT_OPEN},
    {.method = "GET", .path = "/users/:id/words", .serve = serve_words, .right = RIGHT_OPEN},
    {.method = "GET",
     .path = "/upgrade",
     .serve = serve_upgrade,
     .upgrade = true,
     .right = RIGHT_OPEN},
    {.method = "POST", .path = "/pieces", .body_handler = &pieces, .right = RIGHT_OPEN},
    {.method = "GET",
     .path = "/nobody",
     .serve = serve_upgrade_of_nobody,
     .upgrade = true,
     .right = RIGHT_OPEN},
};

/* ---- tests ---- */

static void a_request_is_answered(void **state)
{
    (void)state;

    say("GET /now HTTP/1.1\r\n" HOST "X-Request-Id: r-1" END);
    assert_has(hear(), "HTTP/1.1 200 OK\r\n");
    assert_has(desk.heard, "Content-Type: text/plain\r\n");
    assert_has(desk.heard, "X-Request-Id: r-1\r\n");
    assert_has(desk.heard, "\r\n\r\nnow\n");
    assert_int_equal(desk.deadline.phase, DEADLINE_NEXT_HEAD);
    say("HEAD /now HTTP/1.1\r\n" HOST "X-Request-Id: {}" END);
    assert_has(hear(), "Content-Length: 4\r\n");
    assert_null(strstr(desk.heard, "now\n"));
    assert_null(strstr(desk.heard, "{}")); /* no token: another one was made */
    assert_has(desk.heard, "X-Request-Id: ");
    assert_int_equal(book.served, 2);
}

static void a_head_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /now HTTP/1.1\r\n" HOST "Content-Length: 2" END "hi";
    (void)state;

    for (size_t i = 0; i + 1 < sizeof request; i++) {
        char byte[2] = {request[i], '\0'};
        assert_int_equal(book.served, 0);
        say(byte);
    }
    assert_has(hear(), "200 OK");
    assert_string_equal(book.said, "hi");
}

static void an_answer_may_come_later(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    assert_string_equal(hear(), "");
    assert_int_equal(desk.deadline.phase, DEADLINE_WAIT);
    desk.reactor.again = false;
    request_answer_static(book.waiting, 200, "text/plain", "later\n", 6);
    assert_true(desk.reactor.again && desk.requests.run_again); /* the pump must hear of it */
    run();
    assert_has(hear(), "\r\n\r\nlater\n");
    say("GET /now HTTP/1.1\r\n" HOST END); /* and the connection lives on */
    assert_has(hear(), "\r\n\r\nnow\n");
}

static void requests_in_a_row_are_answered_in_their_order(void **state)
{
    (void)state;

    say("GET /now HTTP/1.1\r\n" HOST "X-Request-Id: 1" END "POST /now HTTP/1.1\r\n" HOST
        "X-Request-Id: 2\r\nContent-Length: 3" END "two"
        "GET /none HTTP/1.1\r\n" HOST "X-Request-Id: 3" END "GET /later HTTP/1.1\r\n" HOST
        "X-Request-Id: 4" END "GET /now HTTP/1.1\r\n" HOST "X-Request-Id: 5" END);
    const char *at = hear();
    for (int i = 1; i <= 3; i++) {
        char line[32];
        snprintf(line, sizeof line, "X-Request-Id: %d\r\n", i);
        assert_has(at, line);
        at = strstr(at, line);
    }
    assert_int_equal(count_of(desk.heard, "HTTP/1.1 "), 3);
    assert_has(desk.heard, "HTTP/1.1 404 ");
    assert_string_equal(book.said, "two");
    assert_int_equal(book.served, 3); /* the fifth waits behind the fourth */
    request_answer_static(book.waiting, 200, NULL, "", 0);
    run();
    assert_int_equal(count_of(hear(), "HTTP/1.1 200"), 2);
    assert_true(strstr(desk.heard, "Id: 4\r\n") < strstr(desk.heard, "Id: 5\r\n"));
    assert_int_equal(book.served, 4);
}

/* The broker takes too long. What was borrowed of the request stays until its answer comes. */
static void an_answer_that_comes_too_late_goes_nowhere(void **state)
{
    size_t size;
    (void)state;

    say("POST /later HTTP/1.1\r\n" HOST "Content-Length: 4" END "mine");
    assert_ptr_equal(desk.deadline.request, book.waiting);
    request_in_give_up(book.waiting);
    assert_true(desk.reactor.again && desk.requests.run_again);
    run();
    assert_has(hear(), "HTTP/1.1 503 ");
    assert_has(desk.heard, "\"code\":\"broker_down\"");
    assert_int_equal(desk.requests.late, 1);
    say("GET /now HTTP/1.1\r\n" HOST END); /* the connection lives on */
    assert_has(hear(), "\r\n\r\nnow\n");
    assert_memory_equal(request_body(book.waiting, &size), "mine", 4);
    request_answer_static(book.waiting, 200, NULL, "late", 4);
    run();
    assert_string_equal(hear(), "");
    assert_int_equal(desk.requests.late, 0);
}

/* As above, and the answer comes while the 503 is still on its way. */
static void an_answer_may_be_late_by_a_hair(void **state)
{
    struct buf body;
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    request_in_give_up(book.waiting);
    request_in_give_up(book.waiting); /* once is enough */
    buf_init(&body);
    buf_add_text(&body, "late");
    request_answer(book.waiting, 200, NULL, &body);
    run();
    assert_has(hear(), "HTTP/1.1 503 ");
    assert_int_equal(count_of(desk.heard, "HTTP/1.1 "), 1);
    assert_has(desk.heard, "broker_down");
    assert_int_equal(desk.requests.late, 0);

    say("GET /later HTTP/1.1\r\n" HOST END);
    request_answer_static(book.waiting, 200, NULL, "", 0);
    request_in_give_up(book.waiting); /* late by a hair itself */
    run();
    assert_has(hear(), "HTTP/1.1 200 ");
    assert_int_equal(desk.requests.late, 0);
}

/* What a poll does when there is nothing to give. */
static void a_socket_may_be_adopted_later(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    int fd = request_adopt(book.waiting);
    assert_true(fd >= 0);
    run();
    assert_true(desk.gone); /* the daemon has let go of it */
    assert_int_equal(send(fd, "mine", 4, 0), 4);
    assert_string_equal(hear(), "mine");
    assert_false(has_ended());
    close(fd);
    assert_true(has_ended());
}

static void who_does_more_than_answer_asks_whether_it_is_late(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    assert_false(request_drop_late(book.waiting));
    request_in_give_up(book.waiting);
    run();
    assert_true(request_drop_late(book.waiting));
    assert_int_equal(desk.requests.late, 0);
}

static void a_problem_may_come_too_late(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    request_in_give_up(book.waiting);
    hang_up();
    assert_true(desk.gone);
    request_problem(book.waiting, ERR_NO_ROOM, NULL, "Too late.");
    assert_int_equal(desk.requests.late, 0);
}

/* Each late answer holds memory, so there is a bound to how many a broker may owe. */
static void a_broker_that_owes_many_answers_is_not_asked(void **state)
{
    struct request *waiting[MAX_LATE];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        say("GET /later HTTP/1.1\r\n" HOST END);
        waiting[i] = book.waiting;
        request_in_give_up(book.waiting);
        run();
        assert_has(hear(), "HTTP/1.1 503 ");
    }
    assert_int_equal(book.served, MAX_LATE);
    say("GET /later HTTP/1.1\r\n" HOST END);
    assert_has(hear(), "\"code\":\"broker_down\"");
    assert_int_equal(book.served, MAX_LATE);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        request_answer_static(waiting[i], 200, NULL, "", 0);
    say("GET /later HTTP/1.1\r\n" HOST END);
    request_answer_static(book.waiting, 200, NULL, "", 0);
    run();
    assert_has(hear(), "HTTP/1.1 200 ");
}

static void a_server_that_ends_asks_nothing(void **state)
{
    (void)state;

    desk.requests.ended = true;
    say("GET /later HTTP/1.1\r\n" HOST END);
    assert_has(hear(), "\"code\":\"stopping\"");
    assert_int_equal(book.served, 0);
}

/* Nobody tells us before the answer; then it has nowhere to go. */
static void the_client_may_leave_while_its_request_waits(void **state)
{
    (void)state;

    say("POST /later HTTP/1.1\r\n" HOST "Content-Length: 2" END "hi");
    assert_non_null(book.waiting);
    hang_up();
    assert_false(desk.gone);
    request_problem(book.waiting, ERR_BROKER_DOWN, NULL, "Gone.");
    run();
    assert_true(desk.gone);
}

static void the_client_may_leave_in_the_middle_of_a_request(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Content-Length: 20" END "half of");
    assert_int_equal(desk.deadline.phase, DEADLINE_BODY);
    hang_up();
    assert_true(desk.gone);
    assert_int_equal(book.served, 0);
}

static void an_upgrade_hands_the_socket_over(void **state)
{
    (void)state;

    say(UPGRADE "and more");
    assert_has(hear(), "HTTP/1.1 101 ");
    assert_has(desk.heard, "Upgrade: websocket\r\n");
    assert_has(desk.heard, "Sec-WebSocket-Accept: accepted\r\n");
    assert_has(desk.heard, "Sec-WebSocket-Protocol: protocol\r\n");
    assert_int_equal(book.adoptions, 1);
    assert_string_equal(book.extra, "and more");
    assert_true(desk.gone); /* the daemon has let go of it */
    assert_true(fcntl(book.adopted, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(send(book.adopted, "hello", 5, 0), 5);
    assert_string_equal(hear(), "hello");
    assert_int_equal(send(desk.client, "hi", 2, 0), 2);
    run();
    assert_int_equal(recv(book.adopted, desk.heard, sizeof desk.heard, 0), 2);
    close(book.adopted);
    assert_true(has_ended()); /* no other descriptor of it is open */
}

static void an_upgrade_may_come_to_nothing(void **state)
{
    (void)state;

    say("GET /nobody HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: x" END);
    assert_int_equal(book.served, 1);
    assert_int_equal(book.adoptions, 1);
    assert_int_equal(book.adopted, -1);
    assert_true(desk.gone);
}

static void http_1_0_is_not_upgraded(void **state)
{
    (void)state;

    say("GET /upgrade HTTP/1.0\r\n" HOST "Connection: Upgrade\r\nUpgrade: x" END);
    assert_int_equal(book.adoptions, 1);
    assert_int_equal(book.adopted, -1);
    assert_string_equal(hear(), "");
    assert_true(desk.gone);
}

static void a_body_is_gathered(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked" END "3\r\nabc\r\n");
    assert_int_equal(book.served, 0);
    say("2\r\nde\r\n0\r\n\r\n");
    assert_has(hear(), "200 OK");
    assert_string_equal(book.said, "abcde");
    say("POST /now HTTP/1.1\r\n" HOST "Content-Length: 0" END);
    assert_has(hear(), "200 OK");
    assert_string_equal(book.said, "");
}

static void a_body_has_a_limit(void **state)
{
    char body[MAX_BODY + 2], request[512];
    (void)state;

    memset(body, 'x', sizeof body);
    body[MAX_BODY] = '\0';
    snprintf(request, sizeof request, "POST /now HTTP/1.1\r\n" HOST "Content-Length: %d" END "%s",
             MAX_BODY, body);
    say(request);
    assert_has(hear(), "200 OK");
    snprintf(request, sizeof request, "POST /now HTTP/1.1\r\n" HOST "Content-Length: %d" END "%sx",
             MAX_BODY + 1, body);
    say(request);
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "\"code\":\"body_too_large\"");
    snprintf(request, sizeof request,
             "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked" END
             "%x\r\n%s\r\n1\r\nx\r\n0\r\n\r\n",
             MAX_BODY, body);
    say("GET /now HTTP/1.1\r\n" HOST END); /* it was read to its end */
    assert_has(hear(), "\r\n\r\nnow\n");
    assert_int_equal(book.served, 2);
    say(request); /* who knows how long this one will be? */
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "Connection: close\r\n");
    assert_true(has_ended());
}

/* The answer comes at once; the rest of the body is read for nothing until its end. */
static void a_long_body_that_nobody_wants_is_answered_early(void **state)
{
    char junk[1001] = "";
    (void)state;

    memset(junk, 'x', sizeof junk - 1);
    say("POST /none HTTP/1.1\r\n" HOST "Origin: http://a\r\nContent-Length: 100000" END);
    assert_has(hear(), "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n");
    assert_has(desk.heard, "Access-Control-Allow-Origin: http://a\r\n");
    assert_has(desk.heard, "Connection: close\r\n");
    assert_has(desk.heard, "\"code\":\"not_found\"");
    assert_int_equal(desk.deadline.phase, DEADLINE_LINGER);
    for (int i = 0; i < 100; i++) {
        assert_false(desk.gone);
        say(junk);
    }
    assert_true(desk.gone);
    assert_int_equal(book.served, 0);
}

static void who_is_answered_early_still_learns_how_to_ask(void **state)
{
    (void)state;

    say("DELETE /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked" END "5\r\nhe");
    assert_has(hear(), "HTTP/1.1 405 ");
    assert_has(desk.heard, "Allow: GET, HEAD, POST\r\n");
    assert_false(desk.gone);
    hang_up();
    assert_true(desk.gone);
}

#define PIECES "POST /pieces HTTP/1.1\r\n" HOST

static void an_intake_takes_the_body_as_it_comes(void **state)
{
    (void)state;

    book.room = 100;
    say(PIECES "Transfer-Encoding: chunked" END "3\r\nabc\r\n");
    assert_string_equal(book.said, "abc");
    say("2\r\nd");
    assert_string_equal(book.said, "abcd");
    say("e\r\n0\r\n");
    assert_string_equal(book.said, "abcde");
    assert_int_equal(book.closed, 0);
    say("\r\n");
    assert_has(hear(), END "taken");
    assert_string_equal(book.said, "abcde.");
    assert_int_equal(book.opened, 1);
    assert_int_equal(book.closed, 1);
    say(PIECES "Content-Length: 0" END);
    assert_has(hear(), END "taken");
    assert_string_equal(book.said, "abcde..");
}

/* Several chunks lie in one buffer of libmicrohttpd's; none is given while the body reader waits.
 */
static void an_intake_may_wait_in_mid_body(void **state)
{
    (void)state;

    book.room = 2;
    say(PIECES "Transfer-Encoding: chunked" END
               "3\r\nabc\r\n3\r\ndef\r\n1\r\ng\r\n0\r\n\r\nGET /now HTTP/1.1\r\n" HOST END);
    for (size_t taken = 2; taken < 7; taken++) {
        assert_int_equal(strlen(book.said), taken);
        assert_int_equal(desk.deadline.phase, DEADLINE_WAIT);
        book.room = 1;
        request_go_on(book.waiting);
        assert_int_equal(desk.deadline.phase, DEADLINE_BODY);
        run();
    }
    assert_string_equal(book.said, "abcdefg.");
    assert_has(hear(), END "taken");
    assert_has(desk.heard, END "now\n");
}

static void an_intake_is_told_that_it_waits_too_long(void **state)
{
    (void)state;

    say(PIECES "Content-Length: 5" END "abcde");
    assert_ptr_equal(desk.deadline.request, book.waiting);
    request_in_give_up(book.waiting);
    run();
    assert_int_equal(book.gave_up, 1);
    assert_string_equal(book.said, "abcde.");
    assert_has(hear(), END "taken");
}

static void an_intake_may_refuse_by_the_head(void **state)
{
    (void)state;

    say(PIECES "X-Refuse: 1\r\nContent-Length: 5" END "abcde");
    assert_has(hear(), "HTTP/1.1 403 ");
    say(PIECES "Content-Length: 21\r\nExpect: 100-continue" END);
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "\"detail\":\"A body has at most 20 bytes here.\"");
    assert_int_equal(book.opened, 0);
    assert_int_equal(book.closed, 0);
}

static void an_intake_whose_client_leaves_is_closed(void **state)
{
    (void)state;

    book.room = 100;
    book.owes = true;
    say(PIECES "Content-Length: 5" END "abc");
    hang_up();
    assert_true(desk.gone);
    assert_string_equal(book.said, "abc");
    assert_int_equal(book.closed, 1);
    assert_int_equal(desk.requests.late, 1);
    request_release(book.waiting); /* it was still there */
    assert_int_equal(desk.requests.late, 0);
}

static void an_intake_is_given_twice_its_size_at_most(void **state)
{
    (void)state;

    book.room = 100;
    say(PIECES "Transfer-Encoding: chunked" END
               "28\r\n0123456789012345678901234567890123456789\r\n");
    assert_false(desk.gone);
    say("1\r\n!\r\n");
    assert_true(desk.gone);
    assert_int_equal(book.closed, 1);
}

static void a_packed_body_is_not_read(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 2" END "hi");
    assert_has(hear(), "HTTP/1.1 415 ");
    assert_has(desk.heard, "Accept-Encoding: identity\r\n");
    say("POST /now HTTP/1.1\r\n" HOST "Content-Encoding: identity\r\nContent-Length: 2" END "hi");
    assert_has(hear(), "200 OK");
    assert_int_equal(book.served, 1);
}

static void nobody_waits_for_a_body_that_is_not_wanted(void **state)
{
    (void)state;

    say("POST /now HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 101" END);
    assert_has(hear(), "HTTP/1.1 413 ");
    assert_has(desk.heard, "Connection: close\r\n");
    assert_true(has_ended());
}

static void words_of_the_address_are_decoded_once(void **state)
{
    static const struct {
        const char *target, *said;
    } cases[] = {
        {"/users/ann/words", "ann|-|-|-"},
        {"/users/caf%C3%a9/words?a=1", "caf\xc3\xa9|1|-|-"},
        {"/users/%2541/words?a=%2541+%2B&lone", "%41|%41 +||-"},
        {"/users/a+b/words?lone&a=&a=2", "a+b|||-"},
        {"/users/a/words?&&=x&a=b=c&&", "a|b=c|-|-"},
        {"/users/a/words?", "a|-|-|-"},
        {"/users/a/words?%61=%26", "a|&|-|-"},
        {"/users/.../words?a=?", "...|?|-|-"},
        {"/users/a/words?a&b&c&d&e&f&g&h&lone", "a|||-"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char request[256];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST END, cases[i].target);
        say(request);
        assert_has(hear(), "200 OK");
        assert_string_equal(book.said, cases[i].said);
    }
}

static void refusals_leave_the_connection_open(void **state)
{
    static const struct {
        const char *line, *status, *code;
    } cases[] = {
        {"GET /none", "404", "not_found"},
        {"GET /now/", "404", "not_found"},
        {"GET /users/a/words/", "404", "not_found"},
        {"GET /users/a", "404", "not_found"},
        {"GET *", "404", "not_found"},
        {"DELETE /now", "405", "method_not_allowed"},
        {"HEAD /upgrade", "405", ""},
        {"GET /users//words", "400", "bad_id"},
        {"GET /users/%/words", "400", "bad_id"},
        {"GET /users/a%00/words", "400", "bad_id"},
        {"GET /users/%2f/words", "400", "bad_id"},
        {"GET /users/%2E%2e/words", "400", "bad_id"},
        {"GET /users/%ff/words", "400", "bad_id"},
        {"GET /now?a=%", "400", "bad_parameter"},
        {"GET /now?%00=b", "400", "bad_parameter"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char request[256], status[32];
        snprintf(request, sizeof request, "%s HTTP/1.1\r\n" HOST END, cases[i].line);
        snprintf(status, sizeof status, "HTTP/1.1 %s ", cases[i].status);
        say(request);
        assert_has(hear(), status);
        assert_has(desk.heard, cases[i].code);
        assert_null(strstr(desk.heard, "Connection: close"));
    }
    assert_int_equal(book.served, 0);
    say("DELETE /now HTTP/1.1\r\n" HOST END);
    assert_has(hear(), "Allow: GET, HEAD, POST\r\n");
}

static void a_hidden_request_never_runs(void **state)
{
    (void)state;

    say("POST /none HTTP/1.1\r\n" HOST "Content-Length: 6\r\nTransfer-Encoding: chunked" END
        "0\r\n\r\nGET /now HTTP/1.1\r\n" HOST END);
    assert_has(hear(), "HTTP/1.1 400 ");
    assert_has(desk.heard, "Connection: close\r\n");
    assert_int_equal(count_of(desk.heard, "HTTP/1.1 "), 1);
    assert_true(has_ended());
    assert_int_equal(book.served, 0);
}

static void a_stopping_server_closes_behind_its_answers(void **state)
{
    (void)state;

    say("GET /later HTTP/1.1\r\n" HOST END);
    desk.requests.stopping = true;
    request_answer_static(book.waiting, 200, NULL, "", 0);
    run();
    assert_has(hear(), "Connection: close\r\n");
    assert_true(has_ended());
}

/* Its sessions have been told to go; a new one would only hold it up. */
static void a_stopping_server_upgrades_nothing(void **state)
{
    (void)state;

    desk.requests.stopping = true;
    say(UPGRADE);
    assert_has(hear(), "HTTP/1.1 503 ");
    assert_has(desk.heard, "\"code\":\"stopping\"");
    assert_true(has_ended());
    assert_int_equal(book.served, 0);
}

/* Bodies and heads of different sizes, for what is kept to be used again. */
static void what_is_used_again_remembers_nothing(void **state)
{
    char target[700], request[1000];
    (void)state;

    memset(target, 'x', sizeof target);
    target[sizeof target - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        say("POST /now HTTP/1.1\r\n" HOST "Content-Length: 5" END "first");
        assert_string_equal(book.said, "first");
        say("POST /now HTTP/1.1\r\n" HOST END);
        assert_string_equal(book.said, "");
        snprintf(request, sizeof request, "GET /users/a/words?a=%s HTTP/1.1\r\n" HOST END, target);
        say(request);
        say("GET /users/b/words HTTP/1.1\r\n" HOST END);
        assert_string_equal(book.said, "b|-|-|-");
        assert_int_equal(count_of(hear(), "200 OK"), 4);
    }
}

static int open_ours(void **state)
{
    (void)state;
    memset(&book, 0, sizeof book);
    desk_open(routes, COUNT_OF(routes));
    desk.requests.limits.max_body = MAX_BODY;
    return 0;
}

#define DESK_TEST(test) cmocka_unit_test_setup_teardown(test, open_ours, desk_close)

/* Does this step end a process? Its complaint is not ours to hear. */
static bool aborts(enum request_state from, enum request_state to)
{
    int status;
    pid_t child = fork();
    if (!child) {
        struct request request = {.state = from};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        request_enter(&request, to);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_step_that_cannot_be_asserts(void **state)
{
    (void)state;
    assert_false(aborts(REQUEST_SERVING, REQUEST_ANSWERED));
    assert_true(aborts(REQUEST_ANSWERED, REQUEST_ANSWERED)); /* answered twice */
    assert_true(aborts(REQUEST_HEAD, REQUEST_SERVING));
    assert_true(aborts(REQUEST_LINGERING, REQUEST_ANSWERED));
    assert_true(aborts(REQUEST_ANSWERED, REQUEST_UPGRADING));
    for (int to = 0; to < REQUEST_STATES; to++)
        assert_true(aborts(REQUEST_OVER, (enum request_state)to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_request_is_answered),
        cmocka_unit_test(a_step_that_cannot_be_asserts),
        DESK_TEST(a_head_may_come_byte_by_byte),
        DESK_TEST(an_answer_may_come_later),
        DESK_TEST(requests_in_a_row_are_answered_in_their_order),
        DESK_TEST(an_answer_that_comes_too_late_goes_nowhere),
        DESK_TEST(an_answer_may_be_late_by_a_hair),
        DESK_TEST(a_socket_may_be_adopted_later),
        DESK_TEST(who_does_more_than_answer_asks_whether_it_is_late),
        DESK_TEST(a_problem_may_come_too_late),
        DESK_TEST(a_broker_that_owes_many_answers_is_not_asked),
        DESK_TEST(a_server_that_ends_asks_nothing),
        DESK_TEST(the_client_may_leave_while_its_request_waits),
        DESK_TEST(the_client_may_leave_in_the_middle_of_a_request),
        DESK_TEST(an_upgrade_hands_the_socket_over),
        DESK_TEST(an_upgrade_may_come_to_nothing),
        DESK_TEST(http_1_0_is_not_upgraded),
        DESK_TEST(a_body_is_gathered),
        DESK_TEST(a_body_has_a_limit),
        DESK_TEST(a_long_body_that_nobody_wants_is_answered_early),
        DESK_TEST(who_is_answered_early_still_learns_how_to_ask),
        DESK_TEST(an_intake_takes_the_body_as_it_comes),
        DESK_TEST(an_intake_may_wait_in_mid_body),
        DESK_TEST(an_intake_is_told_that_it_waits_too_long),
        DESK_TEST(an_intake_may_refuse_by_the_head),
        DESK_TEST(an_intake_whose_client_leaves_is_closed),
        DESK_TEST(an_intake_is_given_twice_its_size_at_most),
        DESK_TEST(a_packed_body_is_not_read),
        DESK_TEST(nobody_waits_for_a_body_that_is_not_wanted),
        DESK_TEST(words_of_the_address_are_decoded_once),
        DESK_TEST(refusals_leave_the_connection_open),
        DESK_TEST(a_hidden_request_never_runs),
        DESK_TEST(a_stopping_server_closes_behind_its_answers),
        DESK_TEST(a_stopping_server_upgrades_nothing),
        DESK_TEST(what_is_used_again_remembers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
