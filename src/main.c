#include <fcntl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include <wslay/wslay.h>

#include "base/config.h"
#include "top/data.h"
#include "top/commands.h"
#include "top/server.h"

extern char **environ;

static int print_version(void)
{
    printf("pushwire %s (libuv %s, libmicrohttpd %s, wslay %s, jansson %s, sqlite %s)\n",
           PUSHWIRE_VERSION, uv_version_string(), MHD_get_version(), WSLAY_VERSION, JANSSON_VERSION,
           sqlite3_libversion());
    return 0;
}

static int run_command(const struct config *config)
{
    static const struct {
        const char *word;
        int (*run)(const struct config *config);
    } commands[] = {
        {"serve", server_run}, {"backup", data_backup},  {"check-data", data_check},
        {"key", key_command},  {"token", token_command},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(config->command, commands[i].word) == 0)
            return commands[i].run(config);
    }
    fprintf(stderr, "pushwire: %s: unknown command, see pushwire --help\n", config->command);
    return 2;
}

static int act(enum config_action action, const struct config *config)
{
    switch (action) {
    case CONFIG_HELP:
        config_help(stdout);
        return 0;
    case CONFIG_VERSION:
        return print_version();
    case CONFIG_CHECK:
        config_print_check(stdout, config);
        return 0;
    case CONFIG_PRINT:
        config_print(stdout, config);
        return 0;
    case CONFIG_RUN:
        break;
    }
    return run_command(config);
}

/* A stream that was closed would be the next file that is opened, and lines of the log would get
 * into it. */
static bool fill_streams(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
        ;
    if (fd > STDERR_FILENO)
        close(fd);
    return fd >= 0;
}

int main(int argc, char *argv[])
{
    struct config config;
    enum config_action action;
    char *error;
    if (!fill_streams())
        return 1;
    umask(077); /* what this process makes is nobody else's to read */
    if (config_load(&config, argc, argv, environ, &action, &error) != 0) {
        fprintf(stderr, "pushwire: %s\n", error);
        free(error);
        return 2;
    }
    int code = act(action, &config);
    config_finish(&config);
    return code;
}
