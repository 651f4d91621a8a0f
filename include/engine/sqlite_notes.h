/* sqlite_notes.h - what is looked at and written down once a second: the disk's room, the cursors
 * of devices, when users were last there, ids and ages that the file does not have yet.
 *
 * All of it is known in memory, and can wait a while for the disk. The writing thread's. */
#ifndef ENGINE_SQLITE_NOTES_H
#define ENGINE_SQLITE_NOTES_H

#include <stdbool.h>

struct sqlite_store;

/* Is there room on the disk? */
void sqlite_notes_look_at_disk(struct sqlite_store *sqlite);
/* It is said once. */
void sqlite_notes_set_room(struct sqlite_store *sqlite, bool room);

/* Writes all of it by one commit; with when users were last there. 0, or the transaction is lost.
 */
int sqlite_notes_write(struct sqlite_store *sqlite, bool with_last_seen);

#endif
