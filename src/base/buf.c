#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAPACITY 256

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_finish(struct buf *buf)
{
    free(buf->data);
    buf_init(buf);
}

char *buf_detach(struct buf *buf)
{
    char *data = buf->data;
    buf_init(buf);
    return data;
}

bool buf_reserve(struct buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    if (buf->capacity - buf->size >= more)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : MIN_CAPACITY;
    while (capacity - buf->size < more)
        capacity *= 2;
    char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void buf_add(struct buf *buf, const void *bytes, size_t size)
{
    if (!size || !buf_reserve(buf, size))
        return;
    memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_number(struct buf *buf, uint64_t number)
{
    char digits[20];
    size_t i = sizeof digits;
    do
        digits[--i] = (char)('0' + number % 10);
    while (number /= 10);
    buf_add(buf, digits + i, sizeof digits - i);
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    assert(length >= 0);
    if (buf_reserve(buf, (size_t)length + 1)) {
        vsnprintf(buf->data + buf->size, (size_t)length + 1, format, again);
        buf->size += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

static void add_escaped(struct buf *buf, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add(buf, "\\\"", 2);
        break;
    case '\\':
        buf_add(buf, "\\\\", 2);
        break;
    case '\n':
        buf_add(buf, "\\n", 2);
        break;
    case '\t':
        buf_add(buf, "\\t", 2);
        break;
    default:
        buf_add_format(buf, "\\u%04x", c);
    }
}

void buf_add_json(struct buf *buf, const char *text, size_t length)
{
    buf_add(buf, "\"", 1);
    size_t plain = 0; /* start of the run not yet copied */
    for (size_t i = 0; i < length; i++) {
        if (!needs_escape((unsigned char)text[i]))
            continue;
        buf_add(buf, text + plain, i - plain);
        add_escaped(buf, (unsigned char)text[i]);
        plain = i + 1;
    }
    buf_add(buf, text + plain, length - plain);
    buf_add(buf, "\"", 1);
}

void buf_consume(struct buf *buf, size_t n)
{
    assert(n <= buf->size);
    buf->size -= n;
    if (buf->size)
        memmove(buf->data, buf->data + n, buf->size);
}
