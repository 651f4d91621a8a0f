#include "config/command.h"

#include <string.h>

#include "base/text.h"

#define LEFT_COLUMN 38

/* ---- finding ---- */

static bool is_words(const struct command *command, const char *first, const char *second)
{
    size_t length = strlen(first);
    return strncmp(command->word, first, length) == 0 && command->word[length] == ' ' &&
           strcmp(command->word + length + 1, second) == 0;
}

const struct command *command_find(const struct command *commands, const char *word,
                                   const char *next, size_t *ret_words)
{
    const struct command *found = NULL;
    for (; commands->word; commands++) {
        if (next && is_words(commands, word, next)) {
            *ret_words = 2;
            return commands;
        }
        if (strcmp(commands->word, word) == 0)
            found = commands;
    }
    *ret_words = 1;
    return found;
}

bool command_is_group(const struct command *commands, const char *word)
{
    size_t length = strlen(word);
    for (; commands->word; commands++) {
        if (strncmp(commands->word, word, length) == 0 && commands->word[length] == ' ')
            return true;
    }
    return false;
}

const char *command_nearest(const struct command *commands, const char *written,
                            char ret_word[static COMMAND_WORD_SIZE])
{
    const struct command *nearest = NULL;
    size_t distance = strlen(written) / 3 + 2; /* more edits than that are another word */
    for (; commands->word; commands++) {
        char word[COMMAND_WORD_SIZE];
        size_t edits;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(commands->word, " "), commands->word);
        if (strlen(written) >= sizeof word || (edits = text_distance(written, word)) >= distance)
            continue;
        distance = edits;
        nearest = commands;
    }
    if (!nearest)
        return NULL;
    snprintf(ret_word, COMMAND_WORD_SIZE, "%.*s", (int)strcspn(nearest->word, " "), nearest->word);
    return ret_word;
}

const struct command_flag *command_flag(const struct command *command, const char *name)
{
    for (const struct command_flag *flag = command->flags; flag && flag->name; flag++) {
        if (strcmp(flag->name, name) == 0)
            return flag;
    }
    return NULL;
}

bool command_variable_is_known(const struct command *commands, const char *name)
{
    for (; commands->word; commands++) {
        for (const struct command_flag *flag = commands->flags; flag && flag->name; flag++) {
            if (flag->variable && strcmp(flag->variable, name) == 0)
                return true;
        }
    }
    return false;
}

/* ---- telling ---- */

void command_print_usage(FILE *out, const struct command *command)
{
    fprintf(out, "pushwire %s%s%s%s", command->word, *command->operands ? " " : "",
            command->operands, command->flags ? " [flags]" : "");
}

void command_print_list(FILE *out, const struct command *commands, const char *group)
{
    size_t length = group ? strlen(group) : 0;
    for (; commands->word; commands++) {
        char left[2 * LEFT_COLUMN];
        if (group && (strncmp(commands->word, group, length) != 0 ||
                      (commands->word[length] && commands->word[length] != ' ')))
            continue;
        snprintf(left, sizeof left, "pushwire %s%s%s", commands->word,
                 *commands->operands ? " " : "", commands->operands);
        fprintf(out, "%-*s%s\n", LEFT_COLUMN, left, commands->help);
    }
}

static void print_flag(FILE *out, const struct command_flag *flag)
{
    char left[2 * LEFT_COLUMN];
    snprintf(left, sizeof left, "  %s%s%s%s", flag->name, flag->value ? " <" : "",
             flag->value ? flag->value : "", flag->value ? ">" : "");
    fprintf(out, "%-*s%s%s%s%s\n", LEFT_COLUMN, left, flag->help, flag->variable ? " ($" : "",
            flag->variable ? flag->variable : "", flag->variable ? ")" : "");
}

void command_print_help(FILE *out, const struct command *command)
{
    command_print_usage(out, command);
    fprintf(out, "\n\n%s\n", command->help);
    if (command->details)
        fprintf(out, "\n%s\n", command->details);
    if (command->flags)
        fputs("\nFlags:\n", out);
    for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
        print_flag(out, flag);
}
