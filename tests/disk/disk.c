/* disk.c - a disk that fails, hangs or loses what was not synced, and a clock that can be set; for
 * tests, by LD_PRELOAD.
 *
 * The file named by TEST_DISK is struct orders, shared with the test (tests/integration/disk.py).
 * Only the files of SQLite in a data folder, messages.db*, are meddled with.
 *
 * To lose what was not synced, each write first notes in <file>.undo what it is going to overwrite,
 * and a sync forgets these notes. After the process was killed, the test plays them backwards. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct orders {
    int32_t write_error; /* errno for writes; 0: they succeed */
    int32_t sync_error;
    int32_t spared;     /* so many calls that should fail succeed first */
    int32_t failed;     /* told: calls that failed */
    int32_t hang;       /* syncs wait while it is set, also those of other files */
    int32_t hanging;    /* told: calls that wait */
    int32_t undoable;   /* keep notes */
    int32_t hang_reads; /* as hang, for reads; told in hanging as well */
    int64_t clock_ms;   /* the wall clock is so far ahead */
};

/* What a write was about to change. */
struct note {
    int64_t offset;
    int64_t old_size;   /* of the file */
    int64_t old_length; /* so many old bytes follow */
};

static struct orders nothing;
static volatile struct orders *orders = &nothing;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* a write and its note are one */

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("TEST_DISK");
    real_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    real_pread = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate64");
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *shared = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        abort();
    orders = shared;
    close(fd);
}

static bool is_ours(int fd, char ret_path[static PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, ret_path, PATH_MAX - 8);
    if (length < 0)
        return false;
    ret_path[length] = '\0';
    const char *name = strrchr(ret_path, '/');
    return name && strncmp(name + 1, "messages.db", 11) == 0;
}

static bool fails(volatile int32_t *error)
{
    if (!*error || __sync_fetch_and_sub(&orders->spared, 1) > 0)
        return false;
    orders->spared = 0;
    errno = *error;
    orders->failed++;
    return errno != 0;
}

static void wait_while(volatile int32_t *hang)
{
    if (!*hang)
        return;
    __sync_fetch_and_add(&orders->hanging, 1);
    while (*hang)
        usleep(1000);
    __sync_fetch_and_sub(&orders->hanging, 1);
}

static void take_note(int fd, const char *path, off_t offset, size_t size)
{
    char undo[PATH_MAX];
    struct stat stat;
    struct note note = {.offset = offset};
    snprintf(undo, sizeof undo, "%.*s.undo", PATH_MAX - 8, path);
    int notes = open(undo, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    void *old = malloc(size + 1);
    if (notes < 0 || !old || fstat(fd, &stat) != 0)
        abort();
    ssize_t length = pread(fd, old, size, offset);
    note.old_size = stat.st_size;
    note.old_length = length > 0 ? length : 0;
    if (write(notes, &note, sizeof note) != sizeof note ||
        write(notes, old, (size_t)note.old_length) != note.old_length)
        abort();
    free(old);
    close(notes);
}

static void forget_notes(const char *path)
{
    char undo[PATH_MAX];
    snprintf(undo, sizeof undo, "%.*s.undo", PATH_MAX - 8, path);
    if (truncate(undo, 0) != 0 && errno != ENOENT)
        abort();
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    char path[PATH_MAX];
    if (!is_ours(fd, path))
        return real_pwrite(fd, data, size, offset);
    if (fails(&orders->write_error))
        return -1;
    pthread_mutex_lock(&mutex);
    if (orders->undoable)
        take_note(fd, path, offset, size);
    ssize_t written = real_pwrite(fd, data, size, offset);
    pthread_mutex_unlock(&mutex);
    return written;
}

int ftruncate64(int fd, off_t size)
{
    char path[PATH_MAX];
    struct stat stat;
    if (!is_ours(fd, path))
        return real_ftruncate(fd, size);
    pthread_mutex_lock(&mutex);
    if (orders->undoable && fstat(fd, &stat) == 0 && stat.st_size > size)
        take_note(fd, path, size, (size_t)(stat.st_size - size));
    int result = real_ftruncate(fd, size);
    pthread_mutex_unlock(&mutex);
    return result;
}

ssize_t pread64(int fd, void *data, size_t size, off_t offset)
{
    char path[PATH_MAX];
    if (orders->hang_reads && is_ours(fd, path))
        wait_while(&orders->hang_reads);
    return real_pread(fd, data, size, offset);
}

int fsync(int fd)
{
    wait_while(&orders->hang);
    return real_fsync(fd);
}

int fdatasync(int fd)
{
    char path[PATH_MAX];
    if (!is_ours(fd, path))
        return real_fdatasync(fd);
    wait_while(&orders->hang);
    if (fails(&orders->sync_error))
        return -1;
    pthread_mutex_lock(&mutex);
    int result = real_fdatasync(fd);
    if (orders->undoable && result == 0)
        forget_notes(path);
    pthread_mutex_unlock(&mutex);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (!real_clock_gettime) /* somebody's constructor ran before ours */
        real_clock_gettime =
            (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real_clock_gettime(clock, time);
    int64_t ahead_ms = clock == CLOCK_REALTIME ? orders->clock_ms : 0;
    time->tv_sec += ahead_ms / 1000;
    return result;
}
