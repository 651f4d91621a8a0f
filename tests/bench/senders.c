#include "senders.h"

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEY_DIGITS   10
#define LINE_MAX     512
#define HEAD_MAX     256
#define RESPONSE_MAX 2048
#define PAGE_MAX     ((size_t)64 * 1024)
#define RESULT_MAX   256 /* of a line, on average */

/* 250 bytes around the message's 200, without a key; a few less for a channel. */
static int write_body(const struct senders *pool, char *at)
{
    char to[64], key[64] = "", message[MESSAGE_SIZE];

    message_write(message, 0, 0);
    if (pool->channel)
        snprintf(to, sizeof(to), "\"channel\":\"" CHANNEL "\"");
    else
        snprintf(to, sizeof(to), "\"receiver\":\"u%0*u\"", USER_DIGITS, 0u);
    if (pool->keys) /* new ones in each run: the store may remember those of the last */
        snprintf(key, sizeof(key), ",\"key\":\"%0*u-%lld\"", KEY_DIGITS, 0u, (long long)now_ns());
    return snprintf(at, LINE_MAX, "{\"sender\":\"" SENDER "\",%s%s,\"message\":\"%.*s\"}", to, key,
                    MESSAGE_SIZE, message);
}

static size_t place_of(const struct senders *pool, const char *mark)
{
    const char *at = strstr(pool->request, mark);

    return at ? (size_t)(at + strlen(mark) - pool->request) : 0;
}

static void prepare_post(struct senders *pool)
{
    char body[LINE_MAX];
    uint32_t lines = pool->lines ? pool->lines : 1;
    size_t size = (size_t)write_body(pool, body);

    if (pool->lines)
        body[size++] = '\n';
    pool->line_size = size;
    pool->request = must_alloc(HEAD_MAX + lines * size + 1, 1);
    pool->request_size = (size_t)snprintf(
        pool->request, HEAD_MAX,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/%s\r\n"
        "Content-Length: %zu\r\n\r\n",
        pool->lines ? "/send-messages" : "/send-message", pool->port,
        pool->lines ? "x-ndjson" : "json", lines * size);
    for (uint32_t i = 0; i < lines; i++, pool->request_size += size)
        memcpy(pool->request + pool->request_size, body, size);
    pool->user_at = pool->channel ? 0 : place_of(pool, "\"receiver\":\"u");
    pool->message_at = place_of(pool, "\"message\":\"");
    pool->key_at = place_of(pool, "\"key\":\"");
    pool->input_room = pool->lines ? RESPONSE_MAX + lines * RESULT_MAX : RESPONSE_MAX;
}

static void prepare_read(struct senders *pool)
{
    pool->request = must_alloc(HEAD_MAX, 1);
    pool->request_size =
        (size_t)snprintf(pool->request, HEAD_MAX,
                         "GET /users/u%0*u/messages?after=0 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n",
                         USER_DIGITS, 0u, pool->port);
    pool->user_at = place_of(pool, "/users/u");
    pool->input_room = PAGE_MAX;
}

/* The number behind a field's name, quoted or not. */
static uint64_t number_of(const char *body, size_t size, const char *mark)
{
    const char *at = memmem(body, size, mark, strlen(mark));

    return at ? strtoull(at + strlen(mark), NULL, 10) : 0;
}

/* One message's receipt, or a page, whose first id is then looked at. */
static uint64_t take_receipt(struct sender *s, const char *body, size_t size,
                             uint64_t *ret_delivered)
{
    static const char again[] = "\"duplicate\":true";
    uint64_t id = number_of(body, size, "\"id\":\"");

    *ret_delivered = number_of(body, size, "\"delivered\":");
    if (memmem(body, size, again, sizeof(again) - 1))
        return 0;
    if (id && id <= s->last_id && !s->pool->reads)
        s->pool->faults->disordered++;
    if (id)
        s->last_id = id;
    return id;
}

/* What is 0 in the end settling counts as refused. */
static void on_answer(struct sender *s, bool good, const char *body, size_t size)
{
    struct senders *pool = s->pool;
    uint32_t number = s->number, left = pool->lines ? pool->lines : 1;
    uint64_t id, delivered;

    for (; left > 1; left--, number++) {
        const char *end = memchr(body, '\n', size);
        size_t length = end ? (size_t)(end + 1 - body) : 0;
        id = take_receipt(s, body, length, &delivered);
        pool->on_answer(pool->owner, s, number, good ? id : 0, delivered);
        body += length;
        size -= length;
    }
    s->number = 0;
    id = take_receipt(s, body, size, &delivered);
    pool->on_answer(pool->owner, s, number, good ? id : 0, delivered);
}

static void take_answer(struct sender *s)
{
    s->input[s->input_size] = '\0';
    char *end = memmem(s->input, s->input_size, "\r\n\r\n", 4);
    if (!end)
        return;
    char *length = strcasestr(s->input, "\r\ncontent-length:");
    char *body = end + 4;
    size_t size = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    size_t there = (size_t)(s->input + s->input_size - body);
    if (there < size)
        return;
    if (there > size || !s->number)
        s->pool->faults->corrupt++; /* nobody asked for more */
    s->input_size = 0;
    if (s->number)
        on_answer(s, memcmp(s->input, "HTTP/1.1 200 ", 13) == 0, body, size);
}

static void on_input(struct watch *w)
{
    struct sender *s = (struct sender *)w;
    size_t room = s->pool->input_room - 1 - s->input_size;
    ssize_t got = recv(w->fd, s->input + s->input_size, room, MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        s->pool->faults->closed++;
        watch_close(w, true);
        return;
    }
    s->input_size += (size_t)got;
    take_answer(s);
}

void senders_open(struct senders *pool, uint32_t count)
{
    if (pool->reads)
        prepare_read(pool);
    else
        prepare_post(pool);
    pool->all = must_alloc(count, sizeof(*pool->all));
    pool->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct sender *s = &pool->all[i];
        s->pool = pool;
        s->input = must_alloc(pool->input_room, 1);
        s->watch = (struct watch){client_connect(pool->port), on_input};
        loop_add(pool->loop, &s->watch);
    }
}

void senders_close(struct senders *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        watch_close(&pool->all[i].watch, true);
        free(pool->all[i].input);
    }
    free(pool->all);
    free(pool->request);
    pool->all = NULL;
    pool->request = NULL;
    pool->count = 0;
}

struct sender *senders_find_free(struct senders *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        struct sender *s = &pool->all[pool->turn++ % pool->count];
        if (!s->number && s->watch.fd >= 0)
            return s;
    }
    return NULL;
}

void sender_post(struct sender *s, uint32_t number, const uint32_t *users)
{
    struct senders *pool = s->pool;
    uint32_t lines = pool->lines ? pool->lines : 1;
    char *line = pool->request;

    s->number = number;
    for (uint32_t i = 0; i < lines; i++, line += pool->line_size) {
        if (pool->user_at)
            write_digits(line + pool->user_at, users[i], USER_DIGITS);
        if (pool->key_at)
            write_digits(line + pool->key_at, number + i, KEY_DIGITS);
        if (pool->message_at)
            message_write(line + pool->message_at, number + i, users[i]);
    }
    /* If the connection is gone its input says so, and settling counts the post. Many lines do not
     * fit into the socket: the server takes them meanwhile, whatever we do. */
    send(s->watch.fd, pool->request, pool->request_size,
         MSG_NOSIGNAL | (pool->lines ? 0 : MSG_DONTWAIT));
}
