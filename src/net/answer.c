#include "net/answer.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

void answer_add_field(struct answer *answer, const char *name, const char *value)
{
    assert(answer->field_count < ANSWER_MAX_FIELDS);
    answer->fields[answer->field_count].name = name;
    answer->fields[answer->field_count++].value = value;
}

/* What a script may read of an answer, besides what the Fetch standard lets it. */
#define EXPOSED "Allow, Retry-After, WWW-Authenticate, X-Request-Id"

static void add_cors(struct answer *answer)
{
    if (answer->origin) {
        MHD_add_response_header(answer->response, "Access-Control-Allow-Origin", answer->origin);
        MHD_add_response_header(answer->response, "Access-Control-Expose-Headers", EXPOSED);
    }
    if (answer->credentials)
        MHD_add_response_header(answer->response, "Access-Control-Allow-Credentials", "true");
    if (answer->origin || answer->varies)
        MHD_add_response_header(answer->response, "Vary", "Origin");
}

/* Takes the response over. */
static bool make(struct answer *answer, int status, const char *content_type,
                 struct MHD_Response *response)
{
    assert(!answer->response);
    if (!response)
        return false;
    answer->response = response;
    answer->status = status;
    if (content_type)
        MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "X-Request-Id", answer->request_id);
    for (size_t i = 0; i < answer->field_count; i++)
        MHD_add_response_header(response, answer->fields[i].name, answer->fields[i].value);
    add_cors(answer);
    return true;
}

bool answer_make(struct answer *answer, int status, const char *content_type, struct buf *body)
{
    size_t size = body->size;
    char *bytes = buf_detach(body);
    if (make(answer, status, content_type,
             MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE)))
        return true;
    free(bytes);
    return false;
}

bool answer_make_static(struct answer *answer, int status, const char *content_type,
                        const void *body, size_t size)
{
    return make(
        answer, status, content_type,
        MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT));
}

void answer_say_close(struct answer *answer)
{
    MHD_add_response_header(answer->response, "Connection", "close");
}

void answer_finish(struct answer *answer)
{
    if (answer->response)
        MHD_destroy_response(answer->response);
    answer->response = NULL;
}

void answer_write_problem(const struct answer *answer, struct buf *buf, enum err err,
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
    buf_add_format(buf, ",\"request_id\":\"%s\"}\n", answer->request_id);
}

void answer_write_head(const struct answer *answer, struct buf *buf, int status,
                       const char *content_type)
{
    bool streams = strcmp(content_type, ANSWER_STREAM_TYPE) == 0;
    buf_add_format(buf,
                   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nX-Request-Id: %s\r\n"
                   "Cache-Control: %s\r\nX-Accel-Buffering: no\r\nVary: Origin\r\n",
                   status, MHD_get_reason_phrase_for((unsigned)status), content_type,
                   answer->request_id, streams ? ANSWER_STREAM_CACHE : "no-store");
    for (size_t i = 0; i < answer->field_count; i++)
        buf_add_format(buf, "%s: %s\r\n", answer->fields[i].name, answer->fields[i].value);
    if (answer->origin)
        buf_add_format(buf,
                       "Access-Control-Allow-Origin: %s\r\n"
                       "Access-Control-Expose-Headers: " EXPOSED "\r\n",
                       answer->origin);
    if (answer->credentials)
        buf_add_text(buf, "Access-Control-Allow-Credentials: true\r\n");
    buf_add_text(buf, "Connection: close\r\n");
}
