#include "top/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

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
