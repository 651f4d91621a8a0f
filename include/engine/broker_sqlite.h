/* broker_sqlite.h - the broker whose store is a file: what it acknowledged survives.
 *
 * One thread writes: it takes whatever has come since its last commit, numbers it, appends it to
 * the log and commits once for all; then it pushes the messages to the members, in id order, and
 * the answers behind them. Two threads read pages, on connections of their own. The newest messages
 * stay in memory, so that pages among them need no disk. When writing fails, the broker is down: it
 * refuses what must be kept, goes on with what need not be, and tries once a second to open the
 * file anew. */
#ifndef ENGINE_BROKER_SQLITE_H
#define ENGINE_BROKER_SQLITE_H

#include <stddef.h>

struct broker;
struct sqlite_options;

/* Opens the folder, locks it, and sets the key of hash.h to the one the file was made with: before
 * anything is hashed. NULL: it has said why in ret_error, a line of at most ret_size bytes. */
struct broker *broker_sqlite_create(const struct sqlite_options *options, char *ret_error,
                                    size_t ret_size);

#endif
