/* data.h - the data folder as the command line sees it: where it is, checking it, copying it. */
#ifndef TOP_DATA_H
#define TOP_DATA_H

struct config;

/* data_dir, or what `auto` stands for. */
const char *data_folder(const struct config *config);

/* `pushwire check-data` and `pushwire backup FILE`. Return the exit code. */
int data_check(const struct config *config);
int data_backup(const struct config *config);

#endif
