/* storage.h - where messages are kept: the broker as the configuration has it. The main thread. */
#ifndef TOP_STORAGE_H
#define TOP_STORAGE_H

#include <limits.h>
#include <stdbool.h>

struct broker;
struct config;
struct metrics;

/* Do messages end with the process? */
bool storage_is_memory(const struct config *config);

/* Opens the broker; the metrics, and the room for the path of its files, are borrowed as long as it
 * lives. NULL: why is in the log. */
struct broker *storage_open(const struct config *config, struct metrics *metrics,
                            char folder[static PATH_MAX]);

/* Tells the log where messages are. */
void storage_say(const struct config *config, struct broker *broker);

/* Could the data folder be used, by the broker or for what is revoked? It is left as it is. False:
 * the log says why not. */
bool storage_check(const struct config *config);

#endif
