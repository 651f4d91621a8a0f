#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What a character stands for; -1: it is none. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Up to three bytes as four characters. */
static void encode_group(const unsigned char *bytes, size_t size, char ret_text[static 4])
{
    uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)(size > 1 ? bytes[1] : 0) << 8 |
                     (uint32_t)(size > 2 ? bytes[2] : 0);
    for (size_t i = 0; i < 4; i++)
        ret_text[i] = i <= size ? alphabet[group >> (18 - 6 * i) & 63] : '=';
}

void base64_encode(struct buf *buf, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    if (!buf_reserve(buf, (size + 2) / 3 * 4))
        return;
    for (size_t i = 0; i < size; i += 3) {
        encode_group(at + i, size - i < 3 ? size - i : 3, buf->data + buf->size);
        buf->size += 4;
    }
}

/* Of whole groups. */
static size_t padding_of(const char *text, size_t length)
{
    if (!length || text[length - 1] != '=')
        return 0;
    return text[length - 2] == '=' ? 2 : 1;
}

bool base64_is(const char *text, size_t length)
{
    if (length % 4)
        return false;
    for (size_t i = 0; i < length - padding_of(text, length); i++) {
        if (value_of(text[i]) < 0)
            return false;
    }
    return true;
}

bool base64_decode(struct buf *buf, const char *text, size_t length)
{
    if (!base64_is(text, length))
        return false;
    size_t size = length / 4 * 3 - padding_of(text, length);
    if (!size || !buf_reserve(buf, size)) /* a buffer that has nothing has no place either */
        return true;
    unsigned char *out = (unsigned char *)buf->data + buf->size;
    uint32_t bits = 0;
    for (size_t i = 0, made = 0; made < size; i++) {
        bits = bits << 6 | (uint32_t)value_of(text[i]);
        if (i % 4) /* the first of four has no byte whole */
            out[made++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    buf->size += size;
    return true;
}
