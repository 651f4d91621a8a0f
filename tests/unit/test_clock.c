#include "support.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static void moments_are_written_in_utc(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } moments[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {951868799999, "2000-02-29T23:59:59.999Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {946684799000, "1999-12-31T23:59:59.000Z"},
        {1769860800000, "2026-01-31T12:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(moments); i++) {
        char text[CLOCK_TEXT_SIZE];
        clock_format(moments[i].ms, text);
        assert_string_equal(text, moments[i].text);
    }
}

static void days_agree_with_the_c_library(void **state)
{
    (void)state;

    for (int64_t day = 0; day < 60000; day++) {
        char ours[CLOCK_TEXT_SIZE], theirs[64];
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        clock_format((int64_t)seconds * 1000 + day % 1000, ours);
        gmtime_r(&seconds, &tm);
        size_t length = strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(theirs + length, sizeof theirs - length, ".%03dZ", (int)(day % 1000));
        assert_string_equal(ours, theirs);
    }
}

static void the_clocks_run_forward(void **state)
{
    (void)state;

    int64_t ms = clock_mono_ms();
    int64_t us = clock_mono_us();
    assert_true(us / 1000 >= ms); /* the coarse one lags by a tick of the kernel at most */
    assert_in_range(us / 1000 - ms, 0, 1000);
    assert_true(clock_mono_ms() >= ms);
    assert_true(clock_mono_us() >= us);
    int64_t seconds = (int64_t)time(NULL);
    assert_in_range(clock_wall_ms() / 1000 - seconds + 5, 0, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_written_in_utc),
        cmocka_unit_test(days_agree_with_the_c_library),
        cmocka_unit_test(the_clocks_run_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
