#include "base/units.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: formatting takes the first that divides the value. */
static const struct unit duration_units[] = {
    {"d", UNITS_DAY},    {"h", UNITS_HOUR}, {"m", UNITS_MINUTE},
    {"s", UNITS_SECOND}, {"ms", 1},         {NULL},
};
static const struct unit size_units[] = {
    {"GiB", UNITS_GIB}, {"MiB", UNITS_MIB}, {"KiB", UNITS_KIB}, {"B", 1}, {NULL},
};

/* Reads the digits at text; *ret_rest is what follows them. */
static int parse_digits(const char *text, int64_t *ret_number, const char **ret_rest)
{
    int64_t number = 0;
    bool too_large = false;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        too_large |= __builtin_mul_overflow(number, 10, &number);
        too_large |= __builtin_add_overflow(number, *at - '0', &number);
    }
    if (at == text)
        return -EINVAL;
    *ret_rest = at;
    if (too_large)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name; units++)
        if (!strcmp(units->name, name))
            return units;
    return NULL;
}

static int parse_with_unit(const struct unit *units, const char *text, int64_t *ret_value)
{
    int64_t number = 0;
    const char *rest;

    int err = parse_digits(text, &number, &rest);
    if (err == -EINVAL)
        return err;
    const struct unit *unit = find_unit(units, rest);
    if (!unit)
        return -EINVAL;
    if (err || __builtin_mul_overflow(number, unit->factor, &number))
        return -ERANGE;
    *ret_value = number;
    return 0;
}

int units_parse_number(const char *text, int64_t *ret_number)
{
    int64_t number = 0;
    const char *rest = text;

    int err = parse_digits(text, &number, &rest);
    if (*rest)
        return -EINVAL;
    if (!err)
        *ret_number = number;
    return err;
}

int units_parse_duration(const char *text, int64_t *ret_ms)
{
    if (!strcmp(text, "0")) {
        *ret_ms = 0;
        return 0;
    }
    return parse_with_unit(duration_units, text, ret_ms);
}

int units_parse_size(const char *text, int64_t *ret_bytes)
{
    int err = units_parse_number(text, ret_bytes);
    return err == -EINVAL ? parse_with_unit(size_units, text, ret_bytes) : err;
}

static const char *format(const struct unit *units, char *text, int64_t value)
{
    assert(value >= 0);
    while (value % units->factor)
        units++;
    snprintf(text, UNITS_TEXT_SIZE, "%" PRId64 "%s", value / units->factor, units->name);
    return text;
}

const char *units_format_duration(char text[static UNITS_TEXT_SIZE], int64_t ms)
{
    return ms ? format(duration_units, text, ms) : strcpy(text, "0s");
}

const char *units_format_size(char text[static UNITS_TEXT_SIZE], int64_t bytes)
{
    return bytes ? format(size_units, text, bytes) : strcpy(text, "0B");
}
