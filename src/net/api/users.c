#include "net/api/users.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "model/access.h"
#include "model/address.h"
#include "model/identity.h"
#include "model/revocations.h"
#include "net/api/history.h"
#include "net/api/json_body.h"
#include "net/exchange.h"

#define JSON_TYPE "application/json"

static void refuse(struct exchange *exchange, enum err err)
{
    exchange_problem(exchange, err, NULL, "Try again in a moment.");
}

static void out_of_memory(struct exchange *exchange)
{
    refuse(exchange, ERR_OUT_OF_MEMORY);
}

static struct address user_of(const struct exchange *exchange)
{
    size_t length;
    const char *name = exchange_id(exchange, &length);
    return address_make(ADDRESS_USER, name, length);
}

static void open_user(struct buf *body, const struct address *user)
{
    buf_init(body);
    buf_add_text(body, "{\"user\":");
    buf_add_json(body, user->name, user->length);
}

/* ---- questions to the workers ---- */

struct asking {
    struct signal signal;
    struct exchange *exchange;
    void (*answer)(struct asking *asking);
    struct inquiry inquiry;   /* about the user, where that is asked for */
    struct presence presence; /* its answer */
};

static void on_replies(struct signal *signal)
{
    struct asking *asking = (struct asking *)signal;
    if (signal->failed)
        out_of_memory(asking->exchange);
    else
        asking->answer(asking);
    buf_finish(&signal->replies);
    free(asking);
}

static struct asking *asking_create(struct exchange *exchange,
                                    void (*answer)(struct asking *asking))
{
    if (!exchange_may_ask(exchange))
        return NULL;
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking) {
        out_of_memory(exchange);
        return NULL;
    }
    asking->exchange = exchange;
    asking->answer = answer;
    asking->signal.done = on_replies;
    return asking;
}

static void ask(struct asking *asking)
{
    struct worker *worker = exchange_worker(asking->exchange);
    int err = broker_signal(worker->broker, worker->member, &asking->signal);
    if (err == BROKER_PENDING) {
        exchange_wait(asking->exchange);
        return;
    }
    asking->signal.failed = err != 0;
    on_replies(&asking->signal);
}

/* ---- GET /users/:id ---- */

static void add_time(struct buf *body, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_ms, text);
    buf_add_format(body, "\"%s\"", text);
}

static void add_last_seen(struct buf *body, bool online, int64_t last_seen_ms)
{
    buf_add_text(body, ",\"last_seen\":");
    if (online || last_seen_ms)
        add_time(body, online ? clock_wall_ms() : last_seen_ms);
    else
        buf_add_text(body, "null");
}

static void answer_description(struct asking *asking)
{
    const struct signal *signal = &asking->signal;
    struct buf body;
    open_user(&body, &signal->address);
    bool online = signal->number || asking->presence.online;
    buf_add_text(&body, online ? ",\"online\":true" : ",\"online\":false");
    buf_add_text(&body, ",\"sessions\":[");
    if (signal->replies.size) /* each begins with a comma */
        buf_add(&body, signal->replies.data + 1, signal->replies.size - 1);
    buf_add_text(&body, "]");
    add_last_seen(&body, online, asking->presence.last_seen_ms);
    buf_add_text(&body, "}\n");
    exchange_answer(asking->exchange, 200, JSON_TYPE, &body);
}

static void on_presence(struct call *call)
{
    struct asking *asking = list_entry(call, struct asking, inquiry.call);
    if (asking->inquiry.err) {
        refuse(asking->exchange, asking->inquiry.err);
    } else if (!exchange_drop_late(asking->exchange)) {
        ask(asking);
        return;
    }
    free(asking);
}

void users_describe_serve(struct exchange *exchange)
{
    struct worker *worker = exchange_worker(exchange);
    struct asking *asking = asking_create(exchange, answer_description);
    if (!asking)
        return;
    asking->signal.verb = SIGNAL_DESCRIBE;
    asking->signal.address = user_of(exchange);
    asking->inquiry = (struct inquiry){
        .call = {.done = on_presence},
        .addresses = &asking->signal.address,
        .count = 1,
        .presence = &asking->presence,
    };
    int err = broker_inquire(worker->broker, worker->member, &asking->inquiry);
    if (err == BROKER_PENDING)
        exchange_wait(exchange);
    else
        on_presence(&asking->inquiry.call);
}

/* ---- DELETE /users/:id/sessions ---- */

static void answer_closed(struct asking *asking)
{
    struct buf body;
    open_user(&body, &asking->signal.address);
    buf_add_format(&body, ",\"closed\":%llu}\n", (unsigned long long)asking->signal.number);
    exchange_answer(asking->exchange, 200, JSON_TYPE, &body);
}

void users_close_sessions_serve(struct exchange *exchange)
{
    struct asking *asking = asking_create(exchange, answer_closed);
    if (!asking)
        return;
    asking->signal.verb = SIGNAL_CLOSE;
    asking->signal.reason = ERR_KICKED;
    asking->signal.address = user_of(exchange);
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
    const struct address *user = &revoking->asking->signal.address;
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
    if (exchange_drop_late(asking->exchange)) { /* the passes of its sessions end soon after */
        free(asking);
        return;
    }
    if (done) {
        ask(asking);
        return;
    }
    exchange_problem(asking->exchange, ERR_NO_ROOM, NULL,
                     "This could not be written to data_dir; nothing was revoked.");
    free(asking);
}

/* The disk may take its time, so it is another thread that waits for it. */
void users_revoke_serve(struct exchange *exchange)
{
    struct asking *asking = asking_create(exchange, answer_closed);
    struct revoking *revoking = asking ? calloc(1, sizeof *revoking) : NULL;
    if (asking && !revoking) {
        free(asking);
        out_of_memory(exchange);
    }
    if (!revoking)
        return;
    asking->signal.verb = SIGNAL_CLOSE;
    asking->signal.reason = ERR_KICKED;
    asking->signal.address = user_of(exchange);
    *revoking = (struct revoking){
        .asking = asking,
        .revocations = access_revocations(exchange_access(exchange)),
        .now_ms = clock_wall_ms(),
    };
    revoking->work.data = revoking;
    exchange_wait(exchange);
    uv_queue_work(&exchange_worker(exchange)->loop, &revoking->work, write_down, on_written);
}

/* ---- GET /users ---- */

struct name {
    const char *text;
    size_t length;
};

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* The workers' lists as one, sorted; a user may have sessions at several. */
static struct name *sort_names(const struct buf *replies, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < replies->size; i++)
        count += replies->data[i] == '\n';
    struct name *names = malloc((count + 1) * sizeof *names);
    if (!names)
        return NULL;
    const char *at = replies->data;
    for (size_t i = 0; i < count; i++) {
        const char *end = strchr(at, '\n');
        names[i] = (struct name){at, (size_t)(end - at)};
        at = end + 1;
    }
    qsort(names, count, sizeof *names, compare_names);
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (!left || compare_names(&names[left - 1], &names[i]) != 0)
            names[left++] = names[i];
    }
    *ret_count = left;
    return names;
}

static void write_names(struct buf *body, const struct name *names, size_t count, bool more)
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
    size_t count = 0, limit = asking->signal.limit - 1; /* one more was asked for */
    struct name *names = sort_names(&asking->signal.replies, &count);
    if (!names) {
        out_of_memory(asking->exchange);
        return;
    }
    struct buf body;
    write_names(&body, names, count < limit ? count : limit, count > limit);
    exchange_answer(asking->exchange, 200, JSON_TYPE, &body);
    free(names);
}

void users_list_serve(struct exchange *exchange)
{
    const char *online = exchange_query(exchange, "online");
    const char *from = exchange_query(exchange, "from");
    size_t limit;
    if (!history_read_limit(exchange, &limit))
        return;
    if (online && strcmp(online, "true") != 0) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "online", "Only online=true is served.");
        return;
    }
    struct asking *asking = asking_create(exchange, answer_list);
    if (!asking)
        return;
    asking->signal.verb = SIGNAL_USERS;
    asking->signal.address = address_make(ADDRESS_ALL, "", 0);
    asking->signal.from = from ? from : "";
    asking->signal.from_length = strlen(asking->signal.from);
    asking->signal.limit = limit + 1;
    ask(asking);
}

/* ---- POST /users/query ---- */

static void write_presence(struct buf *body, const struct address *user,
                           const struct presence *presence)
{
    buf_add_text(body, "{\"user\":");
    buf_add_json(body, user->name, user->length);
    buf_add_format(body, ",\"online\":%s,\"sessions\":%u", presence->online ? "true" : "false",
                   presence->sessions);
    add_last_seen(body, presence->online, presence->last_seen_ms);
    buf_add_text(body, "}");
}

/* One query: the names live in the body. */
struct query {
    struct inquiry inquiry;
    struct exchange *exchange;
    json_t *body;
    struct address *addresses;
    struct presence *presence;
};

static void query_destroy(struct query *query)
{
    json_decref(query->body);
    free(query->addresses);
    free(query->presence);
    free(query);
}

static void answer_query(struct query *query)
{
    struct buf body;
    buf_init(&body);
    buf_add_text(&body, "{\"users\":[");
    for (size_t i = 0; i < query->inquiry.count; i++) {
        buf_add_text(&body, i ? "," : "");
        write_presence(&body, &query->addresses[i], &query->presence[i]);
    }
    buf_add_text(&body, "]}\n");
    exchange_answer(query->exchange, 200, JSON_TYPE, &body);
}

static void on_presences(struct call *call)
{
    struct query *query = (struct query *)call;
    if (query->inquiry.err)
        refuse(query->exchange, query->inquiry.err);
    else
        answer_query(query);
    query_destroy(query);
}

/* False: a problem was answered. */
static bool read_users(struct query *query)
{
    struct exchange *exchange = query->exchange;
    const json_t *users = json_object_get(query->body, "users");
    size_t count = json_array_size(users);
    if (!users) {
        exchange_problem(exchange, ERR_MISSING_FIELD, "users",
                         "Give a list: \"users\":[\"alice\"].");
        return false;
    }
    if (!json_is_array(users) || count == 0 || count > HISTORY_MAX_LIMIT) {
        exchange_problem(exchange, ERR_BAD_FIELD, "users", "users is a list of 1 to %d user ids.",
                         HISTORY_MAX_LIMIT);
        return false;
    }
    query->addresses = malloc(count * sizeof *query->addresses);
    query->presence = malloc(count * sizeof *query->presence);
    if (!query->addresses || !query->presence) {
        out_of_memory(exchange);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(users, i);
        if (!json_is_string(name) ||
            !address_is_name(json_string_value(name), json_string_length(name))) {
            exchange_problem(exchange, ERR_BAD_FIELD, "users", "users[%zu] is no user id.", i);
            return false;
        }
        query->addresses[i] =
            address_make(ADDRESS_USER, json_string_value(name), json_string_length(name));
        int err = identity_may(exchange_who(exchange), RIGHT_READ, &query->addresses[i]);
        if (err) {
            exchange_refuse(exchange, (enum err)err, "a key whose prefix all these users have");
            return false;
        }
    }
    query->inquiry = (struct inquiry){
        .call = {.done = on_presences},
        .addresses = query->addresses,
        .count = count,
        .presence = query->presence,
    };
    return true;
}

void users_query_serve(struct exchange *exchange)
{
    struct worker *worker = exchange_worker(exchange);
    json_t *body = exchange_may_ask(exchange) ? json_body_read(exchange) : NULL;
    if (!body)
        return;
    struct query *query = calloc(1, sizeof *query);
    if (!query) {
        json_decref(body);
        out_of_memory(exchange);
        return;
    }
    query->exchange = exchange;
    query->body = body;
    if (!read_users(query)) {
        query_destroy(query);
        return;
    }
    int err = broker_inquire(worker->broker, worker->member, &query->inquiry);
    if (err == BROKER_PENDING)
        exchange_wait(exchange);
    else
        on_presences(&query->inquiry.call);
}

void users_messages_serve(struct exchange *exchange)
{
    history_serve(exchange, ADDRESS_USER);
}

/* ---- DELETE /users/:id/messages ---- */

struct erasing {
    struct erase erase;
    struct exchange *exchange;
};

static void on_erased(struct call *call)
{
    struct erasing *erasing = (struct erasing *)call;
    const struct erase *erase = &erasing->erase;
    if (erase->err) {
        refuse(erasing->exchange, erase->err);
    } else {
        struct buf body;
        open_user(&body, &erase->address);
        buf_add_format(&body, ",\"erased\":%llu}\n", (unsigned long long)erase->erased);
        exchange_answer(erasing->exchange, 200, JSON_TYPE, &body);
    }
    free(erasing);
}

void users_erase_messages_serve(struct exchange *exchange)
{
    struct worker *worker = exchange_worker(exchange);
    if (!exchange_may_ask(exchange))
        return;
    struct erasing *erasing = calloc(1, sizeof *erasing);
    if (!erasing) {
        out_of_memory(exchange);
        return;
    }
    erasing->exchange = exchange;
    erasing->erase.address = user_of(exchange);
    erasing->erase.call.done = on_erased;
    int err = broker_erase(worker->broker, worker->member, &erasing->erase);
    if (err == BROKER_PENDING)
        exchange_wait(exchange);
    else
        on_erased(&erasing->erase.call);
}
