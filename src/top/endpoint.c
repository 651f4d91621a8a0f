#include "top/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/listener.h"
#include "top/local_socket.h"

#define PORTS_TRIED 100 /* in search of a free one to suggest */

static unsigned port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

static void set_port(struct sockaddr_storage *address, unsigned port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

void endpoint_format(const struct sockaddr_storage *address,
                     char ret_text[static ENDPOINT_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_UNIX) {
        snprintf(ret_text, ENDPOINT_TEXT_MAX, LOCAL_SOCKET_PREFIX "%s",
                 ((const struct sockaddr_un *)address)->sun_path);
    } else if (address->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, host, sizeof host);
        snprintf(ret_text, ENDPOINT_TEXT_MAX, "[%s]:%u", host, port_of(address));
    } else {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, host, sizeof host);
        snprintf(ret_text, ENDPOINT_TEXT_MAX, "%s:%u", host, port_of(address));
    }
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_UNIX)
        return true;
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
}

/* `host:port` or `[host]:port`; the form was checked with the configuration. */
static void split(const char *text, char *ret_host, size_t room, const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    const char *host = text + bracketed;
    snprintf(ret_host, room, "%.*s", (int)(colon - host - bracketed), host);
    *ret_port = colon + 1;
}

static size_t resolve(const char *text, struct sockaddr_storage *ret_addresses, size_t room)
{
    char host[256];
    const char *port;
    split(text, host, sizeof host, &port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    size_t count = 0;
    if (strcmp(host, "localhost") == 0) /* whatever /etc/hosts says */
        return resolve((snprintf(host, sizeof host, "127.0.0.1:%s", port), host), ret_addresses,
                       room) +
               resolve((snprintf(host, sizeof host, "[::1]:%s", port), host), ret_addresses + 1,
                       room - 1);
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed) {
        log_error("cannot resolve the address to listen on", LOG_TEXT("listen", text),
                  LOG_TEXT("reason", gai_strerror(failed)));
        return 0;
    }
    for (struct addrinfo *at = found; at && count < room; at = at->ai_next)
        memcpy(&ret_addresses[count++], at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    return count;
}

static void say_in_use(const struct sockaddr_storage *wanted)
{
    struct sockaddr_storage other = *wanted;
    char text[ENDPOINT_TEXT_MAX], suggestion[ENDPOINT_TEXT_MAX] = "";
    endpoint_format(wanted, text);
    for (unsigned i = 1; i <= PORTS_TRIED && port_of(wanted) + i < 65536; i++) {
        set_port(&other, port_of(wanted) + i);
        if (listener_bind(&other, true, NULL) == 0) {
            endpoint_format(&other, suggestion);
            break;
        }
    }
    log_error("this port is in use, stop its owner or listen elsewhere", LOG_TEXT("listen", text),
              LOG_TEXT("try", suggestion[0] ? suggestion : NULL));
}

/* One socket a worker. The probe proves the port free: with SO_REUSEPORT alone a second server
 * would silently take half of the connections. */
static int bind_workers(struct sockaddr_storage *address, size_t workers, int *ret_fds,
                        size_t stride)
{
    int err = listener_bind(address, true, NULL);
    for (size_t w = 0; !err && w < workers; w++)
        err = listener_bind(address, false, &ret_fds[w * stride]);
    return err;
}

static bool is_absent(const struct sockaddr_storage *address, int err)
{
    return address->ss_family == AF_INET6 && (err == EADDRNOTAVAIL || err == EAFNOSUPPORT);
}

static bool may_serve(const struct sockaddr_storage *address, const char *only_loopback)
{
    char text[ENDPOINT_TEXT_MAX];
    if (!only_loopback || is_loopback(address))
        return true;
    endpoint_format(address, text);
    log_error(only_loopback, LOG_TEXT("listen", text));
    return false;
}

static bool bind_one(struct endpoints *endpoints, struct sockaddr_storage *address, bool optional,
                     const char *only_loopback)
{
    char text[ENDPOINT_TEXT_MAX];
    endpoint_format(address, text);
    if (!may_serve(address, only_loopback))
        return false;
    int *fds = endpoints->fds + endpoints->count;
    int err = bind_workers(address, endpoints->workers, fds, ENDPOINTS_MAX);
    if (err == EADDRINUSE)
        say_in_use(address);
    else if (err && optional && is_absent(address, err))
        log_warn("this machine has no IPv6 loopback", LOG_TEXT("listen", text));
    else if (err)
        log_error("cannot listen", LOG_TEXT("listen", text), LOG_TEXT("reason", strerror(err)));
    if (err)
        return optional && is_absent(address, err);
    endpoints->addresses[endpoints->count++] = *address;
    return true;
}

/* Of a socket that all workers share, each has a descriptor of its own. False: said why, and fd is
 * closed. */
static bool share(struct endpoints *endpoints, const struct sockaddr_storage *address, int fd)
{
    char text[ENDPOINT_TEXT_MAX];
    int *fds = endpoints->fds + endpoints->count;
    fds[0] = fd;
    for (size_t w = 1; w < endpoints->workers; w++) {
        fds[w * ENDPOINTS_MAX] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (fds[w * ENDPOINTS_MAX] >= 0)
            continue;
        endpoint_format(address, text);
        log_error("cannot listen", LOG_TEXT("listen", text), LOG_TEXT("reason", strerror(errno)));
        return false;
    }
    endpoints->addresses[endpoints->count++] = *address;
    return true;
}

static bool bind_local(struct endpoints *endpoints, const char *text)
{
    struct sockaddr_storage address = {0};
    int fd, err = local_socket_bind(text, &address, &fd);
    if (!err)
        return share(endpoints, &address, fd);
    log_error(err == EADDRINUSE ? "another server listens there" : "cannot listen",
              LOG_TEXT("listen", text), LOG_TEXT("reason", strerror(err)));
    return false;
}

static bool bind_text(struct endpoints *endpoints, const char *text, const char *only_loopback)
{
    if (local_socket_is(text))
        return bind_local(endpoints, text);
    struct sockaddr_storage found[ENDPOINTS_MAX] = {0};
    size_t count = resolve(text, found, ENDPOINTS_MAX - endpoints->count);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && port_of(&found[i]) == 0) /* localhost:0 is one port in both families */
            set_port(&found[i], port_of(&endpoints->addresses[endpoints->count - 1]));
        if (!bind_one(endpoints, &found[i], i > 0, only_loopback))
            return false;
    }
    return count > 0;
}

/* While binding, worker w's sockets stand ENDPOINTS_MAX apart; afterwards close together. */
static void pack(struct endpoints *endpoints)
{
    for (size_t w = 1; w < endpoints->workers; w++)
        memmove(endpoints->fds + w * endpoints->count, endpoints->fds + w * ENDPOINTS_MAX,
                endpoints->count * sizeof *endpoints->fds);
}

static void close_all(struct endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->workers * ENDPOINTS_MAX; i++) {
        if (endpoints->fds[i] >= 0)
            close(endpoints->fds[i]);
    }
}

static void init(struct endpoints *endpoints, size_t workers)
{
    *endpoints = (struct endpoints){.workers = workers};
    endpoints->fds = mem_alloc(workers * ENDPOINTS_MAX * sizeof *endpoints->fds);
    for (size_t i = 0; i < workers * ENDPOINTS_MAX; i++)
        endpoints->fds[i] = -1;
}

/* False: said why. */
static bool inherit(struct endpoints *endpoints, int fd, const char *only_loopback)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address, int_size = sizeof(int);
    int listening = 0, flags = fcntl(fd, F_GETFL);
    char text[ENDPOINT_TEXT_MAX];
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) != 0 || !listening ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6 &&
         address.ss_family != AF_UNIX) ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        log_error("what the service manager hands over is no socket that listens",
                  LOG_NUMBER("descriptor", fd));
        return false;
    }
    endpoint_format(&address, text);
    if (only_loopback && !is_loopback(&address)) {
        log_error(only_loopback, LOG_TEXT("listen", text));
        return false;
    }
    return share(endpoints, &address, fd);
}

/* All of it, or nothing. */
static bool complete(struct endpoints *endpoints, bool all)
{
    if (all) {
        pack(endpoints);
        return true;
    }
    close_all(endpoints);
    endpoints_finish(endpoints);
    return false;
}

bool endpoints_inherit(struct endpoints *ret_endpoints, int first, size_t count, size_t workers,
                       const char *only_loopback)
{
    bool all = true;
    init(ret_endpoints, workers);
    ret_endpoints->inherited = true;
    for (size_t i = 0; i < count && all; i++)
        all = ret_endpoints->count < ENDPOINTS_MAX &&
              inherit(ret_endpoints, first + (int)i, only_loopback);
    return complete(ret_endpoints, all);
}

bool endpoints_bind(struct endpoints *ret_endpoints, char *const *texts, size_t text_count,
                    size_t workers, const char *only_loopback)
{
    bool all = true;
    init(ret_endpoints, workers);
    for (size_t i = 0; i < text_count && all; i++)
        all = ret_endpoints->count < ENDPOINTS_MAX &&
              bind_text(ret_endpoints, texts[i], only_loopback);
    return complete(ret_endpoints, all);
}

bool endpoints_check(char *const *texts, size_t text_count, const char *only_loopback)
{
    for (size_t i = 0; i < text_count; i++) {
        struct sockaddr_storage found[ENDPOINTS_MAX] = {0};
        if (local_socket_is(texts[i]))
            continue;
        size_t count = resolve(texts[i], found, ENDPOINTS_MAX);
        for (size_t k = 0; k < count; k++) {
            if (!may_serve(&found[k], only_loopback))
                return false;
        }
        if (!count)
            return false;
    }
    return true;
}

void endpoints_finish(struct endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->count && !endpoints->inherited; i++)
        local_socket_remove(&endpoints->addresses[i]);
    free(endpoints->fds);
    endpoints->fds = NULL;
    endpoints->count = 0;
}
