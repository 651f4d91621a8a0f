#include "support.h"

#include <stdio.h>

#include "http/target.h"

static bool splits(struct target *target, const char *text)
{
    assert_true(target_init(target, text));
    assert_string_equal(target->text, text); /* whole, for those who judge the head */
    assert_int_equal(target->length, strlen(text));
    assert_null(target->path);
    return target_split(target);
}

static void the_query_is_decoded_once(void **state)
{
    struct target target;
    (void)state;

    assert_true(splits(&target, "/a?b=1%2B+2&lone&empty=&=x&b=3&%41=%2541"));
    assert_string_equal(target.path, "/a");
    assert_string_equal(target_query(&target, "b"), "1+ 2");
    assert_string_equal(target_query(&target, "lone"), "");
    assert_string_equal(target_query(&target, "empty"), "");
    assert_string_equal(target_query(&target, "A"), "%41");
    assert_null(target_query(&target, "x"));
    assert_null(target_query(&target, ""));
    target_finish(&target);

    assert_true(splits(&target, "/a"));
    assert_null(target_query(&target, "b"));
    target_finish(&target);
    assert_false(splits(&target, "/a?b=%4"));
    target_finish(&target);
}

static void absolute_form_has_an_authority(void **state)
{
    static const struct {
        const char *text, *authority, *path, *value;
    } forms[] = {
        {"http://localhost:8000/a?b=c", "localhost:8000", "/a", "c"},
        {"HTTPS://[::1]/a/", "[::1]", "/a/", NULL},
        {"http://a", "a", "/", NULL},
        {"http://a?b=%2f", "a", "/", "/"},
        {"http://a/?b=http://x/", "a", "/", "http://x/"},
        {"/http://a/b", NULL, "/http://a/b", NULL},
    };
    struct target target;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        assert_true(splits(&target, forms[i].text));
        assert_string_equal(target.path, forms[i].path);
        assert_true(!target.authority == !forms[i].authority);
        if (forms[i].authority)
            assert_string_equal(target.authority, forms[i].authority);
        const char *value = target_query(&target, "b");
        assert_true(!value == !forms[i].value);
        if (value)
            assert_string_equal(value, forms[i].value);
        target_finish(&target);
    }
}

static void words_of_the_path_are_found_by_a_pattern(void **state)
{
    struct target target;
    (void)state;

    assert_true(splits(&target, "/users/al%20ice/devices/ph%2Fone"));
    assert_false(target_fits(&target, "/users/:id"));
    assert_false(target_fits(&target, "/users/:id/devices"));
    assert_true(target_fits(&target, "/users/:id/devices/:name"));
    assert_false(target_decode_words(&target)); /* a name has no slash, however it is written */
    target_finish(&target);

    assert_true(splits(&target, "/users/al%20ice/devices/phone?x"));
    assert_true(target_fits(&target, "/users/:id/devices/:name"));
    assert_true(target_decode_words(&target));
    assert_int_equal(target.id_length, 6);
    assert_string_equal(target.id, "al ice");
    assert_int_equal(target.name_length, 5);
    assert_string_equal(target.name, "phone");
    target_finish(&target);

    assert_true(splits(&target, "/users/"));
    assert_true(target_fits(&target, "/users/:id")); /* and is empty, which is no name */
    assert_false(target_decode_words(&target));
    assert_true(target_fits(&target, "/users/"));
    assert_true(target_decode_words(&target)); /* of the last pattern: none */
    target_finish(&target);
}

static void one_may_be_there_many_times(void **state)
{
    struct target target;
    const char *last = NULL;
    (void)state;

    assert_true(splits(&target, "/a?c=1%2C2&b=x&c=&c=3"));
    assert_string_equal(last = target_query_next(&target, "c", last), "1,2");
    assert_string_equal(last = target_query_next(&target, "c", last), "");
    assert_string_equal(last = target_query_next(&target, "c", last), "3");
    assert_null(target_query_next(&target, "c", last));
    assert_null(target_query_next(&target, "d", NULL));
    target_finish(&target);
    assert_true(splits(&target, "/a"));
    assert_null(target_query_next(&target, "c", NULL));
    target_finish(&target);
}

/* Too long for the room of its own; and of lone names each gains a NUL. */
static void a_long_one_has_room(void **state)
{
    char text[4096] = "/a?";
    struct target target;
    (void)state;

    for (size_t at = 3; at < sizeof text - 3; at += 2)
        memcpy(text + at, "b&", 3);
    assert_true(splits(&target, text));
    assert_string_equal(target_query(&target, "b"), "");
    target_finish(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_query_is_decoded_once),
        cmocka_unit_test(one_may_be_there_many_times),
        cmocka_unit_test(absolute_form_has_an_authority),
        cmocka_unit_test(words_of_the_path_are_found_by_a_pattern),
        cmocka_unit_test(a_long_one_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
