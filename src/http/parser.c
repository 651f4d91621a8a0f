#include "http/parser.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/head.h"

#define RUNS     16 /* all bytes are there: more than it needs to come to an end */
#define MAX_HEAD 1024

const char *parser_version(void)
{
    return MHD_get_version();
}

/* ---- reading ---- */

static enum MHD_Result collect_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                     size_t name_length, const char *value, size_t value_length)
{
    (void)kind;
    struct head *head = cls;
    head->fields[head->count++] =
        (struct head_field){name, value ? value : "", name_length, value_length};
    return head->count < HEAD_MAX_FIELDS ? MHD_YES : MHD_NO;
}

void parser_read(struct MHD_Connection *connection, struct head *head)
{
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, collect_field, head);
    head->size =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
}

/* ---- the trial ---- */

#define LINE "GET /x?y HTTP/1.1\r\n"
#define HOST "Host: localhost\r\n"

static const struct sample {
    bool proper;
    const char *bytes;
    size_t size;
} samples[] = {
#define SAMPLE(proper, text)                                                                       \
    {                                                                                              \
        proper, text, sizeof(text) - 1                                                             \
    }
    SAMPLE(true, LINE HOST "\r\n"),
    SAMPLE(true, LINE HOST "A: b c \t\r\nB:\r\nC:d\r\n\r\n"),
    SAMPLE(false, LINE HOST "A: b\r\n c: d\r\n\r\n"),
    SAMPLE(false, LINE "A:\r\n\tb\r\n" HOST "\r\n"),
    SAMPLE(false, LINE HOST "A: b\nC: d\r\n\r\n"),
    SAMPLE(false, LINE HOST "A: b\r\n\n"),
    SAMPLE(false, "GET /x?y HTTP/1.1\n" HOST "\r\n"),
    SAMPLE(false, "GET /x?y HTTP/1.1\nHost: localhost\n\n"),
    SAMPLE(false, LINE HOST "A: b\rC: d\r\n\r\n"),
    SAMPLE(false, LINE HOST "A: b\0c\r\n\r\n"),
    SAMPLE(false, LINE HOST "A: b\r\n\0\r\n"),
    SAMPLE(false, LINE HOST "A : b\r\n\r\n"),
#undef SAMPLE
};

struct trial {
    const struct parser *parser;
    char target[sizeof LINE];
    struct head head;
    bool passed;
};

static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    (void)connection;
    struct trial *trial = cls;
    strncpy(trial->target, target, sizeof trial->target - 1);
    trial->head.target = trial->target;
    trial->head.target_length = strlen(trial->target);
    trial->head.target_place = trial->parser->in_place ? target : NULL;
    return trial;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **request)
{
    (void)url;
    (void)upload_data;
    (void)upload_data_size;
    (void)request;
    struct trial *trial = cls;
    struct head_body ignored;
    const char *detail;
    trial->head.method = method;
    trial->head.version = version;
    parser_read(connection, &trial->head);
    trial->passed = head_check(&trial->head, MAX_HEAD, &ignored, &detail) == ERR_NONE;
    return MHD_NO;
}

static void keep_quiet(void *cls, const char *format, va_list args)
{
    (void)cls;
    (void)format;
    (void)args;
}

static struct MHD_Daemon *start_daemon(struct trial *trial)
{
    return MHD_start_daemon(
        PARSER_DAEMON_FLAGS, 0, NULL, NULL, on_request, trial, MHD_OPTION_EXTERNAL_LOGGER,
        keep_quiet, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_target, trial,
        MHD_OPTION_STRICT_FOR_CLIENT, (int)trial->parser->strict, MHD_OPTION_END);
}

/* A head passes if it is shown to us, and head_check finds nothing. */
static bool passes(struct trial *trial, struct MHD_Daemon *daemon, const struct sample *sample)
{
    int ends[2];
    struct sockaddr_in peer = {.sin_family = AF_INET};
    trial->passed = false;
    memset(&trial->head, 0, sizeof trial->head);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return !sample->proper;
    ssize_t sent = send(ends[0], sample->bytes, sample->size, MSG_NOSIGNAL);
    if (MHD_add_connection(daemon, ends[1], (struct sockaddr *)&peer, sizeof peer) == MHD_YES) {
        for (int i = 0; i < RUNS; i++)
            MHD_run(daemon);
    }
    close(ends[0]);
    MHD_run(daemon);
    return sent == (ssize_t)sample->size ? trial->passed : !sample->proper;
}

static bool serves(const struct parser *parser)
{
    struct trial trial = {.parser = parser};
    struct MHD_Daemon *daemon = start_daemon(&trial);
    bool right = daemon != NULL;
    for (size_t i = 0; i < sizeof samples / sizeof *samples && right; i++)
        right = passes(&trial, daemon, &samples[i]) == samples[i].proper;
    if (daemon)
        MHD_stop_daemon(daemon);
    return right;
}

bool parser_find(struct parser *ret_parser)
{
    static const struct parser ways[] = {
        {.in_place = true}, {.in_place = true, .strict = true}, {.strict = true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (serves(&ways[i])) {
            *ret_parser = ways[i];
            return true;
        }
    }
    return false;
}
