/* data.h - where the data folder is. */
#ifndef TOP_DATA_H
#define TOP_DATA_H

#include <limits.h>
#include <stdbool.h>

struct config;

/* A file in the data folder, or with "" the folder itself. False: the path is too long. */
bool data_path(const struct config *config, const char *name, char ret_path[static PATH_MAX]);

#endif
