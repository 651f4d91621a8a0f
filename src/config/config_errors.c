#include "config/config_errors.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum {
    MOST_ERRORS = 20, /* a file of the wrong kind would fill the screen */
    LONGEST_NAME = 64,
    LONGEST_VALUE = 40,
    LONGEST_PATH = 4096,
};

static void append(struct config_errors *errors, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);

    errors->text = mem_realloc(errors->text, errors->size + (size_t)length + 1);
    vsnprintf(errors->text + errors->size, (size_t)length + 1, format, args);
    errors->size += (size_t)length;
}

static void __attribute__((format(printf, 2, 3)))
put(struct config_errors *errors, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(errors, format, args);
    va_end(args);
}

static void put_printable(struct config_errors *errors, const char *text, size_t longest,
                          const char *after)
{
    char *printable = config_printable(text, longest);
    put(errors, "%s%s", printable, after);
    free(printable);
}

/* False when there are enough of them. */
static bool begin_line(struct config_errors *errors)
{
    errors->count++;
    if (errors->count > MOST_ERRORS)
        return false;
    put(errors, "%s", errors->size ? "\n" : "");
    if (errors->file)
        put_printable(errors, errors->file, LONGEST_PATH, errors->line ? ":" : ": ");
    if (errors->line)
        put(errors, "%zu: ", errors->line);
    if (errors->name)
        put_printable(errors, errors->name, LONGEST_NAME, ": ");
    return true;
}

void config_errors_add(struct config_errors *errors, const char *format, ...)
{
    if (!begin_line(errors))
        return;
    va_list args;
    va_start(args, format);
    append(errors, format, args);
    va_end(args);
}

void config_errors_add_value(struct config_errors *errors, const char *value, const char *format,
                             ...)
{
    if (!begin_line(errors))
        return;
    put(errors, "\"");
    put_printable(errors, value, LONGEST_VALUE, "\" ");
    va_list args;
    va_start(args, format);
    append(errors, format, args);
    va_end(args);
}

int config_errors_finish(struct config_errors *errors, char **ret_error)
{
    if (!errors->count)
        return 0;
    if (errors->count > MOST_ERRORS)
        put(errors, "\nand %zu more", errors->count - MOST_ERRORS);
    *ret_error = errors->text;
    *errors = (struct config_errors){0};
    return -1;
}

/* Is the character at text one that moves, hides or breaks a line? Text is proper UTF-8. */
static bool is_unprintable(const char *text)
{
    static const char *const unprintable[] = {
        "\xe2\x80\xa8", "\xe2\x80\xa9", /* U+2028, U+2029: YAML takes them for line breaks */
        "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf", /* byte order marks, U+FFFF */
    };
    unsigned char first = (unsigned char)text[0];

    if (first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)text[1] < 0xa0))
        return true;
    for (size_t i = 0; i < sizeof unprintable / sizeof *unprintable; i++)
        if (!strncmp(text, unprintable[i], 3))
            return true;
    return false;
}

static bool is_ascii_print(char c)
{
    return c >= 0x20 && c < 0x7f;
}

/* Of a character of proper UTF-8. */
static size_t character_width(const char *text)
{
    unsigned char first = (unsigned char)*text;
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

char *config_printable(const char *text, size_t longest)
{
    size_t length = strlen(text);
    bool is_utf8 = text_is_utf8(text, length);
    size_t end = length < longest ? length : longest;

    /* Not in the middle of a character. */
    while (is_utf8 && end < length && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    char *copy = mem_alloc(end + sizeof "...");
    for (size_t i = 0; i < end;) {
        size_t width = is_utf8 ? character_width(text + i) : 1;
        bool hide = is_utf8 ? is_unprintable(text + i) : !is_ascii_print(text[i]);
        if (hide)
            memset(copy + i, '?', width);
        else
            memcpy(copy + i, text + i, width);
        i += width;
    }
    strcpy(copy + end, end < length ? "..." : "");
    return copy;
}
