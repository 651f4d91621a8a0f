#include "http/adoption.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/parser.h"

#define WAIT_MS 2000
#define RUNS    50

/* Both ends of a connection over loopback, and the socket taken over from the library. */
struct trial {
    int client;
    int server; /* libmicrohttpd's, once added */
    int adopted;
};

static enum MHD_Result take_over(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_data_size, void **request)
{
    (void)url;
    (void)method;
    (void)version;
    (void)upload_data;
    (void)upload_data_size;
    struct trial *trial = cls;
    if (!*request) { /* as in production: not in the first call */
        *request = trial;
        return MHD_YES;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    trial->adopted = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    return MHD_NO;
}

/* The library complains of the refusal, which is what we want. */
static void keep_quiet(void *cls, const char *format, va_list args)
{
    (void)cls;
    (void)format;
    (void)args;
}

static bool connect_ends(struct trial *trial)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    trial->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening >= 0 && trial->client >= 0 &&
        bind(listening, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(listening, 1) == 0 &&
        getsockname(listening, (struct sockaddr *)&address, &size) == 0 &&
        connect(trial->client, (struct sockaddr *)&address, size) == 0)
        trial->server = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (listening >= 0)
        close(listening);
    return trial->server >= 0;
}

static bool run_until_adopted(struct MHD_Daemon *daemon, const struct trial *trial)
{
    for (int i = 0; i < RUNS && trial->adopted < 0; i++)
        MHD_run_wait(daemon, WAIT_MS / RUNS);
    MHD_run(daemon); /* in which it closes its own descriptor */
    MHD_run(daemon);
    return trial->adopted >= 0;
}

/* Does a byte get through, and not an end? */
static bool gets_through(int from, int to)
{
    char byte = 'x';
    struct pollfd ready = {.fd = to, .events = POLLIN};
    return send(from, &byte, 1, MSG_NOSIGNAL) == 1 && poll(&ready, 1, WAIT_MS) == 1 &&
           recv(to, &byte, 1, MSG_DONTWAIT) == 1;
}

static bool try_it(struct trial *trial)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in peer = {.sin_family = AF_INET};
    if (!connect_ends(trial) ||
        send(trial->client, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        return false;
    struct MHD_Daemon *daemon =
        MHD_start_daemon(PARSER_DAEMON_FLAGS, 0, NULL, NULL, take_over, trial,
                         MHD_OPTION_EXTERNAL_LOGGER, keep_quiet, NULL, MHD_OPTION_END);
    if (!daemon)
        return false;
    int server = trial->server;
    trial->server = -1; /* the library's now, even when it refuses */
    bool works =
        MHD_add_connection(daemon, server, (struct sockaddr *)&peer, sizeof peer) == MHD_YES &&
        run_until_adopted(daemon, trial) && gets_through(trial->adopted, trial->client) &&
        gets_through(trial->client, trial->adopted);
    MHD_stop_daemon(daemon);
    return works;
}

bool adoption_works(void)
{
    struct trial trial = {-1, -1, -1};
    bool works = try_it(&trial);
    const int fds[] = {trial.client, trial.server, trial.adopted};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return works;
}
