#include "base/log_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t has_lines;
    pthread_cond_t has_ended;
    pthread_t thread;
    bool started;
    bool stopping;
    bool ended;
    bool failed; /* the last write did */
    uint64_t lost;
    uint64_t lines;
    size_t size;
    char text[LOG_OUT_ROOM];
} out = {.mutex = PTHREAD_MUTEX_INITIALIZER, .has_lines = PTHREAD_COND_INITIALIZER};

/* Somebody else who has this stream may have made it one that does not wait. */
static bool may_go_on(void)
{
    struct pollfd stream = {.fd = STDERR_FILENO, .events = POLLOUT};
    return errno == EINTR || (errno == EAGAIN && poll(&stream, 1, -1) == 1);
}

static bool write_all(const char *text, size_t size)
{
    while (size) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && !may_go_on())
            return false;
        text += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* Under the lock, which it leaves while it writes. */
static void write_pending(void)
{
    static char text[LOG_OUT_ROOM];
    size_t size = out.size;
    uint64_t lines = out.lines;
    memcpy(text, out.text, size);
    out.size = 0;
    out.lines = 0;
    pthread_mutex_unlock(&out.mutex);
    bool written = write_all(text, size);
    pthread_mutex_lock(&out.mutex);
    out.failed = !written;
    out.lost += written ? 0 : lines;
}

static void *run(void *context)
{
    (void)context;
    pthread_mutex_lock(&out.mutex);
    while (out.size || !out.stopping) {
        if (out.size)
            write_pending();
        else
            pthread_cond_wait(&out.has_lines, &out.mutex);
    }
    out.ended = true;
    pthread_cond_signal(&out.has_ended);
    pthread_mutex_unlock(&out.mutex);
    return NULL;
}

void log_out_start(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_lock(&out.mutex);
    if (!out.started) {
        pthread_cond_init(&out.has_ended, &monotonic);
        out.stopping = out.ended = false;
        out.started = pthread_create(&out.thread, NULL, run, NULL) == 0;
    }
    pthread_mutex_unlock(&out.mutex);
    pthread_condattr_destroy(&monotonic);
}

void log_out_stop(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&out.mutex);
    out.stopping = true;
    pthread_cond_signal(&out.has_lines);
    while (out.started && !out.ended &&
           pthread_cond_timedwait(&out.has_ended, &out.mutex, &until) == 0)
        ;
    if (out.started && out.ended) {
        pthread_join(out.thread, NULL);
        pthread_cond_destroy(&out.has_ended);
        out.started = false;
    }
    pthread_mutex_unlock(&out.mutex);
}

/* Under the lock. */
static bool keep(const char *line, size_t size)
{
    if (size > sizeof out.text - out.size)
        return false;
    memcpy(out.text + out.size, line, size);
    out.size += size;
    out.lines++;
    pthread_cond_signal(&out.has_lines);
    return true;
}

void log_out_put(const char *line, size_t size)
{
    pthread_mutex_lock(&out.mutex);
    bool taken = out.started ? keep(line, size) : write_all(line, size);
    out.failed = out.started ? out.failed : !taken;
    out.lost += !taken;
    pthread_mutex_unlock(&out.mutex);
}

uint64_t log_out_lost(void)
{
    pthread_mutex_lock(&out.mutex);
    uint64_t lost = out.lost;
    pthread_mutex_unlock(&out.mutex);
    return lost;
}

bool log_out_is_open(size_t size)
{
    pthread_mutex_lock(&out.mutex);
    bool open = !out.failed && size <= sizeof out.text - out.size;
    pthread_mutex_unlock(&out.mutex);
    return open;
}
