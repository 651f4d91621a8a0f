#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "top/commands.h"
#include "top/server.h"

extern char **environ;

static int check(const struct config *config)
{
    if (!server_check(config))
        return 2;
    config_print_check(stdout, config);
    return 0;
}

static int act(enum config_action action, const struct config *config)
{
    switch (action) {
    case CONFIG_HELP:
        if (config->is_named)
            commands_print_help_of(config->command);
        else
            commands_print_help();
        return 0;
    case CONFIG_VERSION:
        return version_command(config);
    case CONFIG_CHECK:
        return check(config);
    case CONFIG_PRINT:
        config_print(stdout, config);
        return 0;
    case CONFIG_RUN:
        break;
    }
    return config->command->run(config);
}

/* A stream that was closed would be the next file that is opened, and lines of the log would get
 * into it. Where nobody has made /dev/null, a folder serves: nothing is read from it or written. */
static bool fill_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd && open("/", O_RDONLY) != fd)
            return false;
    }
    return true;
}

int main(int argc, char *argv[])
{
    struct config config;
    enum config_action action;
    char *error;
    if (!fill_streams())
        return 1;
    umask(077); /* what this process makes is nobody else's to read */
    if (config_load(&config, commands, argc, argv, environ, &action, &error) != 0) {
        fprintf(stderr, "pushwire: %s\n", error);
        free(error);
        return 2;
    }
    int code = act(action, &config);
    config_finish(&config);
    return code;
}
