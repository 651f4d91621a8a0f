#include "api/public.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/log.h"
#include "http/head.h"
#include "http/public_file.h"
#include "http/request.h"
#include "http/response.h"
#include "http/target.h"

#define SMALL    ((size_t)64 * 1024) /* read at once; what is larger stays open while it is sent */
#define MAX_OPEN 64                  /* of a worker, for descriptors are few */

static void on_sent(void *context)
{
    struct api *api = context;
    api->public_open--;
}

/* Reads all of it. False: an errno says why, or it is shorter than it was (0). */
static bool read_all(int fd, size_t size, struct buf *buf)
{
    if (size && !buf_reserve(buf, size))
        return true; /* the buffer says so */
    while (buf->size < size) {
        errno = 0;
        ssize_t got = pread(fd, buf->data + buf->size, size - buf->size, (off_t)buf->size);
        if (got <= 0)
            return false;
        buf->size += (size_t)got;
    }
    return true;
}

static void tell_unreadable(struct request *request)
{
    log_error("a public file cannot be read", LOG_TEXT("path", request_target(request)->path),
              LOG_TEXT("reason", errno ? strerror(errno) : "it became shorter"));
    request_problem(request, ERR_UNREADABLE, NULL, "The disk does not give this file.");
}

static void add_fields(struct request *request, const struct public_file *file)
{
    struct response *response = request_response(request);
    response_add_field(response, "ETag", file->etag);
    response_add_field(response, "Cache-Control", "no-cache"); /* ask, and be told 304 */
    response_add_field(response, "X-Content-Type-Options", "nosniff");
}

static void send_small(struct request *request, const struct public_file *file)
{
    struct buf body;
    buf_init(&body);
    bool read = read_all(file->fd, (size_t)file->size, &body);
    close(file->fd);
    if (read) {
        add_fields(request, file);
        request_answer(request, 200, file->content_type, &body);
        return;
    }
    buf_finish(&body);
    tell_unreadable(request);
}

static void send_large(struct request *request, const struct public_file *file)
{
    struct api *api = request_context(request);
    char first; /* a disk that gives nothing can still be told of */
    errno = 0;
    if (pread(file->fd, &first, 1, 0) != 1) {
        tell_unreadable(request);
        close(file->fd);
    } else if (api->public_open >= MAX_OPEN) {
        close(file->fd);
        request_problem(request, ERR_OVERLOADED, NULL, "Many files are being sent, try again.");
    } else {
        api->public_open++;
        add_fields(request, file);
        request_answer_file(request, file->content_type, file->fd, file->size, on_sent, api);
    }
}

static void send_file(struct request *request, const struct public_file *file)
{
    const char *known = head_find(request_head(request), "If-None-Match");
    if (known && (strstr(known, file->etag) || strcmp(known, "*") == 0)) {
        close(file->fd);
        add_fields(request, file);
        request_answer_static(request, 304, NULL, "", 0);
    } else if (file->size <= SMALL) {
        send_small(request, file);
    } else {
        send_large(request, file);
    }
}

void public_serve(struct request *request)
{
    const struct api *api = request_context(request);
    struct public_file file;
    errno = 0;
    int err = public_file_open(api->public_folder, request_target(request)->path, &file);
    if (!err)
        send_file(request, &file);
    else if (err == ERR_NOT_FOUND)
        request_problem(request, ERR_NOT_FOUND, NULL,
                        "No file has this path; that of a folder ends with a /.");
    else if (err == ERR_UNREADABLE)
        tell_unreadable(request);
    else
        request_problem(request, (enum err)err, NULL, "Try again in a moment.");
}
