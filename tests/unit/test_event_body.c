#include "support.h"

#include <stdlib.h>

#include "base/buf.h"
#include "model/event_body.h"

static void names_of_socket_io_and_ours_are_reserved(void **state)
{
    static const char *const taken[] = {"connect",       "connect_error", "disconnect",
                                        "disconnecting", "newListener",   "removeListener",
                                        "pushwire:",     "pushwire:gap"};
    static const char *const free_ones[] = {"connected", "Connect", "pushwire", "error", "5", ""};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(taken); i++)
        assert_true(event_name_is_reserved(taken[i], strlen(taken[i])));
    for (size_t i = 0; i < COUNT_OF(free_ones); i++)
        assert_false(event_name_is_reserved(free_ones[i], strlen(free_ones[i])));
}

static void expect_part(const char *part, size_t length, const char *wanted)
{
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(part, wanted, length);
}

struct parts {
    const char *body, *array, *name, *args, *attachments;
    bool single;
};

static const struct parts bodies[] = {
    {"[\"a\"]", "[\"a\"]", "\"a\"", "", NULL, false},
    {"[\"a\",1]", "[\"a\",1]", "\"a\"", "1", NULL, true},
    {"[\"a\",{\"n\":[1,2]}]", "[\"a\",{\"n\":[1,2]}]", "\"a\"", "{\"n\":[1,2]}", NULL, true},
    {"[\"a\",1,\",]\"]", "[\"a\",1,\",]\"]", "\"a\"", "1,\",]\"", NULL, false},
    {"[\"\\\"]\",[]]", "[\"\\\"]\",[]]", "\"\\\"]\"", "[]", NULL, true},
    {"[[\"a\"],[\"\"]]", "[\"a\"]", "\"a\"", "", "[\"\"]", false},
    {"[[\"a\",[2]],[\"AQID\",\"BA==\"]]", "[\"a\",[2]]", "\"a\"", "[2]", "[\"AQID\",\"BA==\"]",
     true},
};

static void a_body_is_split_into_its_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        const struct parts *wanted = &bodies[i];
        struct event_body event;
        assert_true(event_body_split(wanted->body, strlen(wanted->body), &event));
        expect_part(event.array, event.array_length, wanted->array);
        expect_part(event.name, event.name_length, wanted->name);
        expect_part(event.args, event.args_length, wanted->args);
        assert_int_equal(event_body_is_single(&event), wanted->single);
        if (wanted->attachments)
            expect_part(event.attachments, event.attachments_length, wanted->attachments);
        else
            assert_null(event.attachments);
    }
}

/* A row of a damaged file: each part of a body, in memory that ends with it. */
static void any_part_of_a_body_is_safe_to_ask(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (size_t length = 0; length < strlen(bodies[i].body); length++) {
            struct event_body event;
            char *part = malloc(length ? length : 1);
            memcpy(part, bodies[i].body, length);
            if (event_body_split(part, length, &event)) {
                assert_true(event.args >= part && event.args + event.args_length <= part + length);
                event_body_is_single(&event);
            }
            free(part);
        }
    }
}

static void what_is_no_event_is_not_split(void **state)
{
    static const char *const others[] = {
        "null",          "\"hi\"",      "{}",        "[]",         "[1]",          "[\"a\" 1]",
        "[\"a]",         "[\"a\"1]",    "[[]]",      "[[],[]]",    "[[\"a\"]]",    "[[\"a\"],]",
        "[[\"a\"],1]",   "[[\"a\"][]]", "[[1],[]]",  "[[[\"a\"]]", "[[\"a\"],[]",  "[\"a\",1",
        "[\"a\",1]]]]x", "[[[[",        "[\"\"\"\"", "]]]]",       "[[\"a\"],[\"", "[\"a\"}",
    };
    struct event_body event;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (event_body_split(others[i], strlen(others[i]), &event))
            fail_msg("split: %s", others[i]);
    }
}

static void expect_written(const char *args, const char *attachments, const char *wanted)
{
    struct buf buf, list, files;
    buf_init(&buf);
    buf_init(&list);
    buf_init(&files);
    buf_add_text(&list, args);
    buf_add_text(&files, attachments ? attachments : "");
    event_body_write(&buf, "o\"r", 3, &list, attachments ? &files : NULL);
    assert_true(buf_ok(&buf));
    expect_part(buf.data, buf.size, wanted);
    buf_finish(&buf);
    buf_finish(&list);
    buf_finish(&files);
}

static void a_body_is_written_as_it_is_split(void **state)
{
    struct buf buf, failed;
    (void)state;

    expect_written("", NULL, "[\"o\\\"r\"]");
    expect_written("1,{}", NULL, "[\"o\\\"r\",1,{}]");
    expect_written("1", "[\"AQID\"]", "[[\"o\\\"r\",1],[\"AQID\"]]");
    buf_init(&buf);
    buf_init(&failed);
    failed.failed = true;
    event_body_write(&buf, "a", 1, &failed, NULL);
    assert_false(buf_ok(&buf)); /* half an event is none */
    buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_socket_io_and_ours_are_reserved),
        cmocka_unit_test(a_body_is_split_into_its_parts),
        cmocka_unit_test(any_part_of_a_body_is_safe_to_ask),
        cmocka_unit_test(what_is_no_event_is_not_split),
        cmocka_unit_test(a_body_is_written_as_it_is_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
