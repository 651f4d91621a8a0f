#include "log_file.h"

#include "base/clock.h"
#include "engine/broker.h"
#include "engine/sqlite_reader.h"
#include "engine/tombstones.h"

static struct {
    struct tombstones *tombstones;
} desk;

static int open_desk(void **state)
{
    (void)state;
    log_file_open();
    desk.tombstones = tombstones_create(log_file.db);
    assert_non_null(desk.tombstones);
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    tombstones_destroy(desk.tombstones);
    return log_file_close();
}

static void log_message(const struct topic *topics, size_t count, uint64_t id)
{
    struct draft draft = a_draft(topics, count, 60000);
    message_unref(log_file_add(&draft, id));
}

static void log_some(uint64_t upto)
{
    struct topic ada = a_user("ada");
    for (uint64_t id = 1; id <= upto; id++)
        log_message(&ada, 1, id);
}

static void add(uint64_t id)
{
    assert_true(tombstones_add(desk.tombstones, &id, 1));
}

static void save(void)
{
    assert_int_equal(tombstones_save(desk.tombstones), SQLITE_OK);
}

static uint64_t remove_all(void)
{
    uint64_t pruned = 0;
    tombstones_begin(desk.tombstones);
    while (tombstones_busy(desk.tombstones))
        assert_int_equal(tombstones_slice(desk.tombstones, LATER, 0, &pruned), SQLITE_OK);
    return pruned;
}

static void open_again(void)
{
    tombstones_destroy(desk.tombstones);
    desk.tombstones = tombstones_create(log_file.db);
    assert_non_null(desk.tombstones);
}

static void what_is_on_the_list_goes(void **state)
{
    (void)state;

    log_some(9);
    add(7);
    add(2);
    save();
    add(5);
    save();
    save(); /* nothing is new */
    assert_int_equal(tombstones_count(desk.tombstones), 3);
    assert_int_equal(log_file_ask("SELECT count(*) FROM litter"), 2);
    assert_int_equal(log_file_ask("SELECT count(*) FROM message"),
                     9); /* not before it is told to */
    assert_int_equal(remove_all(), 3);
    assert_int_equal(log_file_ask("SELECT count(*) FROM message WHERE id IN (2, 5, 7)"), 0);
    assert_int_equal(log_file_ask("SELECT count(*) FROM message"), 6);
    assert_int_equal(tombstones_count(desk.tombstones), 0);
    assert_int_equal(log_file_ask("SELECT count(*) FROM litter"), 0);
    add(1);
    save();
    assert_int_equal(remove_all(), 1);
}

/* In the order of time, whatever the order they came in. */
static void it_goes_in_the_order_of_the_log(void **state)
{
    static const uint64_t ms[] = {1769860800000, 5, 1769860800001, 1769850000000, 2049, 0};
    struct topic ada = a_user("ada");
    (void)state;

    for (size_t i = 0; i < COUNT_OF(ms); i++) {
        log_message(&ada, 1, ms[i] << 20 | (7 - i));
        add(ms[i] << 20 | (7 - i));
    }
    save();
    assert_int_equal(sqlite3_exec(log_file.db,
                                  "CREATE TEMP TABLE went(id);"
                                  "CREATE TEMP TRIGGER goes AFTER DELETE ON message"
                                  " BEGIN INSERT INTO went VALUES (old.id); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(remove_all(), COUNT_OF(ms));
    assert_int_equal(log_file_ask("SELECT count(*) FROM went a JOIN went b"
                                  " ON a.rowid < b.rowid AND a.id > b.id"),
                     0);
    assert_int_equal(log_file_ask("SELECT count(*) FROM went"), COUNT_OF(ms));
}

static void what_others_share_stays(void **state)
{
    struct topic both[] = {a_user("ada"), a_user("bob")};
    (void)state;

    log_message(both, 2, 1);
    add(1);
    save();
    assert_int_equal(remove_all(), 0);
    assert_int_equal(log_file_ask("SELECT count(*) FROM message"), 1);
}

static void a_crash_forgets_none(void **state)
{
    (void)state;

    log_some(40);
    for (uint64_t id = 40; id > 0; id--) {
        add(id);
        if (id % 7 == 0)
            save();
    }
    save();
    open_again();
    assert_int_equal(tombstones_count(desk.tombstones), 40);

    /* In the midst of removing them: the first slice is through, the others are not. */
    uint64_t pruned = 0;
    tombstones_begin(desk.tombstones);
    assert_int_equal(tombstones_slice(desk.tombstones, PAST, 0, &pruned), SQLITE_OK);
    assert_int_equal(pruned, 0); /* there was no time */
    assert_true(tombstones_busy(desk.tombstones));
    assert_int_equal(
        sqlite3_exec(log_file.db, "DELETE FROM message WHERE id <= 16", NULL, NULL, NULL),
        SQLITE_OK);
    open_again();
    assert_false(tombstones_busy(desk.tombstones));
    assert_int_equal(remove_all(), 24);
    assert_int_equal(log_file_ask("SELECT count(*) FROM message"), 0);
    assert_int_equal(log_file_ask("SELECT count(*) FROM litter"), 0);
}

/* Is it there for who knows its id? */
static bool is_found(uint64_t id)
{
    struct sqlite_file_error error;
    struct lookup lookup = {.id = id};
    struct sqlite_reader *reader = sqlite_reader_open(log_file.folder, &error);
    assert_non_null(reader);
    assert_int_equal(sqlite_reader_lookup(reader, &lookup, (struct expiry){0, 0}), 0);
    sqlite_reader_close(reader);
    bool found = lookup.message;
    message_unref(lookup.message);
    return found;
}

static void nobody_finds_litter_by_its_id(void **state)
{
    struct topic both[] = {a_user("ada"), a_user("bob")};
    char sql[128];
    (void)state;

    log_some(3);
    log_message(both, 2, 4);
    assert_true(is_found(2)); /* not filed yet */
    assert_int_equal(sqlite_file_set(log_file.db, "indexed_upto", 2), SQLITE_OK);
    snprintf(sql, sizeof sql, "INSERT INTO mail(address, id, n, total) VALUES (%lld, 2, 2, 14)",
             (long long)both[0].hash);
    assert_int_equal(sqlite3_exec(log_file.db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_false(is_found(1));
    assert_true(is_found(2));
    assert_true(is_found(3));
    assert_int_equal(sqlite_file_set(log_file.db, "indexed_upto", 4), SQLITE_OK);
    assert_false(is_found(3));
    assert_true(is_found(4)); /* others may have it still */
}

#define desk_test(f) cmocka_unit_test_setup_teardown(f, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(what_is_on_the_list_goes),      desk_test(it_goes_in_the_order_of_the_log),
        desk_test(what_others_share_stays),       desk_test(a_crash_forgets_none),
        desk_test(nobody_finds_litter_by_its_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
