#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/command.h"
#include "config/command_line.h"
#include "config/config_environment.h"
#include "config/config_errors.h"
#include "config/config_row.h"
#include "config/config_yaml.h"

enum { LARGEST_FILE = 1 << 20 };

/* --- defaults --- */

void config_init_defaults(struct config *config)
{
    struct config_errors errors = {0};

    *config = (struct config){0};
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
        config_row_set(config, config_row(key), config_row(key)->otherwise, &errors);
    assert(!errors.count);
}

void config_finish(struct config *config)
{
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
        config_row_clear(config, config_row(key));
    free(config->file);
    free(config->operands);
    free(config->given);
    config->file = NULL;
    config->operands = NULL;
    config->given = NULL;
}

const char *config_option(const struct config *config, const char *name)
{
    const struct command_flag *flag = command_flag(config->command, name);
    const char *value = NULL;
    assert(flag);
    for (size_t i = 0; i < config->given_count; i++)
        if (!strcmp(config->given[i].name, name))
            value = config->given[i].value;
    if (!value && flag->variable) {
        value = config_environment_find(config->envp, flag->variable);
        value = value && *value ? value : NULL;
    }
    return value;
}

/* --- the file --- */

struct file_reader {
    struct config *config;               /* borrowed */
    struct config_errors *errors;        /* borrowed */
    size_t first_line[CONFIG_KEY_COUNT]; /* where the key stood; 0: not yet */
};

static void on_pair(void *context, const struct config_yaml_pair *pair)
{
    static const char *const none[] = {NULL};
    struct file_reader *reader = context;
    const struct config_row *row = config_row_find(pair->key);

    if (!row) {
        const char *nearest = config_row_nearest(pair->key, none);
        config_errors_add(reader->errors, "unknown key%s%s%s", nearest ? ", did you mean " : "",
                          nearest ? nearest : "", nearest ? "?" : "");
        return;
    }

    enum config_key key = config_row_key(row);
    size_t *first_line = &reader->first_line[key];
    if (*first_line) {
        config_errors_add(reader->errors, "given twice, first in line %zu", *first_line);
        return;
    }
    *first_line = reader->errors->line;
    reader->config->sources[key] = (struct config_source){CONFIG_FILE, *first_line};
    if (pair->is_list)
        config_row_set_items(reader->config, row, pair->items, pair->count, reader->errors);
    else if (pair->is_null)
        config_errors_add(reader->errors, "has no value");
    else
        config_row_set(reader->config, row, pair->items[0], reader->errors);
}

static void read_text(struct config *config, const char *name, const char *text, size_t size,
                      struct config_errors *errors)
{
    struct file_reader reader = {.config = config, .errors = errors};

    free(config->file);
    config->file = mem_strdup(name);
    errors->file = config->file;
    if (size > LARGEST_FILE)
        config_errors_add(errors, "is larger than 1MiB");
    else
        config_yaml_read(text, size, errors, on_pair, &reader);
    errors->file = NULL;
}

/* All of the file, and one byte more than allowed if there is more. */
static char *slurp(FILE *in, size_t *ret_size)
{
    char *text = mem_alloc(LARGEST_FILE + 1);
    *ret_size = fread(text, 1, LARGEST_FILE + 1, in);
    if (!ferror(in))
        return text;
    free(text);
    return NULL;
}

static void read_file(struct config *config, const char *name, struct config_errors *errors)
{
    size_t size;
    FILE *in = fopen(name, "re");
    char *text = in ? slurp(in, &size) : NULL;

    if (text) {
        read_text(config, name, text, size, errors);
    } else {
        const char *reason = strerror(errno);
        errors->file = name;
        config_errors_add(errors, "cannot be read: %s", reason);
        errors->file = NULL;
    }
    free(text);
    if (in)
        fclose(in);
}

/* --- flags --- */

static void apply_flags(struct config *config, const struct command_line *line,
                        struct config_errors *errors)
{
    char name[CONFIG_NAME_SIZE];

    for (size_t i = 0; i < line->flag_count; i++) {
        const struct config_row *row = line->flags[i].row;
        errors->name = config_spell_flag(name, row->key);
        config->sources[config_row_key(row)] = (struct config_source){CONFIG_FLAG, 0};
        config_row_set(config, row, line->flags[i].value, errors);
    }
    errors->name = NULL;
}

/* --- between keys --- */

/* What must not be more than what. */
static const struct {
    enum config_key smaller, larger;
} orders[] = {
    {CONFIG_KEY_max_message, CONFIG_KEY_max_body},
    {CONFIG_KEY_max_message, CONFIG_KEY_keep_bytes},
    {CONFIG_KEY_max_message, CONFIG_KEY_keep_total},
    {CONFIG_KEY_ttl, CONFIG_KEY_ttl_max},
};

/* As in the beginning of an error; into name, and the place into errors. */
static void stand_at(struct config_errors *errors, const struct config *config,
                     const struct config_row *row, char name[static CONFIG_NAME_SIZE])
{
    const struct config_source *source = &config->sources[config_row_key(row)];

    errors->name = row->key;
    if (source->level == CONFIG_FLAG)
        errors->name = config_spell_flag(name, row->key);
    if (source->level == CONFIG_ENVIRONMENT)
        errors->name = config_spell_variable(name, row->key);
    errors->file = source->level == CONFIG_FILE ? config->file : NULL;
    errors->line = source->line;
}

static void check_order(const struct config *config, const struct config_row *smaller,
                        const struct config_row *larger, struct config_errors *errors)
{
    char name[CONFIG_NAME_SIZE], here[CONFIG_NAME_SIZE], there[CONFIG_NAME_SIZE];
    int64_t small = config_row_number(config, smaller), large = config_row_number(config, larger);
    if (small <= large || (larger->zero && !large))
        return;

    /* The one at fault is the one that was said on the higher level. */
    bool blame_larger = config->sources[config_row_key(larger)].level >
                        config->sources[config_row_key(smaller)].level;
    stand_at(errors, config, blame_larger ? larger : smaller, name);
    if (blame_larger)
        config_errors_add(errors, "%s is less than %s, which is %s",
                          config_row_format(larger, here, large), smaller->key,
                          config_row_format(smaller, there, small));
    else
        config_errors_add(errors, "%s is more than %s, which is %s",
                          config_row_format(smaller, here, small), larger->key,
                          config_row_format(larger, there, large));
}

/* Only over values that are all proper: a wrong one would be blamed twice. */
static void check_orders(const struct config *config, struct config_errors *errors)
{
    if (errors->count)
        return;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        check_order(config, config_row(orders[i].smaller), config_row(orders[i].larger), errors);
}

/* --- all levels --- */

int config_parse_text(struct config *config, const char *name, const char *text, size_t size,
                      char **ret_error)
{
    struct config_errors errors = {0};

    read_text(config, name, text, size, &errors);
    check_orders(config, &errors);
    return config_errors_finish(&errors, ret_error);
}

static void load_levels(struct config *config, const struct command_line *line, char *const *envp,
                        struct config_errors *errors)
{
    const char *file = line->file ? line->file : config_environment_find(envp, "PUSHWIRE_CONFIG");

    if (file)
        read_file(config, file, errors);
    config_environment_apply(config, envp, errors);
    apply_flags(config, line, errors);
    check_orders(config, errors);
}

/* Of the command, where nobody says more. */
static void apply_defaults(struct config *config, struct config_errors *errors)
{
    const struct command_default *at = config->command->defaults;
    for (; at && at->key; at++)
        config_row_set(config, config_row_find(at->key), at->value, errors);
}

/* What was said of the command changes hands. */
static void take_command(struct config *config, struct command_line *line)
{
    config->command = line->command;
    config->is_named = line->is_named;
    config->operands = line->operands;
    config->operand_count = line->operand_count;
    config->given = line->given;
    config->given_count = line->given_count;
    line->operands = NULL;
    line->given = NULL;
}

static bool needs_levels(const struct command_line *line)
{
    return line->action == CONFIG_CHECK || line->action == CONFIG_PRINT ||
           (line->action == CONFIG_RUN && !line->command->ignores_config);
}

int config_load(struct config *ret, const struct command *commands, int argc, char *const argv[],
                char *const envp[], enum config_action *ret_action, char **ret_error)
{
    struct config_errors errors = {0};
    struct command_line line;
    struct config config;

    config_init_defaults(&config);
    config.argc = argc;
    config.argv = argv;
    config.envp = envp;
    config.commands = commands;
    command_line_read(&line, commands, argc, argv, &errors);
    take_command(&config, &line);
    apply_defaults(&config, &errors);
    if (line.action == CONFIG_HELP || line.action == CONFIG_VERSION) {
        free(errors.text);
        errors = (struct config_errors){0};
    } else if (needs_levels(&line)) {
        load_levels(&config, &line, envp, &errors);
    }
    *ret_action = line.action;
    command_line_finish(&line);
    if (config_errors_finish(&errors, ret_error)) {
        config_finish(&config);
        return -1;
    }
    *ret = config;
    return 0;
}

int config_load_again(const struct config *config, struct config *ret, char **ret_error)
{
    enum config_action action;
    return config_load(ret, config->commands, config->argc, config->argv, config->envp, &action,
                       ret_error);
}

static char *value_of(const struct config *config, const struct config_row *row)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        config_row_print(out, config, row);
        fclose(out);
    }
    return text;
}

bool config_row_same(const struct config *a, const struct config *b, const struct config_row *row)
{
    char *one = value_of(a, row), *other = value_of(b, row);
    bool same = one && other && strcmp(one, other) == 0;
    free(one);
    free(other);
    return same;
}
