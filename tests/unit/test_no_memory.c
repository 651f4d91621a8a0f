/* Every allocation fails once, in turn: what a client can cause is refused whole and leaves
 * nothing changed. Linked with malloc, calloc and realloc wrapped. */
#include "support.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/lines.h"
#include "base/map.h"
#include "base/metrics.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/catch_up.h"
#include "engine/watch_table.h"
#include "model/connection_manager.h"
#include "model/idempotency.h"

#define START ((int64_t)1769860800000)

static long countdown = -1; /* allocations until one fails; below 0: none fails */
static bool failed;

static bool fails_now(void)
{
    if (countdown < 0 || countdown-- > 0)
        return false;
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

/* Runs `attempt` until it has been through without a failure; true while there is another go. */
static bool next_failure(long *n)
{
    bool again = *n == 0 || failed;
    failed = false;
    countdown = again ? (*n)++ : -1;
    return again;
}

#define with_each_allocation_failing for (long n_ = 0; next_failure(&n_);)

static bool calm(void)
{
    countdown = -1;
    return !failed;
}

static int64_t given_clock(void)
{
    return START;
}

static void no_wake(void *context)
{
    (void)context;
}

static void a_buffer_says_at_its_end_that_it_failed(void **state)
{
    (void)state;

    with_each_allocation_failing
    {
        struct buf buf;
        buf_init(&buf);
        for (int i = 0; i < 300; i++)
            buf_add_format(&buf, "%03d", i);
        buf_add_json(&buf, "x", 1);
        buf_add_number(&buf, 5);
        bool whole = calm();
        assert_int_equal(buf_ok(&buf), whole);
        assert_true(buf_reserve(&buf, 0) == whole);
        if (whole)
            assert_int_equal(buf.size, 904);
        buf_finish(&buf);
        assert_true(buf_ok(&buf));
    }
}

static void a_line_without_memory_fails_alone(void **state)
{
    (void)state;

    with_each_allocation_failing
    {
        struct lines lines;
        struct line line;
        size_t taken;
        lines_init(&lines, 1000);
        assert_false(lines_take(&lines, "ab", 2, &taken, &line));
        assert_true(lines_take(&lines, "c\n", 2, &taken, &line));
        bool whole = calm();
        assert_int_equal(line.err, whole ? ERR_NONE : ERR_OUT_OF_MEMORY);
        assert_int_equal(line.size, whole ? 3 : 0);
        assert_false(lines_take(&lines, "de", 2, &taken, &line));
        assert_true(lines_take_last(&lines, &line));
        assert_int_equal(line.err, ERR_NONE);
        assert_memory_equal(line.text, "de", 2);
        lines_finish(&lines);
    }
}

static bool is_same(const void *value, const void *key)
{
    return value == key;
}

static void a_map_keeps_what_it_has(void **state)
{
    int things[40];
    (void)state;

    with_each_allocation_failing
    {
        struct map map;
        bool added[40];
        size_t count = 0;
        map_init(&map);
        for (uint64_t i = 0; i < 40; i++) {
            added[i] = map_add(&map, i * 77, &things[i]);
            count += added[i];
        }
        assert_int_equal(count, calm() ? 40 : 39); /* the next try grows it */
        assert_int_equal(map.count, count);
        for (uint64_t i = 0; i < 40; i++)
            assert_ptr_equal(map_find(&map, i * 77, is_same, &things[i]),
                             added[i] ? &things[i] : NULL);
        map_finish(&map);
    }
}

static void a_map_that_cannot_shrink_stays(void **state)
{
    int things[40];
    struct map map;
    (void)state;

    map_init(&map);
    for (uint64_t i = 0; i < 40; i++)
        assert_true(map_add(&map, i * 77, &things[i]));
    size_t capacity = map.capacity;
    for (uint64_t i = 0; i < 39; i++) {
        countdown = 0;
        map_remove(&map, i * 77, &things[i]);
        countdown = -1;
    }
    assert_int_equal(map.capacity, capacity);
    assert_ptr_equal(map_find(&map, 39 * 77, is_same, &things[39]), &things[39]);
    failed = false;
    map_finish(&map);
}

static void a_watch_table_keeps_what_it_has(void **state)
{
    (void)state;

    with_each_allocation_failing
    {
        struct watch_table table;
        uint32_t count = 0;
        watch_table_init(&table);
        for (uint64_t i = 0; i < 200; i++)
            count += watch_table_add(&table, i * 0x9e3779b97f4a7c15, 0);
        assert_int_equal(count, calm() ? 200 : 199);
        assert_int_equal(table.count, count);
        watch_table_finish(&table);
    }
}

static void a_key_that_is_not_remembered_costs_no_other(void **state)
{
    (void)state;

    with_each_allocation_failing
    {
        long when = countdown;
        countdown = -1;
        struct idempotency *table = idempotency_create(24, 1000);
        for (uint64_t i = 0; i < 24; i++) {
            struct idempotency_key key = {.scope = i, .hash = i};
            assert_true(idempotency_add(table, &key, i, true, 0));
        }
        struct idempotency_key newest = {.scope = 99, .hash = 99};
        struct idempotency_key oldest = {.scope = 0, .hash = 0};
        uint64_t id;
        bool kept;
        countdown = when;
        bool added = idempotency_add(table, &newest, 7, true, 0);
        assert_int_equal(added, calm());
        assert_int_equal(idempotency_count(table), 24);
        assert_int_equal(idempotency_find(table, &oldest, 0, &id, &kept),
                         added ? IDEMPOTENCY_NEW : IDEMPOTENCY_DUPLICATE);
        assert_int_equal(idempotency_find(table, &newest, 0, &id, &kept),
                         added ? IDEMPOTENCY_DUPLICATE : IDEMPOTENCY_NEW);
        idempotency_destroy(table);
    }
}

/* ---- the broker ---- */

struct desk {
    struct broker *broker;
    struct inbox inbox;
};

static void open_desk(struct desk *desk)
{
    static const struct broker_options limits = {
        .keep_messages = 100,
        .keep_bytes = 1 << 20,
        .keep_total = 1 << 20,
        .idempotency_entries = 100,
        .idempotency_ttl_ms = 1000000,
        .wall_ms = given_clock,
        .mono_ms = given_clock,
    };
    long when = countdown;
    countdown = -1;
    desk->broker = broker_create("memory", &limits, NULL, 0);
    inbox_init(&desk->inbox, 1 << 20, RECORD_OVERFLOW, no_wake, NULL);
    broker_join(desk->broker, &desk->inbox);
    countdown = when;
}

/* How many messages and doubts the inbox held. */
static void empty_inbox(struct desk *desk, size_t *ret_messages, size_t *ret_overflows)
{
    struct list records;
    list_init(&records);
    inbox_take(&desk->inbox, &records);
    *ret_messages = *ret_overflows = 0;
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        if (record->kind == RECORD_OVERFLOW) {
            ++*ret_overflows;
            continue;
        }
        ++*ret_messages;
        message_unref(((struct message_record *)record)->message);
        free(record);
    }
}

static void close_desk(struct desk *desk)
{
    size_t messages, overflows;
    empty_inbox(desk, &messages, &overflows);
    broker_destroy(desk->broker);
    inbox_finish(&desk->inbox);
}

static size_t kept_for(struct desk *desk, const struct topic *topic)
{
    struct message *messages[8];
    struct read_topic from = {.topic = *topic};
    struct read_call read = {.topics = &from,
                             .topic_count = 1,
                             .max_count = COUNT_OF(messages),
                             .max_bytes = 1 << 20,
                             .messages = messages};
    assert_answers(broker_read(desk->broker, 0, &read), &read, 0);
    for (size_t i = 0; i < read.count; i++)
        message_unref(messages[i]);
    return read.count;
}

static void a_publish_is_whole_or_nothing(void **state)
{
    struct topic topics[] = {a_user("alice"), a_user("bob"), a_user("carol")};
    struct idempotency_key key = {.scope = 1, .hash = 1};
    (void)state;

    with_each_allocation_failing
    {
        struct desk desk;
        size_t messages, overflows;
        uint32_t delivered[3] = {0};
        open_desk(&desk);
        long when = countdown;
        countdown = -1;
        assert_int_equal(broker_watch(desk.broker, 0, topics, 1, +1, NULL), 0);
        uint64_t head = broker_stats(desk.broker).head;
        struct publish_call publish = {
            .draft = a_draft(topics, 3, 60000), .key = &key, .delivered = delivered};
        countdown = when;
        assert_int_equal(broker_publish(desk.broker, 0, &publish), BROKER_ANSWERED);
        bool whole = calm();
        empty_inbox(&desk, &messages, &overflows);
        if (publish.call.err) {
            assert_int_equal(publish.call.err, ERR_OUT_OF_MEMORY);
            assert_int_equal(messages + overflows, 0);
            assert_true(broker_stats(desk.broker).head == head);
            assert_int_equal(broker_stats(desk.broker).bytes, 0);
            /* The retry is no duplicate. */
            assert_answers(broker_publish(desk.broker, 0, &publish), &publish, 0);
            assert_false(publish.duplicate);
            assert_true(publish.id > head);
        } else {
            assert_int_equal(messages, whole); /* no memory for the record leaves a doubt */
            assert_int_equal(overflows, !whole);
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(kept_for(&desk, &topics[i]), 1);
        assert_int_equal(delivered[0], 1);
        close_desk(&desk);
    }
}

static void a_watch_is_whole_or_nothing(void **state)
{
    struct topic topics[] = {a_user("alice"), all_of_them()};
    (void)state;

    with_each_allocation_failing
    {
        struct desk desk;
        open_desk(&desk);
        int err = broker_watch(desk.broker, 0, topics, 2, +1, NULL);
        assert_int_equal(err, calm() ? 0 : ERR_OUT_OF_MEMORY);
        for (int i = 0; i < 2; i++)
            assert_int_equal(broker_count(desk.broker, &topics[i]), err ? 0 : 1);
        if (!err) { /* whoever leaves leaves, though nobody can note the time */
            countdown = 0;
            assert_int_equal(broker_watch(desk.broker, 0, topics, 2, -1, NULL), 0);
            countdown = -1;
            failed = false;
            struct presence presence;
            struct inquiry inquiry = {.topics = topics, .count = 1, .presence = &presence};
            assert_answers(broker_inquire(desk.broker, 0, &inquiry), &inquiry, 0);
            assert_int_equal(presence.sessions, 0);
            assert_int_equal(presence.last_seen_ms, 0);
        }
        close_desk(&desk);
    }
}

static void a_read_of_many_addresses_says_so(void **state)
{
    static struct read_topic topics[20];
    struct message *messages[4];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(topics); i++)
        topics[i].topic = a_user("alice");
    with_each_allocation_failing
    {
        struct desk desk;
        open_desk(&desk);
        struct read_call read = {.topics = topics,
                                 .topic_count = COUNT_OF(topics),
                                 .max_count = COUNT_OF(messages),
                                 .messages = messages};
        assert_int_equal(broker_read(desk.broker, 0, &read), BROKER_ANSWERED);
        assert_int_equal(read.call.err, calm() ? 0 : ERR_OUT_OF_MEMORY);
        assert_int_equal(read.count, 0);
        close_desk(&desk);
    }
}

static void a_signal_without_memory_is_not_pending(void **state)
{
    struct topic alice = a_user("alice");
    struct desk desk;
    struct control_call control = {.control = {.verb = CONTROL_CLOSE, .topic = alice}};
    (void)state;

    open_desk(&desk);
    assert_int_equal(broker_watch(desk.broker, 0, &alice, 1, +1, NULL), 0);
    countdown = 0;
    assert_answers(broker_control(desk.broker, 0, &control), &control, ERR_OUT_OF_MEMORY);
    countdown = -1;
    failed = false;
    close_desk(&desk);
}

/* A worker's part without a thread. */
struct shop {
    struct desk desk;
    struct metrics metrics;
    struct connection_manager *manager;
    struct catch_up *catch_up;
    struct recorder recorder;
};

static void open_shop(struct shop *shop)
{
    static const struct catch_up_limits limits = {10, 10, 10};
    open_desk(&shop->desk);
    long when = countdown;
    countdown = -1;
    memset(&shop->metrics, 0, sizeof shop->metrics);
    shop->manager = connection_manager_create(&shop->metrics);
    shop->catch_up = catch_up_create(shop->manager, shop->desk.broker, 0, &shop->metrics, &limits);
    recorder_init(&shop->recorder, 1);
    countdown = when;
}

static void close_shop(struct shop *shop)
{
    catch_up_close(shop->catch_up, &shop->recorder.session); /* is fine in any case */
    assert_int_equal(connection_manager_count(shop->manager), 0);
    assert_int_equal(connection_manager_channels(shop->manager), 0);
    assert_int_equal(shop->metrics.live[0], 0);
    assert_int_equal(shop->metrics.behind[0], 0);
    catch_up_destroy(shop->catch_up);
    connection_manager_destroy(shop->manager);
    close_desk(&shop->desk);
}

static uint32_t watching(struct shop *shop, struct topic topic)
{
    return broker_count(shop->desk.broker, &topic);
}

static void a_session_opens_whole_or_not_at_all(void **state)
{
    static struct shop shop;
    struct topic channels[] = {a_channel("news"), a_channel("sport")};
    struct catch_up_start start = {
        .user = a_user("alice"), .channels = channels, .channel_count = 2};
    (void)state;

    with_each_allocation_failing
    {
        open_shop(&shop);
        struct session *session = &shop.recorder.session;
        int err = catch_up_open(shop.catch_up, session, &start);
        assert_int_equal(err, calm() ? 0 : ERR_OUT_OF_MEMORY);
        assert_int_equal(watching(&shop, start.user), err ? 0 : 1);
        assert_int_equal(watching(&shop, channels[0]), err ? 0 : 1);
        assert_int_equal(watching(&shop, channels[1]), err ? 0 : 1);
        assert_int_equal(connection_manager_count(shop.manager), err ? 0 : 1);
        assert_int_equal(connection_manager_channels(shop.manager), err ? 0 : 2);
        assert_int_equal(session->state, err ? SESSION_CLOSED : SESSION_LIVE);
        close_shop(&shop);
    }
}

static void a_channel_is_added_whole_or_not_at_all(void **state)
{
    static struct shop shop;
    struct topic channel = a_channel("news");
    struct catch_up_start start = {.user = a_user("alice")};
    (void)state;

    with_each_allocation_failing
    {
        open_shop(&shop);
        long when = countdown;
        countdown = -1;
        assert_int_equal(catch_up_open(shop.catch_up, &shop.recorder.session, &start), 0);
        countdown = when;
        int err = catch_up_subscribe(shop.catch_up, &shop.recorder.session, &channel);
        assert_int_equal(err, calm() ? 0 : ERR_OUT_OF_MEMORY);
        assert_int_equal(watching(&shop, channel), err ? 0 : 1);
        assert_int_equal(connection_manager_channels(shop.manager), err ? 0 : 1);
        assert_int_equal(shop.recorder.session.state, SESSION_LIVE);
        close_shop(&shop);
    }
}

static void a_page_without_memory_ends_its_session(void **state)
{
    static struct shop shop;
    struct topic channels[] = {a_channel("a"), a_channel("b"), a_channel("c")};
    struct catch_up_start start = {
        .user = a_user("alice"), .channels = channels, .channel_count = 3, .has_after = true};
    (void)state;

    with_each_allocation_failing
    {
        open_shop(&shop);
        long when = countdown;
        countdown = -1;
        assert_int_equal(catch_up_open(shop.catch_up, &shop.recorder.session, &start), 0);
        countdown = when;
        catch_up_run(shop.catch_up);
        bool whole = calm();
        assert_int_equal(shop.recorder.closes, !whole);
        assert_int_equal(shop.recorder.reason, whole ? ERR_NONE : ERR_OUT_OF_MEMORY);
        assert_int_equal(shop.recorder.session.state, whole ? SESSION_LIVE : SESSION_BEHIND);
        assert_int_equal(catch_up_in_flight(shop.catch_up), 0);
        close_shop(&shop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_says_at_its_end_that_it_failed),
        cmocka_unit_test(a_line_without_memory_fails_alone),
        cmocka_unit_test(a_map_keeps_what_it_has),
        cmocka_unit_test(a_map_that_cannot_shrink_stays),
        cmocka_unit_test(a_watch_table_keeps_what_it_has),
        cmocka_unit_test(a_key_that_is_not_remembered_costs_no_other),
        cmocka_unit_test(a_publish_is_whole_or_nothing),
        cmocka_unit_test(a_watch_is_whole_or_nothing),
        cmocka_unit_test(a_read_of_many_addresses_says_so),
        cmocka_unit_test(a_signal_without_memory_is_not_pending),
        cmocka_unit_test(a_session_opens_whole_or_not_at_all),
        cmocka_unit_test(a_channel_is_added_whole_or_not_at_all),
        cmocka_unit_test(a_page_without_memory_ends_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
