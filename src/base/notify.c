#include "base/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define FIRST_FD     3
#define SOCKETS_MAX  1024
#define MESSAGE_SIZE 512

static struct {
    struct sockaddr_un address;
    socklen_t length; /* 0: nobody listens */
    int64_t watchdog_ms;
    size_t sockets;
} manager;

/* A number in the environment, which is taken out of it; 0: none. */
static uint64_t take_number(const char *name)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    if (text && !text_parse_u64(text, strlen(text), &number))
        number = 0;
    unsetenv(name);
    return number;
}

/* An absolute path, or with @ a name in the abstract namespace. */
static void read_topic(const char *path)
{
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || (*path != '/' && *path != '@') || length >= sizeof manager.address.sun_path)
        return;
    manager.address.sun_family = AF_UNIX;
    memcpy(manager.address.sun_path, path, length + 1);
    if (*path == '@')
        manager.address.sun_path[0] = '\0';
    manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* Is it this very process that is meant? Without a word on it, yes. */
static bool is_meant(const char *name)
{
    bool said = getenv(name) != NULL;
    return take_number(name) == (uint64_t)getpid() || !said;
}

void notify_init(void)
{
    memset(&manager, 0, sizeof manager);
    read_topic(getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET");
    uint64_t watchdog_us = take_number("WATCHDOG_USEC");
    if (is_meant("WATCHDOG_PID") && watchdog_us <= INT64_MAX)
        manager.watchdog_ms = (int64_t)(watchdog_us / 1000);
    bool ours = getenv("LISTEN_PID") && is_meant("LISTEN_PID");
    uint64_t sockets = take_number("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (ours && sockets <= SOCKETS_MAX)
        manager.sockets = (size_t)sockets;
    for (size_t i = 0; i < manager.sockets; i++)
        fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
}

static void send_text(const char *text, size_t length)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    sendto(fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&manager.address,
           manager.length);
    close(fd);
}

void notify_say(const char *format, ...)
{
    char text[MESSAGE_SIZE];
    va_list args;
    if (!manager.length)
        return;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length > 0 && (size_t)length < sizeof text)
        send_text(text, (size_t)length);
}

void notify_reloading(void)
{
    notify_say("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
}

int64_t notify_watchdog_ms(void)
{
    return manager.length ? manager.watchdog_ms : 0;
}

bool notify_is_heard(void)
{
    return manager.length > 0;
}

size_t notify_sockets(int *ret_first)
{
    *ret_first = FIRST_FD;
    return manager.sockets;
}
