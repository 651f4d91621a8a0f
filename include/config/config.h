/* config.h - what the server is told at start: flags, environment, a YAML file, defaults.
 *
 * Read once by the thread that starts the server; floor 4 hands values down. The keys are rows
 * of config_table.h. Nothing here logs or exits; errors come back as text. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config_values.h"

struct command;

/* Reads all levels, for one of these commands (command.h), whose first is that without a word.
 * argv[0] is skipped, argv[argc] is NULL; flags of the configuration stand before and after the
 * word, the command's own after it. envp ends in NULL. 0, and *ret is to be config_finish()ed; or
 * -1 and *ret_error, to be freed: one error a line, no newline at its end. */
int config_load(struct config *ret, const struct command *commands, int argc, char *const argv[],
                char *const envp[], enum config_action *ret_action, char **ret_error);

/* What a flag of the command was given last, "" where it takes nothing; else what its variable
 * says, if that is not empty; else NULL. Borrowed. */
const char *config_option(const struct config *config, const char *flag);

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

/* A commented file of all keys, each with its default: a configuration to begin with. */
void config_print_template(FILE *out);

/* Every key as a flag, on a screen; and docs/configuration.md. */
void config_help(FILE *out);
void config_docs(FILE *out);

#endif
