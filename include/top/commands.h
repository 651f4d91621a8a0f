/* commands.h - the words of the command line besides `serve`.
 *
 * Each returns the exit code: 0; 1 when it could not; 2 when it was asked wrongly. */
#ifndef TOP_COMMANDS_H
#define TOP_COMMANDS_H

struct config;

/* `pushwire key new`: draws a publisher's key, and prints it once. */
int key_command(const struct config *config);

/* `pushwire token --user alice`: prints a token for a receiver. */
int token_command(const struct config *config);

#endif
