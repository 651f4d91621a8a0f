#include "top/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "top/credentials.h"
#include "top/descriptors.h"
#include "top/endpoint.h"
#include "top/storage.h"

const char *preflight_only_loopback(const struct config *config)
{
    if (config->dev_echo)
        return "with dev_echo, which knows no limits, only loopback is served";
    if (config->dev_socketio)
        return "with dev_socketio, which asks nobody who it is, only loopback is served";
    if (config->insecure_open || credentials_configured(config))
        return NULL;
    return "without credentials only loopback is served; --insecure-open serves everyone who can "
           "reach this address";
}

static bool check_addresses(const struct config *config)
{
    char *const metrics[] = {config->metrics_listen};
    const char *only_loopback = preflight_only_loopback(config);
    return endpoints_check(config->listen.items, config->listen.count, only_loopback) &&
           (!config->metrics_listen[0] || endpoints_check(metrics, 1, only_loopback));
}

bool preflight_public(const struct config *config)
{
    if (!config->public[0])
        return true;
    int fd = open(config->public, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        log_error("the folder of public cannot be opened", LOG_TEXT("folder", config->public),
                  LOG_TEXT("why", strerror(errno)));
    else
        close(fd);
    return fd >= 0;
}

static bool check_credentials(const struct config *config)
{
    char *error = NULL;
    bool good = credentials_check(config, &error);
    if (!good)
        log_error("cannot tell who may come in", LOG_TEXT("reason", error));
    free(error);
    return good;
}

bool preflight_check(const struct config *config)
{
    return descriptors_suffice(config, descriptors_raise()) && check_addresses(config) &&
           storage_check(config) && preflight_public(config) && check_credentials(config);
}
