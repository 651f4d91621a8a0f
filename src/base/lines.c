#include "base/lines.h"

#include <string.h>

void lines_init(struct lines *lines, size_t max_size)
{
    *lines = (struct lines){.max_size = max_size};
    buf_init(&lines->begun);
}

void lines_finish(struct lines *lines)
{
    buf_finish(&lines->begun);
}

static struct line refuse(enum err err)
{
    return (struct line){.err = err};
}

static struct line make_line(const struct lines *lines, const char *text, size_t size)
{
    if (size && text[size - 1] == '\r')
        size--;
    return size > lines->max_size ? refuse(ERR_BODY_TOO_LARGE) : (struct line){text, size, 0};
}

static bool has_begun(const struct lines *lines)
{
    return !lines->handed_out && (lines->begun.size || lines->err);
}

static void forget(struct lines *lines)
{
    lines->begun.size = 0;
    lines->err = ERR_NONE;
    lines->handed_out = false;
}

/* The longest line may have a CR behind it. */
static void append(struct lines *lines, const char *bytes, size_t size)
{
    if (lines->err)
        return;
    if (lines->begun.size + size > lines->max_size + 1)
        lines->err = ERR_BODY_TOO_LARGE;
    else if (!buf_reserve(&lines->begun, size))
        lines->err = ERR_OUT_OF_MEMORY;
    if (lines->err)
        buf_finish(&lines->begun);
    else
        buf_add(&lines->begun, bytes, size);
}

static struct line hand_out(struct lines *lines)
{
    lines->handed_out = true;
    return lines->err ? refuse(lines->err) : make_line(lines, lines->begun.data, lines->begun.size);
}

bool lines_take(struct lines *lines, const char *bytes, size_t size, size_t *ret_taken,
                struct line *ret_line)
{
    const char *end = size ? memchr(bytes, '\n', size) : NULL;
    size_t length = end ? (size_t)(end - bytes) : size;
    *ret_taken = end ? length + 1 : size;
    if (end && !has_begun(lines)) {
        *ret_line = make_line(lines, bytes, length);
        return true;
    }
    if (lines->handed_out)
        forget(lines);
    append(lines, bytes, length);
    if (end)
        *ret_line = hand_out(lines);
    return end != NULL;
}

bool lines_take_last(struct lines *lines, struct line *ret_line)
{
    bool any = has_begun(lines);
    if (any)
        *ret_line = hand_out(lines);
    return any;
}
