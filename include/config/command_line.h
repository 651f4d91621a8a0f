/* command_line.h - what the command line says: a command, its operands, and flags of two kinds.
 *
 * Lives while one configuration is read, on that thread. Words and values are borrowed from argv.
 * Private to config.c. */
#ifndef CONFIG_COMMAND_LINE_H
#define CONFIG_COMMAND_LINE_H

#include "config/config_values.h"

struct command;
struct config_errors;
struct config_row;

struct config_flag {
    const struct config_row *row;
    const char *value;
};

struct command_line {
    enum config_action action;
    const char *file; /* of --config, or NULL */
    const struct command *command;
    bool is_named;         /* there was a word */
    const char **operands; /* owned by whom it is handed to */
    size_t operand_count;
    struct config_given *given; /* likewise: the command's own flags, in the order given */
    size_t given_count;
    struct config_flag *flags; /* of the configuration, in the order given */
    size_t flag_count;
};

/* A flag of the configuration stands anywhere, one of the command behind its word, where it wins
 * over a key of the same name. `--` ends the flags; `-` alone is an operand. What is wrong is told
 * to errors. To be finished in any case. */
void command_line_read(struct command_line *ret, const struct command *commands, int argc,
                       char *const *argv, struct config_errors *errors);
/* NULLs operands and given first, if they have changed hands. */
void command_line_finish(struct command_line *line);

#endif
