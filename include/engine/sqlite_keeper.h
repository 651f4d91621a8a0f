/* sqlite_keeper.h - keeps the write-ahead log short.
 *
 * A thread of its own copies the log into the file while others read and write; when it is through,
 * the writer copies the little that has come since and begins the log anew. All but the thread is
 * called by the writer's thread. */
#ifndef ENGINE_SQLITE_KEEPER_H
#define ENGINE_SQLITE_KEEPER_H

struct sqlite_keeper;
struct sqlite_writer;

struct sqlite_keeper *sqlite_keeper_create(const char *folder); /* borrowed */
void sqlite_keeper_destroy(struct sqlite_keeper *keeper);       /* NULL is fine */

/* Copying begins at so many pages. */
void sqlite_keeper_limit(struct sqlite_keeper *keeper, int pages);

/* After each commit, outside a transaction. */
void sqlite_keeper_committed(struct sqlite_keeper *keeper, struct sqlite_writer *writer);

#endif
