#include "support.h"

#include "base/metrics.h"
#include "model/connection_manager.h"

struct house {
    struct connection_manager *manager;
    struct metrics metrics;
    struct recorder phone, laptop, stranger;
};

static void attach(struct house *house, struct recorder *recorder, const char *user)
{
    struct topic topic = a_user(user);
    recorder->session.state = SESSION_LIVE;
    assert_true(connection_manager_attach(house->manager, &recorder->session, &topic));
}

/* Alice has two sessions, bob one. */
static int open_house(void **state)
{
    static struct house house;
    memset(&house.metrics, 0, sizeof house.metrics);
    house.manager = connection_manager_create(&house.metrics);
    recorder_init(&house.phone, 1);
    recorder_init(&house.laptop, 2);
    recorder_init(&house.stranger, 3);
    attach(&house, &house.phone, "alice");
    attach(&house, &house.laptop, "alice");
    attach(&house, &house.stranger, "bob");
    *state = &house;
    return 0;
}

static int close_house(void **state)
{
    struct house *house = *state;
    connection_manager_detach(house->manager, &house->phone.session);
    connection_manager_detach(house->manager, &house->laptop.session);
    connection_manager_detach(house->manager, &house->stranger.session);
    assert_int_equal(connection_manager_count(house->manager), 0);
    assert_int_equal(connection_manager_channels(house->manager), 0);
    connection_manager_destroy(house->manager);
    connection_manager_destroy(NULL);
    return 0;
}

static int64_t delivered(const struct house *house)
{
    return house->metrics.delivered[0];
}

/* Returns how many sessions got it. */
static int64_t deliver(struct house *house, struct message *message)
{
    int64_t before = delivered(house);
    connection_manager_deliver(house->manager, message);
    message_unref(message);
    return delivered(house) - before;
}

static void a_message_reaches_every_session_of_its_user_and_no_other(void **state)
{
    struct house *house = *state;

    assert_int_equal(deliver(house, a_message_for("alice", 1)), 2);
    assert_int_equal(house->phone.received, 1);
    assert_int_equal(house->laptop.received, 1);
    assert_int_equal(house->stranger.received, 0);
    assert_int_equal(deliver(house, a_message_for("carol", 2)), 0);
    assert_int_equal(deliver(house, a_message_for("alic", 3)), 0);
}

static void a_broadcast_reaches_all(void **state)
{
    struct house *house = *state;
    struct topic all = all_of_them();

    assert_int_equal(deliver(house, a_message_to(&all, 1)), 3);
    assert_int_equal(house->stranger.received, 1);
}

static void several_receivers_get_one_message(void **state)
{
    struct house *house = *state;
    struct topic topics[] = {a_user("bob"), a_user("carol"), a_user("alice")};
    struct draft draft = a_draft(topics, 3, 1000);

    assert_int_equal(deliver(house, message_create(9, 0, &draft)), 3);
    assert_int_equal(house->stranger.ids[0], 9);
    assert_int_equal(house->phone.ids[0], 9);
}

static void who_falls_behind_is_counted(void **state)
{
    struct house *house = *state;

    house->phone.session.queue_high = 5;
    house->metrics.live[0] = 3;
    assert_int_equal(deliver(house, a_message_for("alice", 1)), 2);
    assert_int_equal(house->metrics.live[0], 2);
    assert_int_equal(house->metrics.behind[0], 1);
    assert_int_equal(deliver(house, a_message_for("alice", 2)), 1);
    assert_int_equal(house->metrics.behind[0], 1);
}

static void a_detached_session_gets_nothing(void **state)
{
    struct house *house = *state;

    connection_manager_detach(house->manager, &house->phone.session);
    connection_manager_detach(house->manager, &house->phone.session);
    assert_int_equal(connection_manager_count(house->manager), 2);
    assert_int_equal(deliver(house, a_message_for("alice", 1)), 1);
    assert_int_equal(house->phone.received, 0);
}

static void a_session_knows_its_user(void **state)
{
    struct house *house = *state;
    struct topic bob = a_user("bob");
    struct topic user = connection_manager_user(&house->stranger.session);

    assert_true(topic_equal(&user, &bob));
}

static void detach_it(struct session *session, void *context)
{
    struct house *house = context;
    ((struct recorder *)session)->closes++;
    connection_manager_detach(house->manager, session);
}

static void a_visitor_may_close_the_last_session_of_a_user(void **state)
{
    struct house *house = *state;
    struct topic alice = a_user("alice"), carol = a_user("carol");

    connection_manager_each(house->manager, &carol, detach_it, house);
    connection_manager_each(house->manager, &alice, detach_it, house);
    assert_int_equal(house->phone.closes, 1);
    assert_int_equal(house->laptop.closes, 1);
    assert_int_equal(house->stranger.closes, 0);
    connection_manager_each(house->manager, &alice, detach_it, house);
    assert_int_equal(house->phone.closes, 1);
    assert_int_equal(connection_manager_count(house->manager), 1);
}

static void a_visitor_may_close_all(void **state)
{
    struct house *house = *state;
    struct topic all = all_of_them();

    connection_manager_each(house->manager, &all, detach_it, house);
    assert_int_equal(house->phone.closes + house->laptop.closes + house->stranger.closes, 3);
    assert_int_equal(connection_manager_count(house->manager), 0);
}

static void add_name(const char *name, size_t length, void *context)
{
    int *seen = context;
    *seen += length == 5 && memcmp(name, "alice", 5) == 0 ? 100 : 0;
    *seen += length == 3 && memcmp(name, "bob", 3) == 0 ? 1 : 0;
}

static void each_user_is_named_once(void **state)
{
    struct house *house = *state;
    int seen = 0;

    connection_manager_each_user(house->manager, add_name, &seen);
    assert_int_equal(seen, 101);
}

/* ---- channels ---- */

static struct subscription *subscribe(struct house *house, struct recorder *recorder,
                                      const char *channel, uint64_t from)
{
    struct topic topic = a_channel(channel);
    return connection_manager_subscribe(house->manager, &recorder->session, &topic, from);
}

static bool unsubscribe(struct house *house, struct recorder *recorder, const char *channel)
{
    struct topic topic = a_channel(channel);
    return connection_manager_unsubscribe(house->manager, &recorder->session, &topic);
}

static struct message *news(uint64_t id)
{
    struct topic topic = a_channel("news");
    return a_message_to(&topic, id);
}

static void a_channel_reaches_whoever_is_subscribed(void **state)
{
    struct house *house = *state;

    assert_int_equal(deliver(house, news(1)), 0);
    assert_non_null(subscribe(house, &house->phone, "news", 0));
    assert_non_null(subscribe(house, &house->stranger, "news", 0));
    assert_non_null(subscribe(house, &house->laptop, "new", 0));
    assert_int_equal(deliver(house, news(2)), 2);
    assert_int_equal(house->phone.ids[0], 2);
    assert_int_equal(house->stranger.ids[0], 2);
    assert_int_equal(house->laptop.received, 0);
    assert_int_equal(deliver(house, a_message_for("alice", 3)), 2);
    assert_int_equal(deliver(house, a_message_for("news", 4)), 0); /* a user, no channel */
}

static void to_subscribe_twice_is_to_subscribe_once(void **state)
{
    struct house *house = *state;

    struct subscription *first = subscribe(house, &house->phone, "news", 5);
    assert_ptr_equal(subscribe(house, &house->phone, "news", 9), first);
    assert_int_equal(first->from, 5);
    assert_int_equal(deliver(house, news(6)), 1);
    assert_true(unsubscribe(house, &house->phone, "news"));
    assert_false(unsubscribe(house, &house->phone, "news"));
    assert_int_equal(deliver(house, news(7)), 0);
}

static void what_came_before_the_subscription_stays_hidden(void **state)
{
    struct house *house = *state;

    subscribe(house, &house->phone, "news", 10);
    subscribe(house, &house->laptop, "news", 11);
    assert_int_equal(deliver(house, news(10)), 0);
    assert_int_equal(deliver(house, news(11)), 1);
    assert_int_equal(house->phone.ids[0], 11);
    assert_int_equal(house->laptop.received, 0);
    house->laptop.session.state = SESSION_BEHIND;
    deliver(house, news(11));
    assert_false(house->laptop.session.more);
    deliver(house, news(12));
    assert_true(house->laptop.session.more);
}

static void a_broadcast_comes_once_for_all_channels(void **state)
{
    struct house *house = *state;
    struct topic all = all_of_them();

    subscribe(house, &house->phone, "news", 0);
    subscribe(house, &house->phone, "sport", 0);
    assert_int_equal(deliver(house, a_message_to(&all, 1)), 3);
    assert_int_equal(house->phone.received, 1);
}

static void who_falls_behind_in_a_channel_is_counted(void **state)
{
    struct house *house = *state;

    subscribe(house, &house->phone, "news", 0);
    subscribe(house, &house->laptop, "news", 0);
    house->phone.session.queue_high = 5;
    assert_int_equal(deliver(house, news(1)), 2);
    assert_int_equal(house->metrics.behind[0], 1);
    assert_int_equal(deliver(house, news(2)), 1);
}

static void channels_are_counted_once(void **state)
{
    struct house *house = *state;

    subscribe(house, &house->phone, "news", 0);
    subscribe(house, &house->laptop, "news", 0);
    subscribe(house, &house->laptop, "sport", 0);
    assert_int_equal(connection_manager_channels(house->manager), 2);
    unsubscribe(house, &house->phone, "news");
    assert_int_equal(connection_manager_channels(house->manager), 2);
    unsubscribe(house, &house->laptop, "news");
    assert_int_equal(connection_manager_channels(house->manager), 1);
    unsubscribe(house, &house->laptop, "sport");
    assert_int_equal(connection_manager_channels(house->manager), 0);
}

static void to_detach_ends_all_subscriptions(void **state)
{
    struct house *house = *state;

    subscribe(house, &house->phone, "news", 0);
    subscribe(house, &house->phone, "sport", 0);
    subscribe(house, &house->laptop, "sport", 0);
    connection_manager_detach(house->manager, &house->phone.session);
    assert_null(house->phone.session.channels);
    assert_int_equal(connection_manager_channels(house->manager), 1);
    assert_int_equal(deliver(house, news(1)), 0);
    attach(house, &house->phone, "alice"); /* closing the house ends the rest */
}

static void a_session_knows_its_channels(void **state)
{
    struct house *house = *state;
    struct session *session = &house->phone.session;
    struct topic names[] = {a_channel("news"), a_channel("sport"), a_channel("weather")};

    for (size_t i = 0; i < 3; i++)
        assert_null(connection_manager_subscription(session, &names[i]));
    for (size_t i = 0; i < 3; i++)
        subscribe(house, &house->phone, names[i].name, i);
    for (size_t i = 0; i < 3; i++) {
        struct subscription *found = connection_manager_subscription(session, &names[i]);
        assert_int_equal(found->from, i);
        assert_ptr_equal(found->session, session);
        struct topic channel = connection_manager_channel(found);
        assert_true(topic_equal(&channel, &names[i]));
    }
    unsubscribe(house, &house->phone, "sport"); /* the one in the middle */
    assert_non_null(connection_manager_subscription(session, &names[0]));
    assert_null(connection_manager_subscription(session, &names[1]));
    assert_non_null(connection_manager_subscription(session, &names[2]));
}

static void a_channel_is_no_user(void **state)
{
    struct house *house = *state;
    int seen = 0;

    subscribe(house, &house->phone, "alice", 0);
    connection_manager_each_user(house->manager, add_name, &seen);
    assert_int_equal(seen, 101);
}

#define house_test(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        house_test(a_message_reaches_every_session_of_its_user_and_no_other),
        house_test(a_broadcast_reaches_all),
        house_test(several_receivers_get_one_message),
        house_test(who_falls_behind_is_counted),
        house_test(a_detached_session_gets_nothing),
        house_test(a_session_knows_its_user),
        house_test(a_visitor_may_close_the_last_session_of_a_user),
        house_test(a_visitor_may_close_all),
        house_test(each_user_is_named_once),
        house_test(a_channel_reaches_whoever_is_subscribed),
        house_test(to_subscribe_twice_is_to_subscribe_once),
        house_test(what_came_before_the_subscription_stays_hidden),
        house_test(a_broadcast_comes_once_for_all_channels),
        house_test(who_falls_behind_in_a_channel_is_counted),
        house_test(channels_are_counted_once),
        house_test(to_detach_ends_all_subscriptions),
        house_test(a_session_knows_its_channels),
        house_test(a_channel_is_no_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
