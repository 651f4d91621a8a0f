/* options.h - the flags of a command, as a table: `--name value` or `--name=value`. */
#ifndef TOP_OPTIONS_H
#define TOP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct option_row {
    const char *name;   /* with its dashes */
    const char **value; /* set where it is given; borrowed */
    bool *given;        /* instead of a value: it takes none */
};

/* False: standard error was told what is wrong with `arguments`. */
bool options_read(const char *command, char *const *arguments, size_t count,
                  const struct option_row *rows, size_t row_count);

#endif
