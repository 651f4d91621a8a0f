#include "socketio/engine_handover.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/metrics.h"
#include "engine/reactor.h"
#include "http/request.h"
#include "session/sessions.h"
#include "socketio/engine_poll.h"
#include "socketio/engine_state.h"

/* To where it belongs, which may be here. */
static void hand(struct request *request, struct engines *to, struct reactor_task *task,
                 _Atomic int64_t *handed)
{
    struct reactor *reactor = to->sessions->reactor;
    if (reactor == request_reactor(request)) {
        task->run(task);
        return;
    }
    metrics_add(handed, 1);
    reactor_hand(reactor, task);
}

/* ---- a socket ---- */

struct gift {
    struct reactor_task task; /* first: whoever runs it finds the rest */
    struct engines *to;
    int fd;
    char sid[ENGINE_SID_SIZE];
    struct engine_poll_heads heads; /* of a poll */
    struct request *request;        /* of an upgrade, until it has its socket */
    struct buf bytes;               /* likewise, that came behind the handshake */
};

static struct gift *gift_create(struct engines *to, const char *sid,
                                void (*run)(struct reactor_task *task))
{
    struct gift *gift = calloc(1, sizeof *gift);
    if (!gift)
        return NULL;
    gift->task.run = run;
    gift->to = to;
    memcpy(gift->sid, sid, sizeof gift->sid);
    return gift;
}

/* Is there nobody any more to take it? */
static bool drop_if_stopped(struct gift *gift)
{
    bool stopped = gift->to->stopped;
    if (stopped)
        close(gift->fd);
    return stopped;
}

static void receive_poll(struct reactor_task *task)
{
    struct gift *gift = (struct gift *)task;
    if (drop_if_stopped(gift))
        engine_poll_heads_finish(&gift->heads);
    else
        engine_poll_wait(gift->to, gift->sid, gift->fd, &gift->heads);
    free(gift);
}

bool engine_handover_poll(struct request *request, struct engines *owner, const char *sid)
{
    struct gift *gift = gift_create(owner, sid, receive_poll);
    if (!gift)
        return false;
    engine_poll_heads_write(&gift->heads, request);
    gift->fd = request_adopt(request);
    if (gift->fd < 0) {
        engine_poll_heads_finish(&gift->heads);
        free(gift);
        return false;
    }
    hand(request, owner, &gift->task, &request_reactor(request)->metrics.handed_poll);
    return true;
}

static void receive_websocket(struct reactor_task *task)
{
    struct gift *gift = (struct gift *)task;
    if (!drop_if_stopped(gift))
        engine_upgrade(gift->to, gift->sid, gift->fd, gift->bytes.data, gift->bytes.size);
    buf_finish(&gift->bytes);
    free(gift);
}

static void on_adopted(void *context, int fd, const char *extra, size_t size)
{
    struct gift *gift = context;
    const struct engines *here = request_context(gift->request);
    if (fd < 0) {
        free(gift);
        return;
    }
    gift->fd = fd;
    buf_add(&gift->bytes, extra, size);
    if (buf_ok(&gift->bytes) && !here->sessions->stopping) {
        hand(gift->request, gift->to, &gift->task,
             &request_reactor(gift->request)->metrics.handed_websocket);
        return;
    }
    close(fd);
    buf_finish(&gift->bytes);
    free(gift);
}

bool engine_handover_upgrade(struct request *request, struct engines *owner, const char *sid,
                             const char *accept)
{
    struct gift *gift = gift_create(owner, sid, receive_websocket);
    if (!gift)
        return false;
    gift->request = request;
    request_upgrade(request, accept, NULL, on_adopted, gift);
    return true;
}

/* ---- a body ---- */

struct question {
    struct reactor_task task; /* first: whoever runs it finds the rest */
    struct engines *owner;
    struct reactor *asker;
    struct request *request; /* it waits, and holds the body */
    char sid[ENGINE_SID_SIZE];
    const char *body;
    size_t size;
    enum engine_refusal refusal; /* the answer */
    void (*answer)(struct request *request, enum engine_refusal refusal);
};

static void on_answer(struct reactor_task *task)
{
    struct question *question = (struct question *)task;
    if (!request_drop_late(question->request))
        question->answer(question->request, question->refusal);
    free(question);
}

/* When the owner's loop is over, so are all others, and nobody waits. */
static void judge(struct reactor_task *task)
{
    struct question *question = (struct question *)task;
    if (question->owner->stopped) {
        free(question);
        return;
    }
    question->refusal = engine_post(question->owner, question->sid, question->body, question->size);
    question->task.run = on_answer;
    reactor_hand(question->asker, &question->task);
}

static void ask(struct request *request, struct question asked)
{
    struct question *question = malloc(sizeof *question);
    if (!question) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    *question = asked;
    request_wait(request);
    hand(request, question->owner, &question->task, &question->asker->metrics.handed_post);
}

void engine_handover_post(struct request *request, struct engines *owner, const char *sid,
                          const char *bytes, size_t size,
                          void (*answer)(struct request *request, enum engine_refusal refusal))
{
    struct reactor *here = request_reactor(request);
    struct question question = {
        .task.run = judge,
        .owner = owner,
        .asker = here,
        .request = request,
        .body = bytes,
        .size = size,
        .answer = answer,
    };
    memcpy(question.sid, sid, sizeof question.sid);
    if (owner->sessions->reactor == here)
        answer(request, engine_post(owner, sid, bytes, size));
    else if (request_may_ask(request))
        ask(request, question);
}
