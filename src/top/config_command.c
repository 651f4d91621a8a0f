#include <stdio.h>

#include "config/config.h"
#include "top/commands.h"

int config_init_command(const struct config *config)
{
    (void)config;
    config_print_template(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
