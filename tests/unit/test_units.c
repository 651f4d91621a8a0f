#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/units.h"

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"500ms", 500},
        {"10s", 10000},
        {"5m", 300000},
        {"2h", 7200000},
        {"7d", 604800000},
        {"0", 0},
        {"0s", 0},
        {"007s", 7000},
        {"106751991167d", 9223372036828800000},
        {"9223372036854775807ms", INT64_MAX},
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -1;
        assert_int_equal(units_parse_duration(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
}

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"0", 0},
        {"512B", 512},
        {"65536", 65536},
        {"64KiB", 65536},
        {"1MiB", 1048576},
        {"2GiB", 2147483648},
        {"8589934591GiB", 9223372035781033984},
        {"9223372036854775807", INT64_MAX},
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t bytes = -1;
        assert_int_equal(units_parse_size(good[i].text, &bytes), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
}

static void what_is_no_value_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad_durations[] = {"",    "s",    "7x",  "10",    "-1s", "+1s",  " 1s",
                                                "1s ", "1.5s", "1 s", "1m30s", "1S",  "1sec", "00"};
    static const char *const bad_sizes[] = {"",   "B",  "KiB", "64KB",   "64K",  "64kib", "-1",
                                            "+1", " 1", "1 ",  "1.5MiB", "0x10", "1e6"};
    int64_t value = 77;
    (void)state;

    for (size_t i = 0; i < sizeof bad_durations / sizeof *bad_durations; i++)
        assert_int_equal(units_parse_duration(bad_durations[i], &value), -EINVAL);
    for (size_t i = 0; i < sizeof bad_sizes / sizeof *bad_sizes; i++)
        assert_int_equal(units_parse_size(bad_sizes[i], &value), -EINVAL);
    assert_int_equal(units_parse_number("", &value), -EINVAL);
    assert_int_equal(units_parse_number("1s", &value), -EINVAL);
    assert_int_equal(value, 77);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    int64_t value = 77;
    (void)state;

    assert_int_equal(units_parse_number("9223372036854775808", &value), -ERANGE);
    assert_int_equal(units_parse_number("99999999999999999999999999", &value), -ERANGE);
    assert_int_equal(units_parse_duration("9223372036854775808ms", &value), -ERANGE);
    assert_int_equal(units_parse_duration("106751991168d", &value), -ERANGE);
    assert_int_equal(units_parse_size("8589934592GiB", &value), -ERANGE);
    assert_int_equal(units_parse_size("18446744073709551617", &value), -ERANGE);
    assert_int_equal(units_parse_size("18446744073709551617x", &value), -EINVAL);
    assert_int_equal(value, 77);
}

static void values_are_written_in_the_largest_exact_unit(void **state)
{
    char text[UNITS_TEXT_SIZE];
    (void)state;

    assert_string_equal(units_format_duration(text, 0), "0s");
    assert_string_equal(units_format_duration(text, 999), "999ms");
    assert_string_equal(units_format_duration(text, 90 * UNITS_SECOND), "90s");
    assert_string_equal(units_format_duration(text, UNITS_HOUR), "1h");
    assert_string_equal(units_format_duration(text, 36 * UNITS_HOUR), "36h");
    assert_string_equal(units_format_duration(text, 48 * UNITS_HOUR), "2d");
    assert_string_equal(units_format_duration(text, INT64_MAX), "9223372036854775807ms");
    assert_string_equal(units_format_size(text, 0), "0B");
    assert_string_equal(units_format_size(text, 1000), "1000B");
    assert_string_equal(units_format_size(text, 1536), "1536B");
    assert_string_equal(units_format_size(text, 64 * UNITS_KIB), "64KiB");
    assert_string_equal(units_format_size(text, 1024 * UNITS_MIB), "1GiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(what_is_no_value_is_refused_and_changes_nothing),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
        cmocka_unit_test(values_are_written_in_the_largest_exact_unit),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
