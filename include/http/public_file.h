/* public_file.h - a file of a folder that is for everybody, found by the path of a URL.
 *
 * There is no way out of the folder: each word of the path is decoded once and looked up in the
 * folder before it, no link is followed, and what begins with a dot is not there. A path that ends
 * in `/` is its index.html. Opening reads a disk, and whoever calls waits for it. No state, any
 * thread. */
#ifndef HTTP_PUBLIC_FILE_H
#define HTTP_PUBLIC_FILE_H

#include <stddef.h>
#include <stdint.h>

#define PUBLIC_FILE_ETAG_SIZE 56

struct public_file {
    int fd; /* owned: to be closed, or handed on */
    uint64_t size;
    const char *content_type;
    char etag[PUBLIC_FILE_ETAG_SIZE]; /* another one whenever it is written */
};

/* path: as it came, beginning with `/`, without a query. 0; ERR_NOT_FOUND, also for what may not be
 * read; ERR_OVERLOADED without a descriptor or memory; else ERR_UNREADABLE, and errno says why. */
int public_file_open(const char *folder, const char *path, struct public_file *ret_file);

/* By the end of its name. */
const char *public_file_type(const char *name);

#endif
