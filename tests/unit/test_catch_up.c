/* catch_up against the memory broker; its interleavings are test_live_or_behind's business. */
#include "support.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/catch_up.h"
#include "model/connection_manager.h"

#define START ((int64_t)1769860800000)

enum broker_end __real_broker_read(struct broker *broker, int member, struct read_call *read);
enum broker_end __wrap_broker_read(struct broker *broker, int member, struct read_call *read);

/* The memory broker, whose pages may come later. */
static struct house {
    struct broker *broker;
    bool slow;
    struct read_call *asked[8];
    size_t asked_count;
    struct inbox inbox;
    struct connection_manager *manager;
    struct catch_up *catch_up;
    struct metrics metrics;
    struct recorder recorders[20];
} the_house;

enum broker_end __wrap_broker_read(struct broker *broker, int member, struct read_call *read)
{
    if (!the_house.slow)
        return __real_broker_read(broker, member, read);
    the_house.asked[the_house.asked_count++] = read;
    return BROKER_PENDING;
}

/* The page that was asked for first is read and arrives. */
static void one_page_arrives(struct house *house)
{
    struct read_call *read = house->asked[0];
    memmove(house->asked, house->asked + 1, --house->asked_count * sizeof *house->asked);
    assert_answers(__real_broker_read(house->broker, 0, read), read, 0);
    read->call.done(&read->call);
}

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
    static const struct broker_options limits = {
        .keep_messages = 110,
        .keep_bytes = 1 << 20,
        .keep_total = 1 << 20,
        .idempotency_entries = 10,
        .idempotency_ttl_ms = 1000,
        .wall_ms = given_clock,
        .mono_ms = given_clock,
    };
    static const struct catch_up_limits catch_up_limits = {
        .sessions_per_user = 20, .channels_per_session = 3, .channels = 4};
    the_house = (struct house){.broker = broker_create("memory", &limits, NULL, 0)};
    inbox_init(&the_house.inbox, 1 << 20, RECORD_OVERFLOW, no_wake, NULL);
    broker_join(the_house.broker, &the_house.inbox);
    the_house.manager = connection_manager_create(&the_house.metrics);
    the_house.catch_up = catch_up_create(the_house.manager, the_house.broker, 0, &the_house.metrics,
                                         &catch_up_limits);
    for (size_t i = 0; i < COUNT_OF(the_house.recorders); i++)
        recorder_init(&the_house.recorders[i], i + 1)->queue_high = 10000;
    *state = &the_house;
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
    while (house->asked_count)
        one_page_arrives(house);
    drain(house);
    assert_int_equal(connection_manager_channels(house->manager), 0);
    assert_int_equal(house->metrics.live[0], 0);
    assert_int_equal(house->metrics.behind[0], 0);
    catch_up_destroy(house->catch_up);
    connection_manager_destroy(house->manager);
    broker_destroy(house->broker);
    inbox_finish(&house->inbox);
    return 0;
}

static uint64_t publish(struct house *house, struct topic topic)
{
    struct publish_call publish = {.draft = a_draft(&topic, 1, 60000)};
    assert_answers(broker_publish(house->broker, 0, &publish), &publish, 0);
    return publish.id;
}

static int open_at(struct house *house, size_t i, const char *user, const uint64_t *after)
{
    struct catch_up_start start = {
        .user = a_user(user), .has_after = after != NULL, .after = after ? *after : 0};
    return catch_up_open(house->catch_up, &house->recorders[i].session, &start);
}

static void a_session_without_cursor_starts_live_at_head(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    uint64_t head = publish(house, a_user("alice"));
    assert_int_equal(open_at(house, 0, "alice", NULL), 0);
    assert_int_equal(recorder->session.state, SESSION_LIVE);
    assert_true(recorder->session.cursor == head);
    assert_true(recorder->session.opened_at_s > 0);
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
    assert_int_equal(house->metrics.live[0], 1);
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
    struct catch_up_start alice = {.user = a_user("alice")}, bob = {.user = a_user("bob")};

    recorder_init(&one_more, 99);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(open_at(house, i, "alice", NULL), 0);
    assert_int_equal(catch_up_open(house->catch_up, &one_more.session, &alice),
                     ERR_TOO_MANY_SESSIONS_OF_USER);
    assert_int_equal(one_more.session.state, SESSION_CLOSED);
    catch_up_close(house->catch_up, &house->recorders[3].session);
    assert_int_equal(catch_up_open(house->catch_up, &one_more.session, &alice), 0);
    catch_up_close(house->catch_up, &one_more.session);
    catch_up_close(house->catch_up, &one_more.session);
    assert_int_equal(catch_up_open(house->catch_up, &one_more.session, &bob), 0);
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
    assert_string_equal(json->gap_channel, "");
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
    catch_up_resync(house->catch_up);
    assert_int_equal(house->metrics.overflows, 1);
    assert_int_equal(house->metrics.behind[0], 2);
    catch_up_run(house->catch_up);
    assert_int_equal(quick->received, 1);
    assert_int_equal(stuck->received, 0); /* it has no room */
    stuck->queued = 0;
    catch_up_drained(house->catch_up, &stuck->session);
    catch_up_run(house->catch_up);
    assert_int_equal(stuck->received, 1);
    drain(house);
    assert_int_equal(quick->received, 1);
    assert_int_equal(house->metrics.live[0], 2);
}

static void what_is_lost_after_nothing_was_kept_is_told(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];
    uint64_t last = 0;

    uint64_t first = publish(house, a_user("bob")); /* whose mail is not hers */
    assert_int_equal(open_at(house, 0, "alice", &(uint64_t){0}), 0);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->session.state, SESSION_LIVE);
    for (int i = 0; i < 120; i++) /* of which 110 are kept */
        last = publish(house, a_user("alice"));
    catch_up_resync(house->catch_up);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->gaps, 1);
    assert_true(recorder->gap_after == first);
    assert_true(recorder->gap_resumes == last - 110);
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
    assert_int_equal(house->metrics.delivered[0], 0);
}

/* ---- channels ---- */

/* Opens with up to three channels, as "news sport". */
static int open_with(struct house *house, size_t i, const char *channels, const uint64_t *after)
{
    struct topic topics[4];
    struct catch_up_start start = {.user = a_user("alice"),
                                   .channels = topics,
                                   .has_after = after != NULL,
                                   .after = after ? *after : 0};
    for (size_t length; *channels; channels += length + (channels[length] == ' ')) {
        length = strcspn(channels, " ");
        topics[start.channel_count++] = topic_make(TOPIC_CHANNEL, channels, length);
    }
    return catch_up_open(house->catch_up, &house->recorders[i].session, &start);
}

static int subscribe(struct house *house, size_t i, const char *channel)
{
    struct topic topic = a_channel(channel);
    return catch_up_subscribe(house->catch_up, &house->recorders[i].session, &topic);
}

static bool unsubscribe(struct house *house, size_t i, const char *channel)
{
    struct topic topic = a_channel(channel);
    return catch_up_unsubscribe(house->catch_up, &house->recorders[i].session, &topic);
}

static uint32_t watching(struct house *house, const char *channel)
{
    struct topic topic = a_channel(channel);
    return broker_count(house->broker, &topic);
}

static void fall_behind(struct house *house, struct recorder *recorder)
{
    recorder->queued = recorder->session.queue_high;
    publish(house, a_user("alice"));
    drain(house);
    assert_int_equal(recorder->session.state, SESSION_BEHIND);
    recorder->received = 0;
}

static void catch_up_now(struct house *house, struct recorder *recorder)
{
    recorder->queued = 0;
    catch_up_drained(house->catch_up, &recorder->session);
    while (catch_up_waiting(house->catch_up))
        catch_up_run(house->catch_up);
    assert_int_equal(recorder->session.state, SESSION_LIVE);
}

static void assert_received(const struct recorder *recorder, const uint64_t *ids, size_t count)
{
    assert_int_equal(recorder->received, count);
    for (size_t i = 0; i < count; i++)
        assert_true(recorder->ids[i] == ids[i]);
}

#define IDS(...) (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)

static void a_stream_is_one_rising_order(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    uint64_t a = publish(house, a_channel("sport")), b = publish(house, a_user("alice"));
    uint64_t c = publish(house, a_channel("news")), d = publish(house, all_of_them());
    publish(house, a_channel("weather"));
    uint64_t e = publish(house, a_channel("sport"));
    assert_int_equal(open_with(house, 0, "news sport", &(uint64_t){0}), 0);
    catch_up_run(house->catch_up);
    uint64_t f = publish(house, a_channel("news")), g = publish(house, a_user("alice"));
    drain(house);
    assert_received(recorder, IDS(a, b, c, d, e, f, g));
    assert_int_equal(recorder->gaps, 0);
}

static void without_a_cursor_channels_start_from_now(void **state)
{
    struct house *house = *state;

    publish(house, a_channel("news"));
    assert_int_equal(open_with(house, 0, "news", NULL), 0);
    assert_int_equal(watching(house, "news"), 1);
    uint64_t next = publish(house, a_channel("news"));
    drain(house);
    assert_received(&house->recorders[0], IDS(next));
    catch_up_close(house->catch_up, &house->recorders[0].session);
    assert_int_equal(watching(house, "news"), 0);
}

static void a_cursor_reaches_into_a_channels_past(void **state)
{
    struct house *house = *state;

    uint64_t a = publish(house, a_channel("news")), b = publish(house, a_channel("news"));
    assert_int_equal(open_with(house, 0, "news", &a), 0);
    catch_up_run(house->catch_up);
    assert_received(&house->recorders[0], IDS(b));
}

static void a_live_session_subscribes_from_now(void **state)
{
    struct house *house = *state;

    assert_int_equal(open_with(house, 0, "", NULL), 0);
    assert_int_equal(open_with(house, 1, "news", NULL), 0); /* so that the worker gets it all */
    publish(house, a_channel("news"));                      /* waits in the inbox */
    assert_int_equal(subscribe(house, 0, "news"), 0);
    assert_int_equal(subscribe(house, 0, "news"), 0);
    assert_int_equal(watching(house, "news"), 2);
    uint64_t next = publish(house, a_channel("news"));
    drain(house);
    assert_received(&house->recorders[0], IDS(next));
    assert_int_equal(house->recorders[1].received, 2);
}

static void a_session_behind_subscribes_from_now(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    assert_int_equal(open_with(house, 0, "", NULL), 0);
    fall_behind(house, recorder);
    publish(house, a_channel("news"));
    uint64_t mail = publish(house, a_user("alice"));
    assert_int_equal(subscribe(house, 0, "news"), 0);
    uint64_t next = publish(house, a_channel("news"));
    drain(house);
    catch_up_now(house, recorder);
    assert_received(recorder, IDS(mail, next));
    assert_int_equal(recorder->gaps, 0);
}

static void what_was_left_comes_no_more(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    assert_int_equal(open_with(house, 0, "news sport", NULL), 0);
    publish(house, a_channel("news")); /* waits in the inbox */
    assert_true(unsubscribe(house, 0, "news"));
    assert_false(unsubscribe(house, 0, "news"));
    assert_int_equal(watching(house, "news"), 0);
    drain(house);
    fall_behind(house, recorder);
    publish(house, a_channel("sport"));
    assert_true(unsubscribe(house, 0, "sport"));
    uint64_t mail = publish(house, a_user("alice"));
    drain(house);
    catch_up_now(house, recorder);
    assert_received(recorder, IDS(mail));
}

static void a_page_asked_before_a_subscription_hides_nothing(void **state)
{
    struct house *house = *state;

    house->slow = true;
    uint64_t a = publish(house, a_user("alice"));
    assert_int_equal(open_with(house, 0, "", &(uint64_t){0}), 0);
    catch_up_run(house->catch_up);
    assert_int_equal(subscribe(house, 0, "news"), 0);
    uint64_t b = publish(house, a_channel("news")), c = publish(house, a_user("alice"));
    one_page_arrives(house); /* it knows a and c */
    assert_int_equal(house->recorders[0].received, 0);
    catch_up_run(house->catch_up);
    one_page_arrives(house);
    assert_received(&house->recorders[0], IDS(a, b, c));
}

static void a_page_asked_before_leaving_brings_nothing(void **state)
{
    struct house *house = *state;

    house->slow = true;
    uint64_t a = publish(house, a_user("alice"));
    publish(house, a_channel("news"));
    assert_int_equal(open_with(house, 0, "news sport", &(uint64_t){0}), 0);
    catch_up_run(house->catch_up);
    assert_true(unsubscribe(house, 0, "news"));
    assert_int_equal(subscribe(house, 0, "news"), 0); /* anew, from now */
    uint64_t b = publish(house, a_channel("news"));
    one_page_arrives(house);
    catch_up_run(house->catch_up);
    assert_int_equal(catch_up_in_flight(house->catch_up), 1);
    one_page_arrives(house);
    assert_received(&house->recorders[0], IDS(a, b));
}

static void limits_hold_for_a_session_and_for_all(void **state)
{
    struct house *house = *state;

    assert_int_equal(open_with(house, 0, "a b c d", NULL), ERR_TOO_MANY_CHANNELS);
    assert_int_equal(house->recorders[0].session.state, SESSION_CLOSED);
    assert_int_equal(open_with(house, 0, "a b", NULL), 0);
    assert_int_equal(subscribe(house, 0, "c"), 0);
    assert_int_equal(subscribe(house, 0, "d"), ERR_TOO_MANY_CHANNELS);
    assert_int_equal(subscribe(house, 0, "c"), 0); /* it has that one */
    assert_int_equal(open_with(house, 1, "d e", NULL), ERR_TOO_MANY_CHANNELS);
    assert_int_equal(house->recorders[1].session.state, SESSION_CLOSED);
    assert_int_equal(watching(house, "d"), 0);
    assert_int_equal(connection_manager_channels(house->manager), 3);
    assert_int_equal(open_with(house, 1, "d", NULL), 0);
    assert_int_equal(subscribe(house, 1, "e"), ERR_TOO_MANY_CHANNELS);
    assert_int_equal(watching(house, "e"), 0);
    assert_int_equal(subscribe(house, 1, "a"), 0); /* which is there already */
    assert_int_equal(open_with(house, 2, "a b c", NULL), 0);
    assert_true(unsubscribe(house, 1, "d"));
    assert_int_equal(subscribe(house, 1, "e"), 0);
}

static uint64_t overflow(struct house *house, struct topic topic)
{
    uint64_t last = 0;
    for (int i = 0; i < 115; i++)
        last = publish(house, topic);
    return last;
}

static void a_gap_of_one_channel_names_it(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    uint64_t first = publish(house, a_channel("sport"));
    uint64_t last = overflow(house, a_channel("news"));
    assert_int_equal(open_with(house, 0, "news sport", &first), 0);
    while (catch_up_waiting(house->catch_up))
        catch_up_run(house->catch_up);
    assert_int_equal(recorder->gaps, 1);
    assert_true(recorder->gap_after == first);
    assert_true(recorder->gap_resumes == last - 110);
    assert_string_equal(recorder->gap_channel, "news");
    assert_int_equal(recorder->received, 110);
    assert_int_equal(house->metrics.gaps, 1);
}

static void a_gap_of_own_mail_is_one_for_all(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    recorder->session.queue_high = 500; /* one page */
    uint64_t first = publish(house, a_channel("news"));
    overflow(house, a_user("alice"));
    uint64_t last = overflow(house, a_channel("news"));
    assert_int_equal(open_with(house, 0, "news", &first), 0);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->gaps, 1);
    assert_true(recorder->gap_resumes == last - 110);
    assert_string_equal(recorder->gap_channel, "");
}

static void a_gap_of_two_channels_names_both(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    recorder->session.queue_high = 500;
    uint64_t first = publish(house, a_user("alice"));
    overflow(house, a_channel("news"));
    overflow(house, a_channel("sport"));
    assert_int_equal(open_with(house, 0, "news sport", &first), 0);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->gaps, 2);
    for (int page = 0; page < 2; page++) {
        recorder->received = 0;
        recorder->queued = 0;
        catch_up_drained(house->catch_up, &recorder->session);
        catch_up_run(house->catch_up);
    }
    assert_int_equal(recorder->session.state, SESSION_LIVE);
    assert_int_equal(recorder->gaps, 2); /* told once */
}

static void a_channels_past_is_no_gap(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    assert_int_equal(open_with(house, 0, "", NULL), 0);
    fall_behind(house, recorder);
    overflow(house, a_channel("news"));
    assert_int_equal(subscribe(house, 0, "news"), 0);
    catch_up_now(house, recorder);
    assert_int_equal(recorder->gaps, 0);
    assert_int_equal(recorder->received, 0);
}

static void a_gap_that_was_told_is_not_told_again(void **state)
{
    struct house *house = *state;
    struct recorder *recorder = &house->recorders[0];

    uint64_t first = publish(house, a_user("alice"));
    overflow(house, a_channel("news"));
    recorder->session.queue_high = 500;
    recorder->refuses = true; /* so the cursor stays below the gap */
    assert_int_equal(open_with(house, 0, "news", &first), 0);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->gaps, 1);
    recorder->refuses = false;
    catch_up_drained(house->catch_up, &recorder->session);
    catch_up_run(house->catch_up);
    assert_int_equal(recorder->gaps, 1);
    assert_int_equal(recorder->received, 100);
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
        house_test(what_is_lost_after_nothing_was_kept_is_told),
        house_test(a_session_out_of_memory_reads_no_further),
        house_test(a_stream_is_one_rising_order),
        house_test(without_a_cursor_channels_start_from_now),
        house_test(a_cursor_reaches_into_a_channels_past),
        house_test(a_live_session_subscribes_from_now),
        house_test(a_session_behind_subscribes_from_now),
        house_test(what_was_left_comes_no_more),
        house_test(a_page_asked_before_a_subscription_hides_nothing),
        house_test(a_page_asked_before_leaving_brings_nothing),
        house_test(limits_hold_for_a_session_and_for_all),
        house_test(a_gap_of_one_channel_names_it),
        house_test(a_gap_of_own_mail_is_one_for_all),
        house_test(a_gap_of_two_channels_names_both),
        house_test(a_channels_past_is_no_gap),
        house_test(a_gap_that_was_told_is_not_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
