#include "engine/reactor.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/need.h"
#include "engine/broker.h"
#include "engine/catch_up.h"
#include "engine/presence.h"
#include "model/connection_manager.h"

/* What may pile up while the worker is busy; beyond it content becomes a doubt. */
#define INBOX_BYTES ((size_t)8 * 1024 * 1024)
#define MAX_ROUNDS  16

enum { RECORD_TASK = RECORD_OVERFLOW + 1 };

struct task {
    struct reactor_task base; /* first: run_task finds the rest */
    void (*fn)(void *context);
    void *context;
};

/* ---- the inbox ---- */

static void deliver(struct reactor *reactor, struct message_record *record)
{
    connection_manager_deliver(reactor->manager, record->message);
    message_unref(record->message);
    free(record);
}

static void serve_control(struct reactor *reactor, struct control_copy *copy)
{
    copy->sessions = presence_serve(reactor->manager, &copy->control, &copy->records);
    broker_reply(reactor->broker, copy);
}

static void run_task(struct reactor_task *base)
{
    struct task *task = (struct task *)base;
    task->fn(task->context);
    free(task);
}

static void handle(struct reactor *reactor, struct inbox_record *record)
{
    switch (record->kind) {
    case RECORD_MESSAGE:
        deliver(reactor, (struct message_record *)record);
        break;
    case RECORD_CALL:
        call_finish(record);
        break;
    case RECORD_CONTROL:
        serve_control(reactor, (struct control_copy *)record);
        break;
    case RECORD_OVERFLOW:
        log_warn("inbox full, sessions read on from the broker",
                 LOG_NUMBER("worker", reactor->index));
        catch_up_resync(reactor->catch_up);
        break;
    case RECORD_TASK:
        ((struct reactor_task *)record)->run((struct reactor_task *)record);
        break;
    }
}

static bool drain(struct reactor *reactor)
{
    struct list records;
    list_init(&records);
    inbox_take(&reactor->inbox, &records);
    bool some = !list_empty(&records);
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        handle(reactor, record);
    }
    return some;
}

static void run_hooks(struct list *hooks)
{
    list_for_each_safe(hook, hooks, struct reactor_hook, link)
        hook->run(hook);
}

/* Not by uv_async_send: a loop that runs before its waker has come back from that spins until it
 * has, which on a core they share is until its time slice ends. */
static void wake_worker(void *context)
{
    const struct reactor *reactor = context;
    eventfd_write(reactor->wake_fd, 1);
}

/* Both before the loop sleeps and after it woke: timers may make work as well as sockets. */
static void end_turn(struct reactor *reactor)
{
    bool busy = true;
    for (int round = 0; busy && round < MAX_ROUNDS; round++) {
        reactor->again = false;
        busy = drain(reactor);
        if (round == 0)
            catch_up_run(reactor->catch_up);
        for (int phase = 0; phase < TURN_PHASES; phase++)
            run_hooks(&reactor->turn_hooks[phase]);
        broker_flush(reactor->broker);
        busy = busy || reactor->again;
    }
    /* After the last round the inbox may hold what hooks have pushed, and nobody wakes for that. */
    if ((busy || catch_up_waiting(reactor->catch_up)) && !reactor->stopping)
        wake_worker(reactor);
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
    struct reactor *reactor = handle->data;
    eventfd_t times;
    (void)status;
    (void)events;
    eventfd_read(reactor->wake_fd, &times);
}

static void on_second(uv_timer_t *handle)
{
    struct reactor *reactor = handle->data;
    atomic_store_explicit(&reactor->turned_ms, clock_mono_ms(), memory_order_relaxed);
    run_hooks(&reactor->second_hooks);
}

/* ---- life ---- */

static void init_handles(struct reactor *reactor)
{
    need(uv_loop_init(&reactor->loop), "a worker's loop");
    reactor->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    need(reactor->wake_fd >= 0 ? 0 : errno, "a worker's wake-up");
    uv_poll_init(&reactor->loop, &reactor->wake, reactor->wake_fd);
    uv_prepare_init(&reactor->loop, &reactor->prepare);
    uv_check_init(&reactor->loop, &reactor->check);
    uv_timer_init(&reactor->loop, &reactor->second);
    reactor->prepare.data = reactor->check.data = reactor->second.data = reactor->wake.data =
        reactor;
    uv_poll_start(&reactor->wake, UV_READABLE, on_wake);
    uv_prepare_start(&reactor->prepare, on_prepare);
    uv_check_start(&reactor->check, on_check);
    uv_timer_start(&reactor->second, on_second, 1000, 1000);
}

struct reactor *reactor_create(int index, struct broker *broker,
                               const struct catch_up_limits *limits)
{
    struct reactor *reactor = mem_alloc(sizeof *reactor);
    atomic_init(&reactor->turned_ms, clock_mono_ms());
    reactor->index = index;
    reactor->broker = broker;
    reactor->manager = connection_manager_create(&reactor->metrics);
    for (int phase = 0; phase < TURN_PHASES; phase++)
        list_init(&reactor->turn_hooks[phase]);
    list_init(&reactor->second_hooks);
    init_handles(reactor);
    inbox_init(&reactor->inbox, INBOX_BYTES, RECORD_OVERFLOW, wake_worker, reactor);
    reactor->member = broker_join(broker, &reactor->inbox);
    reactor->catch_up =
        catch_up_create(reactor->manager, broker, reactor->member, &reactor->metrics, limits);
    return reactor;
}

void reactor_destroy(struct reactor *reactor)
{
    if (!reactor)
        return;
    drain(reactor);
    int busy = uv_loop_close(&reactor->loop);
    assert(busy == 0);
    catch_up_destroy(reactor->catch_up);
    connection_manager_destroy(reactor->manager);
    inbox_finish(&reactor->inbox);
    close(reactor->wake_fd);
    free(reactor);
}

static void run_loop(void *context)
{
    struct reactor *reactor = context;
    uv_run(&reactor->loop, UV_RUN_DEFAULT);
}

void reactor_start(struct reactor *reactor)
{
    need(uv_thread_create(&reactor->thread, run_loop, reactor), "a worker's thread");
}

void reactor_join(struct reactor *reactor)
{
    uv_thread_join(&reactor->thread);
}

void reactor_call(struct reactor *reactor, void (*fn)(void *context), void *context)
{
    struct task *task = mem_alloc(sizeof *task);
    task->base.run = run_task;
    task->fn = fn;
    task->context = context;
    reactor_hand(reactor, &task->base);
}

void reactor_hand(struct reactor *reactor, struct reactor_task *task)
{
    task->record.kind = RECORD_TASK;
    inbox_push(&reactor->inbox, &task->record, false);
    inbox_wake(&reactor->inbox);
}

void reactor_stop(struct reactor *reactor)
{
    reactor->stopping = true;
    uv_close((uv_handle_t *)&reactor->wake, NULL);
    uv_close((uv_handle_t *)&reactor->prepare, NULL);
    uv_close((uv_handle_t *)&reactor->check, NULL);
    uv_close((uv_handle_t *)&reactor->second, NULL);
}

void reactor_on_turn(struct reactor *reactor, enum reactor_phase phase, struct reactor_hook *hook)
{
    list_append(&reactor->turn_hooks[phase], &hook->link);
}

void reactor_again(struct reactor *reactor)
{
    reactor->again = true;
}

void reactor_on_second(struct reactor *reactor, struct reactor_hook *hook)
{
    list_append(&reactor->second_hooks, &hook->link);
}
