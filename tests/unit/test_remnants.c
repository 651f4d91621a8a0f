#include "log_file.h"

#include "engine/remnants.h"

static struct {
    struct remnants *remnants;
} desk;

static int open_desk(void **state)
{
    (void)state;
    log_file_open();
    desk.remnants = remnants_create(log_file.db, &(struct remnants_limits){32, 32, 32, 4});
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    remnants_destroy(desk.remnants);
    return log_file_close();
}

/* `count` rows, of which row i is made by `format` with i, i, i. */
static void fill(const char *format, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, format, i, i, i);
        log_file_run(sql);
    }
}

static void trim(void)
{
    assert_int_equal(remnants_trim(desk.remnants, 1000), SQLITE_OK);
}

static void of_users_and_devices_the_newest_stay(void **state)
{
    (void)state;

    fill("INSERT INTO seen VALUES (-%d, %d + 0 * %d)", 1, 32);
    fill("INSERT INTO device VALUES (7, 'phone%d', 9, 100 - %d + 0 * %d)", 1, 32);
    trim();
    assert_int_equal(log_file_ask("SELECT count(*) FROM seen"), 32); /* there is room */
    assert_int_equal(log_file_ask("SELECT count(*) FROM device"), 32);
    fill("INSERT INTO seen VALUES (-%d, %d + 0 * %d)", 33, 1);
    fill("INSERT INTO device VALUES (7, 'phone%d', 9, 100 - %d + 0 * %d)", 33, 8);
    trim();
    assert_int_equal(log_file_ask("SELECT count(*) FROM seen"), 30);
    assert_int_equal(log_file_ask("SELECT min(at) FROM seen"), 4);
    assert_int_equal(log_file_ask("SELECT count(*) FROM device"), 30);
    assert_int_equal(log_file_ask("SELECT max(moved_at) FROM device"), 99);
    assert_int_equal(log_file_ask("SELECT min(moved_at) FROM device"), 70);
}

static void what_addresses_lost_becomes_one_floor(void **state)
{
    (void)state;

    fill("INSERT INTO address VALUES (%d, %d, %d / 2)", 1, 40);
    trim();
    assert_int_equal(log_file_ask("SELECT count(*) FROM address"), 30);
    assert_int_equal(log_file_ask("SELECT min(pruned_upto) FROM address"), 11);
    assert_int_equal(log_file_ask("SELECT " SQLITE_FILE_FLOOR), 10);
    fill("INSERT INTO address VALUES (%d, 0, %d + 0 * %d)", 41, 3); /* erased: no loss */
    trim();
    assert_int_equal(log_file_ask("SELECT count(*) FROM address"), 30);
    assert_int_equal(log_file_ask("SELECT " SQLITE_FILE_FLOOR), 13);
    fill("DELETE FROM address WHERE pruned_upto > 0 + 0 * %d + 0 * %d + 0 * %d", 1, 1);
    fill("INSERT INTO address VALUES (%d, 1, %d + 0 * %d)", 50, 40);
    trim();
    assert_int_equal(log_file_ask("SELECT " SQLITE_FILE_FLOOR), 13); /* it never falls */
}

static void an_erasure_that_is_still_needed_stays(void **state)
{
    (void)state;

    fill("INSERT INTO mail VALUES (%d, %d, %d, 1)", 5, 1);
    fill("INSERT INTO address VALUES (%d, 0, %d + 0 * %d)", 1, 40);
    fill("INSERT INTO address VALUES (%d, 0, %d + 1000 + 0 * %d)", 100, 40);
    for (int i = 0; i < 3; i++)
        trim();
    assert_int_equal(log_file_ask("SELECT count(*) FROM address WHERE hash < 100"), 1);
    assert_int_equal(log_file_ask("SELECT hash FROM address WHERE hash < 100"), 5);
    assert_int_equal(log_file_ask("SELECT count(*) FROM address WHERE hash >= 100"), 40);
    assert_int_equal(log_file_ask("SELECT " SQLITE_FILE_FLOOR), 0);
}

static void the_oldest_lives_become_one_hole(void **state)
{
    (void)state;

    fill("INSERT INTO life VALUES (%d0 + 0 * %d, %d0 - 5)", 1, 6);
    trim();
    assert_int_equal(log_file_ask("SELECT count(*) FROM life"), 4);
    assert_int_equal(log_file_ask("SELECT last FROM life WHERE first = 30"), 5);
    assert_int_equal(log_file_ask("SELECT last FROM life WHERE first = 40"), 35);
}

static void limits_are_a_share_of_the_file(void **state)
{
    (void)state;

    assert_int_equal(remnants_limits_of(1024).topics, 1000);
    assert_int_equal(remnants_limits_of(64 << 20).devices, 131072);
    assert_int_equal(remnants_limits_of((uint64_t)4 << 30).users, 1000000);
    assert_int_equal(remnants_limits_of(UINT64_MAX).topics, 1000000);
}

#define desk_test(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(of_users_and_devices_the_newest_stay),
        desk_test(what_addresses_lost_becomes_one_floor),
        desk_test(an_erasure_that_is_still_needed_stays),
        desk_test(the_oldest_lives_become_one_hole),
        cmocka_unit_test(limits_are_a_share_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
