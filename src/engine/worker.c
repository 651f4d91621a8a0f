#include "engine/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "model/connection_manager.h"
#include "model/session.h"

/* What may pile up while the worker is busy; beyond it content becomes a doubt. */
#define INBOX_BYTES ((size_t)8 * 1024 * 1024)
#define MAX_ROUNDS  16

enum { RECORD_TASK = RECORD_DOUBT + 1 };

struct task {
    struct inbox_record record;
    void (*fn)(void *context);
    void *context;
};

/* ---- signals from the broker ---- */

static void close_one(struct session *session, void *context)
{
    struct signal_copy *copy = context;
    copy->number++;
    session_close(session, copy->signal->reason);
}

static void describe_one(struct session *session, void *context)
{
    struct signal_copy *copy = context;
    struct buf *reply = &copy->reply;
    char id[SESSION_ID_TEXT_SIZE], since[CLOCK_TEXT_SIZE];
    session_format_id(session->id, id);
    clock_format((int64_t)session->opened_at_s * 1000, since);
    copy->number++;
    buf_add_format(reply, ",{\"id\":\"%s\",\"transport\":\"%s\",\"since\":\"%s\",\"behind\":%s", id,
                   transport_name(session->ops->transport), since,
                   session->state == SESSION_BEHIND ? "true" : "false");
    const char *device = session_device(session);
    if (device) {
        buf_add_text(reply, ",\"device\":");
        buf_add_json(reply, device, strlen(device));
    }
    buf_add_text(reply, "}");
}

struct name {
    const char *text;
    size_t length;
};

/* The `limit` smallest names after `from`, as a heap with the largest on top. */
struct name_heap {
    struct signal *signal;
    struct name *names;
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static void sift_down(struct name_heap *heap, size_t i)
{
    for (;;) {
        size_t largest = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap->count; child++) {
            if (compare_names(&heap->names[child], &heap->names[largest]) > 0)
                largest = child;
        }
        if (largest == i)
            return;
        struct name moved = heap->names[i];
        heap->names[i] = heap->names[largest];
        heap->names[largest] = moved;
        i = largest;
    }
}

static void collect_name(const char *text, size_t length, void *context)
{
    struct name_heap *heap = context;
    struct name name = {text, length};
    struct name from = {heap->signal->from, heap->signal->from_length};
    if (from.length && compare_names(&name, &from) <= 0)
        return;
    if (heap->count < heap->signal->limit) {
        heap->names[heap->count++] = name;
        if (heap->count == heap->signal->limit) {
            for (size_t i = heap->count / 2; i-- > 0;)
                sift_down(heap, i);
        }
    } else if (compare_names(&name, &heap->names[0]) < 0) {
        heap->names[0] = name;
        sift_down(heap, 0);
    }
}

/* Names hold no control characters, so a newline parts them. */
static void list_users(struct worker *worker, struct signal_copy *copy)
{
    struct name_heap heap = {.signal = copy->signal};
    heap.names = malloc(copy->signal->limit * sizeof *heap.names);
    if (!heap.names) {
        copy->reply.failed = true;
        return;
    }
    connection_manager_each_user(worker->manager, collect_name, &heap);
    for (size_t i = 0; i < heap.count; i++) {
        buf_add(&copy->reply, heap.names[i].text, heap.names[i].length);
        buf_add(&copy->reply, "\n", 1);
    }
    free(heap.names);
}

static void serve_signal(struct worker *worker, struct signal_copy *copy)
{
    struct signal *signal = copy->signal;
    switch (signal->verb) {
    case SIGNAL_CLOSE:
        connection_manager_each(worker->manager, &signal->address, close_one, copy);
        break;
    case SIGNAL_DESCRIBE:
        connection_manager_each(worker->manager, &signal->address, describe_one, copy);
        break;
    case SIGNAL_USERS:
        list_users(worker, copy);
        break;
    }
    broker_reply(copy);
}

/* ---- the inbox ---- */

static void deliver(struct worker *worker, struct message_record *record)
{
    connection_manager_deliver(worker->manager, record->message);
    message_unref(record->message);
    free(record);
}

static void run_task(struct task *task)
{
    task->fn(task->context);
    free(task);
}

static void handle(struct worker *worker, struct inbox_record *record)
{
    switch (record->kind) {
    case RECORD_MESSAGE:
        deliver(worker, (struct message_record *)record);
        break;
    case RECORD_CALL:
        broker_finish_call(record);
        break;
    case RECORD_SIGNAL:
        serve_signal(worker, (struct signal_copy *)record);
        break;
    case RECORD_DOUBT:
        log_warn("inbox full, sessions read on from the broker",
                 LOG_NUMBER("worker", worker->index));
        catch_up_doubt(worker->catch_up);
        break;
    case RECORD_TASK:
        run_task((struct task *)record);
        break;
    }
}

static bool drain(struct worker *worker)
{
    struct list records;
    list_init(&records);
    inbox_take(&worker->inbox, &records);
    bool some = !list_empty(&records);
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        handle(worker, record);
    }
    return some;
}

static void run_hooks(struct list *hooks)
{
    list_for_each_safe(hook, hooks, struct worker_hook, link)
        hook->run(hook);
}

/* Not by uv_async_send: a loop that runs before its waker has come back from that spins until it
 * has, which on a core they share is until its time slice ends. */
static void wake_worker(void *context)
{
    const struct worker *worker = context;
    eventfd_write(worker->wake_fd, 1);
}

/* Both before the loop sleeps and after it woke: timers may make work as well as sockets. */
static void end_turn(struct worker *worker)
{
    bool busy = true;
    for (int round = 0; busy && round < MAX_ROUNDS; round++) {
        worker->again = false;
        busy = drain(worker);
        if (round == 0)
            catch_up_run(worker->catch_up);
        run_hooks(&worker->turn_hooks);
        broker_flush(worker->broker);
        busy = busy || worker->again;
    }
    /* After the last round the inbox may hold what hooks have pushed, and nobody wakes for that. */
    if ((busy || catch_up_waiting(worker->catch_up)) && !worker->stopping)
        wake_worker(worker);
}

static void on_prepare(uv_prepare_t *handle)
{
    end_turn(handle->data);
}

static void on_check(uv_check_t *handle)
{
    end_turn(handle->data);
}

/* The turn's end does the work; this only ends the sleep. */
static void on_wake(uv_poll_t *handle, int status, int events)
{
    struct worker *worker = handle->data;
    eventfd_t times;
    (void)status;
    (void)events;
    eventfd_read(worker->wake_fd, &times);
}

static void on_second(uv_timer_t *handle)
{
    struct worker *worker = handle->data;
    atomic_store_explicit(&worker->turned_ms, clock_mono_ms(), memory_order_relaxed);
    run_hooks(&worker->second_hooks);
}

/* ---- life ---- */

static void init_handles(struct worker *worker)
{
    uv_loop_init(&worker->loop);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(worker->wake_fd >= 0);
    uv_poll_init(&worker->loop, &worker->wake, worker->wake_fd);
    uv_prepare_init(&worker->loop, &worker->prepare);
    uv_check_init(&worker->loop, &worker->check);
    uv_timer_init(&worker->loop, &worker->second);
    worker->prepare.data = worker->check.data = worker->second.data = worker->wake.data = worker;
    uv_poll_start(&worker->wake, UV_READABLE, on_wake);
    uv_prepare_start(&worker->prepare, on_prepare);
    uv_check_start(&worker->check, on_check);
    uv_timer_start(&worker->second, on_second, 1000, 1000);
}

struct worker *worker_create(int index, struct broker *broker, const struct catch_up_limits *limits)
{
    struct worker *worker = mem_alloc(sizeof *worker);
    atomic_init(&worker->turned_ms, clock_mono_ms());
    worker->index = index;
    worker->broker = broker;
    worker->manager = connection_manager_create(&worker->metrics);
    list_init(&worker->turn_hooks);
    list_init(&worker->second_hooks);
    init_handles(worker);
    inbox_init(&worker->inbox, INBOX_BYTES, RECORD_DOUBT, wake_worker, worker);
    worker->member = broker_join(broker, &worker->inbox);
    worker->catch_up =
        catch_up_create(worker->manager, broker, worker->member, &worker->metrics, limits);
    return worker;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    drain(worker);
    int busy = uv_loop_close(&worker->loop);
    assert(busy == 0);
    catch_up_destroy(worker->catch_up);
    connection_manager_destroy(worker->manager);
    inbox_finish(&worker->inbox);
    close(worker->wake_fd);
    free(worker);
}

static void run_loop(void *context)
{
    struct worker *worker = context;
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

void worker_start(struct worker *worker)
{
    int failed = uv_thread_create(&worker->thread, run_loop, worker);
    assert(!failed);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
}

void worker_call(struct worker *worker, void (*fn)(void *context), void *context)
{
    struct task *task = mem_alloc(sizeof *task);
    task->record.kind = RECORD_TASK;
    task->fn = fn;
    task->context = context;
    inbox_push(&worker->inbox, &task->record, false);
    inbox_wake(&worker->inbox);
}

void worker_stop(struct worker *worker)
{
    worker->stopping = true;
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->prepare, NULL);
    uv_close((uv_handle_t *)&worker->check, NULL);
    uv_close((uv_handle_t *)&worker->second, NULL);
}

void worker_on_turn(struct worker *worker, struct worker_hook *hook)
{
    list_append(&worker->turn_hooks, &hook->link);
}

void worker_again(struct worker *worker)
{
    worker->again = true;
}

void worker_on_second(struct worker *worker, struct worker_hook *hook)
{
    list_append(&worker->second_hooks, &hook->link);
}
