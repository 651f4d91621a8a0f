#include "support.h"

#include <stdlib.h>

#include "engine/devices.h"

static struct devices devices;

static int open_devices(void **state)
{
    (void)state;
    devices_init(&devices, 3, 5);
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    devices_finish(&devices);
    return 0;
}

static struct device *move(uint64_t user, const char *name, uint64_t cursor, int64_t now_ms)
{
    return devices_move(&devices, user, name, strlen(name), cursor, now_ms);
}

static struct device *find(uint64_t user, const char *name)
{
    return devices_find(&devices, user, name, strlen(name));
}

static void a_cursor_only_rises(void **state)
{
    (void)state;

    assert_null(find(1, "phone"));
    assert_int_equal(move(1, "phone", 5, 100)->cursor, 5);
    assert_int_equal(move(1, "phone", 3, 200)->cursor, 5);
    assert_int_equal(find(1, "phone")->moved_at_ms, 100);
    assert_int_equal(move(1, "phone", 7, 300)->cursor, 7);
    assert_int_equal(find(1, "phone")->moved_at_ms, 300);
    assert_int_equal(devices.count, 1);
}

static void one_that_has_nothing_yet_has_moved_all_the_same(void **state)
{
    (void)state;

    assert_int_equal(move(1, "phone", 0, 100)->cursor, 0);
    assert_int_equal(find(1, "phone")->moved_at_ms, 100);
}

static void names_are_exact_and_of_one_user(void **state)
{
    (void)state;

    move(1, "phone", 5, 100);
    assert_null(find(2, "phone"));
    assert_null(find(1, "phon"));
    assert_null(find(1, "phone2"));
    assert_null(find(1, "Phone"));
    assert_null(devices_of(&devices, 2));
}

static void the_one_that_moved_longest_ago_goes(void **state)
{
    (void)state;

    move(1, "a", 1, 100);
    move(1, "b", 1, 200);
    move(1, "c", 1, 300);
    move(1, "a", 2, 400);
    move(1, "d", 1, 500);
    assert_null(find(1, "b"));
    assert_non_null(find(1, "a"));
    assert_non_null(find(1, "c"));
    assert_non_null(find(1, "d"));
    assert_int_equal(devices.count, 3);
}

static void beyond_the_total_the_one_of_all_that_moved_longest_ago_goes(void **state)
{
    (void)state;

    move(1, "a", 1, 100);
    move(1, "b", 1, 200);
    move(2, "a", 1, 300);
    move(2, "b", 1, 400);
    move(3, "a", 1, 500);
    move(1, "a", 2, 600);
    assert_non_null(move(4, "a", 1, 700));
    assert_null(find(1, "b"));
    assert_non_null(find(1, "a"));
    assert_non_null(move(5, "a", 1, 800));
    assert_null(find(2, "a"));
    assert_non_null(find(2, "b"));
    assert_int_equal(devices.count, 5);
}

static void what_is_forgotten_is_gone_with_its_user(void **state)
{
    (void)state;

    move(1, "a", 1, 100);
    assert_false(devices_forget(&devices, 1, "b", 1));
    assert_false(devices_forget(&devices, 2, "a", 1));
    assert_true(devices_forget(&devices, 1, "a", 1));
    assert_null(devices_of(&devices, 1));
    assert_int_equal(devices.count, 0);
}

static void a_copy_is_sorted_as_the_file_is(void **state)
{
    (void)state;
    size_t count = 9;

    assert_null(devices_copy(&devices, &count));
    assert_int_equal(count, 0);
    move(1, "b", 2, 100);
    move(1, "a", 1, 100);
    move(UINT64_MAX, "z", 8, 100); /* below 0, in the file */
    move(1, "aa", 4, 100);
    struct device *copy = devices_copy(&devices, &count);
    assert_int_equal(count, 4);
    qsort(copy, count, sizeof *copy, device_compare);
    assert_int_equal(copy[0].cursor, 8);
    assert_int_equal(copy[1].cursor, 1);
    assert_int_equal(copy[2].cursor, 4);
    assert_int_equal(copy[3].cursor, 2);
    free(copy);
}

static void what_moved_since_a_copy_stays(void **state)
{
    (void)state;
    size_t count;

    move(1, "a", 1, 100);
    move(1, "b", 2, 100);
    move(2, "c", 3, 100);
    struct device *copy = devices_copy(&devices, &count);
    move(1, "b", 4, 200);
    devices_forget(&devices, 2, "c", 1);
    devices_forget_copied(&devices, copy, count);
    free(copy);
    assert_null(find(1, "a"));
    assert_int_equal(find(1, "b")->cursor, 4);
    assert_int_equal(devices.count, 1);
}

#define devices_test(f) cmocka_unit_test_setup_teardown(f, open_devices, close_devices)

int main(void)
{
    const struct CMUnitTest tests[] = {
        devices_test(a_cursor_only_rises),
        devices_test(one_that_has_nothing_yet_has_moved_all_the_same),
        devices_test(names_are_exact_and_of_one_user),
        devices_test(the_one_that_moved_longest_ago_goes),
        devices_test(beyond_the_total_the_one_of_all_that_moved_longest_ago_goes),
        devices_test(what_is_forgotten_is_gone_with_its_user),
        devices_test(a_copy_is_sorted_as_the_file_is),
        devices_test(what_moved_since_a_copy_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
