/* descriptors.h - how many files this process may have open, and what that leaves for clients.
 *
 * The main thread only, before the workers start. */
#ifndef TOP_DESCRIPTORS_H
#define TOP_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct connection_limits;

/* As many as the system lets this process have. Returns that. */
size_t descriptors_raise(void);

/* Is that enough to serve at all? Looked at from the very start: a library without one fails in
 * ways of its own. False: the log says what is needed. */
bool descriptors_suffice(const struct config *config, size_t max);

/* What is not kept back for the server itself is for sockets, and most of that for sessions. */
struct connection_limits *descriptors_limits(const struct config *config, size_t max);

#endif
