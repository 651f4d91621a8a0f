#include "base/buf.h"
#include "config/config.h"
#include "top/caller.h"
#include "top/commands.h"

int health_command(const struct config *config)
{
    struct caller *caller = caller_create(config, "health");
    struct buf body;
    if (!caller)
        return 1;
    buf_init(&body);
    const char *path = config_option(config, "--ready") ? "/readyz" : "/healthz";
    long status = caller_ask(caller, path, NULL, NULL, &body);
    if (status != 200)
        caller_complain(caller, status, &body);
    buf_finish(&body);
    caller_destroy(caller);
    return status == 200 ? 0 : 1;
}
