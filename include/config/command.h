/* command.h - the words of the command line, as rows: what each is called, takes, and does.
 *
 * top/commands.c has the table. The parser, the help, the completion and the manual all read it, so
 * none of them knows a command by name. The first row is what runs without a word; a row without a
 * word ends the table. Constant; any thread. */
#ifndef CONFIG_COMMAND_H
#define CONFIG_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config;

/* A flag that only this command has; it stands behind the word. */
struct command_flag {
    const char *name;     /* with its dashes; NULL ends a list */
    const char *value;    /* what it takes, as help says it; NULL: it takes nothing */
    const char *help;     /* half a line */
    const char *variable; /* says the same in the environment; NULL: none does */
};

/* What a key of the configuration is without anybody's word, where this command runs. */
struct command_default {
    const char *key; /* NULL ends a list */
    const char *value;
};

struct command {
    const char *word;     /* one or two: "token", "key new" */
    const char *operands; /* as the usage shows them; "" */
    size_t least, most;   /* how many of them */
    const char *help;     /* half a line */
    const char *details;  /* paragraphs, as `pushwire help WORD` shows them; NULL: none */
    int (*run)(const struct config *config); /* the exit code: 0; 1 could not; 2 asked wrongly */
    const struct command_flag *flags;        /* NULL: none */
    const struct command_default *defaults;  /* NULL: none */
    bool ignores_config;                     /* file, environment and limits do not matter to it */
};

/* The row of `word`, or of `word next`, which is tried first (NULL is fine); *ret_words says how
 * many of the two it is. NULL: there is none. */
const struct command *command_find(const struct command *commands, const char *word,
                                   const char *next, size_t *ret_words);

/* Is it the first of two words? */
bool command_is_group(const struct command *commands, const char *word);

/* The word somebody may have meant, of a command or a group, as long as the caller keeps
 * ret_word. NULL: none is near. */
#define COMMAND_WORD_SIZE 32
const char *command_nearest(const struct command *commands, const char *written,
                            char ret_word[static COMMAND_WORD_SIZE]);

/* The flag of this command, or NULL. */
const struct command_flag *command_flag(const struct command *command, const char *name);

/* Does a flag of any command have this variable? */
bool command_variable_is_known(const struct command *commands, const char *name);

/* "pushwire token check TOKEN [flags]", without a newline. */
void command_print_usage(FILE *out, const struct command *command);
/* A line for each; of one group only, unless group is NULL. */
void command_print_list(FILE *out, const struct command *commands, const char *group);
/* What it does, and its own flags. */
void command_print_help(FILE *out, const struct command *command);

#endif
