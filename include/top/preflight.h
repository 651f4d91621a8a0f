/* preflight.h - what can be looked at before anything is bound or opened. The main thread. */
#ifndef TOP_PREFLIGHT_H
#define TOP_PREFLIGHT_H

#include <stdbool.h>

struct config;

/* Why only loopback may be listened on; NULL: any address will do. */
const char *preflight_only_loopback(const struct config *config);

/* Is the folder there that is served in place of the page, if any? False: the log says why not. */
bool preflight_public(const struct config *config);

/* Nothing stands against a start, and nothing was changed by looking. False: the log says what. */
bool preflight_check(const struct config *config);

#endif
