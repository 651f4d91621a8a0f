/* greeting.h - what somebody who has just started an open server may do next, on a screen.
 *
 * Main thread, after `ready`. */
#ifndef TOP_GREETING_H
#define TOP_GREETING_H

struct config;

/* address is where the server listens. Says nothing where nobody looks: unless it is `dev`, where
 * standard error is no terminal, or its lines are JSON. */
void greeting_say(const struct config *config, const char *address);

#endif
