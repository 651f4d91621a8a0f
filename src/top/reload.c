#include "top/reload.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/config_row.h"
#include "model/access.h"
#include "model/api_keys.h"
#include "top/credentials.h"

static void name_restarts(const struct config *started, const struct config *config)
{
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const struct config_row *row = config_row(key);
        if (!row->can_reload && !config_row_same(started, config, row))
            log_warn("this needs a restart", LOG_TEXT("key", row->key));
    }
}

struct config *reload_read(const struct config *started, struct revocations *revocations,
                           const struct access *current, struct access **ret_access)
{
    char *error = NULL;
    struct config *config = mem_alloc(sizeof *config);
    bool loaded = config_load_again(started, config, &error) == 0;
    *ret_access = loaded ? credentials_read(started, config, revocations, &error) : NULL;
    if (!*ret_access) {
        log_error("nothing was reloaded", LOG_TEXT("reason", error));
        if (loaded)
            config_finish(config);
        free(config);
        free(error);
        return NULL;
    }
    if (access_keys(*ret_access) && access_keys(current))
        keys_inherit(access_keys(*ret_access), access_keys(current));
    name_restarts(started, config);
    return config;
}
