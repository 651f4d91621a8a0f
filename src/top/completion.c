#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/command.h"
#include "config/config.h"
#include "config/config_row.h"
#include "top/commands.h"

/* What a shell is told: for each key it asks this very program what may come next, so that all of
 * them know what the tables know. Where nothing is printed a name of a file is expected. */
static const struct {
    const char *name;
    const char *script;
} shells[] = {
    {"bash",
     "_pushwire() {\n"
     "    local IFS=$'\\n'\n"
     "    COMPREPLY=($(\"$1\" completion next -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null |\n"
     "        cut -f1))\n"
     "    ((${#COMPREPLY[@]})) || compopt -o default 2>/dev/null\n"
     "}\n"
     "complete -F _pushwire pushwire\n"},
    {"zsh",
     "#compdef pushwire\n"
     "_pushwire() {\n"
     "    local -a found\n"
     "    found=(${(f)\"$($words[1] completion next -- \"${(@)words[2,CURRENT]}\" "
     "2>/dev/null)\"})\n"
     "    if (($#found)); then\n"
     "        found=(\"${(@)found//:/\\\\:}\")\n"
     "        found=(\"${(@)found/$'\\t'/:}\")\n"
     "        _describe pushwire found\n"
     "    else\n"
     "        _files\n"
     "    fi\n"
     "}\n"
     "if [[ $funcstack[1] = _pushwire ]]; then _pushwire \"$@\"; else compdef _pushwire pushwire; "
     "fi\n"},
    {"fish",
     "function __pushwire\n"
     "    set -l typed (commandline -opc)\n"
     "    set -l found ($typed[1] completion next -- $typed[2..] (commandline -ct) 2>/dev/null)\n"
     "    if count $found >/dev/null\n"
     "        printf '%s\\n' $found\n"
     "    else\n"
     "        __fish_complete_path (commandline -ct)\n"
     "    end\n"
     "end\n"
     "complete -c pushwire -f -a '(__pushwire)'\n"},
};

/* ---- what may come next ---- */

static void offer(const char *prefix, const char *word, const char *help)
{
    if (strncmp(word, prefix, strlen(prefix)) == 0)
        printf("%s\t%s\n", word, help);
}

/* Each of "a|b|c". */
static void offer_words(const char *prefix, const char *words)
{
    while (*words) {
        char word[COMMAND_WORD_SIZE];
        int length = (int)strcspn(words, "|");
        snprintf(word, sizeof word, "%.*s", length, words);
        offer(prefix, word, "");
        words += length + (words[length] == '|');
    }
}

/* The first words, or those that follow a first one. */
static void offer_commands(const char *prefix, const char *group)
{
    size_t length = group ? strlen(group) : 0;
    const char *last = "";
    size_t last_length = 0;
    for (const struct command *command = commands; command->word; command++) {
        const char *word = command->word;
        char text[COMMAND_WORD_SIZE];
        if (group && (strncmp(word, group, length) != 0 || word[length] != ' '))
            continue;
        word += group ? length + 1 : 0;
        size_t size = strcspn(word, " ");
        if (size == last_length && memcmp(word, last, size) == 0)
            continue; /* of a group; they stand together */
        last = word;
        last_length = size;
        snprintf(text, sizeof text, "%.*s", (int)size, word);
        offer(prefix, text, word[size] ? "" : command->help);
    }
}

static void offer_flags(const char *prefix, const struct command *command)
{
    char name[CONFIG_NAME_SIZE];
    for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
        offer(prefix, flag->name, flag->help);
    offer(prefix, "--help", "all there is to say of it");
    if (command->ignores_config)
        return;
    offer(prefix, "--config", "the configuration, YAML or JSON");
    offer(prefix, "--check-config", "only look whether a start would succeed");
    offer(prefix, "--print-config", "show each value and where it came from");
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        config_spell_flag(name, config_row(key)->key);
        if (!command_flag(command, name))
            offer(prefix, name, config_row(key)->help);
    }
}

static const struct config_row *find_row(const char *flag)
{
    char name[CONFIG_NAME_SIZE];
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (strcmp(flag, config_spell_flag(name, config_row(key)->key)) == 0)
            return config_row(key);
    }
    return NULL;
}

/* Does the next word belong to this one? */
static bool takes_value(const struct command *command, const char *word)
{
    const struct command_flag *own = command_flag(command, word);
    const struct config_row *row = own ? NULL : find_row(word);
    return (own && own->value) || (row && row->type != CONFIG_BOOL) ||
           (!own && strcmp(word, "--config") == 0);
}

static void offer_values(const char *prefix, const struct command *command, const char *flag)
{
    const struct config_row *row = command_flag(command, flag) ? NULL : find_row(flag);
    if (row && row->type == CONFIG_ENUM)
        offer_words(prefix, row->words);
}

/* What was typed, up to the word that is being completed. */
struct typed {
    const struct command *command;
    const char *group; /* a first word that wants, or may have, another */
    bool is_named;
    const char *flag; /* that waits for its value */
    const char *prefix;
};

static struct typed read_typed(const char *const *words, size_t count)
{
    struct typed typed = {.command = commands, .prefix = count ? words[count - 1] : ""};
    for (size_t i = 0; i + 1 < count; i++) {
        const char *next = i + 2 < count ? words[i + 1] : NULL;
        size_t taken;
        typed.group = NULL;
        if (words[i][0] == '-') {
            bool wants = takes_value(typed.command, words[i]);
            typed.flag = wants && !next ? words[i] : NULL;
            i += wants && next;
        } else if (!typed.is_named) {
            const struct command *found = command_find(commands, words[i], next, &taken);
            typed.is_named = true;
            if (command_is_group(commands, words[i]) && !next)
                typed.group = words[i];
            typed.command = found ? found : commands;
            i += found ? taken - 1 : 0;
        }
    }
    return typed;
}

static void offer_next(const char *const *words, size_t count)
{
    struct typed typed = read_typed(words, count);
    if (typed.flag)
        offer_values(typed.prefix, typed.command, typed.flag);
    else if (*typed.prefix == '-')
        offer_flags(typed.prefix, typed.command);
    else if (typed.group || !typed.is_named)
        offer_commands(typed.prefix, typed.group);
    else if (typed.command->run == completion_command)
        offer_words(typed.prefix, typed.command->operands);
    else if (strcmp(typed.command->operands, "[COMMAND]") == 0)
        offer_commands(typed.prefix, NULL);
}

int completion_command(const struct config *config)
{
    const char *shell = config->operands[0];
    if (strcmp(shell, "next") == 0) {
        offer_next(config->operands + 1, config->operand_count - 1);
        return 0;
    }
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            fputs(shells[i].script, stdout);
            return 0;
        }
    }
    fprintf(stderr, "pushwire completion: %.40s: say bash, zsh or fish\n", shell);
    return 2;
}
