#include "base/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define HUGE_NUMBER "9e307" /* no number that overflows is shorter */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* Past the closing quote of the string that begins here. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end;) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (!quote)
            return end;
        const char *escape = memchr(at, '\\', (size_t)(quote - at));
        if (!escape)
            return quote + 1;
        at = escape + 2;
    }
    return end;
}

/* Past the value that begins here. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else {
            depth += *at == '{' || *at == '[';
            if (!depth && (*at == ',' || *at == '}' || *at == ']'))
                return at;
            depth -= *at == '}' || *at == ']';
            at++;
        }
        if (!depth && at < end && (*at == ',' || *at == '}' || *at == ']'))
            return at;
    }
    return end;
}

/* The ASCII character that this \uXXXX stands for, or -1. */
static int unescape(const char *at, const char *end)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    int code = 0;
    if (end - at < 6 || memcmp(at, "\\u00", 4) != 0)
        return -1;
    for (int i = 4; i < 6; i++) {
        const char *digit = at[i] ? strchr(hex, at[i]) : NULL;
        if (!digit)
            return -1;
        code = code * 16 + (int)(digit - hex < 16 ? digit - hex : digit - hex - 6);
    }
    return code;
}

/* Is this string's text the name? Names are written plainly by all but a few. */
static bool is_name(const char *text, size_t size, const char *name)
{
    size_t length = strlen(name);
    if (size == length || !memchr(text, '\\', size))
        return size == length && memcmp(text, name, length) == 0;
    const char *end = text + size;
    for (; *name && text < end; name++) {
        bool escaped = *text == '\\';
        if ((escaped ? unescape(text, end) : *text) != *name)
            return false;
        text += escaped ? 6 : 1;
    }
    return !*name && text == end;
}

/* Up to the end, without the white space before that. */
static size_t trimmed_size(const char *at, const char *end)
{
    while (end > at && is_space(end[-1]))
        end--;
    return (size_t)(end - at);
}

bool json_text_member(const char *json, size_t size, const char *name, const char **ret_value,
                      size_t *ret_size)
{
    const char *end = json + size, *at = skip_space(json, end);
    if (at == end || *at++ != '{')
        return false;
    for (at = skip_space(at, end); at < end && *at == '"'; at = skip_space(at, end)) {
        const char *key = at + 1;
        at = skip_string(at, end);
        bool found = at > key && is_name(key, (size_t)(at - key) - 1, name);
        at = skip_space(at, end);
        if (at == end || *at != ':')
            return false;
        const char *value = skip_space(at + 1, end);
        at = skip_value(value, end);
        if (found) {
            *ret_value = value;
            *ret_size = trimmed_size(value, at);
            return true;
        }
        if (at < end && *at == ',')
            at++;
    }
    return false;
}

size_t json_text_value_size(const char *json, size_t size)
{
    return (size_t)(skip_value(json, json + size) - json);
}

bool json_text_tail(const char *json, size_t size, const char **ret_tail, size_t *ret_size)
{
    const char *at = skip_space(json, json + size);
    const char *end = at + trimmed_size(at, json + size);
    if (end - at < 2 || *at != '[' || end[-1] != ']')
        return false;
    const char *first = skip_space(at + 1, --end);
    if (first == end)
        return false;
    at = skip_value(first, end);
    if (at < end)
        at = skip_space(at + 1, end);
    *ret_tail = at;
    *ret_size = trimmed_size(at, end);
    return true;
}

bool json_text_is_compact(const char *json, size_t size)
{
    const char *end = json + size;
    for (const char *at = json; at < end; at = *at == '"' ? skip_string(at, end) : at + 1) {
        if (is_space(*at))
            return false;
    }
    return true;
}

void json_text_compact(struct buf *buf, const char *json, size_t size)
{
    const char *end = json + size, *at = json;
    while (at < end) {
        const char *start = at;
        while (at < end && !is_space(*at))
            at = *at == '"' ? skip_string(at, end) : at + 1;
        buf_add(buf, start, (size_t)(at - start));
        at = skip_space(at, end);
    }
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Past the number that begins here (RFC 8259 section 6), or at itself. */
static const char *skip_number(const char *at, const char *end)
{
    const char *start = at;
    at += *at == '-';
    const char *digits = at;
    at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
    if (at == digits)
        return start;
    if (at < end && *at == '.' && skip_digits(at + 1, end) > at + 1)
        at = skip_digits(at + 1, end);
    if (at < end && (*at == 'e' || *at == 'E')) {
        const char *exponent = at + 1;
        exponent += exponent < end && (*exponent == '+' || *exponent == '-');
        const char *after = skip_digits(exponent, end);
        at = after > exponent ? after : at;
    }
    return at;
}

static void tame_number(char *number, size_t length)
{
    if (length < strlen(HUGE_NUMBER) || !isinf(strtod(number, NULL)))
        return;
    size_t sign = number[0] == '-';
    memset(number + sign, ' ', length - sign);
    memcpy(number + sign, HUGE_NUMBER, strlen(HUGE_NUMBER));
}

void json_text_tame_numbers(char *json, size_t size)
{
    const char *end = json + size;
    for (char *at = json; at < end;) {
        if (*at == '"') {
            at += skip_string(at, end) - at;
            continue;
        }
        size_t length = (size_t)(skip_number(at, end) - at);
        tame_number(at, length);
        at += length ? length : 1;
    }
}
