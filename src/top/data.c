#include "top/data.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "engine/sqlite_file.h"

bool data_path(const struct config *config, const char *name, char ret_path[static PATH_MAX])
{
    const char *folder = config->data_dir, *state = getenv("STATE_DIRECTORY");
    int length = (int)strlen(folder);
    if (strcmp(folder, "auto") == 0 || !*folder) {
        folder = state && *state ? state : "pushwire-data";
        length = (int)strcspn(folder, ":"); /* systemd may name several */
    }
    return snprintf(ret_path, PATH_MAX, "%.*s%s%s", length, folder, *name ? "/" : "", name) <
           PATH_MAX;
}

/* The command's own words: a --data-dir, and names up to max. False: said why. */
static bool read_arguments(const struct config *config, size_t max,
                           char ret_folder[static PATH_MAX], const char **ret_names,
                           const char *usage)
{
    static const char flag[] = "--data-dir";
    size_t count = 0;
    const char *folder = NULL;
    for (size_t i = 0; i < config->argument_count; i++) {
        const char *word = config->arguments[i];
        if (strncmp(word, flag, sizeof flag - 1) == 0 && word[sizeof flag - 1] == '=') {
            folder = word + sizeof flag;
        } else if (strcmp(word, flag) == 0 && i + 1 < config->argument_count) {
            folder = config->arguments[++i];
        } else if (*word != '-' && count < max) {
            ret_names[count++] = word;
        } else {
            fprintf(stderr, "pushwire: %s: not understood; %s\n", word, usage);
            return false;
        }
    }
    bool fits = folder ? snprintf(ret_folder, PATH_MAX, "%s", folder) < PATH_MAX
                       : data_path(config, "", ret_folder);
    if (count < max || !fits)
        fprintf(stderr, "pushwire: %s\n", fits ? usage : "data_dir: the path is too long");
    return count == max && fits;
}

static void print_finding(void *context, const char *line)
{
    (void)context;
    printf("%s\n", line);
}

int data_check(const struct config *config)
{
    struct sqlite_file_error error;
    char folder[PATH_MAX];
    if (!read_arguments(config, 0, folder, NULL, "usage: pushwire check-data [--data-dir DIR]"))
        return 2;
    bool sound = sqlite_file_check(folder, print_finding, NULL, &error);
    if (sound)
        printf("%s/%s: sound\n", folder, SQLITE_FILE_NAME);
    else
        fprintf(stderr, "pushwire: %s\n",
                *error.text ? error.text : "damaged: bring back a backup");
    return sound ? 0 : 1;
}

static void print_progress(void *context, int64_t done, int64_t total)
{
    bool *shown = context;
    if (!isatty(STDERR_FILENO) || !total)
        return;
    fprintf(stderr, "\r%3" PRId64 " %%", done * 100 / total);
    *shown = true;
}

int data_backup(const struct config *config)
{
    struct sqlite_file_error error;
    char folder[PATH_MAX];
    const char *target;
    bool shown = false;
    if (!read_arguments(config, 1, folder, &target, "usage: pushwire backup FILE [--data-dir DIR]"))
        return 2;
    bool done = sqlite_file_backup(folder, target, print_progress, &shown, &error);
    if (shown)
        fprintf(stderr, "\r");
    if (done)
        printf("%s: to restore, stop Pushwire, empty the data folder, and put this file there as "
               "%s\n",
               target, SQLITE_FILE_NAME);
    else
        fprintf(stderr, "pushwire: %s\n", error.text);
    return done ? 0 : 1;
}
