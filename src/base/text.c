#include "base/text.h"

#include <string.h>
#include <strings.h>

/* How many continuation bytes follow this lead byte, and the range of the first of them
 * (RFC 3629 section 4); -1 for a byte that cannot lead. */
static int utf8_lead(unsigned char lead, unsigned char *ret_low, unsigned char *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (lead < 0x80)
        return 0;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if (lead == 0xe0)
        *ret_low = 0xa0;
    if (lead == 0xed)
        *ret_high = 0x9f;
    if (lead >= 0xe0 && lead <= 0xef)
        return 2;
    if (lead == 0xf0)
        *ret_low = 0x90;
    if (lead == 0xf4)
        *ret_high = 0x8f;
    if (lead >= 0xf0 && lead <= 0xf4)
        return 3;
    return -1;
}

#define EACH_BYTE(b) ((uint64_t)(b)*0x0101010101010101)

size_t text_plain_length(const char *text, size_t length)
{
    size_t i = 0;
    for (uint64_t word; length - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text + i, sizeof word);
        /* The top bit of a byte is set if it was set before, or if taking 0x20 away borrows. */
        if ((word | (word - EACH_BYTE(0x20))) & EACH_BYTE(0x80))
            break;
    }
    while (i < length && (unsigned char)text[i] - 0x20u < 0x60)
        i++;
    return i;
}

bool text_is_utf8(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        if (*at < 0x80) {
            size_t plain = text_plain_length((const char *)at, (size_t)(end - at));
            at += plain ? plain : 1;
            continue;
        }
        unsigned char low, high;
        int more = utf8_lead(*at++, &low, &high);
        if (more < 0 || more > end - at)
            return false;
        for (; more > 0; more--, at++) {
            if (*at < low || *at > high)
                return false;
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

ptrdiff_t text_percent_decode(char *ret_text, const char *text, size_t length)
{
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            ret_text[out++] = text[i];
            continue;
        }
        if (length - i < 3)
            return -1;
        int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return -1;
        ret_text[out++] = (char)(high << 4 | low);
        i += 2;
    }
    return (ptrdiff_t)out;
}

static bool is_token_char(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || (c >= '0' && c <= '9'))
        return true;
    return c && strchr("!#$%&'*+.^_`|~", c) != NULL;
}

bool text_is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_token_char((unsigned char)text[i]))
            return false;
    }
    return length > 0;
}

bool text_is_token_list(const char *text)
{
    bool any = false;
    for (; *text; text++) {
        bool is = is_token_char((unsigned char)*text);
        if (!is && *text != ',' && *text != ' ')
            return false;
        any = any || is;
    }
    return any;
}

bool text_equal_nocase(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

bool text_list_has(const char *list, const char *token)
{
    while (*list) {
        list += strspn(list, ", \t");
        size_t length = strcspn(list, ",");
        size_t trimmed = length;
        while (trimmed && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
            trimmed--;
        if (text_equal_nocase(list, trimmed, token))
            return true;
        list += length;
    }
    return false;
}

bool text_parse_u64(const char *text, size_t length, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' ||
            __builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return false;
    }
    if (!length)
        return false;
    *ret_number = number;
    return true;
}

size_t text_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t row[LONGEST + 1];
    size_t width = strlen(b);
    if (width > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[width];
}

void text_format_id(uint64_t id, char ret_text[static TEXT_ID_SIZE])
{
    for (int i = TEXT_ID_SIZE - 2; i >= 0; i--, id /= 10)
        ret_text[i] = (char)('0' + id % 10);
    ret_text[TEXT_ID_SIZE - 1] = '\0';
}

void text_format_hex(uint64_t number, char ret_text[static TEXT_HEX_SIZE])
{
    for (int i = TEXT_HEX_SIZE - 2; i >= 0; i--, number >>= 4)
        ret_text[i] = "0123456789abcdef"[number & 0xf];
    ret_text[TEXT_HEX_SIZE - 1] = '\0';
}

bool text_parse_hex(const char *text, size_t length, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (length != TEXT_HEX_SIZE - 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        int digit = hex_value(text[i]);
        if (digit < 0)
            return false;
        number = number << 4 | (uint64_t)digit;
    }
    *ret_number = number;
    return true;
}
