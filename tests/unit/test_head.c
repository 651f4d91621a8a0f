#include "support.h"

#include "http/head.h"

#define MAX_SIZE 1024

static void add(struct head *head, const char *name, const char *value)
{
    head->fields[head->count++] = (struct head_field){name, value, strlen(name), strlen(value)};
}

static void begin(struct head *head, const char *method, const char *target, const char *version)
{
    head->method = method;
    head->target = target;
    head->target_length = strlen(target);
    head->version = version;
    head->target_place = NULL;
    head->count = 0;
}

static enum err judge(const struct head *head, struct head_body *ret_body)
{
    const char *detail = NULL;
    enum err err = head_check(head, MAX_SIZE, ret_body, &detail);
    assert_true((err == ERR_NONE) == (detail == NULL));
    return err;
}

/* ---- heads as they come out of the parser ---- */

struct parsed {
    const char *method, *target, *version;
    const char *fields[8]; /* name, value, ... */
    enum err err;
    struct head_body body;
};

#define PROPER "Host", "a"
#define GET    "GET", "/", "HTTP/1.1"
#define POST   "POST", "/x", "HTTP/1.1"

static const struct parsed heads[] = {
    /* proper ones */
    {GET, {PROPER}, ERR_NONE, {0}},
    {"GET", "/", "HTTP/1.0", {NULL}, ERR_NONE, {0}},
    {"GET", "/", "HTTP/1.0", {PROPER}, ERR_NONE, {0}},
    {"OPTIONS", "*", "HTTP/1.1", {PROPER}, ERR_NONE, {0}},
    {"M-SEARCH", "/", "HTTP/1.1", {PROPER}, ERR_NONE, {0}},
    {POST, {PROPER, "Content-Length", "0"}, ERR_NONE, {0}},
    {GET, {PROPER, "Content-Length", "00"}, ERR_NONE, {0}},
    {POST, {PROPER, "content-length", "12"}, ERR_NONE, {.any = true, .length = 12}},
    {POST, {PROPER, "Content-Length", "0012"}, ERR_NONE, {.any = true, .length = 12}},
    {POST,
     {PROPER, "Content-Length", "999999999999999999"},
     ERR_NONE,
     {.any = true, .length = 999999999999999999}},
    {POST, {PROPER, "Transfer-Encoding", "chunked"}, ERR_NONE, {.any = true, .chunked = true}},
    {POST, {PROPER, "TRANSFER-ENCODING", "Chunked"}, ERR_NONE, {.any = true, .chunked = true}},
    {GET, {PROPER, "X-Empty", ""}, ERR_NONE, {0}},
    {GET, {PROPER, "X-Tab", "a\tb \xc3\xa9\xff"}, ERR_NONE, {0}},
    {GET, {"Host", "localhost:8000"}, ERR_NONE, {0}},
    {GET, {"Host", "[::1]:8000"}, ERR_NONE, {0}},
    {GET, {"hOST", ""}, ERR_NONE, {0}},
    {"GET", "/caf\xc3\xa9/%41?a=b&c;d={}|^`\"<>[]'", "HTTP/1.1", {PROPER}, ERR_NONE, {0}},

    {"GET", "http://a/", "HTTP/1.1", {PROPER}, ERR_NONE, {0}},
    {"GET", "HTTPS://[::1]:8000?a=/", "HTTP/1.1", {PROPER}, ERR_NONE, {0}},
    {"GET", "http://other.example", "HTTP/1.1", {PROPER}, ERR_NONE, {0}},

    /* lengths that could be read in two ways */
    {POST, {PROPER, "Content-Length", "5", "Content-Length", "5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "5", "content-length", "6"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "5", "Transfer-Encoding", "chunked"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Transfer-Encoding", "chunked", "Content-Length", "5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Transfer-Encoding", "x", "Content-Length", "5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", ""}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "+5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "-1"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", " 5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "5 "}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "5, 5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "0x5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "5e1"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "1000000000000000000"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length", "18446744073709551621"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Transfer-Encoding", "gzip, chunked"}, ERR_NOT_IMPLEMENTED, {0}},
    {POST, {PROPER, "Transfer-Encoding", "chunked, chunked"}, ERR_NOT_IMPLEMENTED, {0}},
    {POST, {PROPER, "Transfer-Encoding", "xchunked"}, ERR_NOT_IMPLEMENTED, {0}},
    {POST,
     {PROPER, "Transfer-Encoding",
      "\x0b"
      "chunked"},
     ERR_BAD_REQUEST,
     {0}},
    {POST, {PROPER, "Transfer-Encoding", "chunked "}, ERR_NOT_IMPLEMENTED, {0}},
    {POST, {PROPER, "Transfer-Encoding", "identity"}, ERR_NOT_IMPLEMENTED, {0}},
    {POST, {PROPER, "Transfer-Encoding", ""}, ERR_NOT_IMPLEMENTED, {0}},
    {POST,
     {PROPER, "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"},
     ERR_NOT_IMPLEMENTED,
     {0}},
    {POST,
     {PROPER, "Transfer-Encoding", "chunked", "Transfer-encoding", "cow"},
     ERR_NOT_IMPLEMENTED,
     {0}},
    {"POST", "/", "HTTP/1.0", {PROPER, "Transfer-Encoding", "chunked"}, ERR_BAD_REQUEST, {0}},

    /* names and values that another parser would read in its own way */
    {POST, {PROPER, "Transfer-Encoding ", "chunked"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, "Content-Length\t", "5"}, ERR_BAD_REQUEST, {0}},
    {POST, {PROPER, " Content-Length", "5"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "", "x"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X\x01", "x"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X\xc3\xa9", "x"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X(", "x"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X", "a\rTransfer-Encoding: chunked"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X", "a\nb"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X", "a\x7f"}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "X", "\x1b[2J"}, ERR_BAD_REQUEST, {0}},

    /* hosts */
    {GET, {NULL}, ERR_BAD_REQUEST, {0}},
    {GET, {PROPER, "host", "a"}, ERR_BAD_REQUEST, {0}},
    {"GET", "/", "HTTP/1.0", {PROPER, PROPER}, ERR_BAD_REQUEST, {0}},
    {GET, {"Host", "a b"}, ERR_BAD_REQUEST, {0}},
    {GET, {"Host", "a/b"}, ERR_BAD_REQUEST, {0}},
    {GET, {"Host", "a@b"}, ERR_BAD_REQUEST, {0}},
    {GET, {"Host", "a?b"}, ERR_BAD_REQUEST, {0}},
    {GET, {"Host", "a\\b"}, ERR_BAD_REQUEST, {0}},
    {GET,
     {"Host", "b\xc3\xbc"
              "cher"},
     ERR_BAD_REQUEST,
     {0}},

    /* request lines */
    {"GET", "/", "HTTP/2.0", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/", "HTTP/0.9", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/", "HTTP/1.10", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/", "http/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/", "", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/", "HTTP/1.1 ", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"", "/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"G ET", "/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"G\rET", "/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET:", "/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "x", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "**", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http:///x", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://?a", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http:/a", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://b@a/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://a/b c", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://a#/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://a\\b/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "ftp://a/", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "http://a/", "HTTP/1.1", {NULL}, ERR_BAD_REQUEST, {0}},
    {"CONNECT", "a:80", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/a b", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/a\tb", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/a\rb", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/a#b", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/a\\b", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
    {"GET", "/a\x7f", "HTTP/1.1", {PROPER}, ERR_BAD_REQUEST, {0}},
};

static void every_head_gets_its_verdict(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        const struct parsed *parsed = &heads[i];
        struct head head;
        struct head_body body;
        begin(&head, parsed->method, parsed->target, parsed->version);
        for (size_t j = 0; j + 1 < COUNT_OF(parsed->fields) && parsed->fields[j]; j += 2)
            add(&head, parsed->fields[j], parsed->fields[j + 1]);
        enum err err = judge(&head, &body);
        if (err != parsed->err)
            print_error("heads[%zu]: %s %s\n", i, parsed->method, parsed->target);
        assert_int_equal(err, parsed->err);
        if (err)
            continue;
        assert_int_equal(body.length, parsed->body.length);
        assert_int_equal(body.any, parsed->body.any);
        assert_int_equal(body.chunked, parsed->body.chunked);
    }
}

static void a_nul_in_a_value_is_refused(void **state)
{
    struct head head;
    struct head_body body;
    (void)state;

    begin(&head, "GET", "/", "HTTP/1.1");
    add(&head, "Host", "a");
    add(&head, "X", "y");
    head.fields[1].value = "y\0z";
    head.fields[1].value_length = 3;
    assert_int_equal(judge(&head, &body), ERR_BAD_REQUEST);
    head.fields[1].value_length = 1;
    assert_int_equal(judge(&head, &body), ERR_NONE);
    head.fields[1].name = "X\0Y";
    head.fields[1].name_length = 3;
    assert_int_equal(judge(&head, &body), ERR_BAD_REQUEST);
}

/* ---- sizes ---- */

static void heads_have_a_largest_size(void **state)
{
    struct head head;
    struct head_body body;
    char target[MAX_SIZE + 2], value[MAX_SIZE];
    (void)state;

    memset(target, '/', sizeof target);
    target[sizeof target - 1] = '\0';
    begin(&head, "GET", target, "HTTP/1.1");
    add(&head, "Host", "a");
    assert_int_equal(judge(&head, &body), ERR_URI_TOO_LONG);
    target[MAX_SIZE] = '\0';
    head.target_length = MAX_SIZE;
    assert_int_equal(judge(&head, &body), ERR_HEAD_TOO_LARGE);

    /* "GET / HTTP/1.1\r\nHost: a\r\nX: ...\r\n\r\n", and one byte of tolerance in the counting */
    memset(value, 'v', sizeof value);
    size_t room = MAX_SIZE - strlen("GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n") - 1;
    value[room] = '\0';
    begin(&head, "GET", "/", "HTTP/1.1");
    add(&head, "Host", "a");
    add(&head, "X", value);
    assert_int_equal(judge(&head, &body), ERR_NONE);
    head.fields[1].value_length = room + 1;
    value[room] = 'v';
    assert_int_equal(judge(&head, &body), ERR_HEAD_TOO_LARGE);
}

static void a_hundred_fields_are_too_many(void **state)
{
    struct head head;
    struct head_body body;
    (void)state;

    begin(&head, "GET", "/", "HTTP/1.1");
    add(&head, "Host", "a");
    while (head.count < HEAD_MAX_FIELDS - 1)
        add(&head, "X", "");
    assert_int_equal(judge(&head, &body), ERR_NONE);
    add(&head, "X", "");
    assert_int_equal(judge(&head, &body), ERR_HEAD_TOO_LARGE);
}

/* ---- lines where they were received: `~` stands for a NUL of the parser's ---- */

/* Finds the strings as the parser would leave them: `words` are the beginnings, in order, of
 * method, target, version and then names and values. */
static enum err judge_place(const char *received, const char *const *words)
{
    char bytes[256];
    struct head head;
    struct head_body body;
    const char *at[16];
    size_t count = 0, size = strlen(received);

    assert_true(size + 4 < sizeof bytes);
    memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = received[i] == '~' ? '\0' : received[i];
    for (const char *from = bytes; words[count]; count++) {
        from = memmem(from, size - (size_t)(from - bytes), words[count], strlen(words[count]));
        assert_non_null(from);
        at[count] = from;
        from += strlen(words[count]);
    }
    begin(&head, at[0], at[1], at[2]);
    head.target_place = at[1];
    const char *next = strstr(received, "POST");
    head.size = next ? (size_t)(next - received) : size;
    for (size_t i = 3; i + 1 < count; i += 2)
        add(&head, at[i], at[i + 1]);
    return judge(&head, &body);
}

static void lines_follow_each_other_without_anything_between(void **state)
{
    static const char *const words[] = {"GET", "/x", "HTTP/1.1", "Host", "a", "X", "y", NULL};
    static const char *const good[] = {
        "GET~/x~HTTP/1.1~~Host~a~~X~y~~~~",
        "GET~/x~HTTP/1.1~~Host~ a~~X~ \t y~~~~",
        "GET~/x~HTTP/1.1~~Host~a~~X~y z~~~~POST",
    };
    static const char *const bad[] = {
        "GET~/x~HTTP/1.1~Host~a~~X~y~~~~",          /* LF alone after the request line */
        "GET~/x~HTTP/1.1~~Host~a~X~y~~~~",          /* LF alone between fields */
        "GET~/x~HTTP/1.1~~Host~a~~X~y~~~POST",      /* LF alone at the end */
        "GET~/x~HTTP/1.1~~Host~a~~X~y~~POST",       /* LF alone, twice */
        "GET~/x~HTTP/1.1~~Host~a~~X~y~~~~~",        /* a line that begins with NUL at the end */
        "GET~/x~HTTP/1.1~~Host~a~~X~y~~~~hidden",   /* it ended before its end */
        "GET~/x~HTTP/1.1~~~Host~a~~X~y~~~~",        /* something before the first field */
        "GET~/x~HTTP/1.1~~Host~a~~~~X~y~~~~",       /* an empty line in the middle */
        "GET~/x~HTTP/1.1~~Host~a~~hidden~~X~y~~~~", /* a line that is no field */
        "GET~/x~HTTP/1.1~~Host~a~hidden~~X~y~~~~",  /* a NUL, or a bare CR, in a value */
        "GET~/x~HTTP/1.1~~Host~a~~X~y~hidden~~~~",
        "GET~/x~HTTP/1.1~~Host~hidden:a~~X~y~~~~", /* a NUL in a name */
        "GET~/x~HTTP/1.1~~Host~~a~~X~y~~~~",
        "GET~/x~~HTTP/1.1~~Host~a~~X~y~~~~", /* a NUL in the target */
        "GET~/x~hidden~HTTP/1.1~~Host~a~~X~y~~~~",
        "GET~~/x~HTTP/1.1~~Host~a~~X~y~~~~",
        "GET~hidden~/x~HTTP/1.1~~Host~a~~X~y~~~~",
        "GET~/x~HTTP/1.1~hidden~~Host~a~~X~y~~~~",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(judge_place(good[i], words), ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(judge_place(bad[i], words), ERR_BAD_REQUEST);
}

/* ---- asking for fields ---- */

static void a_field_that_comes_twice_is_not_found(void **state)
{
    struct head head;
    (void)state;

    begin(&head, "GET", "/", "HTTP/1.1");
    add(&head, "Host", "a");
    add(&head, "Origin", "http://a");
    add(&head, "ORIGIN", "http://b");
    add(&head, "Origins", "x");
    assert_string_equal(head_find(&head, "host"), "a");
    assert_string_equal(head_find(&head, "Origins"), "x");
    assert_null(head_find(&head, "Origin"));
    assert_null(head_find(&head, "Origi"));
    assert_null(head_find(&head, "Cookie"));
}

static void lists_are_read_over_all_their_fields(void **state)
{
    struct head head;
    (void)state;

    begin(&head, "GET", "/", "HTTP/1.1");
    add(&head, "Connection", "keep-alive,, Upgrade ");
    add(&head, "connection", "\tclose");
    assert_true(head_list_has(&head, "Connection", "upgrade"));
    assert_true(head_list_has(&head, "Connection", "keep-alive"));
    assert_true(head_list_has(&head, "Connection", "close"));
    assert_false(head_list_has(&head, "Connection", "keep"));
    assert_false(head_list_has(&head, "Connection", "upgrade2"));
    assert_false(head_list_has(&head, "Upgrade", "websocket"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head_gets_its_verdict),
        cmocka_unit_test(a_nul_in_a_value_is_refused),
        cmocka_unit_test(heads_have_a_largest_size),
        cmocka_unit_test(a_hundred_fields_are_too_many),
        cmocka_unit_test(lines_follow_each_other_without_anything_between),
        cmocka_unit_test(a_field_that_comes_twice_is_not_found),
        cmocka_unit_test(lists_are_read_over_all_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
