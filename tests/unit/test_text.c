#include "support.h"

#include "base/text.h"

static void utf8_is_told_from_other_bytes(void **state)
{
    static const char *const good[] = {
        "",
        "plain",
        "caf\xc3\xa9",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
    };
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "a\xc3",            /* cut */
        "\xe2\x82",         /* cut */
        "\xf0\x9f\x98",     /* cut */
        "\xc0\xaf",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xed\xbf\xbf",     /* surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc3(",
        "\xe2(\xa1",
        "\xe2\x82(",
        "\xf0\x90\x80(",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    assert_true(text_is_utf8("a\0b", 3));
}

static void percent_is_decoded_once(void **state)
{
    static const struct {
        const char *coded, *text;
    } good[] = {
        {"", ""},         {"alice", "alice"}, {"a%20b", "a b"}, {"%41%6a%6A", "Ajj"},
        {"%2541", "%41"}, {"%2F", "/"},       {"a+b", "a+b"},   {"%ff", "\xff"},
    };
    static const char *const bad[] = {"%", "%4", "a%", "%zz", "%4g", "%00", "ab%0", "%-1", "% 1"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char text[32];
        strcpy(text, good[i].coded);
        ptrdiff_t length = text_percent_decode(text, text, strlen(text)); /* in place */
        assert_int_equal(length, strlen(good[i].text));
        assert_memory_equal(text, good[i].text, (size_t)length);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char text[32];
        assert_int_equal(text_percent_decode(text, bad[i], strlen(bad[i])), -1);
    }
}

static void tokens_are_told_from_other_text(void **state)
{
    (void)state;

    assert_true(text_is_token("pushwire.v1.json", 16));
    assert_true(text_is_token("!#$%&'*+-.^_`|~", 15));
    assert_true(text_is_token_list("x-requested-with, baggage,sentry-trace"));
    assert_false(text_is_token_list(""));
    assert_false(text_is_token_list(" , "));
    assert_false(text_is_token_list("a\tb"));
    assert_false(text_is_token_list("a: b"));
    assert_false(text_is_token("", 0));
    assert_false(text_is_token("a b", 3));
    assert_false(text_is_token("a\0b", 3));
    assert_false(text_is_token("a,b", 3));
    assert_false(text_is_token("\"a\"", 3));
    assert_false(text_is_token("caf\xc3\xa9", 5));
}

static void lists_are_searched_by_word(void **state)
{
    (void)state;

    assert_true(text_list_has("Upgrade", "upgrade"));
    assert_true(text_list_has("keep-alive, Upgrade", "upgrade"));
    assert_true(text_list_has(" ,, keep-alive\t,\tUPGRADE \t", "upgrade"));
    assert_true(text_list_has("a,b,c", "b"));
    assert_false(text_list_has("", "upgrade"));
    assert_false(text_list_has(" , ", "upgrade"));
    assert_false(text_list_has("upgraded", "upgrade"));
    assert_false(text_list_has("not upgrade", "upgrade"));
    assert_false(text_list_has("up,grade", "upgrade"));
}

static void case_is_set_aside_for_ascii(void **state)
{
    (void)state;

    assert_true(text_equal_nocase("WebSocket!", 9, "websocket"));
    assert_false(text_equal_nocase("websocket", 8, "websocket"));
    assert_false(text_equal_nocase("web", 3, "websocket"));
    assert_true(text_equal_nocase("", 0, ""));
}

static void numbers_are_digits_only(void **state)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "18446744073709551616", "99999999999999999999",
    };
    uint64_t number = 7;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(text_parse_u64(bad[i], strlen(bad[i]), &number));
    assert_int_equal(number, 7);
    assert_true(text_parse_u64("0", 1, &number));
    assert_int_equal(number, 0);
    assert_true(text_parse_u64("000042", 6, &number));
    assert_int_equal(number, 42);
    assert_true(text_parse_u64("18446744073709551615", 20, &number));
    assert_true(number == UINT64_MAX);
}

static void edits_are_counted(void **state)
{
    static char long_word[100];
    (void)state;

    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("data_dir", "data_dir"), 0);
    assert_int_equal(text_distance("data_dirr", "data_dir"), 1);
    assert_int_equal(text_distance("dta_dir", "data_dir"), 1);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    memset(long_word, 'x', sizeof long_word - 1);
    assert_true(text_distance("x", long_word) > 10);
    assert_true(text_distance(long_word, "x") > 10);
}

static void ids_are_19_digits(void **state)
{
    char id[TEXT_ID_SIZE];
    (void)state;

    text_format_id(0, id);
    assert_string_equal(id, "0000000000000000000");
    text_format_id(1855808000000000001, id);
    assert_string_equal(id, "1855808000000000001");
    text_format_id(9999999999999999999u, id);
    assert_string_equal(id, "9999999999999999999");
}

static void hex_is_16_digits(void **state)
{
    char hex[TEXT_HEX_SIZE];
    (void)state;

    text_format_hex(0, hex);
    assert_string_equal(hex, "0000000000000000");
    text_format_hex(0x0123456789abcdef, hex);
    assert_string_equal(hex, "0123456789abcdef");
    text_format_hex(UINT64_MAX, hex);
    assert_string_equal(hex, "ffffffffffffffff");
}

static void hex_is_read_as_it_is_written(void **state)
{
    uint64_t number;
    (void)state;
    assert_true(text_parse_hex("0123456789abcdef", 16, &number));
    assert_true(number == 0x0123456789abcdef);
    assert_false(text_parse_hex("0123456789abcde", 15, &number));
    assert_false(text_parse_hex("0123456789abcdeff", 17, &number));
    assert_false(text_parse_hex("0x23456789abcdef", 16, &number));
    assert_false(text_parse_hex("", 0, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(percent_is_decoded_once),
        cmocka_unit_test(tokens_are_told_from_other_text),
        cmocka_unit_test(lists_are_searched_by_word),
        cmocka_unit_test(case_is_set_aside_for_ascii),
        cmocka_unit_test(numbers_are_digits_only),
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(ids_are_19_digits),
        cmocka_unit_test(hex_is_16_digits),
        cmocka_unit_test(hex_is_read_as_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
