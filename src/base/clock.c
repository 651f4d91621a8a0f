#include "base/clock.h"

#include <time.h>

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return now_us(CLOCK_MONOTONIC_COARSE) / 1000; /* no device is read */
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

/* Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar. The year is
 * taken to begin in March, so that the leap day is its last and months follow one formula. */
static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    days += 719468; /* from 0000-03-01 */
    int64_t era = days / 146097;
    int day_of_era = (int)(days % 146097);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted_month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    *ret_month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *ret_year = (int)(era * 400) + year_of_era + (*ret_month <= 2);
}

static char *put_digits(char *at, int value, int width, char end)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    at[width] = end;
    return at + width + 1;
}

void clock_format(int64_t wall_ms, char ret_text[static CLOCK_TEXT_SIZE])
{
    if (wall_ms < 0)
        wall_ms = 0;
    int year, month, day;
    civil_from_days(wall_ms / 86400000, &year, &month, &day);
    int in_day = (int)(wall_ms % 86400000);
    char *at = put_digits(ret_text, year, 4, '-');
    at = put_digits(at, month, 2, '-');
    at = put_digits(at, day, 2, 'T');
    at = put_digits(at, in_day / 3600000, 2, ':');
    at = put_digits(at, in_day / 60000 % 60, 2, ':');
    at = put_digits(at, in_day / 1000 % 60, 2, '.');
    at = put_digits(at, in_day % 1000, 3, 'Z');
    *at = '\0';
}
