/* clock.h - the two clocks.
 *
 * Timers and deadlines use the monotonic one; the wall clock serves time stamps and fresh ids
 * only, so a jump of it moves no deadline. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* since 1970, UTC */
int64_t clock_mono_ms(void); /* since some moment in the past; a few ms coarse, and cheap */
int64_t clock_mono_us(void);

#define CLOCK_TEXT_SIZE 25

/* RFC 3339 in UTC with milliseconds, as in 2026-01-31T12:00:00.000Z. */
void clock_format(int64_t wall_ms, char ret_text[static CLOCK_TEXT_SIZE]);

#endif
