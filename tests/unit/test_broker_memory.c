#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/lingering.h"
#include "model/idempotency.h"

#define START    ((int64_t)1769860800000)
#define FLOOR_ID ((uint64_t)START << 20)
#define DAY      ((int64_t)86400000)

static int64_t now_ms;

static int64_t given_clock(void)
{
    return now_ms;
}

static void no_wake(void *context)
{
    (void)context;
}

/* A broker and two members. */
struct desk {
    struct broker *broker;
    struct inbox inboxes[2];
};

static struct desk desk;

static const struct broker_options wide = {
    .keep_messages = 10000,
    .keep_bytes = 1 << 24,
    .keep_total = 1 << 26,
    .idempotency_entries = 1000,
    .idempotency_ttl_ms = 1000000,
    .wall_ms = given_clock,
    .mono_ms = given_clock,
};

static void open_desk_with(const struct broker_options *limits)
{
    now_ms = START;
    desk.broker = broker_create("memory", limits, NULL, 0);
    for (int m = 0; m < 2; m++) {
        inbox_init(&desk.inboxes[m], 1 << 20, RECORD_OVERFLOW, no_wake, NULL);
        assert_int_equal(broker_join(desk.broker, &desk.inboxes[m]), m);
    }
}

static int open_desk(void **state)
{
    (void)state;
    open_desk_with(&wide);
    return 0;
}

/* What lies in the member's inbox: ids, 0 for a doubt. */
static size_t take(int member, uint64_t *ret_ids)
{
    struct list records;
    size_t count = 0;
    list_init(&records);
    inbox_take(&desk.inboxes[member], &records);
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        ret_ids[count++] = 0;
        if (record->kind == RECORD_OVERFLOW)
            continue;
        assert_int_equal(record->kind, RECORD_MESSAGE);
        struct message *message = ((struct message_record *)record)->message;
        ret_ids[count - 1] = message->id;
        message_unref(message);
        free(record);
    }
    return count;
}

static int close_desk(void **state)
{
    uint64_t ids[4096];
    (void)state;
    for (int m = 0; m < 2; m++) {
        take(m, ids);
        inbox_finish(&desk.inboxes[m]);
    }
    broker_destroy(desk.broker);
    broker_destroy(NULL);
    return 0;
}

static void inquire(const struct topic *topics, size_t count, struct presence *ret_presence)
{
    struct inquiry inquiry = {.topics = topics, .count = count, .presence = ret_presence};
    assert_answers(broker_inquire(desk.broker, 0, &inquiry), &inquiry, 0);
}

static uint64_t erase(struct topic topic)
{
    struct erase_call erase = {.topic = topic};
    assert_answers(broker_erase(desk.broker, 0, &erase), &erase, 0);
    return erase.erased;
}

static void watch(int member, struct topic topic, int delta)
{
    assert_int_equal(broker_watch(desk.broker, member, &topic, 1, delta, NULL), 0);
}

/* Publishes from member 0; what is not given comes from a plain draft. */
static struct publish_call publish_as(const struct topic *topics, size_t count, int64_t ttl_ms,
                                      bool own_ttl, uint32_t *delivered)
{
    struct publish_call publish = {
        .draft = a_draft(topics, count, ttl_ms),
        .delivered = delivered,
    };
    publish.draft.own_ttl = own_ttl;
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
    assert_false(publish.durable);
    assert_int_equal(publish.kept, ttl_ms > 0);
    return publish;
}

static uint64_t send(const char *user)
{
    struct topic topic = a_user(user);
    return publish_as(&topic, 1, 7 * DAY, false, NULL).id;
}

static uint64_t send_with_ttl(const char *user, int64_t ttl_ms, bool own)
{
    struct topic topic = a_user(user);
    return publish_as(&topic, 1, ttl_ms, own, NULL).id;
}

static uint64_t send_to_all(void)
{
    struct topic all = all_of_them();
    return publish_as(&all, 1, 7 * DAY, false, NULL).id;
}

/* A page, held so that its messages can be looked at. */
struct page {
    struct read_call read;
    struct read_topic topics[6];
    struct message *messages[64];
};

static void turn(struct page *page)
{
    page->read.topics = page->topics;
    page->read.messages = page->messages;
    assert_answers(broker_read(desk.broker, 0, &page->read), &page->read, 0);
    for (size_t i = 0; i < page->read.count; i++)
        message_unref(page->messages[i]); /* the broker holds them still */
}

static struct page read_after(const char *user, uint64_t after, size_t max_count)
{
    static struct page page;
    page = (struct page){
        .read = {.topic_count = 1, .after = after, .max_count = max_count, .max_bytes = 1 << 20}};
    page.topics[0].topic = a_user(user);
    turn(&page);
    return page;
}

#define assert_ids(page, ...)                                                                      \
    do {                                                                                           \
        const uint64_t ids_[] = {__VA_ARGS__};                                                     \
        assert_int_equal((page).read.count, COUNT_OF(ids_));                                       \
        for (size_t i_ = 0; i_ < COUNT_OF(ids_); i_++)                                             \
            assert_true((page).messages[i_]->id == ids_[i_]);                                      \
    } while (0)

/* ---- ids and dispatch ---- */

static void ids_rise_whatever_the_clock_does(void **state)
{
    (void)state;

    assert_true(send("alice") == FLOOR_ID + 1);
    assert_true(send("alice") == FLOOR_ID + 2);
    now_ms += 5;
    assert_true(send("bob") == (uint64_t)(START + 5) << 20);
    now_ms -= 3000;
    assert_true(send("bob") == ((uint64_t)(START + 5) << 20) + 1);
    assert_true(broker_stats(desk.broker).head == ((uint64_t)(START + 5) << 20) + 1);
    assert_int_equal(broker_stats(desk.broker).messages, 4);
}

static void watchers_get_it_and_are_counted(void **state)
{
    struct topic topics[] = {a_user("alice"), a_user("carol"), a_user("bob")};
    uint32_t delivered[3];
    uint64_t ids[8];
    (void)state;

    watch(0, a_user("alice"), +1);
    watch(0, a_user("alice"), +1);
    watch(1, a_user("alice"), +1);
    watch(1, a_user("bob"), +1);
    struct publish_call publish = publish_as(topics, 3, DAY, false, delivered);
    assert_int_equal(delivered[0], 3);
    assert_int_equal(delivered[1], 0);
    assert_int_equal(delivered[2], 1);
    assert_int_equal(take(0, ids), 1); /* once, though two sessions watch */
    assert_true(ids[0] == publish.id);
    assert_int_equal(take(1, ids), 1); /* once, though two topics are watched */

    watch(1, a_user("alice"), -1);
    watch(1, a_user("bob"), -1);
    send("alice");
    assert_int_equal(take(0, ids), 1);
    assert_int_equal(take(1, ids), 0);
}

static void a_watch_returns_the_last_id_dispatched(void **state)
{
    struct topic topics[] = {a_user("alice"), all_of_them()};
    uint64_t head, ids[8];
    (void)state;

    assert_int_equal(broker_watch(desk.broker, 0, topics, 2, +1, &head), 0);
    assert_true(head == FLOOR_ID);
    uint64_t id = send_to_all();
    assert_int_equal(broker_watch(desk.broker, 1, topics, 2, +1, &head), 0);
    assert_true(head == id);
    assert_int_equal(take(0, ids), 1);
    assert_int_equal(take(1, ids), 0);
}

static void what_is_not_kept_is_only_dispatched(void **state)
{
    uint64_t ids[8];
    (void)state;

    watch(1, a_user("alice"), +1);
    uint64_t id = send_with_ttl("alice", 0, true);
    assert_int_equal(take(1, ids), 1);
    assert_true(ids[0] == id);
    assert_int_equal(read_after("alice", 0, 10).read.count, 0);
    assert_int_equal(broker_stats(desk.broker).messages, 0);
    assert_true(read_after("alice", id, 10).read.above_head == false);
}

static void a_full_inbox_holds_a_doubt_and_the_broker_the_rest(void **state)
{
    uint64_t ids[64], first;
    (void)state;

    desk.inboxes[1].max_bytes = 400;
    watch(1, a_user("alice"), +1);
    first = send("alice");
    for (int i = 1; i < 10; i++)
        send("alice");
    size_t count = take(1, ids);
    assert_in_range(count, 2, 9);
    assert_true(ids[0] == first);
    assert_int_equal(ids[count - 1], 0);
    assert_int_equal(read_after("alice", ids[count - 2], 20).read.count, 10 - (count - 1));
}

/* ---- pages ---- */

static void pages_ascend_and_are_cut_by_count(void **state)
{
    (void)state;

    uint64_t a = send("alice"), b = send("alice"), c = send("alice");
    send("bob");
    struct page page = read_after("alice", 0, 2);
    assert_ids(page, a, b);
    assert_true(page.read.more);
    assert_false(page.topics[0].gap);
    page = read_after("alice", b, 2);
    assert_ids(page, c);
    assert_false(page.read.more);
    page = read_after("alice", a, 2);
    assert_ids(page, b, c);
    assert_false(page.read.more); /* exactly full is not more */
    assert_true(page.read.head == c + 1);
}

static void pages_are_cut_by_bytes_but_never_empty(void **state)
{
    (void)state;

    uint64_t a = send("alice"), b = send("alice");
    send("alice");
    struct page page = read_after("alice", 0, 10);
    size_t size = page.messages[0]->size;
    page.read.max_bytes = 2 * size;
    page.read.more = false;
    turn(&page);
    assert_ids(page, a, b);
    assert_true(page.read.more);
    page.read.max_bytes = 1;
    turn(&page);
    assert_ids(page, a);
    assert_true(page.read.more);
}

static void several_addresses_come_in_one_order(void **state)
{
    struct topic both[] = {a_user("alice"), a_user("bob")};
    struct page page = {
        .read = {.topic_count = 3, .max_count = 10, .max_bytes = 1 << 20},
        .topics = {{.topic = a_user("alice")}, {.topic = all_of_them()}, {.topic = a_user("bob")}},
    };
    (void)state;

    uint64_t a = send("alice"), b = send_to_all(), c = send("bob");
    uint64_t d = publish_as(both, 2, DAY, false, NULL).id;
    turn(&page);
    assert_ids(page, a, b, c, d); /* d once */
    assert_false(page.read.more);
    page.read.max_count = 4;
    turn(&page);
    assert_ids(page, a, b, c, d);
    assert_false(page.read.more);
    page.topics[0].from = a;
    page.topics[1].from = b;
    turn(&page);
    assert_ids(page, c, d);
    page.read.descending = true;
    page.read.before = d;
    page.topics[0].from = page.topics[1].from = 0;
    turn(&page);
    assert_ids(page, c, b, a);
}

static void many_addresses_can_be_read(void **state)
{
    struct page page = {.read = {.topic_count = 6, .max_count = 10, .max_bytes = 1 << 20}};
    uint64_t ids[6];
    (void)state;

    for (int i = 0; i < 6; i++) {
        static char names[6][16];
        snprintf(names[i], sizeof names[i], "user%d", i);
        page.topics[5 - i].topic = a_user(names[i]);
        ids[i] = send(names[i]);
    }
    turn(&page);
    assert_ids(page, ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]);
}

static void pages_descend_from_the_newest(void **state)
{
    (void)state;

    uint64_t a = send("alice"), b = send("alice"), c = send("alice");
    struct page page = {
        .read = {.topic_count = 1,
                 .descending = true,
                 .before = UINT64_MAX,
                 .max_count = 2,
                 .max_bytes = 1 << 20},
        .topics = {{.topic = a_user("alice")}},
    };
    turn(&page);
    assert_ids(page, c, b);
    assert_true(page.read.more);
    page.read.before = b;
    turn(&page);
    assert_ids(page, a);
    assert_false(page.read.more);
    page.read.before = a;
    turn(&page);
    assert_int_equal(page.read.count, 0);
}

static void pages_share_the_message_that_was_dispatched(void **state)
{
    (void)state;

    send("alice");
    struct page one = read_after("alice", 0, 10);
    struct page other = read_after("alice", 0, 10);
    assert_ptr_equal(one.messages[0], other.messages[0]);
}

/* ---- limits, expiry and gaps ---- */

static void the_count_of_an_address_is_limited(void **state)
{
    struct broker_options limits = wide;
    limits.keep_messages = 2;
    (void)state;

    open_desk_with(&limits);
    uint64_t a = send("alice"), b = send("alice"), c = send("alice");
    uint64_t other = send("bob");
    struct page page = read_after("alice", 0, 10);
    assert_ids(page, b, c);
    assert_false(page.topics[0].gap); /* all that is kept was asked for */
    assert_true(page.topics[0].told == a);
    assert_true(read_after("alice", a - 1, 10).topics[0].gap);
    assert_false(read_after("alice", a, 10).topics[0].gap);
    assert_ids(read_after("bob", 0, 10), other);
    assert_false(read_after("bob", a - 1, 10).topics[0].gap);

    page = read_after("alice", a - 1, 10); /* what was told once is not told again */
    turn(&page);
    assert_false(page.topics[0].gap);
    assert_true(page.topics[0].told == a);
    assert_int_equal(broker_stats(desk.broker).messages, 3);
    close_desk(NULL);
}

static void the_bytes_of_an_address_are_limited(void **state)
{
    struct broker_options limits = wide;
    (void)state;

    open_desk_with(&wide);
    send("alice");
    size_t footprint = message_footprint(read_after("alice", 0, 1).messages[0]);
    close_desk(NULL);

    limits.keep_bytes = 3 * footprint;
    open_desk_with(&limits);
    uint64_t a = send("alice");
    for (int i = 0; i < 3; i++)
        send("alice");
    assert_int_equal(read_after("alice", 0, 10).read.count, 3);
    assert_true(read_after("alice", 0, 10).topics[0].told == a);
    close_desk(NULL);

    limits.keep_bytes = 1; /* the newest stays in any case */
    open_desk_with(&limits);
    send("alice");
    uint64_t last = send("alice");
    assert_ids(read_after("alice", 0, 10), last);
    close_desk(NULL);
}

static void the_total_is_limited(void **state)
{
    struct topic both[] = {a_user("alice"), a_user("bob")};
    struct broker_options limits = wide;
    (void)state;

    open_desk_with(&wide);
    send("alice");
    uint64_t charge = broker_stats(desk.broker).bytes;
    close_desk(NULL);

    limits.keep_total = 4 * charge;
    open_desk_with(&limits);
    uint64_t shared = publish_as(both, 2, DAY, false, NULL).id;
    uint64_t mine = send("alice");
    send("carol");
    send("carol");
    assert_true(broker_stats(desk.broker).bytes <= limits.keep_total);
    assert_ids(read_after("alice", 0, 10), mine); /* the shared one left both mailboxes */
    assert_int_equal(read_after("bob", 0, 10).read.count, 0);
    assert_true(read_after("alice", shared - 1, 10).topics[0].gap);
    assert_true(read_after("bob", shared - 1, 10).topics[0].gap);
    assert_false(read_after("bob", shared, 10).topics[0].gap);
    for (int i = 0; i < 50; i++)
        send("dave");
    assert_true(broker_stats(desk.broker).bytes <= limits.keep_total);
    assert_int_equal(read_after("carol", 0, 10).read.count, 0);
    close_desk(NULL);
}

static void a_message_of_many_leaves_each_mailbox_alone(void **state)
{
    struct topic both[] = {a_user("alice"), a_user("bob")};
    struct broker_options limits = wide;
    uint64_t erased;
    (void)state;

    limits.keep_messages = 2;
    open_desk_with(&limits);
    uint64_t shared = publish_as(both, 2, DAY, false, NULL).id;
    send("alice");
    send("alice"); /* pushes the shared one out of alice's */
    assert_true(read_after("alice", shared - 1, 10).topics[0].gap);
    assert_ids(read_after("bob", 0, 10), shared);
    assert_int_equal(broker_stats(desk.broker).messages, 3);
    erased = erase(both[1]);
    assert_int_equal(erased, 1);
    assert_int_equal(broker_stats(desk.broker).messages, 2);
    close_desk(NULL);
}

static void a_message_without_room_changes_nothing(void **state)
{
    static char body[4096];
    struct topic alice = a_user("alice");
    struct idempotency_key key = {.scope = 1, .hash = 2};
    struct broker_options limits = wide;
    uint64_t ids[4];
    (void)state;

    limits.keep_total = 2048;
    open_desk_with(&limits);
    watch(0, alice, +1);
    uint64_t before = send("alice");
    memset(body, '1', sizeof body);
    struct publish_call publish = {.draft = a_draft(&alice, 1, DAY), .key = &key};
    publish.draft.body = body;
    publish.draft.body_length = sizeof body;
    for (int i = 0; i < 2; i++) { /* the second shows that the key was not remembered */
        assert_answers(broker_publish(desk.broker, 0, &publish), &publish, ERR_NO_ROOM);
    }
    assert_int_equal(take(0, ids), 1);
    assert_ids(read_after("alice", 0, 10), before);
    assert_true(broker_stats(desk.broker).head == before);

    publish.draft.ttl_ms = 0; /* what is not kept needs no room */
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
    assert_int_equal(take(0, ids), 1);
    close_desk(NULL);
}

static void the_default_retention_leaves_a_gap(void **state)
{
    (void)state;

    uint64_t a = send_with_ttl("alice", 1000, false), b = send("alice");
    now_ms += 999;
    assert_ids(read_after("alice", 0, 10), a, b);
    now_ms += 1;
    assert_ids(read_after("alice", 0, 10), b);
    assert_true(read_after("alice", a - 1, 10).topics[0].gap);
    assert_false(read_after("alice", a, 10).topics[0].gap);
}

static void a_publishers_own_ttl_leaves_none(void **state)
{
    (void)state;

    uint64_t a = send_with_ttl("alice", 1000, true), b = send("alice");
    now_ms += 1000;
    struct page page = read_after("alice", a - 1, 10);
    assert_ids(page, b);
    assert_false(page.topics[0].gap);
}

static void a_longer_ttl_outlives_its_neighbours(void **state)
{
    (void)state;

    uint64_t before = send_with_ttl("alice", 1000, false);
    uint64_t longer = send_with_ttl("alice", 30 * DAY, true);
    uint64_t gone = send_with_ttl("alice", 1000, false);
    now_ms += 1000;
    struct page page = read_after("alice", 0, 10);
    assert_ids(page, longer);
    page = read_after("alice", before, 10);
    assert_ids(page, longer);
    assert_true(page.topics[0].gap);
    assert_true(page.topics[0].told == gone);
    turn(&page); /* told now, and still to be read */
    assert_ids(page, longer);
    assert_false(page.topics[0].gap);
}

static void limits_that_take_what_is_over_anyway_leave_no_gap(void **state)
{
    struct broker_options limits = wide;
    (void)state;

    limits.keep_messages = 1;
    open_desk_with(&limits);
    uint64_t a = send_with_ttl("alice", 1000, true);
    now_ms += 1000;
    send("alice");
    assert_false(read_after("alice", a - 1, 10).topics[0].gap);
    close_desk(NULL);
}

/* Signals, and around them what is to be kept. */
static void send_signals(int count)
{
    for (int i = 0; i < count; i++) {
        now_ms += 100;
        send_with_ttl("alice", 1000, true);
    }
}

static void what_is_over_does_not_count_for_an_address(void **state)
{
    struct broker_options limits = wide;
    (void)state;

    limits.keep_messages = 20;
    open_desk_with(&limits);
    uint64_t a = send_with_ttl("alice", DAY, true);
    uint64_t b = send("alice");
    send_signals(500);
    uint64_t c = send("alice");
    now_ms += 1000;
    struct page page = read_after("alice", a, 10);
    assert_ids(page, b, c);
    assert_false(page.topics[0].gap);
    assert_ids(read_after("alice", 0, 10), a, b, c);
    close_desk(NULL);
}

static void what_is_over_does_not_count_for_the_total(void **state)
{
    struct broker_options limits = wide;
    (void)state;

    open_desk_with(&wide);
    send("alice");
    limits.keep_total = 20 * broker_stats(desk.broker).bytes;
    close_desk(NULL);

    open_desk_with(&limits);
    uint64_t a = send_with_ttl("alice", DAY, true);
    uint64_t b = send("bob");
    send_signals(500);
    assert_ids(read_after("bob", 0, 10), b);
    now_ms += 1000;
    assert_ids(read_after("alice", 0, 10), a);
    broker_tick(desk.broker);
    assert_int_equal(broker_stats(desk.broker).messages, 2);
    close_desk(NULL);
}

static int64_t wall_ms;

static int64_t set_clock(void)
{
    return wall_ms;
}

static void a_wall_clock_that_is_set_ages_nothing(void **state)
{
    struct broker_options limits = wide;
    (void)state;

    limits.wall_ms = set_clock;
    wall_ms = START;
    open_desk_with(&limits);
    uint64_t a = send("alice");
    wall_ms += 8 * DAY;
    uint64_t b = send("alice");
    wall_ms -= 16 * DAY;
    uint64_t c = send("alice");
    broker_tick(desk.broker);
    assert_ids(read_after("alice", 0, 10), a, b, c);
    now_ms += 7 * DAY;
    assert_int_equal(read_after("alice", 0, 10).read.count, 0);
    close_desk(NULL);
}

static void erasing_leaves_no_gap(void **state)
{
    struct topic alice = a_user("alice"), nobody = a_user("nobody");
    uint64_t erased;
    (void)state;

    uint64_t a = send("alice");
    send("alice");
    erased = erase(alice);
    assert_int_equal(erased, 2);
    struct page page = read_after("alice", a, 10);
    assert_int_equal(page.read.count, 0);
    assert_false(page.topics[0].gap);
    assert_int_equal(broker_stats(desk.broker).messages, 0);
    erased = erase(nobody);
    assert_int_equal(erased, 0);
    uint64_t c = send("alice");
    assert_ids(read_after("alice", a, 10), c);
}

static void the_tick_lets_go_of_what_is_over(void **state)
{
    (void)state;

    uint64_t a = send_with_ttl("alice", 1000, false);
    send_with_ttl("bob", 1000, true);
    uint64_t c = send("carol");
    broker_tick(desk.broker);
    assert_int_equal(broker_stats(desk.broker).messages, 3);
    now_ms += 1000;
    broker_tick(desk.broker);
    assert_int_equal(broker_stats(desk.broker).messages, 1);
    assert_true(read_after("alice", a - 1, 10).topics[0].gap);
    assert_false(read_after("bob", a, 10).topics[0].gap);
    assert_ids(read_after("carol", 0, 10), c);
    now_ms += 8 * DAY;
    broker_tick(desk.broker);
    assert_int_equal(broker_stats(desk.broker).messages, 0);
    assert_int_equal(broker_stats(desk.broker).bytes, 0);
    broker_tick(desk.broker);
}

static void cursors_of_another_life_are_told_so(void **state)
{
    (void)state;

    struct page page = read_after("alice", FLOOR_ID - 1, 10);
    assert_true(page.topics[0].gap);
    assert_true(page.topics[0].told == FLOOR_ID);
    assert_false(page.read.above_head);
    assert_false(read_after("alice", 0, 10).topics[0].gap);
    assert_false(read_after("alice", FLOOR_ID, 10).topics[0].gap);

    uint64_t head = send("alice");
    page = read_after("alice", head + 1, 10);
    assert_true(page.read.above_head);
    assert_true(page.read.head == head);
    assert_int_equal(page.read.count, 0);
    assert_false(page.topics[0].gap);
    assert_false(read_after("alice", head, 10).read.above_head);
    assert_true(read_after("alice", UINT64_MAX, 10).read.above_head);
}

static void addresses_long_idle_fold_into_one_floor(void **state)
{
    char name[16];
    (void)state;

    uint64_t a = send_with_ttl("first", 1000, false);
    uint64_t kept = send("kept");
    now_ms += 1000;
    broker_tick(desk.broker);
    assert_false(read_after("stranger", a - 1, 10).topics[0].gap);

    for (int i = 0; i < 65536; i++) {
        snprintf(name, sizeof name, "u%d", i);
        send_with_ttl(name, 1000, false);
    }
    now_ms += 1000;
    while (broker_stats(desk.broker).messages > 1)
        broker_tick(desk.broker);
    assert_true(read_after("first", a - 1, 10).topics[0].gap);
    assert_true(read_after("stranger", a - 1, 10).topics[0].gap); /* the price */
    assert_false(read_after("stranger", a, 10).topics[0].gap);
    assert_false(read_after("kept", a - 1, 10).topics[0].gap); /* remembers for itself */
    assert_ids(read_after("kept", a - 1, 10), kept);
}

/* ---- keys, presence, signals ---- */

static void a_key_makes_a_retry_harmless(void **state)
{
    struct topic alice = a_user("alice");
    struct idempotency_key key = {.scope = 1, .hash = 2, .body = "one"};
    uint64_t ids[4];
    (void)state;

    watch(0, alice, +1);
    struct publish_call publish = {.draft = a_draft(&alice, 1, DAY), .key = &key};
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
    assert_false(publish.duplicate);
    uint64_t id = publish.id;
    publish.id = 0;
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
    assert_true(publish.duplicate && publish.kept && publish.id == id);
    assert_int_equal(take(0, ids), 1);
    assert_int_equal(read_after("alice", 0, 10).read.count, 1);

    memcpy(key.body, "two", 3);
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, ERR_KEY_CONFLICT);
    assert_false(publish.duplicate);
    assert_int_equal(broker_stats(desk.broker).messages, 1);

    struct idempotency_key fleeting = {.scope = 1, .hash = 3};
    publish.key = &fleeting;
    publish.draft.ttl_ms = 0;
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
    assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
    assert_true(publish.duplicate && !publish.kept);
}

static void presence_is_known_without_asking_around(void **state)
{
    struct topic asked[] = {a_user("alice"), a_user("bob"), a_user("never")};
    struct presence presence[3];
    (void)state;

    watch(0, a_user("alice"), +1);
    watch(1, a_user("alice"), +1);
    watch(1, a_user("bob"), +1);
    now_ms += 50;
    watch(1, a_user("bob"), -1);
    watch(1, a_user("alice"), -1);
    now_ms += 50;
    inquire(asked, 3, presence);
    assert_true(presence[0].online && !presence[1].online);
    assert_int_equal(presence[0].sessions, 1);
    assert_int_equal(presence[0].last_seen_ms, 0);
    assert_int_equal(presence[1].sessions, 0);
    assert_int_equal(presence[1].last_seen_ms, START + 50);
    assert_int_equal(presence[2].last_seen_ms, 0);
    uint64_t id = send("bob"); /* mail does not wake the dead */
    inquire(asked, 3, presence);
    assert_int_equal(presence[1].last_seen_ms, START + 50);
    assert_ids(read_after("bob", 0, 10), id);
}

static void who_polled_a_moment_ago_is_online_without_a_session(void **state)
{
    struct topic alice = a_user("alice");
    struct presence presence;
    uint32_t delivered = 9;
    (void)state;

    broker_linger(desk.broker, &alice);
    inquire(&alice, 1, &presence);
    assert_true(presence.online);
    assert_int_equal(presence.sessions, 0);
    assert_int_equal(presence.last_seen_ms, 0);
    assert_int_equal(broker_count(desk.broker, &alice), 0);
    publish_as(&alice, 1, DAY, false, &delivered);
    assert_int_equal(delivered, 0);

    now_ms += LINGERING_MS;
    inquire(&alice, 1, &presence);
    assert_false(presence.online);
    assert_int_equal(presence.last_seen_ms, START);

    broker_linger(desk.broker, &alice);
    struct control_call kick = {.control = {.verb = CONTROL_CLOSE, .topic = alice}};
    assert_answers(broker_control(desk.broker, 0, &kick), &kick, 0);
    inquire(&alice, 1, &presence);
    assert_false(presence.online);
    assert_int_equal(presence.last_seen_ms, START + LINGERING_MS);
}

static int signals_done;

static void on_signal_done(struct call *call)
{
    (void)call;
    signals_done++;
}

static struct inbox_record *take_one(int member)
{
    struct list records;
    list_init(&records);
    inbox_take(&desk.inboxes[member], &records);
    struct inbox_record *record = list_first(&records, struct inbox_record, link);
    assert_non_null(record);
    list_remove(&record->link);
    assert_true(list_empty(&records));
    return record;
}

static void a_signal_reaches_every_member_that_watches(void **state)
{
    char name[] = "alice";
    struct control_call control = {.call = {.done = on_signal_done},
                                   .control = {.verb = CONTROL_DESCRIBE, .topic = a_user(name)}};
    (void)state;

    signals_done = 0;
    assert_answers(broker_control(desk.broker, 0, &control), &control, 0); /* nobody */
    watch(0, a_user("alice"), +1);
    watch(1, a_user("alice"), +1);
    assert_int_equal(broker_control(desk.broker, 0, &control), BROKER_PENDING);
    memset(name, 'x', strlen(name)); /* what the asker has, members need not look at */
    for (int m = 0; m < 2; m++) {
        struct control_copy *copy = (struct control_copy *)take_one(m);
        assert_int_equal(copy->call.record.kind, RECORD_CONTROL);
        assert_memory_equal(copy->control.topic.name, "alice", 5); /* its own */
        buf_add_text(&copy->records, m ? "one" : "zero");
        copy->sessions = (uint64_t)m + 1;
        broker_reply(desk.broker, copy);
        struct inbox_record *answer = take_one(0);
        assert_int_equal(answer->kind, RECORD_CALL);
        assert_int_equal(signals_done, 0);
        call_finish(answer);
    }
    assert_int_equal(signals_done, 1);
    assert_int_equal(control.sessions, 3);
    assert_int_equal(control.records.size, 7);
    assert_memory_equal(control.records.data, "zeroone", 7);
    assert_int_equal(control.call.err, 0);
    control_finish(&control);
}

static void who_polls_while_being_sent_away_does_not_linger(void **state)
{
    struct topic alice = a_user("alice");
    struct control_call kick = {.call = {.done = on_signal_done},
                                .control = {.verb = CONTROL_CLOSE, .topic = alice}};
    struct presence presence;
    (void)state;

    watch(1, alice, +1);
    assert_int_equal(broker_control(desk.broker, 0, &kick), BROKER_PENDING);
    broker_linger(desk.broker, &alice); /* answered before the member hears of it */
    watch(1, alice, -1);
    broker_reply(desk.broker, (struct control_copy *)take_one(1));
    call_finish(take_one(0));
    inquire(&alice, 1, &presence);
    assert_false(presence.online);
    assert_int_equal(presence.last_seen_ms, START);
    control_finish(&kick);
}

/* ---- against a naive model ---- */

enum { USERS = 4, SENT_MAX = 600, KEEP = 5 };

struct sent {
    uint64_t id;
    int64_t expires_at_ms;
    bool own;
    bool in[USERS]; /* whose mailbox holds it */
};

static struct sent sent[SENT_MAX];
static size_t sent_count;
static uint64_t pruned_upto[USERS];
static const char *const names[USERS] = {"ada", "bob", "cyn", "dan"};

static bool is_over(const struct sent *one)
{
    return now_ms >= one->expires_at_ms;
}

static void model_remove(struct sent *one, int user)
{
    one->in[user] = false;
    if (!(one->own && is_over(one)) && one->id > pruned_upto[user])
        pruned_upto[user] = one->id;
}

static void model_expire(int user)
{
    for (size_t i = 0; i < sent_count; i++) {
        if (sent[i].in[user] && is_over(&sent[i]))
            model_remove(&sent[i], user);
    }
}

/* What is over does not count. */
static void model_limit(int user)
{
    size_t count = 0;
    model_expire(user);
    for (size_t i = sent_count; i-- > 0;) {
        if (sent[i].in[user] && ++count > KEEP)
            model_remove(&sent[i], user);
    }
}

static void publish_one(uint64_t *seed)
{
    struct topic topics[USERS];
    struct sent *one = &sent[sent_count++];
    size_t count = 0;
    *one = (struct sent){.own = next_random(seed) % 2};
    while (!count) {
        for (int u = 0; u < USERS; u++) {
            one->in[u] = next_random(seed) % 3 == 0;
            if (one->in[u])
                topics[count++] = a_user(names[u]);
        }
    }
    int64_t ttl_ms = 1 + next_random(seed) % 60;
    one->expires_at_ms = now_ms + ttl_ms;
    one->id = publish_as(topics, count, ttl_ms, one->own, NULL).id;
    for (int u = 0; u < USERS; u++) {
        if (one->in[u])
            model_limit(u);
    }
}

static void compare_page(uint64_t *seed)
{
    struct page page = {.read = {.topic_count = 2, .max_bytes = 1 << 20}};
    struct read_call *read = &page.read;
    int users[2];
    users[0] = (int)(next_random(seed) % USERS);
    users[1] = (users[0] + 1 + (int)(next_random(seed) % (USERS - 1))) % USERS;
    read->max_count = 1 + next_random(seed) % 8;
    read->descending = next_random(seed) % 4 == 0;
    uint64_t somewhere = sent_count ? sent[next_random(seed) % sent_count].id : FLOOR_ID;
    read->before = somewhere;
    read->after = read->descending || next_random(seed) % 3 == 0 ? 0 : somewhere;
    bool gaps[2];
    for (int a = 0; a < 2; a++) {
        uint64_t told = next_random(seed) % 2 ? somewhere - next_random(seed) % 3 : 0;
        page.topics[a] = (struct read_topic){.topic = a_user(names[users[a]]), .told = told};
        model_expire(users[a]);
        uint64_t known = read->after > told ? read->after : told;
        gaps[a] = known > 0 && known < pruned_upto[users[a]];
    }
    turn(&page);
    size_t at = 0, left = 0;
    for (size_t k = 0; k < sent_count; k++) {
        const struct sent *one = &sent[read->descending ? sent_count - 1 - k : k];
        if (!(one->in[users[0]] || one->in[users[1]]) ||
            (read->descending ? one->id >= read->before : one->id <= read->after))
            continue;
        if (at < read->max_count)
            assert_true(at < read->count && page.messages[at++]->id == one->id);
        else
            left++;
    }
    assert_int_equal(read->count, at);
    assert_int_equal(read->more, left > 0);
    for (int a = 0; a < 2; a++)
        assert_int_equal(page.topics[a].gap, gaps[a]);
}

static void erase_one(uint64_t *seed)
{
    int user = (int)(next_random(seed) % USERS);
    struct topic topic = a_user(names[user]);
    uint64_t erased, wanted = 0;
    model_expire(user);
    for (size_t i = 0; i < sent_count; i++) {
        wanted += sent[i].in[user];
        sent[i].in[user] = false;
    }
    erased = erase(topic);
    assert_int_equal(erased, wanted);
}

static void it_agrees_with_a_naive_model(void **state)
{
    struct broker_options limits = wide;
    (void)state;

    limits.keep_messages = KEEP;
    for (uint64_t round = 1; round <= 20; round++) {
        uint64_t seed = round;
        open_desk_with(&limits);
        sent_count = 0;
        for (int u = 0; u < USERS; u++)
            pruned_upto[u] = FLOOR_ID;
        while (sent_count < SENT_MAX) {
            uint32_t die = next_random(&seed) % 16;
            now_ms += next_random(&seed) % 4;
            if (die < 6)
                publish_one(&seed);
            else if (die < 14)
                compare_page(&seed);
            else if (die < 15)
                erase_one(&seed);
            else
                broker_tick(desk.broker); /* nobody can tell */
        }
        now_ms += DAY;
        broker_tick(desk.broker);
        assert_int_equal(broker_stats(desk.broker).messages, 0);
        assert_int_equal(broker_stats(desk.broker).bytes, 0);
        close_desk(NULL);
    }
}

static bool is_found(uint64_t id)
{
    struct lookup lookup = {.id = id};
    assert_answers(broker_lookup(desk.broker, 0, &lookup), &lookup, 0);
    bool found = lookup.message;
    assert_true(!found || lookup.message->id == id);
    lookup_finish(&lookup);
    return found;
}

static void a_message_is_found_by_its_id_while_it_is_kept(void **state)
{
    uint64_t ids[200];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        now_ms += i % 3; /* many of one millisecond, and of others */
        ids[i] = i % 2 ? send("bob") : i % 4 ? send("ada") : send_with_ttl("ada", DAY, true);
    }
    assert_false(is_found(ids[0] - 1));
    assert_false(is_found(ids[COUNT_OF(ids) - 1] + 1));
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        assert_true(is_found(ids[i]));
    erase(a_user("bob"));
    now_ms += DAY;
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        assert_int_equal(is_found(ids[i]), i % 4 == 2);
}

#define desk_test(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(ids_rise_whatever_the_clock_does),
        desk_test(watchers_get_it_and_are_counted),
        desk_test(a_watch_returns_the_last_id_dispatched),
        desk_test(what_is_not_kept_is_only_dispatched),
        desk_test(a_full_inbox_holds_a_doubt_and_the_broker_the_rest),
        desk_test(pages_ascend_and_are_cut_by_count),
        desk_test(pages_are_cut_by_bytes_but_never_empty),
        desk_test(several_addresses_come_in_one_order),
        desk_test(many_addresses_can_be_read),
        desk_test(pages_descend_from_the_newest),
        desk_test(pages_share_the_message_that_was_dispatched),
        cmocka_unit_test(the_count_of_an_address_is_limited),
        cmocka_unit_test(the_bytes_of_an_address_are_limited),
        cmocka_unit_test(the_total_is_limited),
        cmocka_unit_test(a_message_of_many_leaves_each_mailbox_alone),
        cmocka_unit_test(a_message_without_room_changes_nothing),
        desk_test(the_default_retention_leaves_a_gap),
        desk_test(a_publishers_own_ttl_leaves_none),
        desk_test(a_longer_ttl_outlives_its_neighbours),
        cmocka_unit_test(limits_that_take_what_is_over_anyway_leave_no_gap),
        cmocka_unit_test(what_is_over_does_not_count_for_an_address),
        cmocka_unit_test(what_is_over_does_not_count_for_the_total),
        cmocka_unit_test(a_wall_clock_that_is_set_ages_nothing),
        desk_test(erasing_leaves_no_gap),
        desk_test(the_tick_lets_go_of_what_is_over),
        desk_test(cursors_of_another_life_are_told_so),
        desk_test(addresses_long_idle_fold_into_one_floor),
        desk_test(a_message_is_found_by_its_id_while_it_is_kept),
        desk_test(a_key_makes_a_retry_harmless),
        desk_test(presence_is_known_without_asking_around),
        desk_test(who_polled_a_moment_ago_is_online_without_a_session),
        desk_test(a_signal_reaches_every_member_that_watches),
        desk_test(who_polls_while_being_sent_away_does_not_linger),
        cmocka_unit_test(it_agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
