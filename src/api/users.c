#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "api/history.h"
#include "api/users.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/metrics.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/presence.h"
#include "engine/reactor.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/route.h"
#include "http/target.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/revocations.h"
#include "model/session.h"
#include "model/topic.h"
#include "session/protocols.h"

#define JSON_TYPE "application/json"

static void refuse(struct request *request, enum err err)
{
    request_problem(request, err, NULL, "Try again in a moment.");
}

static void out_of_memory(struct request *request)
{
    refuse(request, ERR_OUT_OF_MEMORY);
}

static struct topic user_of(const struct request *request)
{
    size_t length;
    const char *name = target_id(request_target(request), &length);
    return topic_make(TOPIC_USER, name, length);
}

static void open_user(struct buf *body, const struct topic *user)
{
    buf_init(body);
    buf_add_text(body, "{\"user\":");
    buf_add_json(body, user->name, user->length);
}

/* ---- questions to the workers ---- */

struct asking {
    struct control_call control; /* first: on_replies finds the rest */
    struct request *request;
    void (*answer)(struct asking *asking);
    struct inquiry inquiry;   /* about the user, where that is asked for */
    struct presence presence; /* its answer */
};

static void on_replies(struct call *call)
{
    struct asking *asking = (struct asking *)call;
    if (call->err)
        refuse(asking->request, call->err);
    else
        asking->answer(asking);
    control_finish(&asking->control);
    free(asking);
}

static struct asking *asking_create(struct request *request, void (*answer)(struct asking *asking))
{
    if (!request_may_ask(request))
        return NULL;
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking) {
        out_of_memory(request);
        return NULL;
    }
    asking->request = request;
    asking->answer = answer;
    asking->control.call.done = on_replies;
    return asking;
}

static void ask(struct asking *asking)
{
    struct reactor *reactor = request_reactor(asking->request);
    request_await(asking->request, &asking->control.call,
                  broker_control(reactor->broker, reactor->member, &asking->control));
}

/* ---- GET /users/:id ---- */

static void add_time(struct buf *body, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_ms, text);
    buf_add_format(body, "\"%s\"", text);
}

void users_add_last_seen(struct buf *body, bool online, int64_t last_seen_ms)
{
    buf_add_text(body, ",\"last_seen\":");
    if (online || last_seen_ms)
        add_time(body, online ? clock_wall_ms() : last_seen_ms);
    else
        buf_add_text(body, "null");
}

static void write_session(struct buf *body, const struct session_info *info)
{
    char id[SESSION_ID_TEXT_SIZE];
    session_format_id(info->id, id);
    buf_add_format(body, "{\"id\":\"%s\",\"transport\":\"%s\",\"since\":", id,
                   protocol_at(info->protocol)->session_ops->transport);
    add_time(body, info->opened_at_ms);
    buf_add_text(body, info->behind ? ",\"behind\":true" : ",\"behind\":false");
    if (*info->device) {
        buf_add_text(body, ",\"device\":");
        buf_add_json(body, info->device, strlen(info->device));
    }
    buf_add_text(body, "}");
}

static void answer_description(struct asking *asking)
{
    const struct control_call *control = &asking->control;
    size_t count;
    const struct session_info *sessions = presence_sessions(&control->records, &count);
    struct buf body;
    open_user(&body, &control->control.topic);
    bool online = count || asking->presence.online;
    buf_add_text(&body, online ? ",\"online\":true" : ",\"online\":false");
    buf_add_text(&body, ",\"sessions\":[");
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&body, i ? "," : "");
        write_session(&body, &sessions[i]);
    }
    buf_add_text(&body, "]");
    users_add_last_seen(&body, online, asking->presence.last_seen_ms);
    buf_add_text(&body, "}\n");
    request_answer(asking->request, 200, JSON_TYPE, &body);
}

static void on_presence(struct call *call)
{
    struct asking *asking = list_entry(call, struct asking, inquiry.call);
    if (asking->inquiry.call.err) {
        refuse(asking->request, asking->inquiry.call.err);
    } else if (!request_drop_late(asking->request)) {
        ask(asking);
        return;
    }
    free(asking);
}

static void users_describe_serve(struct request *request)
{
    struct reactor *reactor = request_reactor(request);
    struct asking *asking = asking_create(request, answer_description);
    if (!asking)
        return;
    asking->control.control.verb = CONTROL_DESCRIBE;
    asking->control.control.topic = user_of(request);
    asking->inquiry = (struct inquiry){
        .call = {.done = on_presence},
        .topics = &asking->control.control.topic,
        .count = 1,
        .presence = &asking->presence,
    };
    request_await(request, &asking->inquiry.call,
                  broker_inquire(reactor->broker, reactor->member, &asking->inquiry));
}

/* ---- DELETE /users/:id/sessions ---- */

static void answer_closed(struct asking *asking)
{
    struct buf body;
    open_user(&body, &asking->control.control.topic);
    buf_add_format(&body, ",\"closed\":%llu}\n", (unsigned long long)asking->control.sessions);
    request_answer(asking->request, 200, JSON_TYPE, &body);
}

static void users_close_sessions_serve(struct request *request)
{
    struct asking *asking = asking_create(request, answer_closed);
    if (!asking)
        return;
    asking->control.control.verb = CONTROL_CLOSE;
    asking->control.control.reason = ERR_KICKED;
    asking->control.control.topic = user_of(request);
    ask(asking);
}

/* ---- POST /users/:id/revoke ---- */

struct revoking {
    uv_work_t work;
    struct asking *asking;
    struct revocations *revocations;
    int64_t now_ms;
    bool done;
};

static void write_down(uv_work_t *work)
{
    struct revoking *revoking = work->data;
    const struct topic *user = &revoking->asking->control.control.topic;
    revoking->done =
        revocations_add(revoking->revocations, user->name, user->length, revoking->now_ms);
}

/* Only now are the sessions closed: who comes back then is refused. */
static void on_written(uv_work_t *work, int status)
{
    struct revoking *revoking = work->data;
    struct asking *asking = revoking->asking;
    bool done = status == 0 && revoking->done;
    free(revoking);
    if (request_drop_late(
            asking->request)) { /* the authorizations of its sessions end soon after */
        free(asking);
        return;
    }
    if (done) {
        ask(asking);
        return;
    }
    request_problem(asking->request, ERR_NO_ROOM, NULL,
                    "This could not be written to data_dir; nothing was revoked.");
    free(asking);
}

/* The disk may take its time, so it is another thread that waits for it. */
static void users_revoke_serve(struct request *request)
{
    struct asking *asking = asking_create(request, answer_closed);
    struct revoking *revoking = asking ? calloc(1, sizeof *revoking) : NULL;
    if (asking && !revoking) {
        free(asking);
        out_of_memory(request);
    }
    if (!revoking)
        return;
    asking->control.control.verb = CONTROL_CLOSE;
    asking->control.control.reason = ERR_KICKED;
    asking->control.control.topic = user_of(request);
    *revoking = (struct revoking){
        .asking = asking,
        .revocations = access_revocations(request_access(request)),
        .now_ms = clock_wall_ms(),
    };
    revoking->work.data = revoking;
    request_wait(request);
    uv_queue_work(&request_reactor(request)->loop, &revoking->work, write_down, on_written);
}

/* ---- GET /users ---- */

static void write_names(struct buf *body, const struct user_name *names, size_t count, bool more)
{
    buf_init(body);
    buf_add_text(body, "{\"users\":[");
    for (size_t i = 0; i < count; i++) {
        buf_add_text(body, i ? "," : "");
        buf_add_json(body, names[i].text, names[i].length);
    }
    buf_add_text(body, "],\"next\":");
    if (more)
        buf_add_json(body, names[count - 1].text, names[count - 1].length);
    else
        buf_add_text(body, "null");
    buf_add_text(body, "}\n");
}

static void answer_list(struct asking *asking)
{
    size_t count = 0, limit = asking->control.control.limit - 1; /* one more was asked for */
    struct user_name *names = presence_names(&asking->control.records, &count);
    if (!names) {
        out_of_memory(asking->request);
        return;
    }
    struct buf body;
    write_names(&body, names, count < limit ? count : limit, count > limit);
    request_answer(asking->request, 200, JSON_TYPE, &body);
    free(names);
}

static void users_list_serve(struct request *request)
{
    const char *online = target_query(request_target(request), "online");
    const char *from = target_query(request_target(request), "from");
    size_t limit;
    if (!history_read_limit(request, &limit))
        return;
    if (online && strcmp(online, "true") != 0) {
        request_problem(request, ERR_BAD_PARAMETER, "online", "Only online=true is served.");
        return;
    }
    struct asking *asking = asking_create(request, answer_list);
    if (!asking)
        return;
    asking->control.control.verb = CONTROL_USERS;
    asking->control.control.topic = topic_make(TOPIC_ALL, "", 0);
    asking->control.control.from = from ? from : "";
    asking->control.control.from_length = strlen(asking->control.control.from);
    asking->control.control.limit = limit + 1;
    ask(asking);
}

static void users_messages_serve(struct request *request)
{
    history_serve(request, TOPIC_USER);
}

/* ---- DELETE /users/:id/messages ---- */

struct erasing {
    struct erase_call erase;
    struct request *request;
};

static void on_erased(struct call *call)
{
    struct erasing *erasing = (struct erasing *)call;
    const struct erase_call *erase = &erasing->erase;
    if (erase->call.err) {
        refuse(erasing->request, erase->call.err);
    } else {
        struct buf body;
        open_user(&body, &erase->topic);
        buf_add_format(&body, ",\"erased\":%llu}\n", (unsigned long long)erase->erased);
        request_answer(erasing->request, 200, JSON_TYPE, &body);
    }
    free(erasing);
}

static void users_erase_messages_serve(struct request *request)
{
    struct reactor *reactor = request_reactor(request);
    if (!request_may_ask(request))
        return;
    struct erasing *erasing = calloc(1, sizeof *erasing);
    if (!erasing) {
        out_of_memory(request);
        return;
    }
    erasing->request = request;
    erasing->erase.topic = user_of(request);
    erasing->erase.call.done = on_erased;
    request_await(request, &erasing->erase.call,
                  broker_erase(reactor->broker, reactor->member, &erasing->erase));
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"GET", "/users", users_list_serve, NULL, false, RIGHT_MANAGE_ALL},
    {"GET", "/users/:id", users_describe_serve, NULL, false, RIGHT_READ_USER},
    {"GET", "/users/:id/messages", users_messages_serve, NULL, false, RIGHT_READ_USER},
    {"DELETE", "/users/:id/messages", users_erase_messages_serve, NULL, false, RIGHT_MANAGE},
    {"DELETE", "/users/:id/sessions", users_close_sessions_serve, NULL, false, RIGHT_MANAGE},
    {"POST", "/users/:id/revoke", users_revoke_serve, NULL, false, RIGHT_MANAGE},
};

const struct route_family users_routes = {routes, sizeof routes / sizeof *routes};
