#include "support.h"

#include <stdlib.h>

#include "base/buf.h"

#define assert_holds(buf, text)                                                                    \
    do {                                                                                           \
        assert_int_equal((buf)->size, strlen(text));                                               \
        assert_memory_equal((buf)->data, text, strlen(text));                                      \
    } while (0)

static void bytes_are_appended(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    assert_null(buf.data);
    buf_add(&buf, "", 0);
    assert_null(buf.data);
    buf_add(&buf, "a\0b", 3);
    buf_add_text(&buf, "cd");
    assert_true(buf_ok(&buf));
    assert_int_equal(buf.size, 5);
    assert_memory_equal(buf.data, "a\0bcd", 5);
    buf_finish(&buf);
    assert_null(buf.data);
}

static void numbers_are_written(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    buf_add_number(&buf, 0);
    buf_add_text(&buf, " ");
    buf_add_number(&buf, 1907);
    buf_add_text(&buf, " ");
    buf_add_number(&buf, UINT64_MAX);
    assert_holds(&buf, "0 1907 18446744073709551615");
    buf_finish(&buf);
}

static void it_grows_and_keeps_what_it_has(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    for (int i = 0; i < 5000; i++)
        buf_add_format(&buf, "%04d", i);
    assert_int_equal(buf.size, 20000);
    assert_memory_equal(buf.data, "000000010002", 12);
    assert_memory_equal(buf.data + 19992, "49984999", 8);
    buf_finish(&buf);
}

static void room_is_made_in_one_step(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    assert_true(buf_reserve(&buf, 1000));
    const char *data = buf.data;
    for (int i = 0; i < 1000; i++)
        buf_add(&buf, "x", 1);
    assert_ptr_equal(buf.data, data);
    buf_finish(&buf);
}

static void text_becomes_a_json_string(void **state)
{
    static const char text[] = "a\"b\\c\nd\te\x01"
                               "f\x7fg\0h caf\xc3\xa9 \xf0\x9f\x98\x80";
    struct buf buf;
    (void)state;

    buf_init(&buf);
    buf_add_json(&buf, text, sizeof text - 1);
    assert_holds(&buf, "\"a\\\"b\\\\c\\nd\\te\\u0001f\\u007fg\\u0000h caf\xc3\xa9 "
                       "\xf0\x9f\x98\x80\"");
    buf_finish(&buf);

    buf_add_json(&buf, "", 0);
    assert_holds(&buf, "\"\"");
    buf_finish(&buf);
}

static void the_front_is_taken_away(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    buf_consume(&buf, 0);
    buf_add_text(&buf, "abcdef");
    buf_consume(&buf, 0);
    assert_holds(&buf, "abcdef");
    buf_consume(&buf, 2);
    assert_holds(&buf, "cdef");
    buf_consume(&buf, 4);
    assert_int_equal(buf.size, 0);
    buf_finish(&buf);
}

static void the_bytes_can_be_handed_over(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    buf_add(&buf, "mine", 5);
    char *bytes = buf_detach(&buf);
    assert_string_equal(bytes, "mine");
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    free(bytes);
    buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_appended),
        cmocka_unit_test(numbers_are_written),
        cmocka_unit_test(it_grows_and_keeps_what_it_has),
        cmocka_unit_test(room_is_made_in_one_step),
        cmocka_unit_test(text_becomes_a_json_string),
        cmocka_unit_test(the_front_is_taken_away),
        cmocka_unit_test(the_bytes_can_be_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
