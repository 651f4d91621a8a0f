#include "log_file.h"

#include "engine/retention.h"

static struct {
    struct retention *retention;
} desk;

static void open_desk_with(const struct retention_limits *limits)
{
    log_file_open();
    desk.retention = retention_create(log_file.db, limits);
    assert_non_null(desk.retention);
}

static int open_desk(void **state)
{
    (void)state;
    open_desk_with(&(struct retention_limits){1 << 30, 3});
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    retention_destroy(desk.retention);
    return log_file_close();
}

/* A message in the log and in the index. */
static void keep(uint64_t id, int64_t ttl_ms, bool own_ttl, size_t size)
{
    static const char letters[8000] = "\"a long letter\"";
    char sql[128];
    struct topic ada = a_user("ada");
    struct draft draft = a_draft(&ada, 1, ttl_ms);
    draft.own_ttl = own_ttl;
    draft.body = letters;
    draft.body_length = size;
    message_unref(log_file_add(&draft, id));
    snprintf(sql, sizeof sql, "INSERT INTO mail VALUES (%lld, %llu, %llu, 1)", (long long)ada.hash,
             (unsigned long long)id, (unsigned long long)id);
    log_file_run(sql);
}

/* Rounds until nothing more goes; how many went. */
static uint64_t let_go_by(const struct retention_look *look)
{
    struct retention_gone gone = {0};
    assert_int_equal(retention_look(desk.retention, look), SQLITE_OK);
    while (retention_busy(desk.retention))
        assert_int_equal(retention_slice(desk.retention, LATER, 0, &gone), SQLITE_OK);
    return gone.messages;
}

static uint64_t let_go(int64_t now_ms, uint64_t indexed_upto)
{
    return let_go_by(&(struct retention_look){
        .now_ms = now_ms,
        .indexed_upto = indexed_upto,
        .messages = (uint64_t)log_file_ask("SELECT count(*) FROM message"),
    });
}

static void age_takes_and_tells_but_for_a_publishers_own_ttl(void **state)
{
    (void)state;

    keep(1, 100, false, 4);
    keep(2, 100, true, 4);
    keep(3, 900, true, 4); /* longer than its neighbours */
    keep(4, 500, false, 4);
    assert_int_equal(let_go(NOW + 99, 4), 0);
    assert_int_equal(let_go(NOW + 100, 4), 2);
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 1);
    assert_int_equal(let_go(NOW + 500, 4), 1);
    assert_int_equal(log_file_ask("SELECT id FROM message"), 3);
    assert_int_equal(log_file_ask("SELECT id FROM mail"), 3);
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 4);
    assert_int_equal(let_go(NOW + 900, 4), 1);
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 4);
    assert_int_equal(retention_gone_upto(desk.retention), 0);
}

static void with_a_clock_in_doubt_nothing_ages(void **state)
{
    (void)state;

    keep(1, 100, false, 4);
    keep(2, 100, true, 4);
    assert_int_equal(let_go(0, 2), 0);
}

static void what_the_index_does_not_have_is_left_alone(void **state)
{
    (void)state;

    keep(1, 100, false, 4);
    keep(2, 100, false, 4);
    assert_int_equal(let_go(NOW + 100, 1), 1);
    assert_int_equal(log_file_ask("SELECT id FROM message"), 2);
}

static void for_want_of_room_the_oldest_go_and_space_is_given_back(void **state)
{
    (void)state;

    open_desk_with(&(struct retention_limits){1 << 20, 3});
    log_file_run("BEGIN");
    for (uint64_t id = 1; id <= 400; id++)
        keep(id, 1000000, id % 2, 7000);
    log_file_run("COMMIT");
    int64_t pages = log_file_ask("PRAGMA page_count");
    uint64_t gone = let_go(NOW, 400);
    assert_in_range(gone, 200, 380);
    assert_in_range(retention_bytes(desk.retention), 1 << 19, 1 << 20);
    assert_int_equal(log_file_ask("SELECT min(id) FROM message"), gone + 1);
    assert_int_equal(log_file_ask("SELECT min(id) FROM mail"), gone + 1);
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), gone);
    assert_int_equal(retention_gone_upto(desk.retention), gone);
    assert_in_range(log_file_ask("PRAGMA page_count"), 1, pages / 2);
    close_desk(NULL);
}

/* Half a megabyte and more of what is over lies behind what is alive. */
static void what_is_over_goes_before_what_is_old(void **state)
{
    (void)state;

    open_desk_with(&(struct retention_limits){1 << 20, 3});
    log_file_run("BEGIN");
    for (uint64_t id = 1; id <= 200; id++)
        keep(id, id <= 80 ? 1000000 : 1000, id % 2 || id > 80, 7000);
    log_file_run("COMMIT");
    assert_int_equal(let_go(NOW + 1000, 200), 120);
    assert_int_equal(log_file_ask("SELECT min(id) FROM message"), 1);
    assert_int_equal(log_file_ask("SELECT count(*) FROM address"), 0);
    assert_int_equal(retention_gone_upto(desk.retention), 0);
    close_desk(NULL);
}

static void rounds_follow_each_other_until_all_is_done(void **state)
{
    (void)state;

    log_file_run("BEGIN");
    for (uint64_t id = 1; id <= 1200; id++)
        keep(id, 1000, true, 4);
    log_file_run("COMMIT");
    assert_int_equal(let_go(NOW + 1000, 1200), 1200);
}

static void a_slice_does_what_is_asked_of_it_though_there_is_no_time(void **state)
{
    struct retention_gone gone = {0};
    struct retention_look look = {.now_ms = NOW + 1000, .indexed_upto = 50, .messages = 50};
    (void)state;

    for (uint64_t id = 1; id <= 50; id++)
        keep(id, 1000, true, 4);
    assert_int_equal(retention_look(desk.retention, &look), SQLITE_OK);
    assert_int_equal(retention_slice(desk.retention, 0, 0, &gone), SQLITE_OK);
    assert_int_equal(gone.messages, 0);
    assert_int_equal(retention_slice(desk.retention, 0, 3 * 50, &gone), SQLITE_OK);
    assert_int_equal(gone.messages, 50);
}

/* What counts is what is kept, and will be. */
static void neither_keys_nor_litter_push_messages_out(void **state)
{
    struct retention_look look = {.now_ms = NOW, .indexed_upto = 200, .messages = 200};
    (void)state;

    open_desk_with(&(struct retention_limits){1 << 20, 1 << 20});
    log_file_run("BEGIN");
    for (uint64_t id = 1; id <= 200; id++)
        keep(id, 1000000, false, 7000);
    log_file_run("COMMIT");
    look.tombstones = 100;
    assert_int_equal(let_go_by(&look), 0);
    look.tombstones = 0;
    look.keys = 20000;
    assert_int_equal(let_go_by(&look), 0);
    look.keys = 0;
    assert_in_range(let_go_by(&look), 20, 120);
    close_desk(NULL);
}

static void keys_go_by_age_and_by_number(void **state)
{
    char sql[128];
    (void)state;

    for (int i = 0; i < 5; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO key VALUES (%d, 1, %d, x'00', 1)", i + 100, i);
        log_file_run(sql);
    }
    let_go_by(
        &(struct retention_look){.keys_upto = 99, .keys = 5}); /* none is old; three may be there */
    assert_int_equal(log_file_ask("SELECT count(*) FROM key"), 3);
    assert_int_equal(log_file_ask("SELECT min(hash) FROM key"), 2);
    let_go_by(&(struct retention_look){.keys_upto = 103, .keys = 3});
    assert_int_equal(log_file_ask("SELECT count(*) FROM key"), 1);
}

#define desk_test(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(age_takes_and_tells_but_for_a_publishers_own_ttl),
        desk_test(with_a_clock_in_doubt_nothing_ages),
        desk_test(what_the_index_does_not_have_is_left_alone),
        cmocka_unit_test(for_want_of_room_the_oldest_go_and_space_is_given_back),
        cmocka_unit_test(what_is_over_goes_before_what_is_old),
        desk_test(rounds_follow_each_other_until_all_is_done),
        desk_test(a_slice_does_what_is_asked_of_it_though_there_is_no_time),
        cmocka_unit_test(neither_keys_nor_litter_push_messages_out),
        desk_test(keys_go_by_age_and_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
