/* fuzz_text.c - UTF-8 and percent escapes, against decoders that are too plain to be wrong. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Decodes one character, whatever it is worth, and says how long it was; 0: no such form. */
static size_t decode(const uint8_t *at, size_t left, uint32_t *ret_code)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    for (size_t more = 0; more < 4 && more < left; more++) {
        if ((at[0] & forms[more].mask) != forms[more].lead)
            continue;
        *ret_code = at[0] & (uint8_t)~forms[more].mask;
        for (size_t i = 1; i <= more; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return 0;
            *ret_code = *ret_code << 6 | (at[i] & 0x3f);
        }
        return *ret_code < forms[more].least ? 0 : more + 1;
    }
    return 0;
}

static bool is_utf8(const uint8_t *data, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t code;
        length = decode(data + at, size - at, &code);
        if (!length || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

static size_t plain_length(const uint8_t *data, size_t size)
{
    size_t length = 0;
    while (length < size && data[length] >= 0x20 && data[length] < 0x80)
        length++;
    return length;
}

/* What was decoded and escaped again, every byte of it, decodes to the same. */
static void check_percent(const char *text, size_t size)
{
    char *decoded = malloc(size + 1), *coded = malloc(3 * size + 1), *again = malloc(3 * size + 1);
    ptrdiff_t length = text_percent_decode(decoded, text, size);

    assert(length <= (ptrdiff_t)size);
    assert(memchr(text, '%', size) || length == (ptrdiff_t)size);
    for (ptrdiff_t i = 0; i < length; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        uint8_t byte = (uint8_t)decoded[i];
        assert(byte || memchr(text, '\0', size));
        coded[3 * i] = '%';
        coded[3 * i + 1] = digits[byte >> 4];
        coded[3 * i + 2] = digits[byte & 15];
    }
    if (length > 0 && !memchr(decoded, '\0', (size_t)length)) {
        assert(text_percent_decode(again, coded, 3 * (size_t)length) == length);
        assert(!memcmp(again, decoded, (size_t)length));
    }
    memcpy(again, text, size); /* and in place */
    assert(text_percent_decode(again, again, size) == length);
    assert(length < 0 || !memcmp(again, decoded, (size_t)length));
    free(decoded);
    free(coded);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    assert(text_is_utf8(text, size) == is_utf8(data, size));
    assert(text_plain_length(text, size) == plain_length(data, size));
    check_percent(text, size);
    return 0;
}
