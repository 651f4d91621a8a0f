#include "log_file.h"

#include "engine/mail_index.h"
#include "engine/tombstones.h"

static struct {
    struct tombstones *tombstones;
    struct mail_index *index;
    int64_t now_ms;
} desk;

static int open_desk_with(uint64_t keep_messages, uint64_t keep_bytes)
{
    log_file_open();
    desk.tombstones = tombstones_create(log_file.db);
    assert_non_null(desk.tombstones);
    desk.index = mail_index_create(
        log_file.db, &(struct mail_index_limits){keep_messages, keep_bytes}, desk.tombstones);
    assert_non_null(desk.index);
    desk.now_ms = NOW;
    return 0;
}

static int open_desk(void **state)
{
    (void)state;
    return open_desk_with(8, 1 << 20);
}

static int close_desk(void **state)
{
    (void)state;
    mail_index_destroy(desk.index);
    tombstones_destroy(desk.tombstones);
    return log_file_close();
}

/* A message in the log, and noted. */
static void log_message(const struct topic *topics, size_t count, uint64_t id)
{
    struct draft draft = a_draft(topics, count, 60000);
    struct message *message = log_file_add(&draft, id);
    assert_true(mail_index_note(desk.index, message));
    message_unref(message);
}

static void log_for(const char *user, uint64_t id)
{
    struct topic topic = a_user(user);
    log_message(&topic, 1, id);
}

/* Files all that is noted and removes what is tombstones then; the messages removed. */
static uint64_t file_all(uint64_t expected_upto)
{
    uint64_t upto = 0, pruned = 0;
    assert_true(mail_index_begin(desk.index));
    while (mail_index_busy(desk.index))
        assert_int_equal(mail_index_slice(desk.index, LATER, 0, desk.now_ms, &upto), SQLITE_OK);
    assert_true(upto == expected_upto);
    tombstones_begin(desk.tombstones);
    while (tombstones_busy(desk.tombstones))
        assert_int_equal(tombstones_slice(desk.tombstones, LATER, 0, &pruned), SQLITE_OK);
    return pruned;
}

static void what_is_noted_is_filed_by_address(void **state)
{
    struct topic both[] = {a_user("ada"), a_user("bob")};
    (void)state;

    log_for("ada", 1);
    log_message(both, 2, 2);
    log_for("bob", 3);
    assert_int_equal(mail_index_noted(desk.index), 4);
    assert_int_equal(mail_index_unfiled(desk.index), 3);
    assert_int_equal(file_all(3), 0);
    assert_int_equal(mail_index_noted(desk.index), 0);
    assert_int_equal(mail_index_unfiled(desk.index), 0);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 4);
    assert_int_equal(log_file_ask("SELECT count(DISTINCT address) FROM mail"), 2);
    /* "bob" and the body `"hi"`: 7 bytes a message, counted on. */
    assert_int_equal(log_file_ask("SELECT sum(n) FROM mail"), 1 + 2 + 1 + 2);
    assert_int_equal(log_file_ask("SELECT max(total) FROM mail"), 14);
}

static void what_comes_while_a_bulk_is_under_way_waits_for_the_next(void **state)
{
    (void)state;

    log_for("ada", 1);
    assert_true(mail_index_begin(desk.index));
    log_for("ada", 2);
    assert_int_equal(mail_index_unfiled(desk.index), 2);
    file_all(1);
    assert_int_equal(log_file_ask("SELECT max(id) FROM mail"), 1);
    file_all(2);
    assert_int_equal(log_file_ask("SELECT max(id) FROM mail"), 2);
}

static void at_least_so_many_are_filed_however_little_time_there_is(void **state)
{
    uint64_t upto = 0;
    (void)state;

    for (uint64_t id = 1; id <= 4; id++)
        log_for("ada", id);
    for (uint64_t id = 5; id <= 8; id++)
        log_for("bob", id);
    assert_true(mail_index_begin(desk.index));
    assert_int_equal(mail_index_slice(desk.index, PAST, 0, desk.now_ms, &upto), SQLITE_OK);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 0);
    assert_int_equal(mail_index_slice(desk.index, PAST, 3, desk.now_ms, &upto), SQLITE_OK);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 4); /* a topic is filed at once */
    assert_int_equal(mail_index_slice(desk.index, PAST, 100, desk.now_ms, &upto), SQLITE_OK);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 8);
    assert_int_equal(upto, 8);
    assert_false(mail_index_busy(desk.index));
}

static void filing_again_after_a_crash_doubles_nothing(void **state)
{
    (void)state;

    log_for("ada", 1);
    log_for("ada", 2);
    file_all(2);
    mail_index_destroy(desk.index);
    desk.index =
        mail_index_create(log_file.db, &(struct mail_index_limits){8, 1 << 20}, desk.tombstones);
    log_for("ada", 1);
    log_for("ada", 2);
    log_for("ada", 3);
    file_all(3);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 3);
    assert_int_equal(log_file_ask("SELECT max(n) FROM mail"), 3);
    assert_int_equal(log_file_ask("SELECT max(total) FROM mail"), 21);
}

static void beyond_an_eighth_the_oldest_go_and_it_is_told(void **state)
{
    size_t count;
    (void)state;

    for (uint64_t id = 1; id <= 9; id++)
        log_for("ada", id);
    log_for("bob", 10);
    assert_int_equal(file_all(10), 0); /* 8 and an eighth */
    mail_index_take_cuts(desk.index, &count);
    assert_int_equal(count, 0);
    log_for("ada", 11);
    assert_int_equal(file_all(11), 2);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 9);
    assert_int_equal(log_file_ask("SELECT min(id) FROM message"), 3);
    assert_int_equal(log_file_ask("SELECT count(*) FROM address"), 1);
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 2);
    const struct mail_cut *cuts = mail_index_take_cuts(desk.index, &count);
    assert_int_equal(count, 1);
    assert_true(cuts[0].hash == a_user("ada").hash);
    assert_int_equal(cuts[0].upto, 2);
    mail_index_take_cuts(desk.index, &count);
    assert_int_equal(count, 0);
}

static void assert_mail(const char *ids)
{
    sqlite3_stmt *statement;
    sqlite3_prepare_v2(log_file.db,
                       "SELECT group_concat(id) FROM (SELECT id FROM mail ORDER BY id)", -1,
                       &statement, NULL);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(statement, 0), ids);
    sqlite3_finalize(statement);
}

/* Signals that nobody needs for long, from an id on. */
static void log_signals(uint64_t from, uint64_t count)
{
    struct topic ada = a_user("ada");
    struct draft draft = a_draft(&ada, 1, 1000);
    draft.own_ttl = true;
    for (uint64_t id = from; id < from + count; id++) {
        struct message *message = log_file_add(&draft, id);
        assert_true(mail_index_note(desk.index, message));
        message_unref(message);
    }
}

/* Retention takes all that is over but the newest; then another message comes. */
static void let_signals_go(uint64_t id)
{
    log_file_run("DELETE FROM mail WHERE id IN (SELECT id FROM message WHERE own_ttl = 1)");
    log_file_run("DELETE FROM message WHERE own_ttl = 1");
    log_for("ada", id);
    file_all(id);
}

static void what_is_gone_counts_no_more(void **state)
{
    (void)state;

    open_desk_with(8, 56); /* the oldest and eight messages of 7 bytes */
    log_for("ada", 1);
    log_for("ada", 2);
    file_all(2);
    for (uint64_t round = 1; round <= 5; round++) {
        log_signals(round * 10, 3);
        assert_int_equal(file_all(round * 10 + 2), 0);
        let_signals_go(round * 10 + 9);
    }
    assert_mail("1,2,19,29,39,49,59");
    assert_int_equal(log_file_ask("SELECT count(*) FROM address"), 0); /* nothing is told */
    assert_int_equal(log_file_ask("SELECT max(n) - min(n) FROM mail"), 6);
    assert_int_equal(log_file_ask("SELECT max(total) - min(total) FROM mail"), 6 * 7);
    for (uint64_t id = 60; id < 63; id++)
        log_for("ada", id);
    assert_int_equal(file_all(62), 2); /* but what is alive does */
    assert_mail("19,29,39,49,59,60,61,62");
    close_desk(NULL);
}

static void what_is_over_does_not_count_though_it_lies_there(void **state)
{
    (void)state;

    log_for("ada", 1);
    log_signals(2, 8);
    log_for("ada", 10);
    desk.now_ms = NOW + 999;
    log_signals(11, 1);
    desk.now_ms = NOW + 1000;
    assert_int_equal(file_all(11), 8); /* not the newest, by which a start knows what is filed */
    assert_mail("1,10,11");
    assert_int_equal(log_file_ask("SELECT count(*) FROM address"), 0);
    for (uint64_t id = 12; id < 19; id++)
        log_for("ada", id);
    assert_int_equal(file_all(18), 0);
    log_for("ada", 19);
    assert_int_equal(file_all(19), 3); /* the signal, and two of ten that live */
    assert_mail("12,13,14,15,16,17,18,19");
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 10);
}

static void what_the_default_ttl_has_ended_is_told(void **state)
{
    (void)state;

    log_signals(1, 1);
    log_file_run("UPDATE message SET expires_at = expires_at + 100000");
    for (uint64_t id = 2; id <= 7; id++)
        log_for("ada", id);
    log_file_run("UPDATE message SET expires_at = expires_at - 1 WHERE id < 5 AND own_ttl = 0");
    for (uint64_t id = 8; id <= 10; id++)
        log_for("ada", id);
    desk.now_ms = NOW + 59999;
    assert_int_equal(file_all(10), 3);
    assert_mail("1,5,6,7,8,9,10");
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 4);
}

static void with_a_clock_in_doubt_all_counts(void **state)
{
    (void)state;

    log_signals(1, 10);
    desk.now_ms = 0;
    assert_int_equal(file_all(10), 2);
    assert_mail("3,4,5,6,7,8,9,10");
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 2);
}

/* More than a slice's step takes at once. */
static void long_rows_are_counted_in_steps(void **state)
{
    (void)state;

    open_desk_with(200, 1 << 20);
    for (uint64_t id = 1; id <= 200; id++)
        log_for("ada", id);
    file_all(200);
    log_file_run("DELETE FROM mail WHERE id BETWEEN 51 AND 150");
    for (uint64_t id = 201; id <= 225; id++)
        log_for("ada", id);
    assert_int_equal(file_all(225), 0);
    assert_int_equal(log_file_ask("SELECT max(n) FROM mail"),
                     225); /* within an eighth by numbers */
    for (uint64_t id = 226; id <= 300; id++)
        log_for("ada", id);
    assert_int_equal(file_all(300), 0);
    assert_int_equal(log_file_ask("SELECT max(n) FROM mail"), 200);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 200);
    assert_int_equal(log_file_ask("SELECT max(total) FROM mail"), 200 * 7);
    for (uint64_t id = 301; id <= 400; id++)
        log_for("ada", id);
    assert_int_equal(file_all(400), 100);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 200);
    assert_int_equal(log_file_ask("SELECT pruned_upto FROM address"), 200);
    close_desk(NULL);
}

static void bytes_are_limited_and_the_newest_stays(void **state)
{
    (void)state;

    open_desk_with(1000, 70);
    for (uint64_t id = 1; id <= 40; id++)
        log_for("ada", id);
    file_all(40);
    assert_in_range(log_file_ask("SELECT count(*) FROM mail"), 9, 11); /* of 7 bytes each */
    assert_int_equal(log_file_ask("SELECT max(id) FROM mail"), 40);
    close_desk(NULL);

    open_desk_with(1000, 1);
    log_for("ada", 1);
    log_for("ada", 2);
    file_all(2);
    assert_int_equal(log_file_ask("SELECT group_concat(id) FROM mail"), 2);
    close_desk(NULL);
}

static void what_others_share_stays_in_the_log(void **state)
{
    struct topic both[] = {a_user("ada"), a_user("bob")};
    (void)state;

    log_message(both, 2, 1);
    for (uint64_t id = 2; id <= 20; id++)
        log_for("ada", id);
    assert_int_equal(file_all(20), 11); /* all but the shared one */
    assert_int_equal(log_file_ask("SELECT count(*) FROM message WHERE id = 1"), 1);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail WHERE id = 1"), 1); /* bob's */
}

static void what_is_forgotten_is_not_filed(void **state)
{
    size_t cursor = 0;
    uint64_t id;
    (void)state;

    log_for("ada", 1);
    assert_true(mail_index_begin(desk.index));
    log_for("ada", 2);
    log_for("bob", 3);
    assert_true(mail_index_each(desk.index, a_user("ada").hash, &cursor, &id));
    assert_int_equal(id, 1);
    assert_true(mail_index_each(desk.index, a_user("ada").hash, &cursor, &id));
    assert_int_equal(id, 2);
    assert_false(mail_index_each(desk.index, a_user("ada").hash, &cursor, &id));
    mail_index_forget(desk.index, a_user("ada").hash);
    cursor = 0;
    assert_false(mail_index_each(desk.index, a_user("ada").hash, &cursor, &id));
    file_all(1);
    file_all(3);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 1);
    assert_int_equal(log_file_ask("SELECT id FROM mail"), 3);
}

static void what_is_erased_at_one_address_is_filed_at_the_other(void **state)
{
    struct topic both[] = {a_user("ada"), a_user("bob")};
    struct draft draft = a_draft(both, 2, 60000);
    (void)state;

    log_for("ada", 1);
    struct message *message = log_file_add(&draft, 2);
    assert_true(mail_index_note(desk.index, message));
    mail_index_unnote(desk.index, message, 0);
    message_unref(message);
    file_all(2);
    assert_int_equal(log_file_ask("SELECT count(*) FROM mail"), 2);
    assert_int_equal(log_file_ask("SELECT count(DISTINCT address) FROM mail"), 2);
}

static void what_has_left_the_log_waits_for_no_bulk(void **state)
{
    (void)state;

    for (uint64_t id = 1; id <= 4; id++)
        log_for("ada", id);
    assert_true(mail_index_begin(desk.index));
    log_for("ada", 5);
    log_for("ada", 6);
    mail_index_lose(desk.index, 2);
    mail_index_lose(desk.index, 6);
    assert_int_equal(mail_index_unfiled(desk.index), 4);
    file_all(4);
    assert_int_equal(mail_index_unfiled(desk.index), 1);
}

#define desk_test(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(what_is_noted_is_filed_by_address),
        desk_test(what_comes_while_a_bulk_is_under_way_waits_for_the_next),
        desk_test(at_least_so_many_are_filed_however_little_time_there_is),
        desk_test(filing_again_after_a_crash_doubles_nothing),
        desk_test(beyond_an_eighth_the_oldest_go_and_it_is_told),
        cmocka_unit_test(what_is_gone_counts_no_more),
        desk_test(what_is_over_does_not_count_though_it_lies_there),
        desk_test(what_the_default_ttl_has_ended_is_told),
        desk_test(with_a_clock_in_doubt_all_counts),
        cmocka_unit_test(long_rows_are_counted_in_steps),
        cmocka_unit_test(bytes_are_limited_and_the_newest_stays),
        desk_test(what_others_share_stays_in_the_log),
        desk_test(what_is_forgotten_is_not_filed),
        desk_test(what_is_erased_at_one_address_is_filed_at_the_other),
        desk_test(what_has_left_the_log_waits_for_no_bulk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
