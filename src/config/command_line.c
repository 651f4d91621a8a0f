#include "config/command_line.h"

#include <stdlib.h>
#include <string.h>

#include "config/command.h"
#include "config/config_errors.h"
#include "config/config_row.h"
#include "base/mem.h"

#define OTHERS_MAX 32 /* names to suggest beside the keys */

/* ---- flags that ask for something else ---- */

struct action_flag {
    const char *flag;
    enum config_action action;
};

static const struct action_flag action_flags[] = {
    {"--help", CONFIG_HELP},          {"-h", CONFIG_HELP},
    {"--version", CONFIG_VERSION},    {"-V", CONFIG_VERSION},
    {"--check-config", CONFIG_CHECK}, {"--print-config", CONFIG_PRINT},
};

static bool read_action(struct command_line *line, const char *name)
{
    for (size_t i = 0; i < sizeof action_flags / sizeof *action_flags; i++) {
        if (strcmp(name, action_flags[i].flag))
            continue;
        /* Who asks for help gets it, whatever else stands there. */
        if (line->action != CONFIG_HELP)
            line->action = action_flags[i].action;
        return true;
    }
    return false;
}

/* ---- flags nobody knows ---- */

/* Whose it is, behind its word; NULL: nobody's. */
static const struct command *find_owner(const struct command *commands, const char *name)
{
    for (; commands->word; commands++) {
        if (command_flag(commands, name))
            return commands;
    }
    return NULL;
}

static void spell_key(char ret_key[static CONFIG_NAME_SIZE], const char *flag)
{
    snprintf(ret_key, CONFIG_NAME_SIZE, "%s", flag + strlen("--"));
    for (char *at = ret_key; *at; at++)
        *at = *at == '-' ? '_' : *at;
}

static const char *nearest_flag(const struct command_line *line, const char *name,
                                char ret_flag[static CONFIG_NAME_SIZE])
{
    static const char *const always[] = {"config", "help", "version", "check_config",
                                         "print_config"};
    char own[OTHERS_MAX][CONFIG_NAME_SIZE];
    const char *others[OTHERS_MAX + 1] = {NULL};
    size_t count = sizeof always / sizeof *always;
    memcpy(others, always, sizeof always);
    for (const struct command_flag *flag = line->command->flags; flag && flag->name; flag++) {
        if (count == OTHERS_MAX)
            break;
        spell_key(own[count], flag->name);
        others[count] = own[count];
        count++;
    }
    if (strncmp(name, "--", 2) != 0)
        return NULL;
    const char *nearest = config_row_nearest(name + strlen("--"), others);
    return nearest ? config_spell_flag(ret_flag, nearest) : NULL;
}

/* Returns whether it would take a value. */
static bool add_unknown(const struct command_line *line, const struct command *commands,
                        const char *name, struct config_errors *errors)
{
    char flag[CONFIG_NAME_SIZE];
    const struct command *owner = find_owner(commands, name);
    const char *nearest = nearest_flag(line, name, flag);
    if (owner && line->is_named)
        config_errors_add(errors, "unknown flag of %s, it belongs to %s", line->command->word,
                          owner->word);
    else if (owner)
        config_errors_add(errors, "stands behind its command: pushwire %s %s", owner->word, name);
    else if (nearest)
        config_errors_add(errors, "unknown flag, did you mean %s?", nearest);
    else
        config_errors_add(errors, "unknown flag, see --help");
    return owner && command_flag(owner, name)->value;
}

/* ---- flags ---- */

static const struct config_row *find_row(const char *name)
{
    char flag[CONFIG_NAME_SIZE];
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
        if (!strcmp(name, config_spell_flag(flag, config_row(key)->key)))
            return config_row(key);
    return NULL;
}

static void add_flag(struct command_line *line, const struct config_row *row, const char *value,
                     struct config_errors *errors)
{
    for (size_t i = 0; i < line->flag_count; i++)
        if (line->flags[i].row == row && row->type == CONFIG_LIST)
            config_errors_add(errors, "given twice, put commas between values");
    line->flags[line->flag_count++] = (struct config_flag){row, value};
}

/* What a flag's name stands for; at most one of them is there. */
struct meaning {
    const struct command_flag *own;
    const struct config_row *row;
    bool is_file;
    bool is_action;
};

static bool takes_value(const struct meaning *meaning)
{
    return meaning->is_file || meaning->row || (meaning->own && meaning->own->value);
}

static struct meaning find_meaning(struct command_line *line, const char *name)
{
    struct meaning meaning = {.own = line->is_named ? command_flag(line->command, name) : NULL};
    if (meaning.own)
        return meaning;
    meaning.row = find_row(name);
    meaning.is_file = !strcmp(name, "--config");
    meaning.is_action = !meaning.row && !meaning.is_file && read_action(line, name);
    return meaning;
}

static void take(struct command_line *line, const struct meaning *meaning, const char *value,
                 struct config_errors *errors)
{
    if (takes_value(meaning) && !value)
        config_errors_add(errors, "needs a value");
    else if (!takes_value(meaning) && value)
        config_errors_add(errors, "takes no value");
    else if (meaning->own)
        line->given[line->given_count++] =
            (struct config_given){meaning->own->name, value ? value : ""};
    else if (meaning->is_file)
        line->file = value;
    else if (meaning->row)
        add_flag(line, meaning->row, value, errors);
}

/* Reads the flag at argv[0], perhaps with argv[1] as its value; returns how many words it took. */
static size_t read_flag(struct command_line *line, const struct command *commands,
                        char *const *argv, struct config_errors *errors)
{
    size_t length = strcspn(argv[0], "="), taken = 1;
    const char *value = argv[0][length] ? argv[0] + length + 1 : NULL;
    char *name = mem_strndup(argv[0], length);
    struct meaning meaning = find_meaning(line, name);

    errors->name = name;
    if (!value && meaning.row && meaning.row->type == CONFIG_BOOL)
        value = "true";
    else if (!value && argv[1] && takes_value(&meaning))
        value = argv[taken++];
    if (meaning.own || meaning.row || meaning.is_file || meaning.is_action)
        take(line, &meaning, value, errors);
    else if (add_unknown(line, commands, name, errors) && !value && argv[1])
        taken++;
    errors->name = NULL;
    free(name);
    return taken;
}

/* ---- words ---- */

static char *list_commands(const struct command *commands, const char *group)
{
    char *list = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&list, &size);
    if (out) {
        command_print_list(out, commands, group);
        fclose(out);
    }
    if (!list || !size) {
        free(list);
        return mem_strdup("");
    }
    list[size - 1] = '\0'; /* the last newline */
    return list;
}

static void add_unknown_word(const struct command *commands, const char *word,
                             struct config_errors *errors)
{
    char near[COMMAND_WORD_SIZE];
    bool is_group = command_is_group(commands, word);
    char *list = list_commands(commands, is_group ? word : NULL);
    if (is_group)
        config_errors_add_value(errors, word, "wants one more word:\n%s", list);
    else if (command_nearest(commands, word, near))
        config_errors_add_value(errors, word, "is an unknown command, did you mean %s?", near);
    else
        config_errors_add_value(errors, word, "is an unknown command; there are\n%s", list);
    free(list);
}

/* Reads the command at argv[0], perhaps with argv[1]; returns how many words it took. */
static size_t read_word(struct command_line *line, const struct command *commands,
                        char *const *argv, struct config_errors *errors)
{
    size_t words;
    const struct command *found = command_find(commands, argv[0], argv[1], &words);
    line->is_named = true;
    if (found)
        line->command = found;
    else
        add_unknown_word(commands, argv[0], errors);
    return found ? words : 1;
}

static void check_operands(const struct command_line *line, struct config_errors *errors)
{
    const struct command *command = line->command;
    if (line->operand_count > command->most && command->most == 0)
        config_errors_add_value(errors, line->operands[0], "is no flag, and %s takes nothing else",
                                command->word);
    else if (line->operand_count > command->most)
        config_errors_add_value(errors, line->operands[command->most],
                                "is one word too many: pushwire %s %s", command->word,
                                command->operands);
    else if (line->operand_count < command->least)
        config_errors_add(errors, "say more: pushwire %s %s", command->word, command->operands);
}

void command_line_read(struct command_line *ret, const struct command *commands, int argc,
                       char *const *argv, struct config_errors *errors)
{
    size_t room = argc > 0 ? (size_t)argc : 1, unknown = errors->count;
    bool flags_ended = false;

    *ret = (struct command_line){.command = commands};
    ret->flags = mem_alloc(room * sizeof *ret->flags);
    ret->given = mem_alloc(room * sizeof *ret->given);
    ret->operands = mem_alloc(room * sizeof *ret->operands);
    for (char *const *at = argv + (argc > 0), *const *end = argv + argc; at < end;) {
        if (!flags_ended && !strcmp(*at, "--"))
            flags_ended = at++ != NULL;
        else if (!flags_ended && at[0][0] == '-' && at[0][1])
            at += read_flag(ret, commands, at, errors);
        else if (!ret->is_named)
            at += read_word(ret, commands, at, errors);
        else
            ret->operands[ret->operand_count++] = *at++;
    }
    if (errors->count == unknown) /* else it may be the flag's value */
        check_operands(ret, errors);
}

void command_line_finish(struct command_line *line)
{
    free(line->flags);
    free(line->given);
    free(line->operands);
}
