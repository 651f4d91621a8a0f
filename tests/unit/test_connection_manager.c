#include "support.h"

#include "model/connection_manager.h"

struct house {
    struct connection_manager *manager;
    struct recorder phone, laptop, stranger;
};

static void attach(struct house *house, struct recorder *recorder, const char *user)
{
    struct address address = a_user(user);
    recorder->session.state = SESSION_LIVE;
    assert_true(connection_manager_attach(house->manager, &recorder->session, &address));
}

/* Alice has two sessions, bob one. */
static int open_house(void **state)
{
    static struct house house;
    house.manager = connection_manager_create();
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
    connection_manager_destroy(house->manager);
    connection_manager_destroy(NULL);
    return 0;
}

static struct delivery_count deliver(struct house *house, struct message *message)
{
    struct delivery_count count = connection_manager_deliver(house->manager, message);
    message_unref(message);
    return count;
}

static void a_message_reaches_every_session_of_its_user_and_no_other(void **state)
{
    struct house *house = *state;

    assert_int_equal(deliver(house, a_message_for("alice", 1)).delivered, 2);
    assert_int_equal(house->phone.received, 1);
    assert_int_equal(house->laptop.received, 1);
    assert_int_equal(house->stranger.received, 0);
    assert_int_equal(deliver(house, a_message_for("carol", 2)).delivered, 0);
    assert_int_equal(deliver(house, a_message_for("alic", 3)).delivered, 0);
}

static void a_broadcast_reaches_all(void **state)
{
    struct house *house = *state;
    struct address all = all_of_them();

    assert_int_equal(deliver(house, a_message_to(&all, 1)).delivered, 3);
    assert_int_equal(house->stranger.received, 1);
}

static void several_receivers_get_one_message(void **state)
{
    struct house *house = *state;
    struct address addresses[] = {a_user("bob"), a_user("carol"), a_user("alice")};
    struct draft draft = a_draft(addresses, 3, 1000);

    assert_int_equal(deliver(house, message_create(9, 0, &draft)).delivered, 3);
    assert_int_equal(house->stranger.ids[0], 9);
    assert_int_equal(house->phone.ids[0], 9);
}

static void who_falls_behind_is_counted(void **state)
{
    struct house *house = *state;

    house->phone.session.queue_high = 5;
    struct delivery_count count = deliver(house, a_message_for("alice", 1));
    assert_int_equal(count.delivered, 2);
    assert_int_equal(count.fell_behind, 1);
    count = deliver(house, a_message_for("alice", 2));
    assert_int_equal(count.delivered, 1);
    assert_int_equal(count.fell_behind, 0);
}

static void a_detached_session_gets_nothing(void **state)
{
    struct house *house = *state;

    connection_manager_detach(house->manager, &house->phone.session);
    connection_manager_detach(house->manager, &house->phone.session);
    assert_int_equal(connection_manager_count(house->manager), 2);
    assert_int_equal(deliver(house, a_message_for("alice", 1)).delivered, 1);
    assert_int_equal(house->phone.received, 0);
}

static void a_session_knows_its_user(void **state)
{
    struct house *house = *state;
    struct address bob = a_user("bob");
    struct address user = connection_manager_user(&house->stranger.session);

    assert_true(address_equal(&user, &bob));
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
    struct address alice = a_user("alice"), carol = a_user("carol");

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
    struct address all = all_of_them();

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
