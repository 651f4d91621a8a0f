/* load.c - drives a server with Pushwire's endpoints through one case and prints the figures
 * as one line of JSON. README.md tells what the cases are.
 *
 *   load -p PORT -P PID -c CASE [-s SECONDS] [-w WARMUP_SECONDS] [-n SOCKETS]
 *
 * For case P SOCKETS are the polls, for those of the store the returning users. PID is the server's
 * process, on this machine. The process's CPU clock and PSS are read when nothing is under way,
 * before and after the measured window. */
#include "bench.h"
#include "posts.h"
#include "receivers.h"
#include "senders.h"
#include "transports.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS       1000000000LL
#define SETTLE_NS       (300 * SECOND_NS / 1000)
#define DRAIN_NS        (5 * SECOND_NS)
#define RETURN_LIMIT_NS (60 * SECOND_NS)
#define FILL_LIMIT_S    300
#define PACED_PER_S     2000
#define IDLE_WARMUP     100
#define IDLE_PROBES     1000
#define ENOUGH_MESSAGES UINT32_MAX
#define FIRST_POLLER    100000 /* as a user; those below have no poll */
#define FIRST_RETURNING 200000
#define MAX_LINES       1000

/* The store: for each user that returns 100 messages, and between any two of them 10 more, of 100
 * others. */
#define RETURNING        1000
#define OTHERS_EACH      100 /* users a returning one */
#define MESSAGES_EACH    100
#define MESSAGES_BETWEEN 10

/* When a sender posts its next message. */
enum pace {
    PACE_ANSWER, /* as soon as its last one is answered */
    PACE_ALL,    /* as soon as its last one is answered and has come everywhere */
    PACE_CLOCK,  /* PACED_PER_S, come what may */
    PACE_IDLE,   /* nothing is posted while we measure */
    PACE_FILL,   /* as soon as its last one is answered, until the store is full */
};

struct shape {
    const char *name;
    uint32_t users, per_user, senders;
    enum pace pace;
    const struct transport *transport;
    bool channel;   /* all sockets subscribe to one, all messages go there */
    uint32_t polls; /* that wait; then "users" have no sockets */
    bool keys;
    bool reads;
    uint32_t lines;
    uint32_t returning; /* users of the store; nothing but them where there are sockets */
};

static const struct shape shapes[] = {
    {"A", 1000, 1, 32, PACE_ANSWER, .transport = &transport_websocket},
    {"B", 1, 1, 1, PACE_ALL, .transport = &transport_websocket},
    {"R", 1000, 1, 32, PACE_CLOCK, .transport = &transport_websocket},
    {"H", 4, 1, 32, PACE_ANSWER, .transport = &transport_websocket},
    {"C1k", 1, 1000, 1, PACE_ALL, .transport = &transport_websocket},
    {"C10k", 1, 10000, 1, PACE_ALL, .transport = &transport_websocket},
    {"F1k", 1000, 1, 1, PACE_ALL, .transport = &transport_websocket, .channel = true},
    {"F10k", 10000, 1, 1, PACE_ALL, .transport = &transport_websocket, .channel = true},
    {"S1k", 1000, 1, 1, PACE_ALL, .transport = &transport_events, .channel = true},
    {"S10k", 10000, 1, 1, PACE_ALL, .transport = &transport_events, .channel = true},
    {"D", 10000, 1, 1, PACE_IDLE, .transport = &transport_websocket},
    {"DS", 10000, 1, 1, PACE_IDLE, .transport = &transport_events},
    {"P", 1, 0, 32, PACE_ANSWER, .transport = &transport_poll, .polls = 5000},
    {"fill", 0, 0, 1, PACE_FILL, .keys = true, .lines = 1000, .returning = RETURNING},
    {"Y", 0, 0, 1, PACE_ANSWER, .reads = true, .returning = RETURNING},
    {"Z", 0, 1, 1, PACE_IDLE, .transport = &transport_return, .returning = RETURNING},
    {"K1", 0, 0, 1, PACE_ANSWER, .keys = true, .returning = RETURNING},
    {"K32", 0, 0, 32, PACE_ANSWER, .keys = true, .returning = RETURNING},
    {"K256", 0, 0, 256, PACE_ANSWER, .keys = true, .returning = RETURNING},
    {"N1", 0, 0, 1, PACE_ANSWER, .keys = true, .lines = 1000, .returning = RETURNING},
    {"N8", 0, 0, 8, PACE_ANSWER, .keys = true, .lines = 1000, .returning = RETURNING},
};

struct run {
    struct shape shape;
    double seconds, warmup_seconds;
    clockid_t server_cpu;
    pid_t server;
    int loop;
    struct posts posts;
    struct senders senders;
    struct receivers receivers;
    bool posting, to_polls;
    uint32_t messages_left;
    uint32_t next_poll;
    uint64_t random;
};

static int64_t server_cpu_ns(const struct run *run)
{
    struct timespec used;

    if (clock_gettime(run->server_cpu, &used) != 0)
        die("cannot read the server's CPU clock: is process %d gone?", run->server);
    return used.tv_sec * SECOND_NS + used.tv_nsec;
}

static long server_kilobytes(const struct run *run, const char *name, const char *format)
{
    char path[64], line[256];
    long kilobytes = -1;

    snprintf(path, sizeof(path), "/proc/%d/%s", run->server, name);
    FILE *file = fopen(path, "re");
    if (!file)
        die("cannot read %s", path);
    while (kilobytes < 0 && fgets(line, sizeof(line), file))
        sscanf(line, format, &kilobytes);
    fclose(file);
    if (kilobytes < 0)
        die("%s has no line \"%s\"", path, format);
    return kilobytes;
}

/* Anonymous memory only: the share of a library's pages changes with whoever else maps it. */
static long server_pss_bytes(const struct run *run)
{
    return server_kilobytes(run, "smaps_rollup", "Pss_Anon: %ld kB") * 1024;
}

/* The most the server has held is what it holds now. */
static void forget_peak(const struct run *run)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/clear_refs", run->server);
    FILE *file = fopen(path, "we");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        die("cannot write %s", path);
}

/* xorshift: the same users in each run. */
static uint32_t random_user(struct run *run)
{
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (uint32_t)(run->random >> 32) % run->shape.users;
}

static uint32_t stored_messages(const struct run *run)
{
    return run->shape.returning * MESSAGES_EACH * (1 + MESSAGES_BETWEEN);
}

/* Whom message "number" of the store is for. */
static uint32_t stored_user(struct run *run, uint32_t number)
{
    uint32_t turn = number / (1 + MESSAGES_BETWEEN);

    if (number % (1 + MESSAGES_BETWEEN) == 0)
        return FIRST_RETURNING + turn % run->shape.returning;
    return random_user(run);
}

/* Whom the next message is for, and on how many sockets it is to come. */
static uint32_t next_user(struct run *run, uint32_t *ret_expected)
{
    *ret_expected = run->shape.per_user;
    if (run->shape.pace == PACE_FILL)
        return stored_user(run, run->posts.count);
    if (run->to_polls) {
        *ret_expected = 1;
        return FIRST_POLLER + run->next_poll++;
    }
    if (run->shape.channel) {
        *ret_expected = run->receivers.count;
        return 0;
    }
    return random_user(run);
}

static void post_next(struct run *run, struct sender *s, int64_t due_ns)
{
    uint32_t users[MAX_LINES], expected, first = run->posts.count;
    uint32_t lines = run->shape.lines ? run->shape.lines : 1;

    for (uint32_t i = 0; i < lines; i++) {
        users[i] = next_user(run, &expected);
        posts_add(&run->posts, users[i], expected, due_ns);
    }
    run->messages_left -= lines < run->messages_left ? lines : run->messages_left;
    sender_post(s, first, users);
}

static bool may_post(const struct run *run, enum pace pace)
{
    return run->posting && run->messages_left && run->shape.pace == pace;
}

static void post_when_over(struct run *run)
{
    struct sender *s = may_post(run, PACE_ALL) ? senders_find_free(&run->senders) : NULL;

    if (s)
        post_next(run, s, now_ns());
}

static void on_answer(void *owner, struct sender *s, uint32_t number, uint64_t id,
                      uint64_t delivered)
{
    struct run *run = owner;

    if (posts_answered(&run->posts, number, id, delivered))
        post_when_over(run);
    if (!s->number && (may_post(run, PACE_ANSWER) || may_post(run, PACE_FILL)))
        post_next(run, s, now_ns());
}

static void on_message(void *owner, struct receiver *r, uint32_t number)
{
    struct run *run = owner;

    if (posts_arrived(&run->posts, number, r->user, &r->last))
        post_when_over(run);
}

static void idle(struct run *run, int64_t for_ns)
{
    int64_t end_ns = now_ns() + for_ns;

    for (int64_t now = now_ns(); now < end_ns; now = now_ns())
        loop_turn(run->loop, end_ns - now);
}

/* Returns when the next one is due. A message that found no free sender keeps its due time,
 * so its wait counts. */
static int64_t post_what_is_due(struct run *run, int64_t due_ns)
{
    struct sender *s;

    while (due_ns <= now_ns() && (s = senders_find_free(&run->senders))) {
        post_next(run, s, due_ns);
        due_ns += SECOND_NS / PACED_PER_S;
    }
    return due_ns;
}

static void drain(struct run *run)
{
    int64_t limit_ns = now_ns() + DRAIN_NS;

    run->posting = false;
    while (run->posts.open && now_ns() < limit_ns)
        loop_turn(run->loop, SECOND_NS / 10);
}

/* Posts for so long, or so many; then waits until all has come. */
static void post_for(struct run *run, double seconds, uint32_t messages)
{
    int64_t now = now_ns();
    int64_t end_ns = now + (int64_t)(seconds * SECOND_NS), due_ns = now;

    run->posting = true;
    run->messages_left = messages;
    if (run->shape.pace != PACE_CLOCK)
        for (uint32_t i = 0; i < run->senders.count && run->messages_left; i++)
            post_next(run, &run->senders.all[i], now);
    for (; now < end_ns && (run->messages_left || run->posts.open); now = now_ns()) {
        int64_t wake_ns = end_ns;
        if (run->shape.pace == PACE_CLOCK) {
            due_ns = post_what_is_due(run, due_ns);
            if (due_ns > now && due_ns < end_ns)
                wake_ns = due_ns;
        }
        now = now_ns();
        loop_turn(run->loop, wake_ns > now ? wake_ns - now : 0);
    }
    drain(run);
}

static void print_start(const struct run *run)
{
    printf("{\"case\":\"%s\",\"sockets\":%u,\"senders\":%u", run->shape.name, run->receivers.count,
           run->shape.senders);
}

static void print_faults(const struct faults *f)
{
    printf(",\"faults\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64
           ",\"disordered\":%" PRIu64 ",\"misdirected\":%" PRIu64 ",\"corrupt\":%" PRIu64
           ",\"miscounted\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"closed\":%" PRIu64 "}\n",
           faults_total(f), f->lost, f->doubled, f->disordered, f->misdirected, f->corrupt,
           f->miscounted, f->refused, f->closed);
}

static void measure_posts(struct run *run)
{
    struct posts *p = &run->posts;

    receivers_open(&run->receivers, run->shape.users * run->shape.per_user);
    idle(run, SETTLE_NS);
    post_for(run, run->warmup_seconds, ENOUGH_MESSAGES);

    posts_start_window(p);
    int64_t started_ns = now_ns(), cpu_ns = server_cpu_ns(run);
    post_for(run, run->seconds, ENOUGH_MESSAGES);
    double took_s = (double)(now_ns() - started_ns) / SECOND_NS;
    cpu_ns = server_cpu_ns(run) - cpu_ns;
    posts_settle(p);

    double deliveries = p->deliveries ? (double)p->deliveries : 1;
    uint32_t posts = p->count - p->window_from;
    print_start(run);
    printf(",\"seconds\":%.3f,\"posts\":%u,\"deliveries\":%" PRIu64, took_s, posts, p->deliveries);
    printf(",\"us_per_post\":%.2f,\"cpu_us_per_post\":%.2f", took_s * 1e6 / (posts ? posts : 1),
           (double)cpu_ns / 1000 / (posts ? posts : 1));
    printf(",\"deliveries_per_s\":%.0f,\"cpu_us_per_delivery\":%.3f,\"server_busy\":%.2f",
           (double)p->deliveries / took_s, (double)cpu_ns / 1000 / deliveries,
           (double)cpu_ns / SECOND_NS / took_s);
    printf(",\"p50_us\":%.1f,\"p99_us\":%.1f", posts_latency_us(p, 0.50),
           posts_latency_us(p, 0.99));
}

/* The few sockets first bring in what a server makes once, at its first connections. */
static void measure_idle(struct run *run)
{
    struct receivers *pool = &run->receivers;
    uint32_t total = run->shape.users;

    receivers_open(pool, total < IDLE_WARMUP ? total : IDLE_WARMUP);
    idle(run, SETTLE_NS);
    receivers_close(pool);
    idle(run, SETTLE_NS);

    long bytes = server_pss_bytes(run);
    int64_t started_ns = now_ns(), cpu_ns = server_cpu_ns(run);
    receivers_open(pool, total);
    double took_s = (double)(now_ns() - started_ns) / SECOND_NS;
    idle(run, SETTLE_NS);
    cpu_ns = server_cpu_ns(run) - cpu_ns;
    bytes = server_pss_bytes(run) - bytes;

    run->shape.pace = PACE_ALL;
    post_for(run, run->seconds, IDLE_PROBES);
    posts_settle(&run->posts);
    print_start(run);
    printf(",\"deliveries\":%" PRIu64, run->posts.deliveries);
    printf(",\"bytes_per_connection\":%.0f,\"connects_per_s\":%.0f,\"cpu_us_per_connect\":%.2f",
           (double)bytes / total, total / took_s, (double)cpu_ns / 1000 / total);
}

/* What a post costs the server, in microseconds. */
static double cpu_us_per_post(struct run *run)
{
    post_for(run, run->warmup_seconds, ENOUGH_MESSAGES);
    posts_start_window(&run->posts);
    int64_t cpu_ns = server_cpu_ns(run);
    post_for(run, run->seconds, ENOUGH_MESSAGES);
    uint32_t posts = run->posts.count - run->posts.window_from;
    return (double)(server_cpu_ns(run) - cpu_ns) / 1000 / (posts ? posts : 1);
}

/* At last each poll gets a message: that it answers proves that it waited all the time. */
static void measure_polls(struct run *run)
{
    uint32_t polls = run->shape.polls;
    double without_us = cpu_us_per_post(run);

    receivers_open(&run->receivers, polls);
    idle(run, SETTLE_NS);
    double with_us = cpu_us_per_post(run);

    posts_start_window(&run->posts);
    run->to_polls = true;
    post_for(run, run->seconds, polls);
    posts_settle(&run->posts);
    print_start(run);
    printf(",\"deliveries\":%" PRIu64 ",\"cpu_us_without\":%.3f,\"cpu_us_with\":%.3f",
           run->posts.deliveries, without_us, with_us);
    printf(",\"cpu_us_more\":%.3f", with_us - without_us);
}

static void measure_fill(struct run *run)
{
    int64_t started_ns = now_ns();

    post_for(run, FILL_LIMIT_S, stored_messages(run));
    posts_settle(&run->posts);
    print_start(run);
    printf(",\"posts\":%u,\"seconds\":%.1f", run->posts.count - 1,
           (double)(now_ns() - started_ns) / SECOND_NS);
}

/* Enters what the store holds for those who return. The others' is over. */
static void expect_stored(struct run *run)
{
    uint32_t total = stored_messages(run);

    for (uint32_t number = 1; number <= total; number++) {
        uint32_t user = stored_user(run, number), expected = user >= FIRST_RETURNING;
        posts_add(&run->posts, user, expected, now_ns());
        posts_answered(&run->posts, number, number, expected);
    }
}

/* All of them at once; each gets all it has missed. */
static void measure_return(struct run *run)
{
    struct posts *p = &run->posts;
    uint32_t users = run->shape.returning;

    expect_stored(run);
    posts_start_window(p);
    forget_peak(run);
    long bytes = server_kilobytes(run, "status", "VmHWM: %ld kB");
    int64_t started_ns = now_ns(), cpu_ns = server_cpu_ns(run);
    receivers_open(&run->receivers, users);
    for (int64_t now = now_ns(); p->open && now - started_ns < RETURN_LIMIT_NS; now = now_ns())
        loop_turn(run->loop, SECOND_NS / 10);
    int64_t took_ns = now_ns() - started_ns;
    cpu_ns = server_cpu_ns(run) - cpu_ns;
    bytes = server_kilobytes(run, "status", "VmHWM: %ld kB") - bytes;
    posts_settle(p);

    double deliveries = p->deliveries ? (double)p->deliveries : 1;
    print_start(run);
    printf(",\"deliveries\":%" PRIu64 ",\"return_ms\":%.1f,\"grown_mib\":%.2f", p->deliveries,
           (double)took_ns / 1e6, (double)bytes / 1024);
    printf(",\"cpu_us_per_delivery\":%.3f", (double)cpu_ns / 1000 / deliveries);
}

static uint32_t first_user(const struct shape *shape)
{
    return shape->polls ? FIRST_POLLER : shape->returning ? FIRST_RETURNING : 0;
}

static void perform(struct run *run, uint16_t port)
{
    run->loop = loop_open();
    run->random = 88172645463325252ULL;
    posts_init(&run->posts);
    run->senders = (struct senders){.channel = run->shape.channel,
                                    .keys = run->shape.keys,
                                    .reads = run->shape.reads,
                                    .lines = run->shape.lines,
                                    .loop = run->loop,
                                    .port = port,
                                    .faults = &run->posts.faults,
                                    .owner = run,
                                    .on_answer = on_answer};
    run->receivers = (struct receivers){.loop = run->loop,
                                        .port = port,
                                        .first_user = first_user(&run->shape),
                                        .per_user = run->shape.polls ? 1 : run->shape.per_user,
                                        .channel = run->shape.channel,
                                        .transport = run->shape.transport,
                                        .faults = &run->posts.faults,
                                        .owner = run,
                                        .on_message = on_message};
    senders_open(&run->senders, run->shape.senders);
    if (run->shape.polls)
        measure_polls(run);
    else if (run->shape.pace == PACE_FILL)
        measure_fill(run);
    else if (run->shape.returning && run->shape.pace == PACE_IDLE)
        measure_return(run);
    else if (run->shape.pace == PACE_IDLE)
        measure_idle(run);
    else
        measure_posts(run);
    print_faults(&run->posts.faults);
    receivers_close(&run->receivers);
    senders_close(&run->senders);
    posts_finish(&run->posts);
    close(run->loop);
}

static const struct shape *find_shape(const char *name)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

/* Other numbers of sockets than the case's own, for a quick look. */
static void resize(struct shape *shape, uint32_t sockets)
{
    if (shape->returning)
        shape->returning = sockets;
    else if (shape->polls)
        shape->polls = sockets;
    else if (shape->per_user > 1)
        shape->per_user = sockets;
    else
        shape->users = sockets;
}

static void usage(void)
{
    fputs("usage: load -p PORT -P PID -c CASE [-s SECONDS] [-w WARMUP_SECONDS] [-n SOCKETS]\n"
          "cases:",
          stderr);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        fprintf(stderr, " %s", shapes[i].name);
    fputc('\n', stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    struct run run = {.seconds = 3, .warmup_seconds = 1};
    const struct shape *shape = NULL;
    int option, port = 0, sockets = 0;

    while ((option = getopt(argc, argv, "p:P:c:s:w:n:")) != -1) {
        switch (option) {
        case 'p':
            port = atoi(optarg);
            break;
        case 'P':
            run.server = atoi(optarg);
            break;
        case 'c':
            shape = find_shape(optarg);
            break;
        case 's':
            run.seconds = atof(optarg);
            break;
        case 'w':
            run.warmup_seconds = atof(optarg);
            break;
        case 'n':
            sockets = atoi(optarg);
            break;
        default:
            usage();
        }
    }
    if (port <= 0 || run.server <= 0 || !shape || sockets < 0)
        usage();
    run.shape = *shape;
    if (sockets)
        resize(&run.shape, (uint32_t)sockets);
    if (run.shape.returning)
        run.shape.users = run.shape.returning * OTHERS_EACH;

    raise_open_files();
    prctl(PR_SET_TIMERSLACK, 1UL); /* else each wait of case R is up to 50 us late */
    if (clock_getcpuclockid(run.server, &run.server_cpu) != 0)
        die("there is no process %d", run.server);
    perform(&run, (uint16_t)port);
    return 0;
}
