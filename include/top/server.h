/* server.h - all workers together: built bottom-up, tied, stopped top-down.
 *
 * Opens the broker as the configuration says; what workers and credentials need of it they read
 * themselves. Runs on the main thread, whose loop handles signals and
 * the clock of the broker; each worker has a thread of its own. */
#ifndef TOP_SERVER_H
#define TOP_SERVER_H

#include <stdbool.h>

struct config;

/* Serves until SIGTERM or SIGINT. Returns the process's exit code: 0 after a graceful stop, 1 when
 * it could not start (the log says why). */
int server_run(const struct config *config);

/* Looks for what would keep server_run from starting, up to the binding of its addresses, and
 * leaves no trace; another server that runs with this configuration is none. False: the log says
 * what. */
bool server_check(const struct config *config);

#endif
