#include "top/greeting.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/command.h"
#include "config/config.h"
#include "base/log.h"

#define USUAL_PORT "8000"

static bool is_wanted(const struct config *config)
{
    return strcmp(config->command->word, "dev") == 0 ||
           (isatty(STDERR_FILENO) && config->log_format != CONFIG_LOG_JSON);
}

void greeting_say(const struct config *config, const char *address)
{
    char text[1024], url[64] = "";
    const char *port = strrchr(address, ':');
    if (!port || !is_wanted(config))
        return;
    port++;
    if (strcmp(port, USUAL_PORT) != 0)
        snprintf(url, sizeof url, " --url localhost:%s", port);
    snprintf(text, sizeof text,
             "\n"
             "  open    http://localhost:%s            (as alice)\n"
             "  listen  pushwire listen alice%s            or  curl -N localhost:%s/sse/alice\n"
             "  send    pushwire send alice hi%s           or  curl localhost:%s/send-message -d "
             "'{\"sender\":\"bob\",\"receiver\":\"alice\",\"message\":\"hi\"}'\n"
             "  next    pushwire config init > pushwire.yaml    and  pushwire help\n"
             "  stop    Ctrl-C\n"
             "\n",
             port, url, port, url, port);
    log_say(text);
}
