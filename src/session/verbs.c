#include "session/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/reactor.h"
#include "model/access.h"
#include "model/connection_manager.h"
#include "model/identity.h"
#include "session/client.h"
#include "session/publish_request.h"
#include "session/session_auth.h"
#include "session/sessions.h"
#include "session/subscribe_request.h"
#include "session/wire_json.h"

static const struct client_ops *ops_of(const struct client *client)
{
    return list_entry(client->session.ops, struct client_ops, session);
}

static const json_t *ref_of(const struct client_frame *frame)
{
    return json_object_get(frame->object, "ref");
}

static void answer_error(struct client *client, enum err err, const json_t *ref, const char *detail)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_error(&buf, err, detail, ref);
    ops_of(client)->reply(client, &buf);
}

void verbs_answer_error(const struct client_frame *frame, enum err err, const char *detail)
{
    answer_error(frame->client, err, ref_of(frame), detail);
}

/* ---- ping and channels ---- */

static void serve_ping(const struct client_frame *frame)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_pong(&buf);
    ops_of(frame->client)->reply(frame->client, &buf);
}

static void answer_channel(struct client *client,
                           void (*write)(struct buf *buf, const struct topic *channel),
                           const struct topic *channel)
{
    struct buf buf;
    buf_init(&buf);
    write(&buf, channel);
    ops_of(client)->reply(client, &buf);
}

/* False: it was answered. */
static bool read_channel(const struct client_frame *frame, struct topic *ret_channel)
{
    const json_t *name = json_object_get(frame->object, "channel");
    if (json_is_string(name) && topic_is_name(json_string_value(name), json_string_length(name))) {
        *ret_channel = topic_make(TOPIC_CHANNEL, json_string_value(name), json_string_length(name));
        return true;
    }
    if (name)
        verbs_answer_error(frame, ERR_BAD_FIELD,
                           "channel is 1 to 128 bytes of UTF-8 without control characters or /.");
    else
        verbs_answer_error(frame, ERR_MISSING_FIELD, "Name it: \"channel\":\"news\".");
    return false;
}

static void serve_subscribe(const struct client_frame *frame)
{
    struct client *client = frame->client;
    struct topic channel;
    if (!read_channel(frame, &channel))
        return;
    int err = identity_may_hear(client_who(client), &channel);
    if (!err)
        err = catch_up_subscribe(client->sessions->reactor->catch_up, &client->session, &channel);
    if (err)
        verbs_answer_error(frame, (enum err)err, err_title((enum err)err));
    else
        answer_channel(client, wire_json_subscribed, &channel);
}

static void unsubscribe(struct client *client, const struct topic *channel)
{
    catch_up_unsubscribe(client->sessions->reactor->catch_up, &client->session, channel);
    answer_channel(client, wire_json_unsubscribed, channel);
}

static void serve_unsubscribe(const struct client_frame *frame)
{
    struct topic channel;
    if (read_channel(frame, &channel))
        unsubscribe(frame->client, &channel);
}

/* ---- send ---- */

/* A client's message on its way; its session may close before the broker answers. */
struct client_publish {
    struct publish_request publish_request; /* first: on_sent finds the rest */
    struct sessions *sessions;
    const struct client_ops *ops;
    struct client *found; /* once it is answered */
    size_t held;
    uint64_t session;
    struct topic user;
    char name[TOPIC_NAME_MAX];
};

static void answer_sent(struct client *client, const struct publish_request *publish_request)
{
    const json_t *ref = json_object_get(publish_request->body, "ref");
    enum err err = publish_request->publish.call.err;
    struct buf buf;
    if (err) {
        answer_error(client, err, ref, publish_request_advice(err));
        return;
    }
    buf_init(&buf);
    wire_json_sent(&buf, publish_request, ref);
    ops_of(client)->reply(client, &buf);
}

static void find_mine(struct session *session, void *context)
{
    struct client_publish *publish = context;
    if (session->id == publish->session)
        publish->found = client_of(session);
}

static void client_publish_destroy(struct client_publish *publish)
{
    publish_request_finish(&publish->publish_request);
    free(publish);
}

static void on_sent(struct call *call)
{
    struct client_publish *publish = (struct client_publish *)call;
    const struct publish_call *sent = &publish->publish_request.publish;
    struct reactor *reactor = publish->sessions->reactor;
    if (!sent->call.err && !sent->duplicate)
        metrics_add(&reactor->metrics.published_message, 1);
    connection_manager_each(reactor->manager, &publish->user, find_mine, publish);
    if (publish->found)
        answer_sent(publish->found, &publish->publish_request);
    publish->ops->release(publish->sessions, publish->found, &publish->held);
    client_publish_destroy(publish);
}

static struct client_publish *client_publish_create(const struct client *client)
{
    struct client_publish *publish = calloc(1, sizeof *publish);
    if (!publish)
        return NULL;
    struct topic user = connection_manager_user(&client->session);
    memcpy(publish->name, user.name, user.length);
    user.name = publish->name;
    publish->user = user;
    publish->sessions = client->sessions;
    publish->ops = ops_of(client);
    publish->session = client->session.id;
    return publish;
}

/* False: it was answered. */
static bool read_message(const struct client_frame *frame, struct client_publish *publish)
{
    struct publish_problem problem;
    const struct publish_source source = {
        .text = frame->text,
        .size = frame->size,
        .who = client_who(frame->client),
        .sender = publish->name,
        .sender_length = publish->user.length,
        .is_client = true,
    };
    if (publish_request_read(&publish->publish_request, json_incref(frame->object), &source,
                             publish->sessions->publish_options, &problem) != 0) {
        verbs_answer_error(frame, problem.err, problem.detail);
        return false;
    }
    if (publish->ops->hold(frame->client, frame->size, &publish->held))
        return true;
    verbs_answer_error(frame, ERR_OVERLOADED, "Try again in a moment, with the same key.");
    return false;
}

static void serve_send(const struct client_frame *frame)
{
    struct reactor *reactor = frame->client->sessions->reactor;
    struct client_publish *publish = client_publish_create(frame->client);
    if (!publish) {
        verbs_answer_error(frame, ERR_OUT_OF_MEMORY, "Try again in a moment.");
        return;
    }
    if (!read_message(frame, publish)) {
        client_publish_destroy(publish);
        return;
    }
    struct publish_call *call = &publish->publish_request.publish;
    call->call.done = on_sent;
    if (broker_publish(reactor->broker, reactor->member, call) == BROKER_ANSWERED)
        on_sent(&call->call);
}

/* ---- ack ---- */

static void serve_ack(const struct client_frame *frame)
{
    struct client *client = frame->client;
    const json_t *id = json_object_get(frame->object, "id");
    uint64_t cursor;
    if (!id) {
        verbs_answer_error(frame, ERR_MISSING_FIELD, "Say up to where: \"id\":\"…\".");
        return;
    }
    if (!json_is_string(id) || !subscribe_request_parse_cursor(json_string_value(id), &cursor)) {
        verbs_answer_error(frame, ERR_BAD_FIELD, "id is a message's id.");
        return;
    }
    int err = catch_up_ack(client->sessions->reactor->catch_up, &client->session, cursor);
    if (err == ERR_BAD_FIELD)
        verbs_answer_error(frame, ERR_BAD_FIELD,
                           "This session was given nothing with that id yet.");
    else if (err)
        verbs_answer_error(frame, (enum err)err, "Open the session with ?device= to acknowledge.");
}

/* ---- auth ---- */

int verbs_identify(const struct client_frame *frame, struct identity **ret_who,
                   const char **ret_why)
{
    const json_t *token = json_object_get(frame->object, "token");
    const struct access *access = session_auths_access(frame->client->sessions->auths);
    *ret_why = "the frame has no token";
    if (!json_is_string(token))
        return ERR_UNAUTHORIZED;
    return access_identify(access, json_string_value(token), json_string_length(token),
                           clock_wall_ms(), ret_who, ret_why);
}

void verbs_log_refusal(const struct client_frame *frame, const struct topic *user, enum err err,
                       const char *why)
{
    char peer[STREAM_PEER_SIZE];
    ops_of(frame->client)->peer(frame->client, peer);
    log_refused(err, LOG_TEXT("frame", "auth"), LOG_BYTES("user", user->name, user->length),
                LOG_TEXT("why", why), LOG_TEXT("peer", peer));
}

/* What a narrower token no longer covers. */
static void drop_channels(struct client *client)
{
    struct subscription *next;
    for (struct subscription *at = client->session.channels; at; at = next) {
        struct topic channel = connection_manager_channel(at);
        char name[TOPIC_NAME_MAX];
        next = at->next;
        if (!identity_may_hear(client_who(client), &channel))
            continue;
        memcpy(name, channel.name, channel.length);
        channel.name = name;
        unsubscribe(client, &channel);
    }
}

static void answer_renewal(struct client *client)
{
    struct buf buf;
    buf_init(&buf);
    wire_json_renewed(&buf, client_who(client));
    ops_of(client)->reply(client, &buf);
}

/* Another token than the one it opened with; a bad one changes nothing. */
static void serve_auth(const struct client_frame *frame)
{
    struct client *client = frame->client;
    struct topic user = connection_manager_user(&client->session);
    struct identity *who = NULL;
    const char *why;
    int err = client->auth ? verbs_identify(frame, &who, &why) : 0;
    if (!err && client->auth)
        err = identity_may(who, RIGHT_RECEIVE, &user);
    if (err) {
        verbs_log_refusal(frame, &user, (enum err)err, err_title((enum err)err));
        verbs_answer_error(frame, (enum err)err, err_title((enum err)err));
        identity_destroy(who);
        return;
    }
    if (client->auth) {
        client_renew(client, who);
        drop_channels(client);
    }
    answer_renewal(client);
}

/* ---- all of them ---- */

static const struct verb {
    const char *type;
    void (*serve)(const struct client_frame *frame);
} verbs[] = {
    {"ping", serve_ping},
    {"subscribe", serve_subscribe},
    {"unsubscribe", serve_unsubscribe},
    {"send", serve_send},
    {"ack", serve_ack},
    {"auth", serve_auth},
};

void verbs_serve(const struct client_frame *frame)
{
    const char *type = json_string_value(json_object_get(frame->object, "type"));
    if (!type) {
        verbs_answer_error(frame, ERR_BAD_FRAME, "Send a JSON object with a type.");
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(type, verbs[i].type) == 0) {
            verbs[i].serve(frame);
            return;
        }
    }
    verbs_answer_error(frame, ERR_BAD_FRAME, "This type is not served.");
}
