/* catch_up against the memory broker; its interleavings are test_live_or_behind's business. */
#include "support.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "engine/broker.h"
#include "engine/broker_memory.h"
#include "engine/catch_up.h"
#include "model/connection_manager.h"

#define START ((int64_t)1769860800000)

struct house {
    struct broker *broker;
    struct inbox inbox;
    struct connection_manager *manager;
    struct catch_up *catch_up;
    struct metrics metrics;
    struct recorder recorders[20];
};

static int64_t given_clock(void)
{
    return START;
}

static void no_wake(void *context)
{
    (void)context;
}

static int open_house(void **state)
{
    static const struct broker_memory_limits limits = {
        .keep_messages = 110,
        .keep_bytes = 1 << 20,
        .keep_total = 1 << 20,
        .idempotency_entries = 10,
        .idempotency_ttl_ms = 1000,
        .wall_ms = given_clock,
    };
    static struct house house;
    house = (struct house){.broker = broker_memory_create(&limits)};
    inbox_init(&house.inbox, 1 << 20, RECORD_DOUBT, no_wake, NULL);
    broker_join(house.broker, &house.inbox);
    house.manager = connection_manager_create();
    house.catch_up = catch_up_create(house.manager, house.broker, 0, &house.metrics, 20);
    for (size_t i = 0; i < COUNT_OF(house.recorders); i++)
        recorder_init(&house.recorders[i], i + 1)->queue_high = 10000;
    *state = &house;
    return 0;
}

static void drain(struct house *house)
{
    struct list records;
    list_init(&records);
    inbox_take(&house->inbox, &records);
    while (!list_empty(&records)) {
        struct message_record *record = list_first(&records, struct message_record, record.link);
        list_remove(&record->record.link);
        connection_manager_deliver(house->manager, record->message);
        message_unref(record->message);
        free(record);
    }
}

static int close_house(void **state)
{
    struct house *house = *state;
    for (size_t i = 0; i < COUNT_OF(house->recorders); i++)
        catch_up_close(house->catch_up, &house->recorders[i].session);
    drain(house);
    assert_int_equal(house->metrics.sessions_websocket_live, 0);
    assert_int_equal(house->metrics.sessions_websocket_behind, 0);
    catch_up_destroy(house->catch_up);
    connection_manager_destroy(house->manager);
    broker_destroy(house->broker);
    inbox_finish(&house->inbox);
    return 0;
}

static uint64_t publish(struct house *house, struct address address)
{
    struct publish publish = {.draft = a_draft(&address, 1, 60000)};
    assert_int_equal(broker_publish(house->broker, 0, &publish), 0);
    return publish.id;
}

static int open_at(struct house *house, size_t i, const char *user, const uint64_t *after)
{
    struct address address = a_user(user);
    return catch_up_open(house->catch_up, &house->recorders[i].session, &address, after);
}

static void a_session_without_cursor_starts_live_at_head(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    uint64_t head = publish(house, a_user("alice"));
    assert_int_equal(open_at(house, 0, "alice", NULL), 0);
    assert_int_equal(recorder->session.state, SESSION_LIVE);
    assert_true(recorder->session.cursor == head);
    assert_true(recorder->session.opened_at_ms > 0);
    assert_false(catch_up_waiting(house->catch_up));
    uint64_t next = publish(house, all_of_them());
    drain(house);
    assert_int_equal(recorder->received, 1);
    assert_true(recorder->ids[0] == next);
}

static void a_session_with_a_cursor_reads_first(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    uint64_t a = publish(house, a_user("alice")), b = publish(house, all_of_them());
    publish(house, a_user("bob"));
    assert_int_equal(open_at(house, 0, "alice", &(uint64_t){0}), 0);
    assert_int_equal(recorder->session.state, SESSION_BEHIND);
    assert_int_equal(recorder->received, 0); /* nothing before open has returned */
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->session.state, SESSION_LIVE);
    assert_int_equal(recorder->received, 2);
    assert_true(recorder->ids[0] == a && recorder->ids[1] == b);
    assert_int_equal(recorder->gaps, 0);
    assert_int_equal(house->metrics.replayed, 2);
    assert_int_equal(house->metrics.sessions_websocket_live, 1);
}

static void a_long_way_is_walked_in_pages(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    recorder->session.queue_high = 500;
    for (int i = 0; i < 105; i++)
        publish(house, a_user("alice"));
    assert_int_equal(open_at(house, 0, "alice", &(uint64_t){0}), 0);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->received, 100);
    assert_false(catch_up_waiting(house->catch_up)); /* until there is room */
    recorder->queued = 251;
    catch_up_drained(house->catch_up, &recorder->session);
    assert_false(catch_up_waiting(house->catch_up));
    recorder->queued = 250;
    catch_up_drained(house->catch_up, &recorder->session);
    assert_true(catch_up_waiting(house->catch_up));
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->received, 105);
    assert_int_equal(recorder->session.state, SESSION_LIVE);
}

static void reads_wait_in_fair_order(void **state)
{
    struct house *house = *state;

    publish(house, all_of_them());
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(open_at(house, i, "alice", &(uint64_t){0}), 0);
    for (size_t round = 1; round <= 3; round++) {
        catch_up_run(house->catch_up);
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(house->recorders[i].received, i < 8 * round);
    }
    assert_false(catch_up_waiting(house->catch_up));
}

static void a_user_has_only_so_many_sessions(void **state)
{
    struct house *house = *state;
    struct recorder one_more;
    struct address alice = a_user("alice"), bob = a_user("bob");

    recorder_init(&one_more, 99);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(open_at(house, i, "alice", NULL), 0);
    assert_int_equal(catch_up_open(house->catch_up, &one_more.session, &alice, NULL),
                     ERR_TOO_MANY_SESSIONS_OF_USER);
    assert_int_equal(one_more.session.state, SESSION_CLOSED);
    catch_up_close(house->catch_up, &house->recorders[3].session);
    assert_int_equal(catch_up_open(house->catch_up, &one_more.session, &alice, NULL), 0);
    catch_up_close(house->catch_up, &one_more.session);
    catch_up_close(house->catch_up, &one_more.session);
    assert_int_equal(catch_up_open(house->catch_up, &one_more.session, &bob, NULL), 0);
    catch_up_close(house->catch_up, &one_more.session);
}

static void a_gap_is_told_before_what_follows(void **state)
{
    struct house *house = *state;
    struct recorder *json = &house->recorders[0], *text = &house->recorders[1];
    uint64_t first = publish(house, a_user("alice")), last = 0;

    for (int i = 0; i < 115; i++)
        last = publish(house, a_user("alice"));
    text->ends_on_gap = true;
    assert_int_equal(open_at(house, 0, "alice", &first), 0);
    assert_int_equal(open_at(house, 1, "alice", &first), 0);
    while (catch_up_waiting(house->catch_up))
        catch_up_run(house->catch_up);
    assert_int_equal(json->gaps, 1);
    assert_true(json->gap_after == first);
    assert_true(json->gap_resumes == last - 110);
    assert_int_equal(json->received, 110);
    assert_true(json->ids[109] == last);
    assert_int_equal(text->gaps, 1);
    assert_int_equal(text->received, 0);
    assert_int_equal(house->metrics.gaps, 2);
}

static void a_doubt_sends_live_sessions_back_to_the_broker(void **state)
{
    struct house *house = *state;
    struct recorder *quick = &house->recorders[0], *stuck = &house->recorders[1];

    assert_int_equal(open_at(house, 0, "alice", NULL), 0);
    assert_int_equal(open_at(house, 1, "alice", NULL), 0);
    stuck->queued = 6000;
    publish(house, a_user("alice"));
    catch_up_doubt(house->catch_up);
    assert_int_equal(house->metrics.doubts, 1);
    assert_int_equal(house->metrics.sessions_websocket_behind, 2);
    catch_up_run(house->catch_up);
    assert_int_equal(quick->received, 1);
    assert_int_equal(stuck->received, 0); /* it has no room */
    stuck->queued = 0;
    catch_up_drained(house->catch_up, &stuck->session);
    catch_up_run(house->catch_up);
    assert_int_equal(stuck->received, 1);
    drain(house);
    assert_int_equal(quick->received, 1);
    assert_int_equal(house->metrics.sessions_websocket_live, 2);
}

static void a_session_out_of_memory_reads_no_further(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    publish(house, a_user("alice"));
    recorder->refuses = true;
    assert_int_equal(open_at(house, 0, "alice", &(uint64_t){0}), 0);
    catch_up_run(house->catch_up);
    assert_false(catch_up_waiting(house->catch_up));
    assert_int_equal(recorder->session.state, SESSION_BEHIND);
    assert_int_equal(recorder->session.cursor, 0);
    assert_int_equal(house->metrics.delivered_websocket, 0);
}

#define house_test(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        house_test(a_session_without_cursor_starts_live_at_head),
        house_test(a_session_with_a_cursor_reads_first),
        house_test(a_long_way_is_walked_in_pages),
        house_test(reads_wait_in_fair_order),
        house_test(a_user_has_only_so_many_sessions),
        house_test(a_gap_is_told_before_what_follows),
        house_test(a_doubt_sends_live_sessions_back_to_the_broker),
        house_test(a_session_out_of_memory_reads_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
