#include "http/public_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"

#define INDEX "index.html"

/* ---- what it is ---- */

const char *public_file_type(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".htm", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/markdown; charset=utf-8"},
        {".csv", "text/csv; charset=utf-8"},
        {".xml", "text/xml; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".wasm", "application/wasm"},
        {".pdf", "application/pdf"},
        {".zip", "application/zip"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".avif", "image/avif"},
        {".ico", "image/x-icon"},
        {".woff", "font/woff"},
        {".woff2", "font/woff2"},
        {".ttf", "font/ttf"},
        {".otf", "font/otf"},
        {".mp3", "audio/mpeg"},
        {".ogg", "audio/ogg"},
        {".wav", "audio/wav"},
        {".mp4", "video/mp4"},
        {".webm", "video/webm"},
    };
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end && i < sizeof types / sizeof *types; i++) {
        if (strcasecmp(end, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* ---- where it is ---- */

static int reason(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EACCES:
    case EPERM:
    case ENAMETOOLONG:
    case EISDIR:
    case ENXIO:
        return ERR_NOT_FOUND;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ERR_OVERLOADED;
    default:
        return ERR_UNREADABLE;
    }
}

/* A word of the path, decoded. False: no name of a file that is to be seen. */
static bool decode(const char *word, size_t length, char ret_name[static NAME_MAX + 1])
{
    ptrdiff_t size = length <= 3 * NAME_MAX ? 0 : -1;
    char name[3 * NAME_MAX];
    if (size == 0)
        size = text_percent_decode(name, word, length);
    if (size < 1 || size > NAME_MAX || name[0] == '.' || memchr(name, '/', (size_t)size))
        return false;
    memcpy(ret_name, name, (size_t)size);
    ret_name[size] = '\0';
    return true;
}

/* Opens what the name is in this folder, which is closed; -1 and errno. */
static int step(int folder, const char *name, int flags)
{
    int fd = openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    close(folder);
    errno = error;
    return fd;
}

/* -1 and errno; the name that is left is that of the file. */
static int open_path(int folder, const char *path, char ret_name[static NAME_MAX + 1])
{
    while (folder >= 0) {
        const char *word = path + 1;
        size_t length = strcspn(word, "/");
        path = word + length;
        if (!length && !*path) {
            strcpy(ret_name, INDEX);
        } else if (!decode(word, length, ret_name)) {
            close(folder);
            errno = ENOENT;
            return -1;
        }
        if (!*path) /* a pipe must not hold us up */
            return step(folder, ret_name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        folder = step(folder, ret_name, O_PATH | O_DIRECTORY);
    }
    return -1;
}

int public_file_open(const char *folder, const char *path, struct public_file *ret_file)
{
    struct stat about;
    char name[NAME_MAX + 1];
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) /* it was there when the server started */
        return reason(errno) == ERR_OVERLOADED ? ERR_OVERLOADED : ERR_UNREADABLE;
    int fd = open_path(root, path, name);
    if (fd < 0)
        return reason(errno);
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return ERR_NOT_FOUND;
    }
    *ret_file = (struct public_file){
        .fd = fd, .size = (uint64_t)about.st_size, .content_type = public_file_type(name)};
    snprintf(ret_file->etag, sizeof ret_file->etag, "\"%llx-%llx-%lx\"",
             (unsigned long long)about.st_mtim.tv_sec, (unsigned long long)about.st_size,
             (unsigned long)about.st_mtim.tv_nsec);
    return 0;
}
