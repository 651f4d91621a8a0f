#include "engine/sqlite_reader_pool.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/minmax.h"
#include "base/need.h"
#include "engine/call.h"
#include "engine/mailboxes.h"
#include "engine/sqlite_clock.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_reader.h"
#include "engine/sqlite_state.h"
#include "engine/sqlite_writer.h"

#define THREADS 2

/* While a call waits, its record.kind. */
enum question { ASK_READ, ASK_LAST_SEEN, ASK_DEVICE, ASK_LOOKUP };

struct sqlite_reader_pool {
    struct sqlite_store *sqlite;
    pthread_t threads[THREADS];
};

/* Under the lock. */
static enum broker_end ask_file(struct sqlite_store *sqlite, struct call *call,
                                enum question question)
{
    if (!sqlite->store.up)
        return call_answer(call, ERR_BROKER_DOWN);
    call->record.kind = (int)question;
    list_append(&sqlite->questions, &call->record.link);
    return BROKER_PENDING;
}

/* ---- read ---- */

/* What a cursor between two epochs has missed; 0: nothing. */
static uint64_t lost_upto(const struct sqlite_store *sqlite, uint64_t cursor)
{
    size_t low = 0, high = sqlite->epoch_count; /* the first epoch that begins above the cursor */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sqlite->epochs[middle].first > cursor)
            high = middle;
        else
            low = middle + 1;
    }
    if (!cursor || low == sqlite->epoch_count || cursor <= sqlite->epochs[low].last)
        return 0;
    return sqlite->epochs[low].first - 1;
}

static void tell_lost_epoch(const struct sqlite_store *sqlite, struct read_call *read)
{
    uint64_t lost = lost_upto(sqlite, read->after);
    for (size_t i = 0; lost && i < read->topic_count; i++)
        read_tell_loss(&read->topics[i], lost);
}

/* Does memory hold all that is asked for, and know all that is lost of it? */
static bool is_recent(const struct sqlite_store *sqlite, const struct read_call *read)
{
    uint64_t floor = max_u64(sqlite->window_floor, mailboxes_floor(sqlite->window));
    for (size_t i = 0; i < read->topic_count; i++) {
        if (max_u64(read->after, read->topics[i].from) < floor)
            return false;
    }
    return true;
}

/* Under the lock: the part of the page that memory has. */
static int read_window(struct sqlite_store *sqlite, struct read_call *read, uint64_t above)
{
    return mailboxes_read(sqlite->window, read, above, sqlite_clock_expiry(sqlite))
               ? 0
               : ERR_OUT_OF_MEMORY;
}

/* Under the lock. 0 and *ret_done: the page is ready. */
static int read_now(struct sqlite_store *sqlite, struct read_call *read, bool *ret_done)
{
    int err = 0;
    *ret_done = true;
    if (read->descending) {
        if (read->before > sqlite->window_floor + 1)
            err = read_window(sqlite, read, 0);
        read->upto = sqlite->window_floor;
        *ret_done = err || read->more || !read->upto;
        return err;
    }
    tell_lost_epoch(sqlite, read);
    *ret_done = is_recent(sqlite, read);
    return *ret_done ? read_window(sqlite, read, 0) : 0;
}

static void drop_page(struct read_call *read)
{
    while (read->count)
        message_unref(read->messages[--read->count]);
}

enum broker_end sqlite_reader_pool_read(struct store *store, struct read_call *read)
{
    struct sqlite_store *sqlite = (struct sqlite_store *)store;
    bool done;
    enum broker_end end = call_answer(&read->call, read_now(sqlite, read, &done));
    if (!done) /* from here on it is the threads' */
        end = ask_file(sqlite, &read->call, ASK_READ);
    if (end == BROKER_ANSWERED && read->call.err)
        drop_page(read);
    return end;
}

/* Ascending: the disk's part, then memory's. Until both meet, for the window may lose its lower
 * end while the disk is read. */
static int read_upwards(struct sqlite_store *sqlite, struct sqlite_reader *reader,
                        struct read_call *read)
{
    for (;;) {
        store_lock(&sqlite->store);
        uint64_t upto = sqlite->indexed_upto;
        store_unlock(&sqlite->store);
        int err = sqlite_reader_read(reader, read, upto, sqlite_clock_expiry(sqlite));
        if (err || read->more)
            return err;
        store_lock(&sqlite->store);
        bool meets = sqlite->window_floor <= upto;
        err = meets ? read_window(sqlite, read, upto) : 0;
        store_unlock(&sqlite->store);
        read->more = read->more || (!meets && read->count);
        if (err || meets || read->count)
            return err;
    }
}

static void serve_read(struct sqlite_store *sqlite, struct sqlite_reader *reader,
                       struct read_call *read)
{
    int err = ERR_BROKER_DOWN;
    if (reader && read->descending)
        err = sqlite_reader_read(reader, read, read->upto, sqlite_clock_expiry(sqlite));
    else if (reader)
        err = read_upwards(sqlite, reader, read);
    if (err)
        drop_page(read);
    read->call.err = (enum err)err;
}

/* ---- who is there ---- */

enum broker_end sqlite_reader_pool_last_seen(struct store *store, struct inquiry *inquiry)
{
    return ask_file((struct sqlite_store *)store, &inquiry->call, ASK_LAST_SEEN);
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
static bool use_moved(struct sqlite_store *sqlite, struct device_call *call)
{
    struct device *device =
        devices_find(&sqlite->devices, call->user.hash, call->device, call->length);
    if (!device)
        return false;
    call->found = true;
    if (call->verb == DEVICE_ACK)
        devices_move(&sqlite->devices, call->user.hash, call->device, call->length, call->cursor,
                     sqlite->options.wall_ms());
    call->cursor = device->cursor;
    return true;
}

/* Under the lock: it is known to be on disk. */
static int move_device(struct sqlite_store *sqlite, struct device_call *call)
{
    return devices_move(&sqlite->devices, call->user.hash, call->device, call->length, call->cursor,
                        sqlite->options.wall_ms())
               ? 0
               : ERR_OUT_OF_MEMORY;
}

enum broker_end sqlite_reader_pool_device(struct store *store, struct device_call *call)
{
    struct sqlite_store *sqlite = (struct sqlite_store *)store;
    if (call->verb == DEVICE_FORGET) {
        store_write(store, call);
        return BROKER_PENDING;
    }
    if (use_moved(sqlite, call))
        return BROKER_ANSWERED;
    if (call->verb == DEVICE_ACK && !call->call.done)
        return call_answer(&call->call, move_device(sqlite, call));
    return ask_file(sqlite, &call->call, ASK_DEVICE);
}

/* False: it is to be written. */
static bool find_device(struct sqlite_store *sqlite, struct sqlite_reader *reader,
                        struct device_call *call)
{
    uint64_t cursor = 0;
    bool on_disk = false;
    call->call.err =
        reader ? (enum err)sqlite_reader_device(reader, call, &on_disk, &cursor) : ERR_BROKER_DOWN;
    if (call->call.err)
        return true;
    store_lock(&sqlite->store);
    bool moved = use_moved(sqlite, call);
    if (call->verb == DEVICE_ACK && on_disk && !moved)
        call->call.err = (enum err)move_device(sqlite, call);
    if (call->verb == DEVICE_OPEN && on_disk && (!moved || cursor > call->cursor))
        call->cursor = cursor;
    call->found = on_disk || moved;
    bool done = call->found || call->verb == DEVICE_ACK;
    if (!done)
        store_write(&sqlite->store, call);
    store_unlock(&sqlite->store);
    return done;
}

enum broker_end sqlite_reader_pool_find(struct store *store, struct lookup *lookup)
{
    return ask_file((struct sqlite_store *)store, &lookup->call, ASK_LOOKUP);
}

/* What moved lately first, and then what is on disk: cursors go from memory to the file, and one
 * that goes meanwhile is found twice, not missed. */
static int find_acks(struct sqlite_store *sqlite, struct sqlite_reader *reader,
                     struct lookup *lookup)
{
    store_lock(&sqlite->store);
    bool done = lookup_add_acks(lookup, &sqlite->devices);
    store_unlock(&sqlite->store);
    return done ? sqlite_reader_acks(reader, lookup) : ERR_OUT_OF_MEMORY;
}

static void serve_lookup(struct sqlite_store *sqlite, struct sqlite_reader *reader,
                         struct lookup *lookup)
{
    int err = reader ? sqlite_reader_lookup(reader, lookup, sqlite_clock_expiry(sqlite))
                     : ERR_BROKER_DOWN;
    if (!err && lookup->message)
        err = find_acks(sqlite, reader, lookup);
    lookup->call.err = (enum err)err;
}

/* ---- the readers' threads ---- */

static struct sqlite_reader *open_reader(struct sqlite_store *sqlite)
{
    struct sqlite_file_error error = {""};
    struct sqlite_reader *reader = sqlite_reader_open(sqlite->options.folder, &error);
    if (!reader)
        log_error("the data folder cannot be read", LOG_TEXT("why", error.text));
    return reader;
}

/* False: it is not answered yet. */
static bool serve(struct sqlite_store *sqlite, struct sqlite_reader *reader, struct call *call)
{
    switch ((enum question)call->record.kind) {
    case ASK_READ:
        serve_read(sqlite, reader, (struct read_call *)call);
        return true;
    case ASK_LAST_SEEN:
        serve_inquiry(reader, (struct inquiry *)call);
        return true;
    case ASK_DEVICE:
        return find_device(sqlite, reader, (struct device_call *)call);
    case ASK_LOOKUP:
        serve_lookup(sqlite, reader, (struct lookup *)call);
        return true;
    }
    return true;
}

/* Under the lock. NULL: it is the end. */
static struct call *next_question(struct sqlite_store *sqlite)
{
    while (list_empty(&sqlite->questions) && !sqlite->stopping)
        store_wait(&sqlite->store, &sqlite->has_questions);
    if (list_empty(&sqlite->questions))
        return NULL;
    struct call *call = list_first(&sqlite->questions, struct call, record.link);
    list_remove(&call->record.link);
    return call;
}

static void *read_loop(void *context)
{
    struct sqlite_store *sqlite = context;
    struct sqlite_reader *reader = NULL;
    unsigned known = 0;
    for (;;) {
        store_lock(&sqlite->store);
        struct call *call = next_question(sqlite);
        unsigned generation = sqlite->generation;
        store_unlock(&sqlite->store);
        if (!call)
            break;
        if (!reader || generation != known) {
            sqlite_reader_close(reader);
            reader = open_reader(sqlite);
            known = generation;
        }
        bool answered = serve(sqlite, reader, call);
        store_lock(&sqlite->store);
        if (answered)
            store_answer(&sqlite->store, call);
        store_unlock(&sqlite->store);
        store_wake(&sqlite->store);
    }
    sqlite_reader_close(reader);
    return NULL;
}

struct sqlite_reader_pool *sqlite_reader_pool_create(struct sqlite_store *sqlite)
{
    struct sqlite_reader_pool *pool = mem_alloc(sizeof *pool);
    pool->sqlite = sqlite;
    for (size_t i = 0; i < THREADS; i++)
        need(pthread_create(&pool->threads[i], NULL, read_loop, sqlite), "a reader's thread");
    return pool;
}

void sqlite_reader_pool_asked(struct store *store)
{
    pthread_cond_signal(&((struct sqlite_store *)store)->has_questions);
}

void sqlite_reader_pool_stop(struct store *store)
{
    struct sqlite_store *sqlite = (struct sqlite_store *)store;
    struct sqlite_reader_pool *pool = sqlite->readers;
    store_lock(store);
    sqlite->stopping = true;
    pthread_cond_broadcast(&sqlite->has_questions);
    store_unlock(store);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool);
}
