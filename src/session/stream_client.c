#include "session/stream_client.h"

#include <unistd.h>

#include "base/buf.h"
#include "http/request.h"
#include "model/message.h"
#include "session/sessions.h"
#include "session/subscribe_request.h"

#define CLOSING_SECONDS 5

enum state { OPEN, CLOSING, ENDED };

static struct stream_client *from_stream(struct stream *stream)
{
    return (struct stream_client *)stream;
}

/* ---- the socket's side ---- */

/* A client has nothing more to say. */
static void on_data(struct stream *stream, const char *bytes, size_t size)
{
    (void)stream;
    (void)bytes;
    (void)size;
}

static void on_drained(struct stream *stream)
{
    struct stream_client *client = from_stream(stream);
    if (client->state == OPEN)
        client_drained(&client->client);
    else if (client->state == CLOSING && !stream_queued(stream))
        stream_shutdown(stream);
}

static void on_end(struct stream *stream, enum err reason)
{
    struct stream_client *client = from_stream(stream);
    if (client->state == OPEN)
        client->all->ops->on_lost(client, reason);
    else
        stream_client_end(client);
}

static void free_client(struct stream *stream)
{
    struct stream_client *client = from_stream(stream);
    list_remove(&client->link);
    client_finish(&client->client);
    client->all->ops->free(client);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
    .free = free_client,
};

/* ---- opening ---- */

/* From here on the answer is the stream's own. False: no descriptor is left for it. */
static bool adopt(struct stream_client *client, struct request *request)
{
    int fd = request_adopt(request);
    if (fd < 0)
        return false;
    if (stream_open(&client->stream, client->client.sessions->streams, &stream_ops, fd))
        return true;
    close(fd);
    return false;
}

int stream_client_open(struct stream_client *client, struct stream_clients *all,
                       struct request *request, const struct subscribe_request *wanted,
                       size_t seconds)
{
    client->all = all;
    client->max = wanted->max;
    list_init(&client->link);
    int err = client_admit(&client->client, request_context(request), &all->ops->session, request);
    if (err)
        return err;
    err = client_authorize(&client->client, request);
    if (!err)
        err = client_open(&client->client, &wanted->start);
    if (!err && !adopt(client, request))
        err = ERR_TOO_MANY_SESSIONS;
    if (err) {
        client_leave(&client->client, ERR_NONE);
        client_finish(&client->client);
        return err;
    }
    client->state = OPEN;
    stream_client_wait(client, seconds);
    client_start(&client->client);
    return 0;
}

/* What is known of a request until its stream is open. */
struct opening {
    struct request *request;
    struct stream_clients *all;
    size_t seconds;
    struct subscribe_request wanted;
};

static void open_stream(const struct opening *opening)
{
    struct stream_client *client = calloc(1, sizeof *client);
    int err = client ? stream_client_open(client, opening->all, opening->request, &opening->wanted,
                                          opening->seconds)
                     : ERR_OUT_OF_MEMORY;
    if (!err) {
        opening->all->ops->on_open(client, opening->request, &opening->wanted.start.user);
        return;
    }
    free(client);
    sessions_refuse(opening->request, err);
}

static void on_located(void *context, int err)
{
    struct opening *opening = context;
    if (!err)
        open_stream(opening);
    else if (err != SUBSCRIBE_REQUEST_LATE)
        sessions_refuse(opening->request, err);
    subscribe_request_finish(&opening->wanted);
    free(opening);
}

static void locate(struct request *request, struct stream_clients *all, size_t seconds,
                   struct subscribe_request *wanted)
{
    struct opening *opening = malloc(sizeof *opening);
    if (!opening) {
        subscribe_request_finish(wanted);
        sessions_refuse(request, ERR_OUT_OF_MEMORY);
        return;
    }
    *opening = (struct opening){request, all, seconds, *wanted};
    subscribe_request_locate(request_reactor(request), request, &opening->wanted, on_located,
                             opening);
}

static void refuse(struct request *request, const struct stream_clients *all, enum err err,
                   const char *why)
{
    if (all->ops->refuse)
        all->ops->refuse(request, err, why);
    else
        request_refuse(request, err, why);
}

void stream_client_serve(struct request *request, struct stream_clients *all, size_t seconds)
{
    const struct sessions *sessions = request_context(request);
    struct subscribe_request wanted;
    const char *why;
    if (!request_may_ask(request) || !subscribe_request_read(request, &wanted))
        return;
    int refused = subscribe_request_admit(request, &wanted, &why);
    if (!refused && sessions->can_adopt && !request_is_head(request)) {
        locate(request, all, seconds, &wanted);
        return;
    }
    subscribe_request_finish(&wanted);
    if (refused)
        refuse(request, all, (enum err)refused, why);
    else if (!sessions->can_adopt)
        request_problem(request, ERR_NOT_IMPLEMENTED, NULL,
                        "Not with this version of libmicrohttpd; use /ws or /poll.");
    else
        request_answer_static(request, 200, all->ops->content_type, "", 0);
}

bool stream_client_is_open(const struct stream_client *client)
{
    return client->state == OPEN;
}

void stream_client_wait(struct stream_client *client, size_t seconds)
{
    timer_wheel_add(&client->all->due, &client->link, seconds);
}

bool stream_client_send(struct stream_client *client, struct buf *buf)
{
    struct chunk *frame = frame_from(buf);
    bool sent = frame && stream_send(&client->stream, frame);
    frame_unref(frame);
    buf_finish(buf);
    return sent;
}

size_t stream_client_queued(const struct session *session)
{
    return stream_queued(&stream_client_of(session)->stream);
}

/* ---- leaving ---- */

void stream_client_leave(struct stream_client *client, enum err reason)
{
    client_leave(&client->client, reason);
    list_remove(&client->link);
    list_append(&client->all->closing, &client->link);
    client->state = CLOSING;
    client->closing_seconds = 0;
}

void stream_client_end(struct stream_client *client)
{
    client->state = ENDED;
    stream_close(&client->stream);
}

/* ---- all of them ---- */

static void on_second(struct reactor_hook *hook)
{
    struct stream_clients *all = list_entry(hook, struct stream_clients, second);
    struct list due;
    list_init(&due);
    timer_wheel_turn(&all->due, &due);
    for (struct stream_client *client; (client = list_first(&due, struct stream_client, link));) {
        list_remove(&client->link);
        all->ops->on_due(client);
    }
    list_for_each_safe(closing, &all->closing, struct stream_client, link) {
        if (closing->state != ENDED && ++closing->closing_seconds > CLOSING_SECONDS)
            stream_client_end(closing);
    }
}

void stream_clients_init(struct stream_clients *all, const struct stream_client_ops *ops,
                         size_t max_seconds, struct reactor *reactor)
{
    all->ops = ops;
    timer_wheel_init(&all->due, max_seconds);
    list_init(&all->closing);
    all->second.run = on_second;
    reactor_on_second(reactor, &all->second);
}

void stream_clients_finish(struct stream_clients *all)
{
    timer_wheel_finish(&all->due);
}

void stream_clients_close_all(void *state, enum err reason)
{
    struct stream_clients *all = state;
    struct list open;
    list_init(&open);
    timer_wheel_empty(&all->due, &open);
    for (struct stream_client *client; (client = list_first(&open, struct stream_client, link));)
        session_close(&client->client.session, reason); /* which takes it off this list */
}

void stream_clients_abort_all(void *state)
{
    struct stream_clients *all = state;
    stream_clients_close_all(all, ERR_STOPPING);
    list_for_each_safe(client, &all->closing, struct stream_client, link)
        stream_client_end(client);
}
