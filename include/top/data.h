/* data.h - the data folder as the command line sees it: where it is, checking it, copying it. */
#ifndef TOP_DATA_H
#define TOP_DATA_H

#include <limits.h>
#include <stdbool.h>

struct config;

/* A file in the data folder, or with "" the folder itself. False: the path is too long. */
bool data_path(const struct config *config, const char *name, char ret_path[static PATH_MAX]);

/* `pushwire check-data` and `pushwire backup FILE`. Return the exit code. */
int data_check(const struct config *config);
int data_backup(const struct config *config);

#endif
