#include "support.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json_text.h"

/* The member's text, or "-" when there is none. */
static const char *member(const char *json, const char *name)
{
    static char text[256];
    const char *value;
    size_t size;

    if (!json_text_member(json, strlen(json), name, &value, &size))
        return "-";
    assert_true(size < sizeof text);
    memcpy(text, value, size);
    text[size] = '\0';
    return text;
}

static void the_value_is_cut_as_it_was_written(void **state)
{
    static const struct {
        const char *json, *value;
    } cases[] = {
        {"{\"m\":1}", "1"},
        {"{\"m\":19.990}", "19.990"},
        {" \t\r\n{ \"m\" : 1e5 } ", "1e5"},
        {"{\"m\":\"\"}", "\"\""},
        {"{\"m\":\"a\\\"b\"}", "\"a\\\"b\""},
        {"{\"m\":\"a\\\\\",\"x\":1}", "\"a\\\\\""},
        {"{\"m\":\"}],:{[\",\"x\":1}", "\"}],:{[\""},
        {"{\"m\":[1, [2], {\"m\":3}] ,\"x\":1}", "[1, [2], {\"m\":3}]"},
        {"{\"m\":{\"a\":\"}\"}\n}", "{\"a\":\"}\"}"},
        {"{\"m\":[]}", "[]"},
        {"{\"m\":{}}", "{}"},
        {"{\"m\":null}", "null"},
        {"{\"m\":-0.0E+1}", "-0.0E+1"},
        {"{\"m\":\"\xc3\xa9\"}", "\"\xc3\xa9\""},
        {"{\"a\":\"m\",\"b\":{\"m\":1},\"c\":[\"m\"],\"m\":2}", "2"},
        {"{\"mm\":1,\"\":2,\"m\":3}", "3"},
        {"{\"\\\"m\":1,\"m\":2}", "2"},
        {"{\"\\u006d\":1.50}", "1.50"},
        {"{\"\\u006D\":1.50}", "1.50"},
        {"{\"\\u006e\":1,\"\\u016d\":2,\"\\u006dm\":3,\"m\\u006d\":4,\"\\u006d\":5}", "5"},
        {"{\"\\u0000\":1,\"\\n\":2,\"\\m\":3,\"\\u00\":4,\"m\":5}", "5"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(member(cases[i].json, "m"), cases[i].value);
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "\"m\"",
        "[\"m\",1]",
        "{\"M\":1}",
        "{\"n\":1}",
        "{\"a\":{\"m\":1}}",
        "{\"n\":\"m\"}",
        "{\"a\":[{\"m\":1}]}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_string_equal(member(texts[i], "m"), "-");
}

/* In a block of its exact size, so that a sanitizer sees a read past the end. */
static void any_part_of_a_text_is_safe_to_ask(void **state)
{
    static const char json[] = "{\"a\\\"\":[1,{\"b\":\"\\\\\"}] , \"m\" : {\"x\":\"\\\"}\"} }";
    (void)state;

    for (size_t from = 0; from < sizeof json - 1; from++) {
        for (size_t size = 0; from + size < sizeof json; size++) {
            struct buf buf;
            const char *value;
            size_t value_size;
            char *part = malloc(size ? size : 1);
            memcpy(part, json + from, size);
            if (json_text_member(part, size, "m", &value, &value_size))
                assert_true(value >= part && value_size <= size - (size_t)(value - part));
            json_text_is_compact(part, size);
            buf_init(&buf);
            json_text_compact(&buf, part, size);
            assert_true(buf.size <= size);
            buf_finish(&buf);
            free(part);
        }
    }
}

static void assert_compact(const char *json, const char *expected)
{
    struct buf buf;

    buf_init(&buf);
    json_text_compact(&buf, json, strlen(json));
    buf_add(&buf, "", 1);
    assert_true(buf_ok(&buf));
    assert_string_equal(buf.data, expected);
    assert_int_equal(json_text_is_compact(json, strlen(json)), !strcmp(json, expected));
    buf_finish(&buf);
}

static void compact_loses_only_white_space_between_tokens(void **state)
{
    (void)state;

    assert_compact("", "");
    assert_compact("1", "1");
    assert_compact(" \t\r\n1 \t\r\n", "1");
    assert_compact("\" a \\\" b \"", "\" a \\\" b \"");
    assert_compact("[ 1 , \"a b\" , { \"c d\" : null } ]", "[1,\"a b\",{\"c d\":null}]");
    assert_compact("{\"a\":[1,2]}", "{\"a\":[1,2]}");
    assert_compact("\"\\\\\" ", "\"\\\\\"");
    assert_compact("{\n\t\"a\": 1.50\n}", "{\"a\":1.50}");
}

static void assert_tamed(const char *json, const char *expected)
{
    char text[512];

    strcpy(text, json);
    json_text_tame_numbers(text, strlen(text));
    assert_string_equal(text, expected);
}

static void only_numbers_that_overflow_are_tamed(void **state)
{
    char digits[420], tamed[420];
    (void)state;

    assert_tamed("[0,1.5,-2e3,1e308,-1.7e308,1e-400]", "[0,1.5,-2e3,1e308,-1.7e308,1e-400]");
    assert_tamed("1e400", "9e307");
    assert_tamed("-1e400", "-9e307");
    assert_tamed("[1E+999,2e0400]", "[9e307 ,9e307 ]");
    assert_tamed("{\"1e400\":\"1e400 \\\" 1e400\",\"a\":1e400}",
                 "{\"1e400\":\"1e400 \\\" 1e400\",\"a\":9e307}");
    assert_tamed("", "");
    assert_tamed("inf nan Infinity 0x1p9999", "inf nan Infinity 0x1p9999");

    memset(digits, '7', 400);
    digits[400] = '\0';
    memset(tamed, ' ', 400);
    tamed[400] = '\0';
    memcpy(tamed, "9e307", 5);
    assert_tamed(digits, tamed);
}

static void taming_makes_nothing_proper(void **state)
{
    static const char *const texts[] = {
        "[01e400]", "[1e400.5]", "[1e4001e400]", "[1e400e5]",    "[1e400 1]",
        "[+1e400]", "[.1e400]",  "[--1e400]",    "[1.e400]",     "[1e400x]",
        "[x1e400]", "[1e400",    "[1e+]",        "[1e400\"a\"]",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char text[64];
        strcpy(text, texts[i]);
        json_text_tame_numbers(text, strlen(text));
        json_t *root = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
        assert_null(root);
    }
}

/* ---- many texts, against jansson ---- */

static void add_space(struct buf *buf, uint64_t *random)
{
    static const char *const spaces[] = {"", "", "", " ", "\n\t", " \r\n "};
    buf_add_text(buf, spaces[next_random(random) % COUNT_OF(spaces)]);
}

static void add_string(struct buf *buf, uint64_t *random)
{
    static const char *const parts[] = {
        "",
        "a",
        "message",
        " ",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\xc3\xa9",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\\n",
        "\\/",
        "1e400",
        "\\ud83d\\ude00",
        "\xf0\x9f\x98\x80",
    };
    buf_add_text(buf, "\"");
    for (uint32_t i = next_random(random) % 4; i > 0; i--)
        buf_add_text(buf, parts[next_random(random) % COUNT_OF(parts)]);
    buf_add_text(buf, "\"");
}

static void add_value(struct buf *buf, uint64_t *random, int depth);

static void add_object(struct buf *buf, uint64_t *random, int depth)
{
    uint32_t slot = next_random(random) % 4;
    buf_add_text(buf, "{");
    for (uint32_t i = 0; i < 4; i++) {
        add_space(buf, random);
        buf_add_format(buf, i == slot ? "\"message\"" : "\"%c\"", 'a' + i);
        add_space(buf, random);
        buf_add_text(buf, ":");
        add_space(buf, random);
        add_value(buf, random, depth);
        add_space(buf, random);
        buf_add_text(buf, i < 3 ? "," : "}");
    }
}

static void add_value(struct buf *buf, uint64_t *random, int depth)
{
    static const char *const plain[] = {"null", "true", "false", "0", "-1.50", "1e5", "[]", "{}"};
    switch (next_random(random) % (depth ? 4 : 2)) {
    case 0:
        buf_add_text(buf, plain[next_random(random) % COUNT_OF(plain)]);
        break;
    case 1:
        add_string(buf, random);
        break;
    case 2:
        add_object(buf, random, depth - 1);
        break;
    default:
        buf_add_text(buf, "[");
        add_value(buf, random, depth - 1);
        buf_add_text(buf, ",");
        add_space(buf, random);
        add_value(buf, random, depth - 1);
        buf_add_text(buf, "]");
    }
}

static void many_texts_mean_what_jansson_reads(void **state)
{
    uint64_t random = 1;
    (void)state;

    for (int i = 0; i < 3000; i++) {
        struct buf text, compact;
        const char *value;
        size_t size;
        buf_init(&text);
        buf_init(&compact);
        add_space(&text, &random);
        add_object(&text, &random, 3);
        add_space(&text, &random);
        json_t *root = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        assert_true(json_text_member(text.data, text.size, "message", &value, &size));
        json_text_compact(&compact, value, size);
        assert_true(json_text_is_compact(compact.data, compact.size));
        json_t *cut = json_loadb(compact.data, compact.size, JSON_DECODE_ANY, NULL);
        assert_true(json_equal(cut, json_object_get(root, "message")));
        json_decref(cut);
        json_decref(root);
        buf_finish(&compact);
        buf_finish(&text);
    }
}

static void a_value_ends_where_it_ends(void **state)
{
    static const struct {
        const char *json;
        size_t size;
    } cases[] = {{"1", 1}, {"1,2", 1}, {"\"a,]\",2", 5}, {"[1,[2]],3", 7}, {"{\"a\":1}]", 7},
                 {"", 0},  {"]", 0},   {"[[", 2},        {"\"a", 2},       {"\"a\\\"b\"}", 6}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(json_text_value_size(cases[i].json, strlen(cases[i].json)), cases[i].size);
}

static void expect_tail(const char *json, const char *expected)
{
    const char *tail;
    size_t size;
    bool found = json_text_tail(json, strlen(json), &tail, &size);
    assert_int_equal(found, expected != NULL);
    if (!expected)
        return;
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(tail, expected, size);
}

static void a_list_is_cut_behind_its_first_item(void **state)
{
    (void)state;
    expect_tail("[\"a\"]", "");
    expect_tail("[\"a\",1.10,[2,{\"x\":3}]]", "1.10,[2,{\"x\":3}]");
    expect_tail(" [ \"a,]\" , \"b\" , null ] ", "\"b\" , null");
    expect_tail("[[1,2],3]", "3");
    expect_tail("[{\"a\":[1,2]}]", "");
    expect_tail("[]", NULL);
    expect_tail("[ ]", NULL);
    expect_tail("{\"a\":1}", NULL);
    expect_tail("[", NULL);
    expect_tail("", NULL);
    expect_tail("[,]", "");
    expect_tail("[\"]", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_is_cut_as_it_was_written),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(any_part_of_a_text_is_safe_to_ask),
        cmocka_unit_test(a_value_ends_where_it_ends),
        cmocka_unit_test(compact_loses_only_white_space_between_tokens),
        cmocka_unit_test(only_numbers_that_overflow_are_tamed),
        cmocka_unit_test(taming_makes_nothing_proper),
        cmocka_unit_test(many_texts_mean_what_jansson_reads),
        cmocka_unit_test(a_list_is_cut_behind_its_first_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
