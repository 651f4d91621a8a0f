/* config_errors.h - collects what is wrong with a configuration, a line each.
 *
 * Lives while one configuration is read, on that thread. Each line begins with where the fault
 * lies: "pushwire.yaml:12: workers: ...", "--workers: ...", "PUSHWIRE_WORKERS: ...". */
#ifndef CONFIG_CONFIG_ERRORS_H
#define CONFIG_CONFIG_ERRORS_H

#include <stddef.h>

/* Open: readers keep the place up to date. Begin with {0}. */
struct config_errors {
    const char *file; /* borrowed; NULL outside of a file */
    size_t line;      /* 0 without one */
    const char *name; /* borrowed; the key, flag or variable; NULL without one */

    char *text; /* owned */
    size_t size;
    size_t count;
};

void config_errors_add(struct config_errors *errors, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As above, after the quoted beginning of a value: "7x" is not a duration. */
void config_errors_add_value(struct config_errors *errors, const char *value, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

/* -1 and the text, which is the caller's to free, if anything was added; else 0. */
int config_errors_finish(struct config_errors *errors, char **ret_error);

/* A copy of at most `longest` bytes of text, to be freed, that is safe on a terminal and in a
 * YAML comment: what is no printable UTF-8 becomes '?'. */
char *config_printable(const char *text, size_t longest);

#endif
