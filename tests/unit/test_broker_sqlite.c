#include "support.h"

#include <errno.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/sqlite_file.h"
#include "model/idempotency.h"

#define DAY      ((int64_t)86400000)
#define HOUR     ((int64_t)3600000)
#define DEADLINE 20 /* seconds; only failures wait */

static const struct broker_options wide = {
    .recent_bytes = 1 << 20,
    .keep_messages = 10000,
    .keep_bytes = 1 << 24,
    .keep_total = 1 << 30,
    .devices_per_user = 2,
    .idempotency_entries = 1000,
    .idempotency_ttl_ms = DAY,
    .wall_ms = clock_wall_ms,
    .mono_ms = clock_mono_ms,
};

/* A broker in a folder of its own, and one member. */
static struct {
    struct broker *broker;
    struct inbox inbox;
    sem_t woken;
    char folder[32];
    struct metrics metrics;
    struct broker_options options;
    uint64_t dispatched; /* the last id that came to the member */
    bool done;
} desk;

static void wake(void *context)
{
    (void)context;
    sem_post(&desk.woken);
}

static void open_broker(void)
{
    char error[600];
    inbox_init(&desk.inbox, 1 << 20, RECORD_OVERFLOW, wake, NULL);
    desk.broker = broker_create("sqlite", &desk.options, error, sizeof error);
    if (!desk.broker)
        print_error("%s\n", error);
    assert_non_null(desk.broker);
    assert_int_equal(broker_join(desk.broker, &desk.inbox), 0);
}

/* Serves what lies in the inbox; ids rise. */
static void serve_inbox(void)
{
    struct list records;
    list_init(&records);
    inbox_take(&desk.inbox, &records);
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        if (record->kind == RECORD_CALL) {
            call_finish(record);
            continue;
        }
        assert_int_equal(record->kind, RECORD_MESSAGE);
        struct message *message = ((struct message_record *)record)->message;
        assert_true(message->id > desk.dispatched);
        desk.dispatched = message->id;
        message_unref(message);
        free(record);
    }
}

static void close_broker(void)
{
    broker_destroy(desk.broker);
    serve_inbox();
    inbox_finish(&desk.inbox);
}

static void reopen(void)
{
    close_broker();
    open_broker();
}

static void open_desk_with(const struct broker_options *options)
{
    memset(&desk, 0, sizeof desk);
    sem_init(&desk.woken, 0, 0);
    strcpy(desk.folder, "/tmp/test-broker-XXXXXX");
    assert_non_null(mkdtemp(desk.folder));
    desk.options = *options;
    desk.options.folder = desk.folder;
    desk.options.metrics = &desk.metrics;
    open_broker();
}

static int open_desk(void **state)
{
    (void)state;
    open_desk_with(&wide);
    return 0;
}

static void remove_file(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", desk.folder, name);
    unlink(path);
}

static int close_desk(void **state)
{
    (void)state;
    close_broker();
    remove_file("lock");
    remove_file(SQLITE_FILE_NAME);
    assert_int_equal(rmdir(desk.folder), 0);
    sem_destroy(&desk.woken);
    return 0;
}

static void on_done(struct call *call)
{
    (void)call;
    desk.done = true;
}

/* Waits for a call's end. */
static void await(enum broker_end end)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE;
    broker_flush(desk.broker);
    while (end == BROKER_PENDING && !desk.done) {
        assert_true(sem_timedwait(&desk.woken, &until) == 0 || errno == EINTR);
        serve_inbox();
    }
    desk.done = false;
}

static struct publish_call publish_as(const struct topic *topics, size_t count, int64_t ttl_ms,
                                      const struct idempotency_key *key)
{
    struct publish_call publish = {.draft = a_draft(topics, count, ttl_ms), .key = key};
    publish.call.done = on_done;
    await(broker_publish(desk.broker, 0, &publish));
    return publish;
}

static uint64_t send(const char *user)
{
    struct topic topic = a_user(user);
    struct publish_call publish = publish_as(&topic, 1, DAY, NULL);
    assert_int_equal(publish.call.err, 0);
    assert_true(publish.kept && publish.durable);
    return publish.id;
}

static uint64_t erase(const char *user)
{
    struct erase_call erase = {.topic = a_user(user)};
    erase.call.done = on_done;
    await(broker_erase(desk.broker, 0, &erase));
    assert_int_equal(erase.call.err, 0);
    return erase.erased;
}

struct page {
    struct read_call read;
    struct read_topic topics[2];
    struct message *messages[16];
    uint64_t ids[16];
};

static void turn(struct page *page)
{
    page->read.topics = page->topics;
    page->read.messages = page->messages;
    page->read.max_bytes = 1 << 20;
    page->read.call.done = on_done;
    await(broker_read(desk.broker, 0, &page->read));
    assert_int_equal(page->read.call.err, 0);
    for (size_t i = 0; i < page->read.count; i++) {
        page->ids[i] = page->messages[i]->id;
        message_unref(page->messages[i]);
    }
}

static struct page read_after(const char *user, uint64_t after)
{
    static struct page page;
    page = (struct page){.read = {.topic_count = 1, .after = after, .max_count = 16}};
    page.topics[0].topic = a_user(user);
    turn(&page);
    return page;
}

#define assert_ids(page, ...)                                                                      \
    do {                                                                                           \
        const uint64_t ids_[] = {__VA_ARGS__};                                                     \
        assert_int_equal((page).read.count, COUNT_OF(ids_));                                       \
        for (size_t i_ = 0; i_ < COUNT_OF(ids_); i_++)                                             \
            assert_true((page).ids[i_] == ids_[i_]);                                               \
    } while (0)

static void set_on_disk(const char *sql)
{
    char path[64];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/%s", desk.folder, SQLITE_FILE_NAME);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- lives ---- */

static void what_was_published_outlives_the_broker(void **state)
{
    (void)state;

    uint64_t a = send("alice"), b = send("alice");
    reopen();
    assert_int_equal(broker_stats(desk.broker).messages, 2);
    struct page page = read_after("alice", 0);
    assert_ids(page, a, b);
    assert_ids(read_after("alice", a), b);
    assert_int_equal(read_after("bob", 0).read.count, 0);
    uint64_t c = send("alice");
    assert_true(c > b);
    assert_ids(read_after("alice", a), b, c);
}

static void cursors_of_this_file_never_gap(void **state)
{
    struct topic alice = a_user("alice");
    uint64_t head;
    (void)state;

    uint64_t kept = send("alice");
    uint64_t passing = publish_as(&alice, 1, 0, NULL).id;
    reopen();
    assert_int_equal(broker_watch(desk.broker, 0, &alice, 1, +1, &head), 0);
    assert_false(read_after("alice", kept).topics[0].gap);
    assert_false(read_after("alice", passing).topics[0].gap);
    assert_false(read_after("alice", head).topics[0].gap);
    broker_watch(desk.broker, 0, &alice, 1, -1, NULL);
    reopen();
    assert_false(read_after("alice", head).topics[0].gap);
    assert_true(read_after("alice", UINT64_MAX >> 1).read.above_head);
}

static int64_t the_time = 1769860800000;

static int64_t the_clock(void)
{
    return the_time;
}

static int open_desk_at_a_clock(void **state)
{
    struct broker_options options = wide;
    (void)state;
    options.wall_ms = the_clock;
    open_desk_with(&options);
    return 0;
}

/* Lives on a clock that stands, that goes on, and that steps back. */
static void a_cursor_between_two_lives_is_a_gap(void **state)
{
    static const int64_t steps[] = {0, 1, 1000, -1000, 0};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct topic alice = a_user("alice");
        uint64_t head, last = send("alice");
        the_time += steps[i];
        reopen();
        assert_int_equal(broker_watch(desk.broker, 0, &alice, 1, +1, &head), 0);
        uint64_t new = send("alice");
        struct page page = read_after("alice", last + 1); /* no life gave it */
        assert_true(page.topics[0].gap);
        assert_ids(page, new);
        assert_true(read_after("alice", last + 1000000).topics[0].gap);
        assert_false(read_after("alice", last).topics[0].gap);
        assert_false(read_after("alice", head).topics[0].gap);
        assert_false(read_after("alice", 0).topics[0].gap);
        broker_watch(desk.broker, 0, &alice, 1, -1, NULL);
    }
}

/* The file and memory each have some of what is past its time, and nobody has removed it yet. */
static void who_asks_for_all_that_is_kept_is_told_no_gap(void **state)
{
    struct broker_options options = wide;
    struct topic alice = a_user("alice");
    uint64_t first = 0;
    (void)state;

    options.wall_ms = the_clock;
    options.recent_bytes = 4096;
    open_desk_with(&options);
    for (int i = 0; i < 60; i++) {
        uint64_t id = publish_as(&alice, 1, HOUR, NULL).id;
        first = first ? first : id;
    }
    the_time += 2 * HOUR;
    reopen();
    struct page page = read_after("alice", 0);
    assert_int_equal(page.read.count, 0);
    assert_false(page.topics[0].gap);
    assert_true(page.topics[0].told > first);
    assert_true(read_after("alice", first).topics[0].gap);
    page.read.after = 0; /* nothing came; what was told is known */
    turn(&page);
    assert_false(page.topics[0].gap);
    close_desk(state);
}

/* Wall clocks that are set, and machines that sleep: both set the wall clock ahead of the other. */
static void what_is_kept_outlives_a_clock_that_is_set(void **state)
{
    static const int64_t steps[] = {0, 365 * DAY, 2 * HOUR, -365 * DAY, 365 * DAY};
    struct topic alice = a_user("alice");
    uint64_t ids[2 * COUNT_OF(steps)];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        ids[2 * i] = publish_as(&alice, 1, HOUR, NULL).id;
        the_time += steps[i]; /* in the midst of a life */
        ids[2 * i + 1] = publish_as(&alice, 1, HOUR, NULL).id;
        reopen();
        struct page page = read_after("alice", 0);
        assert_int_equal(page.read.count, 2 * i + 2);
        for (size_t k = 0; k < page.read.count; k++)
            assert_true(page.ids[k] == ids[k]);
    }
}

static void reopen_after(int64_t ms)
{
    close_broker();
    the_time += ms;
    open_broker();
}

static void what_is_kept_outlives_a_life_on_a_clock_that_is_behind(void **state)
{
    struct topic alice = a_user("alice");
    (void)state;

    uint64_t a = publish_as(&alice, 1, HOUR, NULL).id;
    reopen_after(-365 * DAY);
    uint64_t b = publish_as(&alice, 1, HOUR, NULL).id;
    reopen_after(365 * DAY);
    assert_ids(read_after("alice", 0), a, b);
    uint64_t c = publish_as(&alice, 1, 3 * HOUR, NULL).id;
    reopen_after(2 * HOUR); /* how long these pauses were could not be told */
    assert_ids(read_after("alice", 0), a, b, c);
    reopen_after(2 * HOUR);
    assert_ids(read_after("alice", 0), c);
}

/* Its row went, with all that was known of it alone. */
static void an_address_without_a_row_has_lost_up_to_the_floor(void **state)
{
    struct broker_options options = wide;
    uint64_t ids[60];
    char sql[128];

    options.recent_bytes = 4096; /* the file has the first of them */
    open_desk_with(&options);
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        ids[i] = send("alice");
    close_broker();
    snprintf(sql, sizeof sql, "INSERT INTO meta VALUES ('floor', %llu)",
             (unsigned long long)ids[1]);
    set_on_disk(sql);
    open_broker();
    for (int i = 0; i < 2; i++) {
        assert_true(read_after("alice", ids[0]).topics[0].gap);
        assert_false(read_after("alice", ids[1]).topics[0].gap);
        assert_false(read_after("alice", 0).topics[0].gap);
        erase("alice"); /* makes a row */
    }
    close_desk(state);
}

static void a_folder_has_one_owner(void **state)
{
    char error[600] = "";
    (void)state;

    assert_null(broker_create("sqlite", &desk.options, error, sizeof error));
    assert_non_null(strstr(error, "another Pushwire"));
}

/* ---- keys, erasing, devices ---- */

static void keys_outlive_the_broker(void **state)
{
    struct topic alice = a_user("alice");
    struct idempotency_key key = {.scope = 1, .hash = 2, .body = "one"};
    (void)state;

    struct publish_call first = publish_as(&alice, 1, DAY, &key);
    assert_false(first.duplicate);
    key.scope = 2;
    struct publish_call passing = publish_as(&alice, 1, 0, &key);
    assert_false(passing.duplicate || passing.kept);
    key.scope = 1;
    for (int epoch = 0; epoch < 2; epoch++) {
        struct publish_call again = publish_as(&alice, 1, DAY, &key);
        assert_int_equal(again.call.err, 0);
        assert_true(again.duplicate && again.kept && again.durable && again.id == first.id);
        key.scope = 2;
        again = publish_as(&alice, 1, 0, &key);
        assert_true(again.duplicate && !again.kept && !again.durable && again.id == passing.id);
        key.scope = 1;
        memcpy(key.body, "two", 3);
        assert_int_equal(publish_as(&alice, 1, DAY, &key).call.err, ERR_KEY_CONFLICT);
        memcpy(key.body, "one", 3);
        reopen();
    }
    assert_ids(read_after("alice", 0), first.id);
}

static void what_is_erased_stays_erased(void **state)
{
    struct topic both[] = {a_user("alice"), a_user("bob")};
    (void)state;

    uint64_t first = send("alice");
    uint64_t shared = publish_as(both, 2, DAY, NULL).id;
    assert_int_equal(erase("alice"), 2);
    uint64_t new = send("alice");
    for (int epoch = 0; epoch < 2; epoch++) {
        struct page page = read_after("alice", first);
        assert_ids(page, new);
        assert_false(page.topics[0].gap);
        assert_ids(read_after("bob", 0), shared);
        reopen();
    }
    assert_int_equal(erase("alice"), 1);
    assert_int_equal(erase("alice"), 0);
}

static struct device_call tell_device(int verb, const char *name, bool has_cursor, uint64_t cursor)
{
    struct device_call call = {
        .user = a_user("alice"),
        .device = name,
        .length = strlen(name),
        .has_cursor = has_cursor,
        .cursor = cursor,
    };
    call.verb = verb;
    call.call.done = on_done;
    await(broker_device(desk.broker, 0, &call));
    assert_int_equal(call.call.err, 0);
    return call;
}

static struct device_call ask_device(int verb, const char *name, uint64_t cursor)
{
    return tell_device(verb, name, verb == DEVICE_ACK, cursor);
}

static struct device_call open_device_at(const char *name, uint64_t cursor)
{
    return tell_device(DEVICE_OPEN, name, true, cursor);
}

static void devices_outlive_the_broker(void **state)
{
    (void)state;

    uint64_t a = send("alice"), b = send("alice");
    assert_false(ask_device(DEVICE_ACK, "phone", a).found);
    assert_int_equal(ask_device(DEVICE_OPEN, "phone", 0).cursor, 0);
    assert_true(ask_device(DEVICE_ACK, "phone", b).cursor == b);
    assert_true(ask_device(DEVICE_ACK, "phone", a).cursor == b); /* it only rises */
    reopen();
    assert_true(ask_device(DEVICE_OPEN, "phone", 0).cursor == b);
    assert_true(ask_device(DEVICE_FORGET, "phone", 0).found);
    assert_false(ask_device(DEVICE_ACK, "phone", b).found);
    reopen();
    assert_false(ask_device(DEVICE_FORGET, "phone", 0).found);
}

/* Nothing that a client says makes a device of which acknowledgements are ignored for ever. */
static void a_device_has_at_most_what_was_given(void **state)
{
    static const uint64_t claims[] = {INT64_MAX, UINT64_MAX};
    static const char *const poison[] = {"UPDATE device SET cursor = 9223372036854775807",
                                         "UPDATE device SET cursor = -1"};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        uint64_t a = send("alice");
        assert_true(open_device_at("phone", claims[i]).cursor == a);
        uint64_t b = send("alice");
        assert_true(ask_device(DEVICE_OPEN, "phone", 0).cursor == a);
        assert_true(ask_device(DEVICE_ACK, "phone", claims[i]).cursor == b);
        uint64_t c = send("alice");
        assert_true(ask_device(DEVICE_ACK, "phone", c).cursor == c);
        close_broker();
        set_on_disk(poison[i]); /* as an older version did */
        open_broker();
        uint64_t d = send("alice");
        assert_true(ask_device(DEVICE_OPEN, "phone", 0).cursor < d);
        assert_true(ask_device(DEVICE_ACK, "phone", d).cursor == d);
        ask_device(DEVICE_FORGET, "phone", 0);
    }
}

static void who_has_a_message_is_told(void **state)
{
    (void)state;

    uint64_t a = send("alice");
    ask_device(DEVICE_OPEN, "phone", 0);
    for (int epoch = 0; epoch < 2; epoch++) {
        if (epoch)
            ask_device(DEVICE_ACK, "phone", a);
        struct lookup lookup = {.id = a};
        lookup.call.done = on_done;
        await(broker_lookup(desk.broker, 0, &lookup));
        assert_int_equal(lookup.call.err, 0);
        assert_non_null(lookup.message);
        assert_true(lookup.durable);
        assert_int_equal(lookup.ack_count, epoch);
        if (epoch)
            assert_string_equal(lookup.acks[0].device, "phone");
        lookup_finish(&lookup);
        reopen();
    }
}

/* ---- against a naive model ---- */

enum { USERS = 4, SENT_MAX = 150 };

static struct {
    uint64_t id;
    bool in[USERS]; /* whose mailbox holds it */
} sent[SENT_MAX];
static size_t sent_count;
static const char *const names[USERS] = {"ada", "bob", "cyn", "dan"};

static void publish_one(uint64_t *seed)
{
    struct topic topics[USERS];
    size_t count = 0;
    memset(&sent[sent_count], 0, sizeof *sent);
    while (!count) {
        for (int u = 0; u < USERS; u++) {
            sent[sent_count].in[u] = next_random(seed) % 3 == 0;
            if (sent[sent_count].in[u])
                topics[count++] = a_user(names[u]);
        }
    }
    sent[sent_count++].id = publish_as(topics, count, DAY, NULL).id;
}

static void erase_one(uint64_t *seed)
{
    int user = (int)(next_random(seed) % USERS);
    uint64_t wanted = 0;
    for (size_t i = 0; i < sent_count; i++) {
        wanted += sent[i].in[user];
        sent[i].in[user] = false;
    }
    assert_int_equal(erase(names[user]), wanted);
}

/* Pages come from memory, from the file, and from both. */
static void compare_page(uint64_t *seed)
{
    struct page page = {.read = {.topic_count = 2}};
    struct read_call *read = &page.read;
    size_t at = 0, left = 0;
    int users[2];
    users[0] = (int)(next_random(seed) % USERS);
    users[1] = (users[0] + 1 + (int)(next_random(seed) % (USERS - 1))) % USERS;
    read->max_count = 1 + next_random(seed) % 16;
    read->descending = next_random(seed) % 3 == 0;
    read->before = sent[next_random(seed) % sent_count].id;
    read->after = read->descending || next_random(seed) % 3 == 0 ? 0 : read->before;
    for (int a = 0; a < 2; a++)
        page.topics[a].topic = a_user(names[users[a]]);
    turn(&page);
    for (size_t k = 0; k < sent_count; k++) {
        size_t i = read->descending ? sent_count - 1 - k : k;
        if (!(sent[i].in[users[0]] || sent[i].in[users[1]]) ||
            (read->descending ? sent[i].id >= read->before : sent[i].id <= read->after))
            continue;
        if (at < read->count)
            assert_true(page.ids[at++] == sent[i].id);
        else
            left++;
    }
    assert_int_equal(read->count, at);
    assert_int_equal(read->more, left > 0);
    assert_true(!left || at); /* a page may be short, but not empty while there is more */
    assert_false(page.topics[0].gap || page.topics[1].gap);
}

static void it_agrees_with_a_naive_model(void **state)
{
    struct broker_options options = wide;
    (void)state;

    options.recent_bytes = 4096; /* a few messages: the index is filled all the time */
    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t die = seed;
        open_desk_with(&options);
        sent_count = 0;
        publish_one(&die);
        while (sent_count < SENT_MAX) {
            uint32_t side = next_random(&die) % 64;
            if (side < 24)
                publish_one(&die);
            else if (side < 60)
                compare_page(&die);
            else if (side < 62)
                erase_one(&die);
            else
                reopen();
        }
        close_desk(NULL);
    }
}

#define desk_test(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(what_was_published_outlives_the_broker),
        desk_test(cursors_of_this_file_never_gap),
        cmocka_unit_test_setup_teardown(a_cursor_between_two_lives_is_a_gap, open_desk_at_a_clock,
                                        close_desk),
        cmocka_unit_test(who_asks_for_all_that_is_kept_is_told_no_gap),
        cmocka_unit_test_setup_teardown(what_is_kept_outlives_a_clock_that_is_set,
                                        open_desk_at_a_clock, close_desk),
        cmocka_unit_test_setup_teardown(what_is_kept_outlives_a_life_on_a_clock_that_is_behind,
                                        open_desk_at_a_clock, close_desk),
        cmocka_unit_test(an_address_without_a_row_has_lost_up_to_the_floor),
        desk_test(a_folder_has_one_owner),
        desk_test(keys_outlive_the_broker),
        desk_test(what_is_erased_stays_erased),
        desk_test(devices_outlive_the_broker),
        desk_test(a_device_has_at_most_what_was_given),
        desk_test(who_has_a_message_is_told),
        cmocka_unit_test(it_agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
