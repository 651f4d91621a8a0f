/* sqlite_clock.h - how the messages of a file age, from epoch to epoch, whatever the clock does.
 *
 * See age.h. The writing thread's, but for the two that say what is over. */
#ifndef ENGINE_SQLITE_CLOCK_H
#define ENGINE_SQLITE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/age.h"

struct sqlite_store;

/* What has expired by then is past its time; 0, and nothing is, while the clock is in doubt. Any
 * thread. */
int64_t sqlite_clock_expiry_ms(const struct sqlite_store *sqlite);
/* The same for who reads. */
struct expiry sqlite_clock_expiry(const struct sqlite_store *sqlite);

/* The file is open for the first time: reads what it knows of age, and goes on from there. */
int sqlite_clock_begin(struct sqlite_store *sqlite, int64_t wall_ms);

/* Has the clock done something that the file does not know, and would misjudge expiry by? While it
 * is in doubt nothing is believed. */
bool sqlite_clock_has_news(struct sqlite_store *sqlite, int64_t wall_ms);
/* Notes it, in the open transaction. */
int sqlite_clock_note(struct sqlite_store *sqlite);

/* Once a second: in the hour of doubt it may be set right. */
void sqlite_clock_look(struct sqlite_store *sqlite);

/* Of what the wall clock said when this epoch began, and has gone on since, whatever it was set to.
 */
int64_t sqlite_clock_steady_ms(const struct sqlite_store *sqlite);
/* Keys up to here are too old. */
uint64_t sqlite_clock_old_keys(const struct sqlite_store *sqlite);

#endif
