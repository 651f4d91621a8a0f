#include "top/options.h"

#include <stdio.h>
#include <string.h>

static const struct option_row *find(const char *text, const struct option_row *rows, size_t count)
{
    size_t length = strcspn(text, "=");
    for (size_t i = 0; i < count; i++) {
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, text, length) == 0)
            return &rows[i];
    }
    return NULL;
}

static bool complain(const char *command, const char *text, const char *mistake,
                     const struct option_row *rows, size_t count)
{
    fprintf(stderr, "pushwire %s: %s: %s; it takes", command, text, mistake);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " %s", rows[i].name);
    fputc('\n', stderr);
    return false;
}

bool options_read(const char *command, char *const *arguments, size_t count,
                  const struct option_row *rows, size_t row_count)
{
    for (size_t i = 0; i < count; i++) {
        const struct option_row *row = find(arguments[i], rows, row_count);
        const char *value = strchr(arguments[i], '=');
        if (!row)
            return complain(command, arguments[i], "unknown", rows, row_count);
        if (row->given && value)
            return complain(command, arguments[i], "takes no value", rows, row_count);
        if (row->given) {
            *row->given = true;
            continue;
        }
        if (!value && i + 1 == count)
            return complain(command, arguments[i], "needs a value", rows, row_count);
        *row->value = value ? value + 1 : arguments[++i];
    }
    return true;
}
