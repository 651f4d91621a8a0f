/* floor.c - the least that any server with Pushwire's endpoints could do.
 *
 * Bare epoll, one thread, the same bytes on the wire: POST /send-message, GET /ws/<user> and
 * /sse/<user>. It finds what it needs by text search and trusts the load generator in all else:
 * no JSON, no queue, no check of heads, no heartbeat. A socket with ?channels=<name> belongs to
 * that channel alone, and all sockets of an address speak the same. One that does not take its
 * frame at once is closed. Figures of Pushwire are read as ratios to this program's.
 *
 *   floor [-b] [-p PORT]     -b: hold frames back to the end of the turn and join those of
 *                                one socket in one send */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS        16384 /* a power of two */
#define INPUT_SIZE     65536
#define FRAME_HEAD_MAX 512 /* what stands around the message */
#define FRAME_MAX      (FRAME_HEAD_MAX + INPUT_SIZE)
#define NAME_MAX_BYTES 128
#define ID_DIGITS      19
#define REQUEST_DIGITS 16
#define KEY_BYTES      24

static const char websocket_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

struct text {
    const char *at;
    size_t size;
};

/* Or a channel. */
struct user {
    struct user *next; /* in its bucket */
    bool events;       /* its sockets speak Server-Sent Events */
    struct conn **conns;
    size_t count, room;
    char *held; /* frames of this turn, with -b */
    size_t held_size, held_room;
    struct user *next_held;
    size_t name_size;
    char name[NAME_MAX_BYTES];
};

struct conn {
    struct watch watch;
    struct user *user; /* NULL: speaks HTTP */
    size_t slot;       /* in user->conns */
    char *rest;        /* the beginning of a request whose end is still to come */
    size_t rest_size;
};

/* The answer as it last was; only its numbers change while second and delivered do not. */
struct answer {
    char bytes[512];
    size_t size;
    size_t id_at, request_at;
    time_t second;
    size_t delivered;
};

static struct {
    int loop;
    bool hold;
    struct user *buckets[BUCKETS];
    struct user *holding; /* users with held frames */
    struct answer answer;
    uint64_t last_id;
    EVP_MD *sha1;
    EVP_MD_CTX *digest;
} here;

static struct user *find_user(struct text name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)name.at[i]) * 16777619u;
    struct user **bucket = &here.buckets[hash & (BUCKETS - 1)];
    for (struct user *u = *bucket; u; u = u->next)
        if (u->name_size == name.size && memcmp(u->name, name.at, name.size) == 0)
            return u;

    struct user *made = must_alloc(1, sizeof(*made));
    memcpy(made->name, name.at, name.size);
    made->name_size = name.size;
    made->next = *bucket;
    *bucket = made;
    return made;
}

static void attach(struct conn *c, struct user *u)
{
    if (u->count == u->room) {
        u->room = u->room ? 2 * u->room : 1;
        u->conns = must_grow(u->conns, u->room, sizeof(struct conn *));
    }
    c->user = u;
    c->slot = u->count;
    u->conns[u->count++] = c;
}

static void close_conn(struct conn *c)
{
    if (c->user) {
        struct conn *last = c->user->conns[--c->user->count];
        c->user->conns[c->slot] = last;
        last->slot = c->slot;
    }
    watch_close(&c->watch, false);
    free(c->rest);
    free(c);
}

/* The conn itself goes when the loop tells it that its peer is gone. */
static bool send_now(struct conn *c, const char *bytes, size_t size)
{
    if (send(c->watch.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size)
        return true;
    shutdown(c->watch.fd, SHUT_RDWR);
    return false;
}

static void send_to_all(struct user *u, const char *bytes, size_t size)
{
    for (size_t i = 0; i < u->count; i++)
        send_now(u->conns[i], bytes, size);
}

static void hold_frame(struct user *u, const char *frame, size_t size)
{
    if (u->held_size == 0) {
        u->next_held = here.holding;
        here.holding = u;
    }
    if (u->held_size + size > u->held_room) {
        u->held_room = 2 * (u->held_size + size);
        u->held = must_grow(u->held, u->held_room, 1);
    }
    memcpy(u->held + u->held_size, frame, size);
    u->held_size += size;
}

static void send_held(void)
{
    while (here.holding) {
        struct user *u = here.holding;
        here.holding = u->next_held;
        send_to_all(u, u->held, u->held_size);
        u->held_size = 0;
    }
}

/* The text after "mark", up to "end"; at NULL when there is none. */
static struct text text_between(struct text in, const char *mark, const char *end)
{
    struct text found = {NULL, 0};
    const char *start = memmem(in.at, in.size, mark, strlen(mark));

    if (!start)
        return found;
    start += strlen(mark);
    const char *stop = memmem(start, (size_t)(in.at + in.size - start), end, strlen(end));
    if (stop) {
        found.at = start;
        found.size = (size_t)(stop - start);
    }
    return found;
}

static char *put(char *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

/* The text form, "[sender]: message", as one unmasked frame. */
static size_t make_frame(char *ret_frame, struct text sender, struct text message)
{
    size_t size = 1 + sender.size + 3 + message.size;
    char *at = ret_frame;

    *at++ = (char)0x81;
    if (size < 126) {
        *at++ = (char)size;
    } else {
        *at++ = 126;
        *at++ = (char)(size >> 8);
        *at++ = (char)size;
    }
    at = put(at, "[", 1);
    at = put(at, sender.at, sender.size);
    at = put(at, "]: ", 3);
    at = put(at, message.at, message.size);
    return (size_t)(at - ret_frame);
}

/* Like make_frame, as an event; channel.at is NULL in a user's mail. */
static size_t make_event(char *ret_event, uint64_t id, struct text sender, struct text channel,
                         struct text message)
{
    time_t seconds = (time_t)((id >> 20) / 1000);
    char number[ID_DIGITS + 1] = "", date[32];
    struct tm parts;

    write_digits(number, id, ID_DIGITS);
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    char *at = ret_event;
    at += sprintf(at, "id: %s\nevent: message\ndata: {\"type\":\"message\",\"id\":\"%s\",", number,
                  number);
    at += sprintf(at, "\"sender\":\"%.*s\",", (int)sender.size, sender.at);
    if (channel.at)
        at += sprintf(at, "\"channel\":\"%.*s\",", (int)channel.size, channel.at);
    at = put(at, "\"message\":\"", 11);
    at = put(at, message.at, message.size);
    at += sprintf(at, "\",\"sent_at\":\"%s.%03uZ\"}\n\n", date, (unsigned)((id >> 20) % 1000));
    return (size_t)(at - ret_event);
}

static void rebuild_answer(struct answer *a)
{
    char date[64], body[256];
    struct tm parts;

    gmtime_r(&a->second, &parts);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    int body_size = snprintf(body, sizeof(body),
                             "{\"status\":\"Message sent\",\"id\":\"%0*d\",\"delivered\":%zu,"
                             "\"kept\":true,\"durable\":false}",
                             ID_DIGITS, 0, a->delivered);
    a->size = (size_t)snprintf(a->bytes, sizeof(a->bytes),
                               "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\n"
                               "X-Request-Id: %0*d\r\nContent-Length: %d\r\n\r\n%s",
                               date, REQUEST_DIGITS, 0, body_size, body);
    a->id_at = (size_t)(strstr(a->bytes, "\"id\":\"") + 6 - a->bytes);
    a->request_at = (size_t)(strstr(a->bytes, "-Id: ") + 5 - a->bytes);
}

static void send_answer(struct conn *c, uint64_t id, size_t delivered)
{
    struct answer *a = &here.answer;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != a->second || delivered != a->delivered) {
        a->second = now.tv_sec;
        a->delivered = delivered;
        rebuild_answer(a);
    }
    write_digits(a->bytes + a->id_at, id, ID_DIGITS);
    write_digits(a->bytes + a->request_at, id, REQUEST_DIGITS);
    send_now(c, a->bytes, a->size);
}

static void refuse(struct conn *c)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    send_now(c, answer, sizeof(answer) - 1);
}

static uint64_t next_id(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    uint64_t id = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) << 20;
    here.last_id = id > here.last_id ? id : here.last_id + 1;
    return here.last_id;
}

static void serve_message(struct conn *c, struct text body)
{
    static char frame[FRAME_MAX];
    struct text sender = text_between(body, "\"sender\":\"", "\"");
    struct text receiver = text_between(body, "\"receiver\":\"", "\"");
    struct text channel = text_between(body, "\"channel\":\"", "\"");
    struct text message = text_between(body, "\"message\":\"", "\"");
    struct text name = channel.at ? channel : receiver;

    if (!sender.at || sender.size > NAME_MAX_BYTES || !name.at || name.size > NAME_MAX_BYTES ||
        !message.at) {
        refuse(c);
        return;
    }
    struct user *u = find_user(name);
    uint64_t id = next_id();
    size_t size = u->events ? make_event(frame, id, sender, channel, message)
                            : make_frame(frame, sender, message);
    if (here.hold)
        hold_frame(u, frame, size);
    else
        send_to_all(u, frame, size);
    send_answer(c, id, u->count);
}

/* The user of the path, or the one channel of its query. */
static struct text name_in(struct text head, const char *path)
{
    struct text target = text_between(head, path, " ");
    struct text channel = {NULL, 0};

    if (target.at) /* with the space behind it */
        channel = text_between((struct text){target.at, target.size + 1}, "?channels=", " ");
    return channel.at ? channel : target;
}

static void serve_events(struct conn *c, struct text head)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: 0000000000000000\r\n"
        "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nVary: Origin\r\n"
        "Connection: close\r\n\r\nretry: 2000\nid: 0000000000000000000\nevent: welcome\n"
        "data: {\"type\":\"welcome\",\"session\":\"0000000000000000\",\"user\":\"u000000\","
        "\"cursor\":\"0000000000000000000\",\"heartbeat\":15}\n\n";
    struct text name = name_in(head, "GET /sse/");

    if (!name.at || name.size > NAME_MAX_BYTES) {
        refuse(c);
        return;
    }
    if (!send_now(c, answer, sizeof(answer) - 1))
        return;
    struct user *u = find_user(name);
    u->events = true;
    attach(c, u);
}

static void serve_websocket(struct conn *c, struct text head)
{
    struct text name = name_in(head, "GET /ws/");
    struct text key = text_between(head, "Sec-WebSocket-Key: ", "\r\n");
    unsigned char digest[EVP_MAX_MD_SIZE];
    char accept[64], answer[256];
    unsigned size;

    if (!name.at || name.size > NAME_MAX_BYTES || !key.at || key.size != KEY_BYTES) {
        refuse(c);
        return;
    }
    EVP_DigestInit_ex(here.digest, here.sha1, NULL);
    EVP_DigestUpdate(here.digest, key.at, key.size);
    EVP_DigestUpdate(here.digest, websocket_guid, sizeof(websocket_guid) - 1);
    EVP_DigestFinal_ex(here.digest, digest, &size);
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)size);
    int length = snprintf(answer, sizeof(answer),
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                          accept);
    if (send_now(c, answer, (size_t)length))
        attach(c, find_user(name));
}

/* How much of "in" it served; 0: the request is not all there. */
static size_t serve_request(struct conn *c, struct text in)
{
    const char *end = memmem(in.at, in.size, "\r\n\r\n", 4);

    if (!end)
        return 0;
    struct text head = {in.at, (size_t)(end + 4 - in.at)};
    struct text body = {end + 4, 0};
    struct text length = text_between(head, "Content-Length: ", "\r\n");
    if (length.at)
        body.size = strtoul(length.at, NULL, 10);
    if (body.size > in.size - head.size)
        return 0;

    if (memcmp(head.at, "POST /send-message ", 19) == 0)
        serve_message(c, body);
    else if (memcmp(head.at, "GET /ws/", 8) == 0)
        serve_websocket(c, head);
    else if (memcmp(head.at, "GET /sse/", 9) == 0)
        serve_events(c, head);
    else
        refuse(c);
    return head.size + body.size;
}

static void keep_rest(struct conn *c, struct text in)
{
    free(c->rest);
    c->rest = NULL;
    c->rest_size = in.size;
    if (in.size == 0)
        return;
    c->rest = must_alloc(in.size, 1);
    memcpy(c->rest, in.at, in.size);
}

static void on_input(struct watch *w)
{
    static char input[INPUT_SIZE];
    struct conn *c = (struct conn *)w;

    if (c->rest)
        memcpy(input, c->rest, c->rest_size);
    size_t room = sizeof(input) - c->rest_size;
    ssize_t got = recv(w->fd, input + c->rest_size, room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) { /* also when a request outgrew the input: recv of no bytes */
        close_conn(c);
        return;
    }

    struct text in = {input, c->rest_size + (size_t)got};
    while (!c->user && in.size) {
        size_t served = serve_request(c, in);
        if (served == 0)
            break;
        in.at += served;
        in.size -= served;
    }
    if (c->user)
        in.size = 0; /* what a receiver sends is not for us */
    if (c->rest || in.size)
        keep_rest(c, in);
}

static void on_connection(struct watch *w)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct conn *c = must_alloc(1, sizeof(*c));
        c->watch = (struct watch){fd, on_input};
        set_no_delay(fd);
        loop_add(here.loop, &c->watch);
    }
}

static int open_listener(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0)
        die("cannot open a socket");
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0)
        die("cannot listen on port %u", port);
    getsockname(fd, (struct sockaddr *)&address, &size);
    fprintf(stderr, "ready listen=127.0.0.1:%u\n", ntohs(address.sin_port));
    return fd;
}

static uint16_t read_arguments(int argc, char **argv)
{
    int option, port = 0;

    while ((option = getopt(argc, argv, "bp:")) != -1) {
        if (option == 'b') {
            here.hold = true;
        } else if (option == 'p') {
            port = atoi(optarg);
        } else {
            fputs("usage: floor [-b] [-p PORT]\n", stderr);
            exit(2);
        }
    }
    return (uint16_t)port;
}

int main(int argc, char **argv)
{
    uint16_t port = read_arguments(argc, argv);

    raise_open_files();
    here.loop = loop_open();
    here.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    here.digest = EVP_MD_CTX_new();
    if (!here.sha1 || !here.digest)
        die("no SHA-1 in this libcrypto");

    struct watch listener = {open_listener(port), on_connection};
    loop_add(here.loop, &listener);
    for (;;) {
        loop_turn(here.loop, -1);
        send_held();
    }
}
