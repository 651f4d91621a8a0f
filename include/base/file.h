/* file.h - small files as a whole: keys, secrets, what must survive a restart.
 *
 * Blocks. Any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

struct buf;

/* Appends what the file holds. 0, or an errno: EFBIG where it is larger than max. */
int file_read(const char *path, size_t max, struct buf *buf);

/* Puts a file with these bytes, for its owner's eyes only, in the place of what was there, if
 * anything. It is on disk when this returns 0; else an errno, and nothing changed. */
int file_replace(const char *path, const void *bytes, size_t size);

/* Puts a new file there. EEXIST: there is one. */
int file_create(const char *path, const void *bytes, size_t size);

/* Waits until the names in the file's folder are on disk. 0, or an errno. */
int file_sync_folder(const char *path);

#endif
