/* sqlite_folder.h - the data folder: whose it is while a process lives, and what may be made there.
 *
 * Any thread; nothing here knows of SQL. */
#ifndef ENGINE_SQLITE_FOLDER_H
#define ENGINE_SQLITE_FOLDER_H

#include <limits.h>
#include <stdbool.h>

/* Says what is wrong and what to do about it, in one line. */
struct sqlite_file_error {
    char text[512];
};

/* Could sqlite_folder_lock have it, but for another process that does? Leaves no trace. False: the
 * error is set. */
bool sqlite_folder_usable(const char *folder, struct sqlite_file_error *ret_error);

/* Makes the folder (0700) where it is missing and takes its lock. Returns a descriptor that holds
 * the lock until it is closed; -1: the error is set. */
int sqlite_folder_lock(const char *folder, struct sqlite_file_error *ret_error);

/* For the modules of the file: says what is wrong; the path of a file in the folder, if it is not
 * too long; makes a file that is missing, for its owner alone. */
__attribute__((format(printf, 2, 3))) void sqlite_folder_say(struct sqlite_file_error *error,
                                                             const char *format, ...);
bool sqlite_folder_path(const char *folder, const char *name, char ret_path[static PATH_MAX],
                        struct sqlite_file_error *ret_error);
void sqlite_folder_make_private(const char *path);

#endif
