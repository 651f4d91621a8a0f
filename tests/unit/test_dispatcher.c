/* Two threads at one dispatcher, one of them played by the inbox: whatever the sequencer pushes,
 * another thread leaves the lock, and wakes, just before and just after it. */
#include "support.h"

#include <stdlib.h>

#include "engine/broker.h"
#include "engine/dispatcher.h"

void __real_inbox_push(struct inbox *inbox, struct inbox_record *record, bool own);
bool __real_inbox_offer(struct inbox *inbox, struct inbox_record *record, bool own);
void __real_inbox_overflow(struct inbox *inbox, bool own);
void *__real_malloc(size_t size);
void __wrap_inbox_push(struct inbox *inbox, struct inbox_record *record, bool own);
bool __wrap_inbox_offer(struct inbox *inbox, struct inbox_record *record, bool own);
void __wrap_inbox_overflow(struct inbox *inbox, bool own);
void *__wrap_malloc(size_t size);

enum { OWNER, ASKER };

static struct {
    struct dispatcher dispatcher;
    struct inbox inboxes[2];
    struct topic alice;
    int wakes[2];
    bool no_memory;
} desk;

void __wrap_inbox_push(struct inbox *inbox, struct inbox_record *record, bool own)
{
    dispatcher_wake(&desk.dispatcher);
    __real_inbox_push(inbox, record, own);
    dispatcher_wake(&desk.dispatcher);
}

bool __wrap_inbox_offer(struct inbox *inbox, struct inbox_record *record, bool own)
{
    dispatcher_wake(&desk.dispatcher);
    bool fits = __real_inbox_offer(inbox, record, own);
    dispatcher_wake(&desk.dispatcher);
    return fits;
}

void __wrap_inbox_overflow(struct inbox *inbox, bool own)
{
    dispatcher_wake(&desk.dispatcher);
    __real_inbox_overflow(inbox, own);
    dispatcher_wake(&desk.dispatcher);
}

void *__wrap_malloc(size_t size)
{
    return desk.no_memory ? NULL : __real_malloc(size);
}

static void wake(void *context)
{
    ++*(int *)context;
}

static int open_desk(void **state)
{
    (void)state;
    memset(&desk, 0, sizeof desk);
    desk.alice = a_user("alice");
    dispatcher_init(&desk.dispatcher);
    for (int i = 0; i < 2; i++) {
        inbox_init(&desk.inboxes[i], 1000, RECORD_OVERFLOW, wake, &desk.wakes[i]);
        assert_int_equal(dispatcher_join(&desk.dispatcher, &desk.inboxes[i]), i);
    }
    assert_true(dispatcher_watch(&desk.dispatcher, OWNER, &desk.alice, 1));
    return 0;
}

/* What lies in a member's inbox: the kind of its only record, which the caller has; the record
 * itself where the inbox gives it away. */
static struct inbox_record *take(int member)
{
    struct list records;
    list_init(&records);
    inbox_take(&desk.inboxes[member], &records);
    struct inbox_record *record = list_first(&records, struct inbox_record, link);
    list_remove(&record->link);
    assert_true(list_empty(&records));
    return record;
}

static int close_desk(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        inbox_finish(&desk.inboxes[i]);
    dispatcher_finish(&desk.dispatcher);
    return 0;
}

static void send_one(void)
{
    struct message *message = a_message_for("alice", 1);
    uint32_t delivered;
    dispatcher_send(&desk.dispatcher, DISPATCHER_NOBODY, message, &delivered);
    assert_int_equal(delivered, 1);
    message_unref(message);
    dispatcher_wake(&desk.dispatcher);
}

static void a_message_wakes_its_member(void **state)
{
    (void)state;
    send_one();
    assert_int_equal(desk.wakes[OWNER], 1);
    assert_int_equal(desk.wakes[ASKER], 0);
    struct message_record *record = (struct message_record *)take(OWNER);
    assert_int_equal(record->record.kind, RECORD_MESSAGE);
    message_unref(record->message);
    free(record);
}

static void a_doubt_wakes_its_member(void **state)
{
    (void)state;
    desk.inboxes[OWNER].max_bytes = 0;
    send_one();
    assert_int_equal(desk.wakes[OWNER], 1);
    assert_int_equal(take(OWNER)->kind, RECORD_OVERFLOW);
}

static void a_doubt_for_want_of_memory_wakes_its_member(void **state)
{
    struct message *message = a_message_for("alice", 1);
    (void)state;

    desk.no_memory = true;
    dispatcher_send(&desk.dispatcher, DISPATCHER_NOBODY, message, NULL);
    desk.no_memory = false;
    dispatcher_wake(&desk.dispatcher);
    message_unref(message);
    assert_int_equal(desk.wakes[OWNER], 1);
    assert_int_equal(take(OWNER)->kind, RECORD_OVERFLOW);
}

static void a_signal_wakes_its_member(void **state)
{
    struct control_call control = {.call = {.member = ASKER},
                                   .control = {.verb = CONTROL_DESCRIBE, .topic = desk.alice}};
    (void)state;

    assert_int_equal(dispatcher_control(&desk.dispatcher, &control), BROKER_PENDING);
    dispatcher_wake(&desk.dispatcher);
    assert_int_equal(desk.wakes[OWNER], 1);
    struct inbox_record *copy = take(OWNER);
    assert_int_equal(copy->kind, RECORD_CONTROL);
    free(copy);
    control_finish(&control);
}

static void an_answer_wakes_its_member(void **state)
{
    struct call call = {.member = ASKER};
    (void)state;

    dispatcher_answer(&desk.dispatcher, &call);
    dispatcher_wake(&desk.dispatcher);
    assert_int_equal(desk.wakes[ASKER], 1);
    assert_ptr_equal(take(ASKER), &call.record);
}

#define desk_test(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(a_message_wakes_its_member),
        desk_test(a_doubt_wakes_its_member),
        desk_test(a_doubt_for_want_of_memory_wakes_its_member),
        desk_test(a_signal_wakes_its_member),
        desk_test(an_answer_wakes_its_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
