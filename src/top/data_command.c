#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "engine/sqlite_file.h"
#include "top/commands.h"
#include "top/data.h"

/* False: said why. */
static bool find_folder(const struct config *config, char ret_folder[static PATH_MAX])
{
    struct stat found;
    if (!data_path(config, "", ret_folder)) {
        fputs("pushwire: data_dir: the path is too long\n", stderr);
        return false;
    }
    if (stat(ret_folder, &found) == 0)
        return true;
    fprintf(stderr, "pushwire: %s: %s; name the data folder with --data-dir\n", ret_folder,
            strerror(errno));
    return false;
}

static void print_finding(void *context, const char *line)
{
    (void)context;
    printf("%s\n", line);
}

int check_data_command(const struct config *config)
{
    struct sqlite_file_error error;
    char folder[PATH_MAX];
    if (!find_folder(config, folder))
        return 1;
    bool sound = sqlite_file_check(folder, print_finding, NULL, &error);
    if (sound)
        printf("%s/%s: sound\n", folder, SQLITE_FILE_NAME);
    else
        fprintf(stderr, "pushwire: %s\n",
                *error.text ? error.text
                            : "damaged; bring back a backup, or move it away to begin empty");
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

int backup_command(const struct config *config)
{
    struct sqlite_file_error error;
    char folder[PATH_MAX];
    const char *target = config->operands[0];
    bool shown = false;
    if (!find_folder(config, folder))
        return 1;
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
