#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

int file_read(const char *path, size_t max, struct buf *buf)
{
    char bytes[4096];
    ssize_t got;
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    while ((got = read(fd, bytes, sizeof bytes)) > 0 && (size += (size_t)got) <= max)
        buf_add(buf, bytes, (size_t)got);
    int err = got < 0 ? errno : size > max ? EFBIG : buf_ok(buf) ? 0 : ENOMEM;
    close(fd);
    return err;
}

int file_sync_folder(const char *path)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash && (size_t)(slash - path) < sizeof folder)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int err = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return err;
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno != EINTR)
            return errno;
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

int file_create(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int err = write_all(fd, bytes, size);
    close(fd);
    if (err)
        unlink(path);
    return err ? err : file_sync_folder(path);
}

int file_replace(const char *path, const void *bytes, size_t size)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return ENAMETOOLONG;
    unlink(beside); /* of an attempt that a crash ended */
    int err = file_create(beside, bytes, size);
    if (!err && rename(beside, path) != 0)
        err = errno;
    if (err)
        unlink(beside);
    return err ? err : file_sync_folder(path);
}
