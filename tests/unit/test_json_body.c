#include "support.h"

#include <jansson.h>
#include <stdio.h>

#include "http/json_body.h"

static bool reads_around(const char *body)
{
    json_t *root = json_body_parse_around(body, strlen(body), "message");
    if (root) {
        assert_true(json_is_object(root));
        assert_string_equal(json_string_value(json_object_get(root, "message")), "");
    }
    json_decref(root);
    return root != NULL;
}

static void a_plain_string_is_read_around(void **state)
{
    static const char *const bodies[] = {
        "{\"message\":\"hi\"}",
        "{\"message\":\"\"}",
        " { \"sender\" : \"bob\" , \"message\" : \"hi\" , \"ttl\" : 0 } ",
        "{\"message\":\"caf\xc3\xa9 \xf0\x9f\x98\x80\",\"a\":[{\"message\":1}]}",
        "{\"a\":{\"message\":\"x\"},\"message\":\"}],:{[\"}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        assert_true(reads_around(bodies[i]));
}

static void null_is_as_if_it_were_not_there(void **state)
{
    static const char *const bodies[][2] = {
        {"{\"a\":null}", "{}"},
        {"{\"a\":null,\"b\":false,\"c\":null,\"d\":0.5}", "{\"b\":false,\"d\":0.5}"},
        {"{\"a\":[null]}", "{\"a\":[]}"},
        {"{\"a\":[null,1.5,null,null,\"b\",null]}", "{\"a\":[1.5,\"b\"]}"},
        {"{\"message\":null,\"a\":null}", "{\"message\":null}"},
        {"{\"message\":[null],\"a\":[]}", "{\"a\":[],\"message\":[null]}"},
        {"{\"args\":[null,1.5],\"event\":null}", "{\"args\":[null,1.5]}"},
        {"{\"args\":null}", "{}"},
        {"{\"a\":{\"b\":null}}", "{\"a\":{\"b\":null}}"}, /* nothing of ours is so deep */
        {"[null]", "[null]"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        json_error_t error;
        json_t *root = NULL;
        assert_int_equal(json_body_parse(bodies[i][0], strlen(bodies[i][0]), &root, &error), 0);
        char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(text, bodies[i][1]);
        free(text);
        json_decref(root);
    }
    const char *around = "{\"message\":\"hi\",\"ttl\":null}";
    json_t *root = json_body_parse_around(around, strlen(around), "message");
    assert_int_equal(json_object_size(root), 1);
    json_decref(root);
}

static void everything_else_is_left_to_the_parser(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "\"message\"",
        "{}",
        "{\"message\":5}",
        "{\"message\":\"a\\nb\"}",
        "{\"message\":\"a\nb\"}",
        "{\"message\":\"a\x1f\"}",
        "{\"message\":\"\xc3(\"}",
        "{\"message\":\"\xed\xa0\x80\"}",
        "{\"message\":\"hi\"x}",
        "{\"message\":\"hi\"\"ho\"}",
        "{\"message\":\"hi\" \"ho\"}",
        "{\"message\":\"hi\"{\"a\":\"b\"}}",
        "{\"message\":\"hi",
        "{\"message\":\"hi}",
        "{\"message\":\"}",
        "{\"message\":\"hi\"",
        "{\"message\":\"hi\"}}",
        "{\"message\":\"hi\",}",
        "{\"message\":\"hi\",\"message\":\"ho\"}",
        "{\"message\":\"hi\",\"mess\\u0061ge\":\"ho\"}",
        "{\"a\":1,\"message\":\"hi\",\"a\":1}",
        "{\"a\":01,\"message\":\"hi\"}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        assert_false(reads_around(bodies[i]));
}

static void much_around_the_string_is_left_to_the_parser(void **state)
{
    char body[2048];
    (void)state;

    snprintf(body, sizeof body, "{\"a\":\"%01000d\",\"message\":\"hi\"}", 1);
    assert_true(reads_around(body));
    snprintf(body, sizeof body, "{\"a\":\"%01024d\",\"message\":\"hi\"}", 1);
    assert_false(reads_around(body));
    snprintf(body, sizeof body, "{\"message\":\"%01024d\"}", 1);
    assert_true(reads_around(body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_string_is_read_around),
        cmocka_unit_test(null_is_as_if_it_were_not_there),
        cmocka_unit_test(everything_else_is_left_to_the_parser),
        cmocka_unit_test(much_around_the_string_is_left_to_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
