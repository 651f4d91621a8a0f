/* units.h - durations and sizes as people write them: 10s, 7d, 64KiB. Pure; any thread. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#define UNITS_KIB    (INT64_C(1) << 10)
#define UNITS_MIB    (INT64_C(1) << 20)
#define UNITS_GIB    (INT64_C(1) << 30)
#define UNITS_SECOND INT64_C(1000)
#define UNITS_MINUTE (60 * UNITS_SECOND)
#define UNITS_HOUR   (60 * UNITS_MINUTE)
#define UNITS_DAY    (24 * UNITS_HOUR)

/* Room for any result of the units_format_x() functions. */
#define UNITS_TEXT_SIZE 32

/* All three take digits and nothing before, between or after: no sign, no blank, no fraction.
 * 0, or -EINVAL for what is no such value, or -ERANGE for one beyond int64_t. */

/* A whole number. */
int units_parse_number(const char *text, int64_t *ret_number);

/* A number and its unit: ms, s, m, h or d. Only 0 may go without. */
int units_parse_duration(const char *text, int64_t *ret_ms);

/* A number, of bytes or with a unit: B, KiB, MiB or GiB. */
int units_parse_size(const char *text, int64_t *ret_bytes);

/* Writes the form with the largest unit that is exact ("90s", "2h", "0s"; "64KiB", "1000B"),
 * which parses back to the same value. The value is not negative. Returns text. */
const char *units_format_duration(char text[static UNITS_TEXT_SIZE], int64_t ms);
const char *units_format_size(char text[static UNITS_TEXT_SIZE], int64_t bytes);

#endif
