/* sqlite_checkpointer.h - keeps the write-ahead log short.
 *
 * A thread of its own copies the log into the file while others read and write; when it is through,
 * the writer copies the little that has come since and begins the log anew. All but the thread is
 * called by the writer's thread. */
#ifndef ENGINE_SQLITE_CHECKPOINTER_H
#define ENGINE_SQLITE_CHECKPOINTER_H

struct sqlite_checkpointer;
struct sqlite_writer;

struct sqlite_checkpointer *sqlite_checkpointer_create(const char *folder); /* borrowed */
void sqlite_checkpointer_destroy(struct sqlite_checkpointer *checkpointer); /* NULL is fine */

/* Copying begins at so many pages. */
void sqlite_checkpointer_limit(struct sqlite_checkpointer *checkpointer, int pages);

/* After each commit, outside a transaction. */
void sqlite_checkpointer_committed(struct sqlite_checkpointer *checkpointer,
                                   struct sqlite_writer *writer);

#endif
