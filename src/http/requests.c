#include "http/requests.h"

#include <assert.h>
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

#define TO(state) (1u << REQUEST_##state)

/* A body reader may be owed answers (LATE) whatever became of its request. */
static const unsigned may_follow[REQUEST_STATES] = {
    [REQUEST_HEAD] = TO(BODY) | TO(OVER),
    [REQUEST_BODY] =
        TO(PAUSED) | TO(REFUSED) | TO(LINGERING) | TO(SERVING) | TO(CUT) | TO(LATE) | TO(OVER),
    [REQUEST_PAUSED] = TO(BODY) | TO(SERVING) | TO(CUT) | TO(LATE) | TO(OVER),
    [REQUEST_REFUSED] = TO(ANSWERED) | TO(OVER),
    [REQUEST_LINGERING] = TO(OVER),
    [REQUEST_SERVING] = TO(WAITING) | TO(ANSWERED) | TO(UPGRADING) | TO(CUT),
    [REQUEST_WAITING] = TO(ANSWERED) | TO(UPGRADING) | TO(CUT) | TO(LATE) | TO(OVER),
    [REQUEST_ANSWERED] = TO(ABANDONED) | TO(LATE) | TO(OVER),
    [REQUEST_UPGRADING] = TO(ANSWERED) | TO(OVER),
    [REQUEST_CUT] = TO(ABANDONED) | TO(LATE) | TO(OVER),
    [REQUEST_ABANDONED] = TO(ANSWERED) | TO(LATE),
    [REQUEST_LATE] = TO(OVER),
};

static bool is_any_of(const struct request *request, unsigned states)
{
    return states >> request->state & 1;
}

bool requests_is_answered(const struct request *request)
{
    return is_any_of(request, TO(REFUSED) | TO(LINGERING) | TO(ANSWERED) | TO(UPGRADING) | TO(CUT) |
                                  TO(ABANDONED) | TO(LATE) | TO(OVER));
}

bool requests_is_held(const struct request *request)
{
    return is_any_of(request, TO(ABANDONED) | TO(LATE));
}

void requests_run_again(struct requests *requests)
{
    requests->run_again = true;
    reactor_again(requests->reactor);
}

static void resume(struct request *request)
{
    request->suspended = false;
    requests_run_again(request->all);
    MHD_resume_connection(request->connection);
}

void request_suspend(struct request *request)
{
    assert(is_any_of(request, TO(PAUSED) | TO(WAITING)));
    if (request->suspended)
        return;
    request->suspended = true;
    requests_move_deadline(request, DEADLINE_WAIT);
    MHD_suspend_connection(request->connection);
}

void request_enter(struct request *request, enum request_state state)
{
    assert(may_follow[request->state] >> state & 1);
    bool was_paused = request->state == REQUEST_PAUSED;
    request->state = state;
    if (state == REQUEST_LINGERING)
        requests_move_deadline(request, DEADLINE_LINGER);
    else if (state == REQUEST_BODY && was_paused)
        requests_move_deadline(request, DEADLINE_BODY);
    if (request->suspended && is_any_of(request, TO(BODY) | TO(ANSWERED) | TO(UPGRADING) | TO(CUT)))
        resume(request);
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

void requests_hold(struct request *request, enum request_state state)
{
    request_enter(request, state);
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
