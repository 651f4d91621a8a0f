#include "bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_TURN 256
#define SECOND_NS       1000000000LL

void die(const char *format, ...)
{
    int error = errno;
    va_list args;

    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    if (error)
        fprintf(stderr, " (last system error: %s)", strerror(error));
    fputc('\n', stderr);
    exit(1);
}

void *must_alloc(size_t count, size_t size)
{
    void *block = calloc(count, size);

    if (!block)
        die("out of memory");
    return block;
}

void *must_grow(void *block, size_t count, size_t size)
{
    void *grown = reallocarray(block, count, size);

    if (!grown)
        die("out of memory");
    return grown;
}

void raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("cannot read the limit of open files");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("cannot raise the limit of open files");
}

int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

void set_no_delay(int fd)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0)
        die("cannot set TCP_NODELAY");
}

uint64_t read_digits(const char *at, int digits)
{
    uint64_t value = 0;

    for (int i = 0; i < digits; i++) {
        if (at[i] < '0' || at[i] > '9')
            return 0;
        value = value * 10 + (uint64_t)(at[i] - '0');
    }
    return value;
}

void write_digits(char *at, uint64_t value, int digits)
{
    for (int i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
}

int loop_open(void)
{
    int loop = epoll_create1(EPOLL_CLOEXEC);

    if (loop < 0)
        die("cannot open an epoll");
    return loop;
}

void loop_add(int loop, struct watch *w)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};

    if (epoll_ctl(loop, EPOLL_CTL_ADD, w->fd, &event) != 0)
        die("cannot watch a socket");
}

void loop_turn(int loop, int64_t timeout_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    struct timespec limit = {timeout_ns / SECOND_NS, timeout_ns % SECOND_NS};
    int count = epoll_pwait2(loop, events, EVENTS_PER_TURN, timeout_ns < 0 ? NULL : &limit, NULL);

    if (count < 0 && errno != EINTR)
        die("cannot wait for sockets");
    for (int i = 0; i < count; i++) {
        struct watch *w = events[i].data.ptr;
        w->ready(w);
    }
}

void watch_close(struct watch *w, bool hard)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (w->fd < 0)
        return;
    if (hard)
        setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(w->fd);
    w->fd = -1;
}
