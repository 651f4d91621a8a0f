/* config.h - what the server is told at start: flags, environment, a YAML file, defaults.
 *
 * Read once by the thread that starts the server; floor 4 hands values down. The keys are rows
 * of config_table.h. Nothing here logs or exits; errors come back as text. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/config_table.h"

/* In the order of the words in the table. */
enum config_broker { CONFIG_BROKER_MEMORY };
enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARN, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };
enum config_log_format { CONFIG_LOG_AUTO, CONFIG_LOG_LOGFMT, CONFIG_LOG_JSON };

struct config_list {
    char **items;
    size_t count;
};

enum config_key {
#define CONFIG_KEY(type, key, ...) CONFIG_KEY_##key,
    CONFIG_TABLE(CONFIG_KEY)
#undef CONFIG_KEY
        CONFIG_KEY_COUNT
};

/* A higher one replaces what a lower one said. */
enum config_level { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

struct config_source {
    enum config_level level;
    size_t line; /* in the file */
};

#define CONFIG_FIELD_STRING(key)   char *key; /* "" is off */
#define CONFIG_FIELD_LIST(key)     struct config_list key;
#define CONFIG_FIELD_INT(key)      int64_t key; /* 0 where the table has a word for 0 */
#define CONFIG_FIELD_BOOL(key)     bool key;
#define CONFIG_FIELD_DURATION(key) int64_t key##_ms;
#define CONFIG_FIELD_SIZE(key)     int64_t key; /* bytes */
#define CONFIG_FIELD_ENUM(key)     enum config_##key key;

struct config {
#define CONFIG_FIELD(type, key, ...) CONFIG_FIELD_##type(key)
    CONFIG_TABLE(CONFIG_FIELD)
#undef CONFIG_FIELD

    struct config_source sources[CONFIG_KEY_COUNT];
    char *file; /* the name of the file that was read, or NULL */

    const char *command;    /* first word that is no flag; "serve" without one */
    char *const *arguments; /* what follows the command, borrowed from argv */
    size_t argument_count;  /* always 0 for "serve", whose flags were read */
};

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
