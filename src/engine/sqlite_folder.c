#include "engine/sqlite_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "lock"

void sqlite_folder_say(struct sqlite_file_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}

bool sqlite_folder_path(const char *folder, const char *name, char ret_path[static PATH_MAX],
                        struct sqlite_file_error *ret_error)
{
    int length = snprintf(ret_path, PATH_MAX, "%s/%s", folder, name);
    if (length > 0 && length < PATH_MAX)
        return true;
    sqlite_folder_say(ret_error, "%s: the path is too long", folder);
    return false;
}

/* Messages are for their receivers, whatever the umask and the folder. SQLite gives the files
 * beside this one the mode of this one when it makes them; those that are there get it here. */
void sqlite_folder_make_private(const char *path)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    char name[PATH_MAX + 8];
    /* Only ever closed where it is new: closing a file drops all locks this process has on it. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        snprintf(name, sizeof name, "%s%s", path, beside[i]);
        if (chmod(name, 0600) != 0) {
            /* Not there, or another user's. */
        }
    }
}

static void explain_lock(int fd, const char *folder, struct sqlite_file_error *ret_error)
{
    char holder[32] = "";
    ssize_t length = pread(fd, holder, sizeof holder - 1, 0);
    holder[length > 0 ? length : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    sqlite_folder_say(
        ret_error,
        "%s: another Pushwire (process %s) works on this folder; stop it, or give this one "
        "another --data-dir",
        folder, *holder ? holder : "unknown");
}

static void explain_folder(const char *folder, struct sqlite_file_error *ret_error)
{
    sqlite_folder_say(ret_error, "%s: cannot be made: %s; give another --data-dir", folder,
                      strerror(errno));
}

static bool may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

/* `.` in it, so that it must be a folder. */
static bool may_add_to(const char *folder, size_t length)
{
    char path[PATH_MAX + 2];
    snprintf(path, sizeof path, "%.*s/.", (int)length, folder);
    return may(length ? path : "./.", W_OK | X_OK);
}

/* Where the folder itself is to be made. */
static bool may_make(const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    while (length && folder[length - 1] != '/')
        length--;
    return may_add_to(folder, length);
}

bool sqlite_folder_usable(const char *folder, struct sqlite_file_error *ret_error)
{
    char path[PATH_MAX];
    if (!sqlite_folder_path(folder, LOCK_NAME, path, ret_error))
        return false;
    if (may(path, R_OK | W_OK))
        return true;
    if (errno == ENOENT && !may(folder, F_OK)) {
        if (may_make(folder))
            return true;
        explain_folder(folder, ret_error);
        return false;
    }
    if (errno == ENOENT && may_add_to(folder, strlen(folder)))
        return true;
    if (errno == ENOTDIR && !may(folder, F_OK))
        explain_folder(folder, ret_error);
    else
        sqlite_folder_say(ret_error, "%s: %s; give another --data-dir", path, strerror(errno));
    return false;
}

int sqlite_folder_lock(const char *folder, struct sqlite_file_error *ret_error)
{
    char path[PATH_MAX];
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        explain_folder(folder, ret_error);
        return -1;
    }
    if (!sqlite_folder_path(folder, LOCK_NAME, path, ret_error))
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        sqlite_folder_say(ret_error, "%s: %s; give another --data-dir", path, strerror(errno));
        return -1;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        explain_lock(fd, folder, ret_error);
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        /* The number is only for people. */
    }
    return fd;
}
