#include "engine/sqlite_reader_pool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/minmax.h"
#include "engine/broker.h"
#include "engine/memory_store.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_reader.h"
#include "engine/sqlite_shared.h"
#include "engine/sqlite_writer.h"

#define THREADS 2

struct sqlite_reader_pool {
    struct sqlite_shared *shared;
    pthread_t threads[THREADS];
};

/* Under the lock. */
static enum broker_end ask_file(struct sqlite_shared *shared, struct call *call,
                                enum sqlite_job job)
{
    if (!shared->up)
        return broker_answer(call, ERR_BROKER_DOWN);
    sqlite_shared_ask(shared, call, job);
    return BROKER_PENDING;
}

/* ---- read ---- */

/* What a cursor between two epochs has missed; 0: nothing. */
static uint64_t lost_upto(const struct sqlite_shared *shared, uint64_t cursor)
{
    size_t low = 0, high = shared->epoch_count; /* the first epoch that begins above the cursor */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shared->epochs[middle].first > cursor)
            high = middle;
        else
            low = middle + 1;
    }
    if (!cursor || low == shared->epoch_count || cursor <= shared->epochs[low].last)
        return 0;
    return shared->epochs[low].first - 1;
}

static void tell_lost_epoch(const struct sqlite_shared *shared, struct read_call *read)
{
    uint64_t lost = lost_upto(shared, read->after);
    for (size_t i = 0; lost && i < read->topic_count; i++)
        broker_tell_loss(&read->topics[i], lost);
}

/* Does memory hold all that is asked for, and know all that is lost of it? */
static bool is_recent(const struct sqlite_shared *shared, const struct read_call *read)
{
    uint64_t floor = max_u64(shared->window_floor, memory_store_floor(shared->window));
    for (size_t i = 0; i < read->topic_count; i++) {
        if (max_u64(read->after, read->topics[i].from) < floor)
            return false;
    }
    return true;
}

/* Under the lock: the part of the page that memory has. */
static int read_window(struct sqlite_shared *shared, struct read_call *read, uint64_t above)
{
    return memory_store_read(shared->window, read, above, sqlite_shared_expiry(shared))
               ? 0
               : ERR_OUT_OF_MEMORY;
}

/* Under the lock. 0 and *ret_done: the page is ready. */
static int read_now(struct sqlite_shared *shared, struct read_call *read, bool *ret_done)
{
    int err = 0;
    *ret_done = true;
    read->head = shared->head;
    read->above_head = !read->descending && read->after > shared->head;
    if (read->above_head)
        return 0;
    if (read->descending) {
        if (read->before > shared->window_floor + 1)
            err = read_window(shared, read, 0);
        read->upto = shared->window_floor;
        *ret_done = err || read->more || !read->upto;
        return err;
    }
    tell_lost_epoch(shared, read);
    *ret_done = is_recent(shared, read);
    return *ret_done ? read_window(shared, read, 0) : 0;
}

static void drop_page(struct read_call *read)
{
    while (read->count)
        message_unref(read->messages[--read->count]);
}

enum broker_end sqlite_reader_pool_read(struct sqlite_reader_pool *answers, struct read_call *read)
{
    struct sqlite_shared *shared = answers->shared;
    bool done;
    sqlite_shared_lock(shared);
    enum broker_end end = broker_answer(&read->call, read_now(shared, read, &done));
    if (!done) /* from here on it is the threads' */
        end = ask_file(shared, &read->call, SQLITE_READ);
    if (end == BROKER_ANSWERED && read->call.err)
        drop_page(read);
    sqlite_shared_unlock(shared);
    return end;
}

/* Ascending: the disk's part, then memory's. Until both meet, for the window may lose its lower
 * end while the disk is read. */
static int read_upwards(struct sqlite_shared *shared, struct sqlite_reader *reader,
                        struct read_call *read)
{
    for (;;) {
        sqlite_shared_lock(shared);
        uint64_t upto = shared->indexed_upto;
        sqlite_shared_unlock(shared);
        int err = sqlite_reader_read(reader, read, upto, sqlite_shared_expiry(shared));
        if (err || read->more)
            return err;
        sqlite_shared_lock(shared);
        bool meets = shared->window_floor <= upto;
        err = meets ? read_window(shared, read, upto) : 0;
        sqlite_shared_unlock(shared);
        read->more = read->more || (!meets && read->count);
        if (err || meets || read->count)
            return err;
    }
}

static void serve_read(struct sqlite_shared *shared, struct sqlite_reader *reader,
                       struct read_call *read)
{
    int err = ERR_BROKER_DOWN;
    if (reader && read->descending)
        err = sqlite_reader_read(reader, read, read->upto, sqlite_shared_expiry(shared));
    else if (reader)
        err = read_upwards(shared, reader, read);
    if (err)
        drop_page(read);
    read->call.err = (enum err)err;
}

/* ---- who is there ---- */

/* Under the lock. False: the disk has to be asked. */
static bool answer_from_memory(struct sqlite_shared *shared, struct inquiry *inquiry)
{
    bool all = true;
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct topic *topic = &inquiry->topics[i];
        bool online = dispatcher_is_online(&shared->dispatcher, topic, shared->options.mono_ms());
        int64_t seen_ms = online ? 0 : last_seen_find(&shared->last_seen, topic->hash);
        inquiry->presence[i] = (struct presence){
            .online = online,
            .sessions = dispatcher_sessions(&shared->dispatcher, topic),
            .last_seen_ms = seen_ms,
        };
        all = all && (online || seen_ms);
    }
    return all;
}

enum broker_end sqlite_reader_pool_inquire(struct sqlite_reader_pool *answers,
                                           struct inquiry *inquiry)
{
    struct sqlite_shared *shared = answers->shared;
    sqlite_shared_lock(shared);
    bool done = answer_from_memory(shared, inquiry) || !shared->up;
    if (!done)
        sqlite_shared_ask(shared, &inquiry->call, SQLITE_INQUIRY);
    sqlite_shared_unlock(shared);
    return done ? BROKER_ANSWERED : BROKER_PENDING;
}

static void serve_inquiry(struct sqlite_reader *reader, struct inquiry *inquiry)
{
    for (size_t i = 0; reader && i < inquiry->count; i++) {
        struct presence *presence = &inquiry->presence[i];
        if (!presence->online && !presence->last_seen_ms)
            presence->last_seen_ms = sqlite_reader_last_seen(reader, &inquiry->topics[i]);
    }
}

/* ---- devices and single messages ---- */

/* Under the lock: what moved lately is known without the disk. */
static bool use_moved(struct sqlite_shared *shared, struct device_call *call)
{
    struct device *device =
        devices_find(&shared->devices, call->user.hash, call->device, call->length);
    if (!device)
        return false;
    call->found = true;
    if (call->verb == DEVICE_ACK)
        devices_move(&shared->devices, call->user.hash, call->device, call->length, call->cursor,
                     shared->options.wall_ms());
    call->cursor = device->cursor;
    return true;
}

/* Under the lock: it is known to be on disk. */
static int move_device(struct sqlite_shared *shared, struct device_call *call)
{
    return devices_move(&shared->devices, call->user.hash, call->device, call->length, call->cursor,
                        shared->options.wall_ms())
               ? 0
               : ERR_OUT_OF_MEMORY;
}

enum broker_end sqlite_reader_pool_device(struct sqlite_reader_pool *answers,
                                          struct device_call *call)
{
    struct sqlite_shared *shared = answers->shared;
    enum broker_end end = BROKER_PENDING;
    sqlite_shared_lock(shared);
    call->cursor = min_u64(call->cursor, shared->head);
    if (call->verb == DEVICE_FORGET)
        sqlite_shared_commit(shared, &call->call, SQLITE_DEVICE);
    else if (use_moved(shared, call))
        end = BROKER_ANSWERED;
    else if (call->verb == DEVICE_ACK && !call->call.done)
        end = broker_answer(&call->call, move_device(shared, call));
    else
        end = ask_file(shared, &call->call, SQLITE_FIND_DEVICE);
    sqlite_shared_unlock(shared);
    return end;
}

/* False: the committer goes on with it. */
static bool find_device(struct sqlite_shared *shared, struct sqlite_reader *reader,
                        struct device_call *call)
{
    uint64_t cursor = 0;
    bool on_disk = false;
    call->call.err =
        reader ? (enum err)sqlite_reader_device(reader, call, &on_disk, &cursor) : ERR_BROKER_DOWN;
    if (call->call.err)
        return true;
    sqlite_shared_lock(shared);
    bool moved = use_moved(shared, call);
    if (call->verb == DEVICE_ACK && on_disk && !moved)
        call->call.err = (enum err)move_device(shared, call);
    if (call->verb == DEVICE_OPEN && on_disk && (!moved || cursor > call->cursor))
        call->cursor = cursor;
    call->found = on_disk || moved;
    bool done = call->found || call->verb == DEVICE_ACK;
    if (!done)
        sqlite_shared_commit(shared, &call->call, SQLITE_DEVICE);
    sqlite_shared_unlock(shared);
    sqlite_shared_flush(shared); /* there is no turn to end here */
    return done;
}

enum broker_end sqlite_reader_pool_lookup(struct sqlite_reader_pool *answers, struct lookup *lookup)
{
    struct sqlite_shared *shared = answers->shared;
    lookup->durable = true;
    sqlite_shared_lock(shared);
    enum broker_end end = ask_file(shared, &lookup->call, SQLITE_LOOKUP);
    sqlite_shared_unlock(shared);
    return end;
}

/* What moved lately first, and then what is on disk: cursors go from memory to the file, and one
 * that goes meanwhile is found twice, not missed. */
static int find_acks(struct sqlite_shared *shared, struct sqlite_reader *reader,
                     struct lookup *lookup)
{
    sqlite_shared_lock(shared);
    bool done = broker_add_acks(lookup, &shared->devices);
    sqlite_shared_unlock(shared);
    return done ? sqlite_reader_acks(reader, lookup) : ERR_OUT_OF_MEMORY;
}

static void serve_lookup(struct sqlite_shared *shared, struct sqlite_reader *reader,
                         struct lookup *lookup)
{
    int err = reader ? sqlite_reader_lookup(reader, lookup, sqlite_shared_expiry(shared))
                     : ERR_BROKER_DOWN;
    if (!err && lookup->message)
        err = find_acks(shared, reader, lookup);
    lookup->call.err = (enum err)err;
}

/* ---- the readers' threads ---- */

static struct sqlite_reader *open_reader(struct sqlite_shared *shared)
{
    struct sqlite_file_error error = {""};
    struct sqlite_reader *reader = sqlite_reader_open(shared->options.folder, &error);
    if (!reader)
        log_error("the data folder cannot be read", LOG_TEXT("why", error.text));
    return reader;
}

/* False: it is not answered yet. */
static bool serve(struct sqlite_shared *shared, struct sqlite_reader *reader, struct call *call)
{
    switch ((enum sqlite_job)call->record.kind) {
    case SQLITE_READ:
        serve_read(shared, reader, (struct read_call *)call);
        return true;
    case SQLITE_INQUIRY:
        serve_inquiry(reader, (struct inquiry *)call);
        return true;
    case SQLITE_FIND_DEVICE:
        return find_device(shared, reader, (struct device_call *)call);
    case SQLITE_LOOKUP:
        serve_lookup(shared, reader, (struct lookup *)call);
        return true;
    default: /* the committer's */
        assert(false);
        return true;
    }
}

/* Under the lock. NULL: it is the end. */
static struct call *next_question(struct sqlite_shared *shared)
{
    while (list_empty(&shared->read_queue) && !shared->stopping)
        pthread_cond_wait(&shared->has_reads, &shared->mutex);
    if (list_empty(&shared->read_queue))
        return NULL;
    struct call *call = list_first(&shared->read_queue, struct call, record.link);
    list_remove(&call->record.link);
    return call;
}

static void *read_loop(void *context)
{
    struct sqlite_shared *shared = context;
    struct sqlite_reader *reader = NULL;
    unsigned known = 0;
    for (;;) {
        sqlite_shared_lock(shared);
        struct call *call = next_question(shared);
        unsigned generation = shared->generation;
        sqlite_shared_unlock(shared);
        if (!call)
            break;
        if (!reader || generation != known) {
            sqlite_reader_close(reader);
            reader = open_reader(shared);
            known = generation;
        }
        bool answered = serve(shared, reader, call);
        sqlite_shared_lock(shared);
        if (answered)
            dispatcher_answer(&shared->dispatcher, call);
        sqlite_shared_unlock(shared);
    }
    sqlite_reader_close(reader);
    return NULL;
}

struct sqlite_reader_pool *sqlite_reader_pool_create(struct sqlite_shared *shared)
{
    struct sqlite_reader_pool *answers = mem_alloc(sizeof *answers);
    answers->shared = shared;
    for (size_t i = 0; i < THREADS; i++)
        sqlite_shared_start(&answers->threads[i], read_loop, shared);
    return answers;
}

void sqlite_reader_pool_destroy(struct sqlite_reader_pool *answers)
{
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(answers->threads[i], NULL);
    free(answers);
}
