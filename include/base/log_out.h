/* log_out.h - how lines come to standard error: at once, or by a thread of its own.
 *
 * Nobody who writes a line waits for whoever reads them, nor for the disk they go to: once it has
 * started, lines lie in a buffer, in order, until its thread has written them. What finds the
 * buffer full, or cannot be written, is lost and counted. Private to log.c and the tests. */
#ifndef BASE_LOG_OUT_H
#define BASE_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_OUT_ROOM (256 * 1024)

/* Without a thread, lines go on being written at once. */
void log_out_start(void);

/* Waits a second at most until all is written; then the thread has ended. Where it hangs, it is
 * left alone, and what comes later is lost. Never started, or stopped already, is fine. */
void log_out_stop(void);

/* Any thread. */
void log_out_put(const char *line, size_t size);

/* Lines lost up to now. */
uint64_t log_out_lost(void);

/* Would a line of this size come through, as far as one knows? */
bool log_out_is_open(size_t size);

#endif
