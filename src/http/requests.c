#include "http/requests.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_quota.h"
#include "base/clock.h"
#include "engine/reactor.h"
#include "model/identity.h"

#define SPARE_BODY 4096 /* a larger body's buffer is not kept for the next */
#define MAX_SPARE  64

/* Requests come and go by the ten thousand a second, and this struct is too large for the
 * allocator's quick bins: a few are used again and again. What they keep is the body's buffer. */
static struct request *take_spare(struct requests *requests, struct buf *ret_body)
{
    struct request *request = requests->spare;
    buf_init(ret_body);
    if (!request)
        return malloc(sizeof *request);
    requests->spare = request->next_spare;
    requests->spare_count--;
    *ret_body = request->body;
    return request;
}

struct request *requests_take(struct requests *requests, struct MHD_Connection *connection,
                              const char *target)
{
    struct buf body;
    struct request *request = take_spare(requests, &body);
    if (!request)
        return NULL;
    memset(request, 0, offsetof(struct request, head.fields));
    request->all = requests;
    request->connection = connection;
    request->body = body;
    if (target_init(&request->target, target))
        return request;
    requests_give_back(request);
    return NULL;
}

void requests_give_back(struct request *request)
{
    struct requests *requests = request->all;
    byte_quota_set(requests->quota, &request->body_held, 0);
    byte_quota_set(requests->quota, &request->answer_held, 0);
    identity_destroy(request->who);
    target_finish(&request->target);
    if (requests->spare_count >= MAX_SPARE || request->body.capacity > SPARE_BODY ||
        !buf_ok(&request->body)) {
        buf_finish(&request->body);
        free(request);
        return;
    }
    request->body.size = 0;
    request->next_spare = requests->spare;
    requests->spare = request;
    requests->spare_count++;
}

bool requests_is_answered(const struct request *request)
{
    return request->response.mhd_response || request->close || request->lingers;
}

void requests_run_again(struct requests *requests)
{
    requests->run_again = true;
    reactor_again(requests->reactor);
}

void requests_resume(struct request *request)
{
    if (!request->suspended)
        return;
    request->suspended = false;
    requests_run_again(request->all);
    MHD_resume_connection(request->connection);
}

void requests_move_deadline(struct request *request, enum deadline_phase phase)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct deadline *deadline = info ? info->socket_context : NULL;
    if (!deadline)
        return;
    deadline->request = request;
    deadlines_move(&request->all->deadlines, deadline, phase, clock_mono_ms());
}

void requests_hold(struct request *request)
{
    request->held = true;
    request->all->late++;
}

void requests_finish(struct requests *requests)
{
    for (struct request *request; (request = requests->spare);) {
        requests->spare = request->next_spare;
        buf_finish(&request->body);
        free(request);
    }
}
