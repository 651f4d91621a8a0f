/* sqlite_committer.h - the thread of the SQLite broker that writes.
 *
 * It takes whatever has come since its last commit, numbers it, appends it to the log and commits
 * once for all; then it pushes the messages to the members, in id order, and the answers behind
 * them. Housekeeping goes between, in slices. */
#ifndef ENGINE_SQLITE_COMMITTER_H
#define ENGINE_SQLITE_COMMITTER_H

struct sqlite_committer;
struct sqlite_file_error;
struct sqlite_shared;

/* Locks the folder, opens the file and begins an epoch in it; shared, which outlives the committer,
 * has what the file knows. NULL: *ret_error says why. */
struct sqlite_committer *sqlite_committer_create(struct sqlite_shared *shared,
                                                 struct sqlite_file_error *ret_error);

void sqlite_committer_start(struct sqlite_committer *committer);
/* Once shared->stopping is said; all that waits is committed first. */
void sqlite_committer_join(struct sqlite_committer *committer);
void sqlite_committer_destroy(struct sqlite_committer *committer);

#endif
