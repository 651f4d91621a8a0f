/* config_values.h - the values of the configuration, a field for each row of config_table.h.
 *
 * Filled by config.h's functions and, row by row, by config_row.h's. */
#ifndef CONFIG_CONFIG_VALUES_H
#define CONFIG_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config_table.h"

/* In the order of the words in the table. */
enum config_broker { CONFIG_BROKER_SQLITE, CONFIG_BROKER_MEMORY };
enum config_sync { CONFIG_SYNC_FULL, CONFIG_SYNC_NORMAL };
enum config_root_room { CONFIG_ROOT_ROOM_LOBBY, CONFIG_ROOT_ROOM_ROOM, CONFIG_ROOT_ROOM_OFF };
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

enum config_action {
    CONFIG_RUN,
    CONFIG_HELP,    /* --help, -h: nothing else was looked at, the values are the defaults */
    CONFIG_VERSION, /* --version, -V: likewise */
    CONFIG_CHECK,   /* --check-config */
    CONFIG_PRINT,   /* --print-config */
};

/* A flag of the command, and its value: "" where it takes none. */
struct config_given {
    const char *name;
    const char *value;
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

    /* What it was read from, borrowed, to be read again. */
    int argc;
    char *const *argv;
    char *const *envp;

    const struct command *commands; /* all there are, borrowed */
    const struct command *command;  /* the one that was named, or the first */
    bool is_named;                  /* there was a word for it */
    const char **operands;          /* what follows the word and is no flag */
    size_t operand_count;
    struct config_given *given; /* the command's own flags, in the order given */
    size_t given_count;
};

#endif
