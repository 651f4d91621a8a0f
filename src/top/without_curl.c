/* Stands for what asks a running server, where the build found no libcurl. */
#include <stdio.h>

#include "top/commands.h"

static int refuse(const char *word)
{
    fprintf(stderr, "pushwire %s: this one was built without libcurl\n", word);
    return 2;
}

int send_command(const struct config *config)
{
    (void)config;
    return refuse("send");
}

int listen_command(const struct config *config)
{
    (void)config;
    return refuse("listen");
}

int health_command(const struct config *config)
{
    (void)config;
    return refuse("health");
}
