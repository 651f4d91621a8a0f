#include "support.h"

static enum session_offer offer(struct recorder *recorder, uint64_t id, uint64_t except)
{
    struct message *message = a_message_for("alice", id);
    message->except = except;
    enum session_offer answer = session_offer(&recorder->session, message);
    message_unref(message);
    return answer;
}

static bool replay(struct recorder *recorder, uint64_t id, uint64_t except)
{
    struct message *message = a_message_for("alice", id);
    message->except = except;
    bool goes_on = session_replay(&recorder->session, message);
    message_unref(message);
    return goes_on;
}

static void a_live_session_takes_what_is_new(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    session->state = SESSION_LIVE;
    session->cursor = 10;
    assert_int_equal(offer(&recorder, 10, 0), SESSION_IGNORED);
    assert_int_equal(offer(&recorder, 11, 0), SESSION_DELIVERED);
    assert_int_equal(offer(&recorder, 11, 0), SESSION_IGNORED);
    assert_int_equal(offer(&recorder, 14, 0), SESSION_DELIVERED);
    assert_int_equal(session->cursor, 14);
    assert_int_equal(recorder.received, 2);
    assert_int_equal(recorder.ids[1], 14);
}

static void a_session_that_is_behind_only_notes(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    session->state = SESSION_BEHIND;
    assert_int_equal(offer(&recorder, 11, 0), SESSION_NOTED);
    assert_true(session->more);
    assert_int_equal(session->cursor, 0);
    assert_int_equal(recorder.received, 0);
}

static void a_closed_session_takes_nothing(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    assert_int_equal(session->state, SESSION_CLOSED);
    assert_int_equal(offer(&recorder, 11, 0), SESSION_IGNORED);
    assert_false(session->more);
}

static void what_it_must_not_get_passes_it_by(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 7);
    (void)state;

    session->state = SESSION_BEHIND;
    assert_int_equal(offer(&recorder, 11, 7), SESSION_IGNORED);
    assert_false(session->more);
    assert_true(replay(&recorder, 12, 7)); /* in a page it moves the cursor all the same */
    assert_int_equal(session->cursor, 12);
    session->state = SESSION_LIVE;
    assert_int_equal(offer(&recorder, 13, 7), SESSION_IGNORED);
    assert_int_equal(offer(&recorder, 14, 8), SESSION_DELIVERED);
    assert_int_equal(recorder.received, 1);
}

static void it_falls_behind_above_its_mark(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    session->state = SESSION_LIVE;
    session->queue_high = 20;
    assert_int_equal(offer(&recorder, 1, 0), SESSION_DELIVERED);
    assert_int_equal(offer(&recorder, 2, 0), SESSION_DELIVERED);
    assert_int_equal(offer(&recorder, 3, 0), SESSION_FELL_BEHIND);
    assert_int_equal(session->state, SESSION_BEHIND);
    assert_true(session->more);
    assert_int_equal(offer(&recorder, 4, 0), SESSION_NOTED);
    assert_int_equal(recorder.received, 3);
    assert_int_equal(session->cursor, 3);
}

static void what_was_not_queued_moves_no_cursor(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    session->state = SESSION_LIVE;
    recorder.refuses = true;
    assert_int_equal(offer(&recorder, 5, 0), SESSION_IGNORED);
    assert_int_equal(session->cursor, 0);
    session->state = SESSION_BEHIND;
    assert_false(replay(&recorder, 5, 0));
    assert_int_equal(session->cursor, 0);
}

static void pages_skip_what_it_has(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    session->state = SESSION_BEHIND;
    session->cursor = 5;
    assert_true(replay(&recorder, 4, 0));
    assert_true(replay(&recorder, 5, 0));
    assert_true(replay(&recorder, 6, 0));
    assert_int_equal(recorder.received, 1);
    session->state = SESSION_CLOSED;
    assert_false(replay(&recorder, 7, 0));
}

static void it_closes_by_its_transport(void **state)
{
    struct recorder recorder;
    struct session *session = recorder_init(&recorder, 1);
    (void)state;

    session_close(session, ERR_KICKED);
    assert_int_equal(recorder.closes, 1);
    assert_int_equal(recorder.reason, ERR_KICKED);
}

static void ids_are_16_hex_digits(void **state)
{
    char text[SESSION_ID_TEXT_SIZE];
    (void)state;

    session_format_id(0x1f, text);
    assert_string_equal(text, "000000000000001f");
    session_format_id(UINT64_MAX, text);
    assert_string_equal(text, "ffffffffffffffff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_live_session_takes_what_is_new),
        cmocka_unit_test(a_session_that_is_behind_only_notes),
        cmocka_unit_test(a_closed_session_takes_nothing),
        cmocka_unit_test(what_it_must_not_get_passes_it_by),
        cmocka_unit_test(it_falls_behind_above_its_mark),
        cmocka_unit_test(what_was_not_queued_moves_no_cursor),
        cmocka_unit_test(pages_skip_what_it_has),
        cmocka_unit_test(it_closes_by_its_transport),
        cmocka_unit_test(ids_are_16_hex_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
