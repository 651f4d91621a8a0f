#include "senders.h"

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* 250 bytes of body around the message's 200; a few less for a channel. */
static void prepare_request(struct senders *pool)
{
    char to[64], body[512], message[MESSAGE_SIZE];

    message_write(message, 0, 0);
    if (pool->channel)
        snprintf(to, sizeof(to), "\"channel\":\"" CHANNEL "\"");
    else
        snprintf(to, sizeof(to), "\"receiver\":\"u%0*u\"", USER_DIGITS, 0u);
    int body_size =
        snprintf(body, sizeof(body), "{\"sender\":\"" SENDER "\",%s,\"message\":\"%.*s\"}", to,
                 MESSAGE_SIZE, message);
    pool->request_size =
        (size_t)snprintf(pool->request, sizeof(pool->request),
                         "POST /send-message HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                         "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                         pool->port, body_size, body);
    pool->user_at = pool->channel ? 0 : (size_t)(strstr(pool->request, "\"u0") + 2 - pool->request);
    pool->message_at = (size_t)(strstr(pool->request, "\"message\":\"") + 11 - pool->request);
}

/* The number behind a field's name, quoted or not. */
static uint64_t number_of(const char *body, size_t size, const char *mark)
{
    const char *at = memmem(body, size, mark, strlen(mark));

    return at ? strtoull(at + strlen(mark), NULL, 10) : 0;
}

static void on_answer(struct sender *s, const char *head, const char *body, size_t size)
{
    uint32_t number = s->number;
    uint64_t id = number_of(body, size, "\"id\":\"");
    uint64_t delivered = number_of(body, size, "\"delivered\":");

    s->number = 0;
    if (memcmp(head, "HTTP/1.1 200 ", 13) != 0)
        id = 0; /* settling counts it as refused */
    else if (id <= s->last_id)
        s->pool->faults->disordered++;
    if (id)
        s->last_id = id;
    s->pool->on_answer(s->pool->owner, s, number, id, delivered);
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
        on_answer(s, s->input, body, size);
}

static void on_input(struct watch *w)
{
    struct sender *s = (struct sender *)w;
    size_t room = sizeof(s->input) - 1 - s->input_size;
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
    prepare_request(pool);
    pool->all = must_alloc(count, sizeof(*pool->all));
    pool->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct sender *s = &pool->all[i];
        s->pool = pool;
        s->watch = (struct watch){client_connect(pool->port), on_input};
        loop_add(pool->loop, &s->watch);
    }
}

void senders_close(struct senders *pool)
{
    for (uint32_t i = 0; i < pool->count; i++)
        watch_close(&pool->all[i].watch, true);
    free(pool->all);
    pool->all = NULL;
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

void sender_post(struct sender *s, uint32_t number, uint32_t user)
{
    struct senders *pool = s->pool;

    s->number = number;
    if (pool->user_at)
        write_digits(pool->request + pool->user_at, user, USER_DIGITS);
    message_write(pool->request + pool->message_at, number, user);
    /* If the connection is gone its input says so, and settling counts the post. */
    send(s->watch.fd, pool->request, pool->request_size, MSG_NOSIGNAL | MSG_DONTWAIT);
}
