/* config.h - what the server is told at start: flags, environment, a YAML file, defaults.
 *
 * Read once by the thread that starts the server; floor 4 hands values down. The keys are rows
 * of config_table.h. Nothing here logs or exits; errors come back as text. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/config_values.h"

enum config_action {
    CONFIG_RUN,
    CONFIG_HELP,    /* --help, -h: nothing else was looked at, the values are the defaults */
    CONFIG_VERSION, /* --version: likewise */
    CONFIG_CHECK,   /* --check-config */
    CONFIG_PRINT,   /* --print-config */
};

/* Reads all levels. argv[0] is skipped, argv[argc] is NULL; flags stand before and after the word
 * `serve`, and only before any other command, whose arguments are its own. envp ends in NULL. 0,
 * and *ret is to be config_finish()ed; or -1 and *ret_error, to be freed: one error a line, no
 * newline at its end. */
int config_load(struct config *ret, int argc, char *const argv[], char *const envp[],
                enum config_action *ret_action, char **ret_error);

/* Reads again what config was read from, as it is now. */
int config_load_again(const struct config *config, struct config *ret, char **ret_error);

/* Do both say the same of this key? */
struct config_row;
bool config_row_same(const struct config *a, const struct config *b, const struct config_row *row);

/* Defaults only. config_finish() may be called twice. */
void config_init_defaults(struct config *config);
void config_finish(struct config *config);

/* Reads text over an initialised config as if it stood in the file `name`. 0; or -1 and
 * *ret_error as above, and config then holds some of it. */
int config_parse_text(struct config *config, const char *name, const char *text, size_t size,
                      char **ret_error);

/* YAML that can be read back, each value with a comment that says where it came from. */
void config_print(FILE *out, const struct config *config);

/* The one line of --check-config when all is well. */
void config_print_check(FILE *out, const struct config *config);

/* The text of --help, and docs/configuration.md. */
void config_help(FILE *out);
void config_docs(FILE *out);

#endif
