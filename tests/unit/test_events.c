#include "support.h"

#include <stdio.h>
#include <string.h>

#include "top/events.h"

/* What was told, as text. */
static char told[512];

static bool on_event(void *context, const struct event *event)
{
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%s|%s|%s;", event->type, event->id, event->data);
    return !context || strcmp(event->type, context) != 0;
}

static bool feed(struct events *events, const char *text)
{
    return events_feed(events, text, strlen(text));
}

static void events_come_in_whatever_pieces(void **state)
{
    static const char stream[] = "retry: 100\n\n: hello\n\n"
                                 "event: message\nid: 7\ndata: {\"a\":1}\n\n"
                                 "data:plain\r\n\r\n"
                                 "event: nothing\n\n";
    (void)state;
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct events events;
        events_init(&events, on_event, NULL);
        *told = '\0';
        for (size_t at = 0; at < sizeof stream - 1; at += piece) {
            size_t left = sizeof stream - 1 - at;
            assert_true(events_feed(&events, stream + at, left < piece ? left : piece));
        }
        assert_string_equal(told, "message|7|{\"a\":1};message|7|plain;");
        events_finish(&events);
    }
}

static void a_stream_that_begins_anew_keeps_only_the_id(void **state)
{
    struct events events;
    (void)state;
    events_init(&events, on_event, NULL);
    *told = '\0';
    assert_true(feed(&events, "id: 9\nevent: message\ndata: ha"));
    events_restart(&events);
    assert_true(feed(&events, "event: welcome\ndata: x\n\n"));
    assert_string_equal(told, "welcome|9|x;");
    events_finish(&events);
}

static void who_is_told_may_end_it(void **state)
{
    struct events events;
    (void)state;
    events_init(&events, on_event, (void *)"bye");
    *told = '\0';
    assert_false(feed(&events, "event: bye\ndata: 1\n\ndata: 2\n\n"));
    assert_string_equal(told, "bye||1;");
    events_finish(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_whatever_pieces),
        cmocka_unit_test(a_stream_that_begins_anew_keeps_only_the_id),
        cmocka_unit_test(who_is_told_may_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
