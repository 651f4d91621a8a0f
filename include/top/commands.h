/* commands.h - the words of the command line.
 *
 * The table is the only place that knows them all; each function returns the exit code: 0; 1 when
 * it could not; 2 when it was asked wrongly. */
#ifndef TOP_COMMANDS_H
#define TOP_COMMANDS_H

#include "config/command.h"

struct config;

/* For config_load. `serve` first; a row without a word at the end. */
extern const struct command commands[];

/* What --help shows, without a word and behind one. */
void commands_print_help(void);
void commands_print_help_of(const struct command *command);

int version_command(const struct config *config);

/* Of a running server, over HTTP. */
int send_command(const struct config *config);
int listen_command(const struct config *config);
int health_command(const struct config *config);

/* Of keys_file. */
int key_new_command(const struct config *config);
int key_list_command(const struct config *config);
int key_revoke_command(const struct config *config);

/* Of the configured secrets. None is made. */
int token_command(const struct config *config);
int token_check_command(const struct config *config);

/* Of the data folder. */
int backup_command(const struct config *config);
int check_data_command(const struct config *config);

int config_init_command(const struct config *config);
int completion_command(const struct config *config);

#endif
