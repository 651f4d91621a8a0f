/* The memory broker under threads: members publish to overlapping topics, read pages, make
 * frames and ask each other, while each drains its inbox. Worth most under the thread sanitizer.
 * What fails on a thread ends the process: cmocka's own assertions belong to the main thread. */
#include "support.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/broker.h"
#include "engine/broker_options.h"

enum { MEMBERS = 4, PUBLISHES = 4000, USERS = 6 };

/* Who watches what: a bit a user; all but the last watch broadcasts, too. */
static const unsigned watched[MEMBERS] = {0x07, 0x0e, 0x3c, 0x00};

struct member {
    int number;
    struct inbox inbox;
    pthread_mutex_t mutex; /* guards awake */
    pthread_cond_t cond;
    bool awake;
    uint64_t last_id;
    size_t received; /* records of messages */
    size_t overflows;
    size_t answers, outstanding;
    uint64_t seed;
};

static struct broker *broker;
static struct member members[MEMBERS];
static _Atomic size_t expected[MEMBERS];
static _Atomic int still_publishing;

static struct topic user(unsigned u)
{
    static const char *const names[USERS] = {"ada", "bob", "cyn", "dan", "eve", "fay"};
    return a_user(names[u]);
}

static struct chunk *make_frame(const struct message *message)
{
    struct chunk *frame = frame_create(sizeof message->id);
    memcpy(frame->bytes, &message->id, sizeof message->id);
    return frame;
}

static const struct message_format format = {0, make_frame, NULL};

static void wake(void *context)
{
    struct member *member = context;
    pthread_mutex_lock(&member->mutex);
    member->awake = true;
    pthread_cond_signal(&member->cond);
    pthread_mutex_unlock(&member->mutex);
}

static void get_message(struct member *member, struct message_record *record)
{
    uint64_t id;
    struct message *message = record->message;
    assert(message->id > member->last_id);
    member->last_id = message->id;
    member->received++;
    memcpy(&id, message_frame(message, &format)->bytes, sizeof id);
    assert(id == message->id);
    message_unref(message);
    free(record);
}

static void drain(struct member *member)
{
    struct list records;
    list_init(&records);
    inbox_take(&member->inbox, &records);
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        if (record->kind == RECORD_MESSAGE) {
            get_message(member, (struct message_record *)record);
        } else if (record->kind == RECORD_CONTROL) {
            struct control_copy *copy = (struct control_copy *)record;
            copy->sessions = 1;
            buf_add_text(&copy->records, "here;");
            broker_reply(broker, copy);
        } else if (record->kind == RECORD_CALL) {
            call_finish(record);
        } else {
            member->overflows++;
        }
    }
}

struct question {
    struct control_call control; /* first: on_answer gets it back */
    struct member *member;
};

static void on_answer(struct call *call)
{
    struct question *question = (struct question *)call;
    struct control_call *control = &question->control;
    assert(control->records.size == control->sessions * 5);
    question->member->outstanding--;
    question->member->answers++;
    control_finish(control);
    free(question);
}

static void ask(struct member *member, unsigned u)
{
    struct question *question = calloc(1, sizeof *question);
    question->member = member;
    question->control = (struct control_call){
        .call = {.done = on_answer}, .control = {.verb = CONTROL_DESCRIBE, .topic = user(u)}};
    if (broker_control(broker, member->number, &question->control) == BROKER_PENDING) {
        member->outstanding++;
        return;
    }
    assert(question->control.call.err == ERR_NONE);
    free(question);
}

/* Publishes to one user, two, or all; the answer must name every watcher. */
static void publish(struct member *member)
{
    unsigned u = next_random(&member->seed) % USERS, v = (u + 1) % USERS;
    struct topic topics[2] = {user(u), user(v)};
    uint32_t delivered[2];
    unsigned form = next_random(&member->seed) % 4;
    size_t count = form == 0 ? 2 : 1;
    if (form == 1)
        topics[0] = all_of_them();
    struct publish_call publish = {
        .draft = a_draft(topics, count, next_random(&member->seed) % 2 ? 60000 : 0),
        .delivered = delivered,
    };
    assert(broker_publish(broker, member->number, &publish) == BROKER_ANSWERED);
    assert(publish.call.err == ERR_NONE);
    for (int m = 0; m < MEMBERS; m++) {
        bool at_u = watched[m] >> u & 1, at_v = watched[m] >> v & 1;
        if (form == 1 ? m != MEMBERS - 1 : at_u || (count == 2 && at_v))
            atomic_fetch_add(&expected[m], 1);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t wanted = 0;
        for (int m = 0; m < MEMBERS; m++)
            wanted += form == 1 ? m != MEMBERS - 1 : watched[m] >> (i ? v : u) & 1;
        assert(delivered[i] == wanted);
    }
}

static void read_page(struct member *member)
{
    struct message *messages[20];
    struct read_topic topics[2] = {
        {.topic = user(next_random(&member->seed) % USERS)},
        {.topic = all_of_them()},
    };
    struct read_call read = {
        .topics = topics,
        .topic_count = 2,
        .after = member->last_id / 2,
        .max_count = COUNT_OF(messages),
        .max_bytes = 1 << 20,
        .messages = messages,
    };
    assert(broker_read(broker, member->number, &read) == BROKER_ANSWERED);
    assert(read.call.err == ERR_NONE);
    uint64_t last = read.after;
    for (size_t i = 0; i < read.count; i++) {
        assert(messages[i]->id > last);
        last = messages[i]->id;
        assert(message_frame(messages[i], &format));
        message_unref(messages[i]);
    }
}

/* Sessions that come and go at a topic nobody writes to. */
static void come_and_go(struct member *member)
{
    struct topic guest = a_user("guest");
    uint64_t head;
    assert(broker_watch(broker, member->number, &guest, 1, +1, &head) == 0);
    assert(head >= member->last_id);
    assert(broker_watch(broker, member->number, &guest, 1, -1, NULL) == 0);
}

static void wait_for_news(struct member *member)
{
    pthread_mutex_lock(&member->mutex);
    while (!member->awake)
        pthread_cond_wait(&member->cond, &member->mutex);
    member->awake = false;
    pthread_mutex_unlock(&member->mutex);
}

static void wake_everyone(void)
{
    for (int m = 0; m < MEMBERS; m++)
        wake(&members[m]);
}

static void *live(void *context)
{
    struct member *member = context;
    for (int i = 0; i < PUBLISHES; i++) {
        publish(member);
        if (i % 8 == 0)
            read_page(member);
        if (i % 16 == 0)
            come_and_go(member);
        if (i % 32 == 0)
            ask(member, (unsigned)i / 32 % USERS);
        if (i % 100 == 0)
            broker_tick(broker);
        drain(member);
        broker_flush(broker); /* the end of a turn */
    }
    atomic_fetch_sub(&still_publishing, 1);
    wake_everyone();
    while (atomic_load(&still_publishing) || member->outstanding) {
        wait_for_news(member);
        drain(member);
    }
    drain(member);
    return NULL;
}

static void begin_member(int m)
{
    struct member *member = &members[m];
    member->number = m;
    member->seed = (uint64_t)m + 1;
    pthread_mutex_init(&member->mutex, NULL);
    pthread_cond_init(&member->cond, NULL);
    inbox_init(&member->inbox, 1 << 26, RECORD_OVERFLOW, wake, member);
    assert_int_equal(broker_join(broker, &member->inbox), m);
    struct topic all = all_of_them();
    if (m != MEMBERS - 1)
        assert_int_equal(broker_watch(broker, m, &all, 1, +1, NULL), 0);
    for (unsigned u = 0; u < USERS; u++) {
        struct topic topic = user(u);
        if (watched[m] >> u & 1)
            assert_int_equal(broker_watch(broker, m, &topic, 1, +1, NULL), 0);
    }
}

static void end_member(struct member *member)
{
    drain(member); /* replies that came after its own thread had all it waited for */
    assert_int_equal(member->received, expected[member->number]);
    assert_int_equal(member->overflows, 0);
    assert_true(member->answers > 0);
    inbox_finish(&member->inbox);
    pthread_cond_destroy(&member->cond);
    pthread_mutex_destroy(&member->mutex);
}

static void each_inbox_is_in_order_and_nothing_is_lost(void **state)
{
    static const struct broker_options limits = {
        .keep_messages = 50,
        .keep_bytes = 1 << 20,
        .keep_total = 1 << 17,
        .idempotency_entries = 10,
        .idempotency_ttl_ms = 1000,
        .wall_ms = clock_wall_ms,
        .mono_ms = clock_mono_ms,
    };
    pthread_t threads[MEMBERS];
    (void)state;

    broker = broker_create("memory", &limits, NULL, 0);
    for (int m = 0; m < MEMBERS; m++)
        begin_member(m);
    still_publishing = MEMBERS;
    for (int m = 0; m < MEMBERS; m++)
        assert_int_equal(pthread_create(&threads[m], NULL, live, &members[m]), 0);
    for (int m = 0; m < MEMBERS; m++)
        assert_int_equal(pthread_join(threads[m], NULL), 0);
    for (int m = 0; m < MEMBERS; m++)
        end_member(&members[m]);
    assert_true(broker_stats(broker).bytes <= limits.keep_total);
    broker_destroy(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_inbox_is_in_order_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
