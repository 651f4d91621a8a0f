#include "config/config_environment.h"

#include <assert.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/command.h"
#include "config/config_errors.h"
#include "config/config_row.h"

static const char variable_prefix[] = "PUSHWIRE_";

static bool is_variable(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return !strncmp(entry, name, length) && entry[length] == '=';
}

const char *config_environment_find(char *const *envp, const char *name)
{
    for (; *envp; envp++)
        if (is_variable(*envp, name))
            return strchr(*envp, '=') + 1;
    return NULL;
}

static const struct config_row *find_variable(const char *entry)
{
    char name[CONFIG_NAME_SIZE];

    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
        if (is_variable(entry, config_spell_variable(name, config_row(key)->key)))
            return config_row(key);
    return NULL;
}

static void add_unknown_variable(const char *name, struct config_errors *errors)
{
    static const char *const others[] = {"config", NULL};
    char variable[CONFIG_NAME_SIZE];
    const char *nearest = config_row_nearest(name + strlen(variable_prefix), others);

    if (nearest)
        config_errors_add(errors, "unknown variable, did you mean %s?",
                          config_spell_variable(variable, nearest));
    else
        config_errors_add(errors, "unknown variable, see --help");
}

/* Kubernetes tells every container where each Service is, in variables that begin with its name:
 * one that is named pushwire, or pushwire-x, is not about us. Judged with the value, since
 * PUSHWIRE_PORT with a number is somebody's mistake. */
static bool is_service_link(const char *entry)
{
#define PROTOCOL "(tcp|udp|sctp)"
#define PORT     "PORT_[0-9]+_(TCP|UDP|SCTP)"
#define ADDRESS  "=[0-9A-Fa-f.:]+"
    static const char form[] =
        "^PUSHWIRE_([A-Z0-9_]+_)?(SERVICE_HOST" ADDRESS "|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+"
        "|(PORT|" PORT ")=" PROTOCOL "://[^ ]+"
        "|" PORT "_(PROTO=" PROTOCOL "|PORT=[0-9]+|ADDR" ADDRESS "))$";
#undef PROTOCOL
#undef PORT
#undef ADDRESS
    regex_t regex;
    int err = regcomp(&regex, form, REG_EXTENDED | REG_NOSUB);
    assert(!err);
    bool matches = regexec(&regex, entry, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

static bool is_known_elsewhere(const struct config *config, const char *name)
{
    return !strcmp(name, "PUSHWIRE_CONFIG") || command_variable_is_known(config->commands, name);
}

static void apply_variable(struct config *config, const char *entry, struct config_errors *errors)
{
    const char *equals = strchrnul(entry, '=');
    const struct config_row *row = find_variable(entry);
    char *name = mem_strndup(entry, (size_t)(equals - entry));

    errors->name = name;
    if (row) {
        config->sources[config_row_key(row)] = (struct config_source){CONFIG_ENVIRONMENT, 0};
        config_row_set(config, row, equals + 1, errors);
    } else if (!is_known_elsewhere(config, name) && !is_service_link(entry)) {
        add_unknown_variable(name, errors);
    }
    errors->name = NULL;
    free(name);
}

void config_environment_apply(struct config *config, char *const *envp,
                              struct config_errors *errors)
{
    for (; *envp; envp++)
        if (!strncmp(*envp, variable_prefix, strlen(variable_prefix)))
            apply_variable(config, *envp, errors);
}
