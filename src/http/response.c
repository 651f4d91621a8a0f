#include "http/response.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

void response_add_field(struct response *response, const char *name, const char *value)
{
    assert(response->field_count < RESPONSE_MAX_FIELDS);
    response->fields[response->field_count].name = name;
    response->fields[response->field_count++].value = value;
}

/* What a script may read of an answer, besides what the Fetch standard lets it. */
#define EXPOSED "Allow, Retry-After, WWW-Authenticate, X-Request-Id"

static void add_cors(struct response *response)
{
    if (response->origin) {
        MHD_add_response_header(response->mhd_response, "Access-Control-Allow-Origin",
                                response->origin);
        MHD_add_response_header(response->mhd_response, "Access-Control-Expose-Headers", EXPOSED);
    }
    if (response->credentials)
        MHD_add_response_header(response->mhd_response, "Access-Control-Allow-Credentials", "true");
    if (response->origin || response->varies)
        MHD_add_response_header(response->mhd_response, "Vary", "Origin");
}

/* Takes the response over. */
static bool make(struct response *response, int status, const char *content_type,
                 struct MHD_Response *mhd_response)
{
    assert(!response->mhd_response);
    if (!mhd_response)
        return false;
    response->mhd_response = mhd_response;
    response->status = status;
    if (content_type)
        MHD_add_response_header(mhd_response, "Content-Type", content_type);
    MHD_add_response_header(mhd_response, "X-Request-Id", response->request_id);
    for (size_t i = 0; i < response->field_count; i++)
        MHD_add_response_header(mhd_response, response->fields[i].name, response->fields[i].value);
    add_cors(response);
    return true;
}

bool response_make(struct response *response, int status, const char *content_type,
                   struct buf *body)
{
    size_t size = body->size;
    char *bytes = buf_detach(body);
    if (make(response, status, content_type,
             MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE)))
        return true;
    free(bytes);
    return false;
}

bool response_make_static(struct response *response, int status, const char *content_type,
                          const void *body, size_t size)
{
    return make(
        response, status, content_type,
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT));
}

/* ---- files ---- */

#define FILE_BLOCK ((size_t)32 * 1024)

static void close_file(void *cls)
{
    struct response_file *file = cls;
    close(file->fd);
    file->on_closed(file->owner);
    free(file);
}

/* What ends too soon ends the connection, so that nobody takes it for the whole. */
static ssize_t read_file(void *cls, uint64_t at, char *to, size_t size)
{
    struct response_file *file = cls;
    ssize_t got = pread(file->fd, to, size, (off_t)at);
    file->on_read(file->reader);
    return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

bool response_make_file(struct response *response, const char *content_type,
                        const struct response_file *file)
{
    struct response_file *own = malloc(sizeof *own);
    struct MHD_Response *mhd_response = NULL;
    if (own) {
        *own = *file;
        mhd_response =
            MHD_create_response_from_callback(file->size, FILE_BLOCK, read_file, own, close_file);
    }
    if (!mhd_response) {
        free(own);
        close(file->fd);
        file->on_closed(file->owner);
    }
    return make(response, MHD_HTTP_OK, content_type, mhd_response);
}

/* ---- the rest ---- */

void response_say_close(struct response *response)
{
    MHD_add_response_header(response->mhd_response, "Connection", "close");
}

void response_finish(struct response *response)
{
    if (response->mhd_response)
        MHD_destroy_response(response->mhd_response);
    response->mhd_response = NULL;
}

void response_write_problem(const struct response *response, struct buf *buf, enum err err,
                            const char *field, const char *detail)
{
    buf_add_format(buf,
                   "{\"type\":\"/docs/errors#%s\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\"",
                   err_code(err), err_title(err), err_status(err), err_code(err));
    if (field) {
        buf_add_text(buf, ",\"field\":");
        buf_add_json(buf, field, strlen(field));
    }
    buf_add_text(buf, ",\"detail\":");
    buf_add_json(buf, detail, strlen(detail));
    buf_add_format(buf, ",\"request_id\":\"%s\"}\n", response->request_id);
}

void response_write_head(const struct response *response, struct buf *buf, int status,
                         const char *content_type)
{
    bool streams = strcmp(content_type, RESPONSE_STREAM_TYPE) == 0;
    buf_add_format(buf,
                   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nX-Request-Id: %s\r\n"
                   "Cache-Control: %s\r\nX-Accel-Buffering: no\r\nVary: Origin\r\n",
                   status, MHD_get_reason_phrase_for((unsigned)status), content_type,
                   response->request_id, streams ? RESPONSE_STREAM_CACHE : "no-store");
    for (size_t i = 0; i < response->field_count; i++)
        buf_add_format(buf, "%s: %s\r\n", response->fields[i].name, response->fields[i].value);
    if (response->origin)
        buf_add_format(buf,
                       "Access-Control-Allow-Origin: %s\r\n"
                       "Access-Control-Expose-Headers: " EXPOSED "\r\n",
                       response->origin);
    if (response->credentials)
        buf_add_text(buf, "Access-Control-Allow-Credentials: true\r\n");
    buf_add_text(buf, "Connection: close\r\n");
}
