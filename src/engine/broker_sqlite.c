#include "engine/broker_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/minmax.h"
#include "engine/broker.h"
#include "engine/devices.h"
#include "engine/dispatcher.h"
#include "engine/mail_index.h"
#include "engine/memory_store.h"
#include "engine/sightings.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_keeper.h"
#include "engine/sqlite_reader.h"
#include "engine/sqlite_writer.h"
#include "model/idempotency.h"

#define READERS        2
#define MAX_BATCH      2000
#define LET_IN         128
#define SLICE_US       2000
#define LONG_SLICE_US  20000
#define QUIET_MS       1000
#define SECOND_MS      1000
#define SEEN_EVERY_S   60
#define JOIN_SECONDS   5
#define DAY_MS         ((int64_t)24 * 3600 * 1000)
#define DISTRUST_MS    ((int64_t)3600 * 1000)
#define LOG_BYTES_MAX  ((uint64_t)64 * 1024 * 1024)
#define PAGE_BYTES     4096
#define ID_CLOCK_SHIFT 20

/* What waits in the writer's and the readers' queues. */
enum job_kind {
    JOB_PUBLISH,
    JOB_ERASE,
    JOB_DEVICE,
    JOB_READ,
    JOB_INQUIRY,
    JOB_FIND_DEVICE,
    JOB_LOOKUP
};

struct broker_sqlite {
    struct broker broker;
    struct broker_sqlite_options options;
    int lock;
    int64_t age_offset_ms; /* wall clock at start less the monotonic clock */
    int64_t distrusted_until_ms;
    struct life *lives; /* never change after the start */
    size_t life_count;

    pthread_mutex_t mutex; /* guards all up to the next gap: the sequencer */
    struct dispatcher dispatcher;
    struct memory_store *window; /* all that is kept and above window_floor */
    uint64_t window_floor;       /* never above indexed_upto */
    uint64_t indexed_upto;
    uint64_t head;  /* last id dispatched */
    uint64_t shown; /* the last of those that are kept */
    struct list jobs;
    struct list reads;
    pthread_cond_t has_jobs;
    pthread_cond_t has_reads;
    struct sightings sightings;
    struct devices devices; /* that moved since they were last written */
    uint64_t messages;
    uint64_t bytes;
    uint64_t disk_free;
    unsigned generation; /* of the open file; readers follow */
    bool up;
    bool stopping;

    /* The writer's own. */
    struct sqlite_writer *writer; /* NULL: down */
    struct sqlite_keeper *keeper;
    struct idempotency *keys;
    uint64_t last;       /* last id given */
    uint64_t last_noted; /* of those not kept, what the file knows */
    int64_t published_at_ms;
    int64_t second_at_ms;
    int64_t rest_until_ms; /* from housekeeping, after it failed */
    int seconds;
    bool no_room;
    bool late; /* more waits for the index than memory is meant for */
    pthread_t threads[1 + READERS];
};

/* One commit's worth. */
struct batch {
    struct call *jobs[MAX_BATCH];
    size_t count;
    uint64_t last_before;
    int err; /* why what was to be kept is not */
};

static struct broker_sqlite *self(struct broker *broker)
{
    return (struct broker_sqlite *)broker;
}

/* Age runs by this clock: a wall clock that jumps ages nothing. */
static int64_t age_ms(const struct broker_sqlite *sqlite)
{
    return clock_mono_ms() + sqlite->age_offset_ms;
}

/* What counts as past its time; nothing does while the clock is not trusted. */
static int64_t expiry_ms(const struct broker_sqlite *sqlite)
{
    return clock_mono_ms() < sqlite->distrusted_until_ms ? 0 : age_ms(sqlite);
}

static void lock(struct broker_sqlite *sqlite)
{
    pthread_mutex_lock(&sqlite->mutex);
}

static void unlock(struct broker_sqlite *sqlite)
{
    pthread_mutex_unlock(&sqlite->mutex);
}

/* ---- the writer: one batch ---- */

/* Before whatever a job writes: nothing can be, once something of the batch has failed. adds: it
 * takes room. */
static int begin(struct broker_sqlite *sqlite, struct batch *batch, bool adds)
{
    if (batch->err)
        return batch->err;
    if (!sqlite->writer)
        return ERR_BROKER_DOWN;
    if (adds && sqlite->no_room)
        return ERR_NO_ROOM;
    return batch->err = sqlite_writer_begin(sqlite->writer);
}

static int append(struct broker_sqlite *sqlite, struct batch *batch, const struct publish *publish)
{
    int err = begin(sqlite, batch, true);
    if (err)
        return err;
    batch->err = sqlite_writer_add(sqlite->writer, publish->message);
    if (!batch->err && publish->key)
        batch->err =
            sqlite_writer_add_key(sqlite->writer, publish->message->id, publish->key, true);
    return batch->err;
}

/* Gives the message its number and its place in the log. */
static int sequence(struct broker_sqlite *sqlite, struct batch *batch, struct publish *publish)
{
    int64_t wall_ms = sqlite->options.wall_ms();
    bool keeps = publish->draft.ttl_ms > 0;
    int err = broker_check_key(publish, sqlite->keys, clock_mono_ms());
    publish->durable = publish->kept; /* of a duplicate */
    if (err || publish->duplicate)
        return err;
    uint64_t id = broker_next_id(sqlite->last, wall_ms);
    message_number(publish->message, id, wall_ms, age_ms(sqlite) + publish->draft.ttl_ms);
    if (publish->key && !idempotency_add(sqlite->keys, publish->key, id, keeps, clock_mono_ms()))
        return ERR_OUT_OF_MEMORY;
    if (keeps && (err = append(sqlite, batch, publish))) {
        if (publish->key)
            idempotency_remove(sqlite->keys, publish->key);
        return err;
    }
    publish->id = sqlite->last = id;
    publish->kept = publish->durable = keeps;
    return 0;
}

static int erase_filed(struct broker_sqlite *sqlite, struct batch *batch, struct erase *erase)
{
    int err = begin(sqlite, batch, false);
    if (err)
        return err;
    batch->err = sqlite_writer_erase(sqlite->writer, &erase->address, sqlite->last, age_ms(sqlite),
                                     &erase->erased);
    return batch->err;
}

/* A device is on disk before its session hears of it. */
static int file_device(struct broker_sqlite *sqlite, struct batch *batch, struct device_call *call)
{
    bool opens = call->verb == DEVICE_OPEN;
    int err = begin(sqlite, batch, opens);
    if (err)
        return err;
    if (opens && !sqlite_writer_takes_devices(sqlite->writer))
        return ERR_NO_ROOM; /* which is nobody else's trouble */
    if (!call->has_cursor)
        call->cursor = 0;
    struct device device = {
        .user = call->user.hash,
        .cursor = call->cursor,
        .moved_at_ms = sqlite->options.wall_ms(),
        .length = call->length,
    };
    memcpy(device.name, call->device, call->length);
    if (opens)
        batch->err =
            sqlite_writer_open_device(sqlite->writer, &device, sqlite->options.devices_per_user);
    else
        batch->err = sqlite_writer_forget_device(sqlite->writer, &device, &call->found);
    return batch->err;
}

static void do_job(struct broker_sqlite *sqlite, struct batch *batch, struct call *call)
{
    if (call->record.kind == JOB_PUBLISH) {
        struct publish *publish = (struct publish *)call;
        publish->err = (enum err)sequence(sqlite, batch, publish);
    } else if (call->record.kind == JOB_DEVICE) {
        struct device_call *device = (struct device_call *)call;
        device->err = (enum err)file_device(sqlite, batch, device);
    } else {
        struct erase *erase = (struct erase *)call;
        erase->err = (enum err)erase_filed(sqlite, batch, erase);
    }
}

static void commit(struct broker_sqlite *sqlite, struct batch *batch)
{
    int64_t began_us = clock_mono_us();
    if (batch->err || !sqlite->writer || !sqlite_writer_in_transaction(sqlite->writer))
        return;
    batch->err = sqlite_writer_commit(sqlite->writer);
    metrics_observe(&sqlite->options.metrics->commit_seconds, clock_mono_us() - began_us);
}

/* Nothing of the batch is kept: neither what it added nor what it would repeat. */
static void take_back(struct broker_sqlite *sqlite, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct publish *publish = (struct publish *)batch->jobs[i];
        if (batch->jobs[i]->record.kind == JOB_ERASE) {
            ((struct erase *)batch->jobs[i])->err = (enum err)batch->err;
            continue;
        }
        if (batch->jobs[i]->record.kind == JOB_DEVICE) {
            ((struct device_call *)batch->jobs[i])->err = (enum err)batch->err;
            continue;
        }
        if (publish->err || !publish->kept || publish->id <= batch->last_before)
            continue;
        if (publish->key && !publish->duplicate)
            idempotency_remove(sqlite->keys, publish->key);
        publish->err = (enum err)batch->err;
    }
}

/* Under the lock. False: out of memory; what is on disk and not in the window is removed when the
 * file is opened anew. */
static bool show(struct broker_sqlite *sqlite, struct publish *publish)
{
    struct message *message = publish->message;
    if (publish->kept && (!sqlite_writer_note(sqlite->writer, message) ||
                          !memory_store_add(sqlite->window, message)))
        return false;
    sqlite->head = message->id;
    if (publish->kept)
        sqlite->shown = message->id;
    dispatcher_send(&sqlite->dispatcher, DISPATCHER_NOBODY, message, publish->delivered);
    return true;
}

/* Under the lock: what limits took from the file, memory must not show. */
static void cut_window(struct broker_sqlite *sqlite)
{
    size_t count;
    const struct mail_cut *cuts = sqlite_writer_take_cuts(sqlite->writer, &count);
    for (size_t i = 0; i < count; i++)
        memory_store_cut(sqlite->window, cuts[i].hash, cuts[i].upto, cuts[i].told_upto);
}

/* Under the lock: what the index has needs no memory beyond recent_bytes, nor once it is gone. */
static void trim_window(struct broker_sqlite *sqlite)
{
    const struct message *oldest;
    uint64_t gone_upto = sqlite->writer ? sqlite_writer_gone_upto(sqlite->writer) : 0;
    while ((oldest = memory_store_oldest(sqlite->window)) && oldest->id <= sqlite->indexed_upto &&
           (oldest->id <= gone_upto ||
            memory_store_bytes(sqlite->window) > sqlite->options.recent_bytes)) {
        sqlite->window_floor = oldest->id;
        memory_store_forget_oldest(sqlite->window);
    }
}

static void finish_publish(struct broker_sqlite *sqlite, struct batch *batch,
                           struct publish *publish)
{
    if (!publish->err && !publish->duplicate) {
        if (batch->err == ERR_OUT_OF_MEMORY || !show(sqlite, publish))
            publish->err = (enum err)(batch->err = ERR_OUT_OF_MEMORY);
    }
    message_unref(publish->message);
    dispatcher_answer(&sqlite->dispatcher, &publish->call);
}

static void finish_erase(struct broker_sqlite *sqlite, struct erase *erase)
{
    if (!erase->err)
        memory_store_erase(sqlite->window, &erase->address, sqlite->last, age_ms(sqlite));
    dispatcher_answer(&sqlite->dispatcher, &erase->call);
}

static void finish_device(struct broker_sqlite *sqlite, struct device_call *call)
{
    if (!call->err && call->verb == DEVICE_FORGET)
        devices_forget(&sqlite->devices, call->user.hash, call->device, call->length);
    dispatcher_answer(&sqlite->dispatcher, &call->call);
}

static void finish_job(struct broker_sqlite *sqlite, struct batch *batch, struct call *call)
{
    if (call->record.kind == JOB_PUBLISH)
        finish_publish(sqlite, batch, (struct publish *)call);
    else if (call->record.kind == JOB_DEVICE)
        finish_device(sqlite, (struct device_call *)call);
    else
        finish_erase(sqlite, (struct erase *)call);
}

/* The messages first, in id order, then the answers: each inbox has them in this order. */
static void finish(struct broker_sqlite *sqlite, struct batch *batch)
{
    lock(sqlite);
    for (size_t i = 0; i < batch->count; i++) {
        finish_job(sqlite, batch, batch->jobs[i]);
        if (i % LET_IN == LET_IN - 1) { /* whoever waits for the lock */
            unlock(sqlite);
            lock(sqlite);
        }
    }
    if (sqlite->writer) {
        sqlite->indexed_upto = sqlite_writer_indexed_upto(sqlite->writer);
        sqlite->messages = sqlite_writer_messages(sqlite->writer);
        sqlite->bytes = sqlite_writer_bytes(sqlite->writer);
        cut_window(sqlite);
    }
    trim_window(sqlite);
    sqlite->late = memory_store_bytes(sqlite->window) > sqlite->options.recent_bytes;
    unlock(sqlite);
}

/* ---- the writer: opening the file anew ---- */

struct reload {
    struct broker_sqlite *sqlite;
    struct memory_store *window;
};

static const struct memory_store_limits unlimited = {SIZE_MAX, UINT64_MAX, UINT64_MAX};

static bool reload_message(void *context, struct message *message)
{
    struct reload *reload = context;
    return memory_store_add(reload->window, message);
}

static void reload_erased(void *context, const struct address *address, uint64_t upto)
{
    struct reload *reload = context;
    memory_store_erase(reload->window, address, upto, age_ms(reload->sqlite));
}

static bool reload_key(void *context, const struct idempotency_key *key, uint64_t id, bool kept)
{
    struct broker_sqlite *sqlite = context;
    int64_t age = age_ms(sqlite) - (int64_t)(id >> ID_CLOCK_SHIFT);
    uint64_t known_id;
    bool known_kept;
    int64_t then_ms = clock_mono_ms() - (age > 0 ? age : 0);
    if (idempotency_find(sqlite->keys, key, then_ms, &known_id, &known_kept) != IDEMPOTENCY_NEW)
        return true;
    return idempotency_add(sqlite->keys, key, id, kept, then_ms);
}

static void use_window(struct broker_sqlite *sqlite, struct memory_store *window)
{
    lock(sqlite);
    memory_store_destroy(sqlite->window);
    sqlite->window = window;
    sqlite->window_floor = sqlite->indexed_upto = sqlite_writer_indexed_upto(sqlite->writer);
    sqlite->messages = sqlite_writer_messages(sqlite->writer);
    sqlite->generation++;
    sqlite->up = true;
    unlock(sqlite);
}

/* The file is open; takes over what it knows. */
static int reload(struct broker_sqlite *sqlite)
{
    struct reload reload = {sqlite, memory_store_create(&unlimited, 0)};
    int err = sqlite_writer_load_tail(sqlite->writer, reload_message, reload_erased, &reload);
    if (err)
        memory_store_destroy(reload.window);
    else
        use_window(sqlite, reload.window);
    return err;
}

static struct sqlite_writer *open_writer(const struct broker_sqlite *sqlite,
                                         struct sqlite_file_error *ret_error)
{
    const struct broker_sqlite_options *options = &sqlite->options;
    return sqlite_writer_open(
        &(struct sqlite_writer_options){
            .folder = options->folder,
            .full_sync = options->full_sync,
            .recent_bytes = options->recent_bytes,
            .index = {options->keep_messages, options->keep_bytes},
            .retention = {options->keep_total, options->idempotency_ttl_ms,
                          options->idempotency_entries},
        },
        ret_error);
}

static void close_file(struct broker_sqlite *sqlite)
{
    sqlite_writer_close(sqlite->writer);
    sqlite->writer = NULL;
    lock(sqlite);
    sqlite->up = false;
    unlock(sqlite);
}

/* What may be on disk though its publishers were told otherwise is removed: meanwhile messages that
 * are not kept have got higher ids, and whoever has seen those would miss it. failed: the disk did.
 */
static void reopen_file(struct broker_sqlite *sqlite, bool failed)
{
    struct sqlite_file_error error = {""};
    sqlite->writer = open_writer(sqlite, &error);
    if (!sqlite->writer) {
        log_error("the data folder cannot be opened, trying again", LOG_TEXT("why", error.text));
        return;
    }
    if (!sqlite_writer_use_hash_key(sqlite->writer, false) ||
        (failed && sqlite_writer_leave_log(sqlite->writer) != 0) ||
        sqlite_writer_take_back(sqlite->writer, sqlite->shown) != 0 || reload(sqlite) != 0) {
        close_file(sqlite);
        return;
    }
    log_info("the data folder is open again", LOG_NUMBER("messages", sqlite->messages));
}

/* ---- the writer: once a second ---- */

static void note_room(struct broker_sqlite *sqlite, bool room)
{
    if (room != sqlite->no_room)
        return;
    sqlite->no_room = !room;
    if (room)
        log_info("the disk has room again", LOG_NUMBER("free", sqlite->disk_free));
    else
        log_error("the disk is full, refusing what must be kept",
                  LOG_NUMBER("free", sqlite->disk_free));
}

static void look_at_disk(struct broker_sqlite *sqlite)
{
    struct statvfs disk;
    if (statvfs(sqlite->options.folder, &disk) != 0)
        return;
    uint64_t size = (uint64_t)disk.f_blocks * disk.f_frsize;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    lock(sqlite);
    sqlite->disk_free = left;
    unlock(sqlite);
    note_room(sqlite, left >= min_u64(sqlite->options.disk_reserve, size / 50));
    sqlite_keeper_limit(sqlite->keeper, (int)(min_u64(LOG_BYTES_MAX, size / 32) / PAGE_BYTES));
}

/* What is known in memory and can wait a while for the disk. */
struct notes {
    struct device *devices;
    size_t device_count;
    struct sighting *sightings;
    size_t sighting_count;
};

static struct notes take_notes(struct broker_sqlite *sqlite, bool sightings)
{
    struct notes notes = {NULL};
    lock(sqlite);
    notes.devices = devices_copy(&sqlite->devices, &notes.device_count);
    if (sightings)
        notes.sightings = sightings_copy(&sqlite->sightings, &notes.sighting_count);
    unlock(sqlite);
    if (notes.device_count)
        qsort(notes.devices, notes.device_count, sizeof *notes.devices, device_compare);
    if (notes.sighting_count)
        qsort(notes.sightings, notes.sighting_count, sizeof *notes.sightings, sighting_compare);
    return notes;
}

/* A cursor may be the id of what was not kept; no gap must be told for that. */
static int write_notes(struct broker_sqlite *sqlite, const struct notes *notes)
{
    int err = sqlite_writer_begin(sqlite->writer);
    if (!err)
        err = sqlite_writer_gave(sqlite->writer, sqlite->last);
    for (size_t i = 0; !err && i < notes->device_count; i++)
        err = sqlite_writer_move_device(sqlite->writer, &notes->devices[i]);
    for (size_t i = 0; !err && i < notes->sighting_count; i++)
        err =
            sqlite_writer_saw(sqlite->writer, notes->sightings[i].user, notes->sightings[i].at_ms);
    return err ? err : sqlite_writer_commit(sqlite->writer);
}

static void forget_notes(struct broker_sqlite *sqlite, const struct notes *notes)
{
    sqlite->last_noted = sqlite->last;
    lock(sqlite);
    devices_forget_copied(&sqlite->devices, notes->devices, notes->device_count);
    sightings_forget(&sqlite->sightings, notes->sightings, notes->sighting_count);
    unlock(sqlite);
}

/* All of it by one commit. */
static int file_notes(struct broker_sqlite *sqlite, bool sightings)
{
    struct notes notes = take_notes(sqlite, sightings);
    int err = 0;
    if (notes.device_count || notes.sighting_count || sqlite->last != sqlite->last_noted) {
        err = write_notes(sqlite, &notes);
        if (!err)
            forget_notes(sqlite, &notes);
    }
    free(notes.devices);
    free(notes.sightings);
    return err;
}

static int each_second(struct broker_sqlite *sqlite)
{
    sqlite->second_at_ms = clock_mono_ms() + SECOND_MS;
    sqlite->seconds++;
    if (!sqlite->writer)
        reopen_file(sqlite, true);
    look_at_disk(sqlite);
    if (!sqlite->writer)
        return 0;
    int err = sqlite_writer_look(sqlite->writer, age_ms(sqlite), expiry_ms(sqlite) > 0);
    if (!err && !sqlite->no_room)
        err = file_notes(sqlite, sqlite->seconds % SEEN_EVERY_S == 0);
    return err;
}

/* ---- the writer's thread ---- */

/* After an error the transaction, and what was done in it, is lost: the file says what is true. */
static void start_anew(struct broker_sqlite *sqlite, int err)
{
    sqlite->rest_until_ms = clock_mono_ms() + SECOND_MS;
    close_file(sqlite);
    if (err == ERR_NO_ROOM) /* until the disk is looked at again */
        note_room(sqlite, false);
    if (err != ERR_BROKER_DOWN)
        reopen_file(sqlite, false);
}

static bool is_quiet(const struct broker_sqlite *sqlite)
{
    return clock_mono_ms() - sqlite->published_at_ms >= QUIET_MS;
}

static bool has_work(const struct broker_sqlite *sqlite)
{
    return sqlite->writer && clock_mono_ms() >= sqlite->rest_until_ms &&
           sqlite_writer_has_work(sqlite->writer, is_quiet(sqlite));
}

/* A slice of the housekeeping, in the transaction that the batch is going to use. */
static void work(struct broker_sqlite *sqlite, struct batch *batch)
{
    if (!has_work(sqlite))
        return;
    int64_t until_us = clock_mono_us() + (sqlite->late ? LONG_SLICE_US : SLICE_US);
    batch->err = sqlite_writer_begin(sqlite->writer);
    if (!batch->err)
        batch->err = sqlite_writer_work(sqlite->writer, until_us, age_ms(sqlite), is_quiet(sqlite));
}

static void write_batch(struct broker_sqlite *sqlite, struct batch *batch)
{
    batch->err = 0;
    batch->last_before = sqlite->last;
    work(sqlite, batch);
    for (size_t i = 0; i < batch->count; i++)
        do_job(sqlite, batch, batch->jobs[i]);
    commit(sqlite, batch);
    if (batch->err)
        take_back(sqlite, batch);
    int err = batch->err;
    batch->err = 0;
    finish(sqlite, batch);
    if (err || batch->err)
        start_anew(sqlite, err ? err : batch->err);
    else if (sqlite->writer)
        sqlite_keeper_committed(sqlite->keeper, sqlite->writer);
    if (batch->count)
        sqlite->published_at_ms = clock_mono_ms();
}

/* Under the lock. An erase is a batch of its own: what came before it must be there to be erased.
 */
static void take_batch(struct broker_sqlite *sqlite, struct batch *batch)
{
    batch->count = 0;
    while (batch->count < MAX_BATCH && !list_empty(&sqlite->jobs)) {
        struct call *call = list_first(&sqlite->jobs, struct call, record.link);
        bool alone = call->record.kind == JOB_ERASE;
        if (alone && batch->count)
            return;
        list_remove(&call->record.link);
        batch->jobs[batch->count++] = call;
        if (alone)
            return;
    }
}

static void wait_for_jobs(struct broker_sqlite *sqlite)
{
    struct timespec until;
    int64_t ms = sqlite->second_at_ms - clock_mono_ms();
    if (ms <= 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&sqlite->has_jobs, &sqlite->mutex, &until);
}

static void *write_loop(void *context)
{
    struct broker_sqlite *sqlite = context;
    static struct batch batch;
    for (bool stop = false; !stop;) {
        lock(sqlite);
        if (!sqlite->stopping && list_empty(&sqlite->jobs) && !has_work(sqlite))
            wait_for_jobs(sqlite);
        take_batch(sqlite, &batch);
        stop = sqlite->stopping && !batch.count;
        unlock(sqlite);
        if (stop)
            break;
        write_batch(sqlite, &batch);
        if (clock_mono_ms() >= sqlite->second_at_ms) {
            int err = each_second(sqlite);
            if (err)
                start_anew(sqlite, err);
        }
    }
    if (sqlite->writer && file_notes(sqlite, true))
        log_warn("not all was noted before the end; nothing that was sent is lost");
    return NULL;
}

/* ---- publish and erase ---- */

/* Under the lock. */
static void enqueue(struct broker_sqlite *sqlite, struct call *call, enum job_kind kind)
{
    bool first = list_empty(&sqlite->jobs);
    call->record.kind = kind;
    list_append(&sqlite->jobs, &call->record.link);
    if (first)
        pthread_cond_signal(&sqlite->has_jobs);
}

/* Under the lock. */
static void ask_disk(struct broker_sqlite *sqlite, struct call *call, enum job_kind kind)
{
    call->record.kind = kind;
    list_append(&sqlite->reads, &call->record.link);
    pthread_cond_signal(&sqlite->has_reads);
}

static int sqlite_publish(struct broker *broker, struct publish *publish)
{
    struct broker_sqlite *sqlite = self(broker);
    publish->message = message_create(0, 0, &publish->draft);
    if (!publish->message)
        return publish->err = ERR_OUT_OF_MEMORY;
    lock(sqlite);
    enqueue(sqlite, &publish->call, JOB_PUBLISH);
    unlock(sqlite);
    return BROKER_PENDING;
}

static int sqlite_erase(struct broker *broker, struct erase *erase)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    enqueue(sqlite, &erase->call, JOB_ERASE);
    unlock(sqlite);
    return BROKER_PENDING;
}

/* ---- read ---- */

/* What a cursor between two lives has missed; 0: nothing. */
static uint64_t lost_upto(const struct broker_sqlite *sqlite, uint64_t cursor)
{
    size_t low = 0, high = sqlite->life_count; /* the first life that begins above the cursor */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sqlite->lives[middle].first > cursor)
            high = middle;
        else
            low = middle + 1;
    }
    if (!cursor || low == sqlite->life_count || cursor <= sqlite->lives[low].last)
        return 0;
    return sqlite->lives[low].first - 1;
}

static void tell_lost_life(const struct broker_sqlite *sqlite, struct read *read)
{
    uint64_t lost = lost_upto(sqlite, read->after);
    for (size_t i = 0; lost && i < read->address_count; i++) {
        struct read_address *from = &read->addresses[i];
        from->gap = max_u64(read->after, max_u64(from->from, from->told)) < lost;
        from->told = max_u64(from->told, lost);
    }
}

/* Does memory hold all that is asked for? */
static bool is_recent(const struct broker_sqlite *sqlite, const struct read *read)
{
    for (size_t i = 0; i < read->address_count; i++) {
        if (max_u64(read->after, read->addresses[i].from) < sqlite->window_floor)
            return false;
    }
    return true;
}

/* Under the lock: the part of the page that memory has. */
static int read_window(struct broker_sqlite *sqlite, struct read *read, uint64_t above)
{
    return memory_store_read(sqlite->window, read, above, expiry_ms(sqlite)) ? 0
                                                                             : ERR_OUT_OF_MEMORY;
}

/* Under the lock. 0 and *ret_done: the page is ready. */
static int read_now(struct broker_sqlite *sqlite, struct read *read, bool *ret_done)
{
    int err = 0;
    *ret_done = true;
    read->head = sqlite->head;
    read->above_head = !read->descending && read->after > sqlite->head;
    if (read->above_head)
        return 0;
    if (read->descending) {
        if (read->before > sqlite->window_floor + 1)
            err = read_window(sqlite, read, 0);
        read->upto = sqlite->window_floor;
        *ret_done = err || read->more || !read->upto;
        return err;
    }
    tell_lost_life(sqlite, read);
    *ret_done = is_recent(sqlite, read);
    return *ret_done ? read_window(sqlite, read, 0) : 0;
}

static void drop_page(struct read *read)
{
    while (read->count)
        message_unref(read->messages[--read->count]);
}

static int sqlite_read(struct broker *broker, struct read *read)
{
    struct broker_sqlite *sqlite = self(broker);
    bool done;
    lock(sqlite);
    int err = read_now(sqlite, read, &done);
    if (!err && !done && !sqlite->up)
        err = ERR_BROKER_DOWN;
    if (err)
        drop_page(read);
    read->err = (enum err)err;
    if (!err && !done) /* from here on it is the reader's */
        ask_disk(sqlite, &read->call, JOB_READ);
    unlock(sqlite);
    return err || done ? err : BROKER_PENDING;
}

/* Ascending: the disk's part, then memory's. Until both meet, for the window may lose its lower
 * end while the disk is read. */
static int read_upwards(struct broker_sqlite *sqlite, struct sqlite_reader *reader,
                        struct read *read)
{
    for (;;) {
        lock(sqlite);
        uint64_t upto = sqlite->indexed_upto;
        unlock(sqlite);
        int err = sqlite_reader_read(reader, read, upto, expiry_ms(sqlite));
        if (err || read->more)
            return err;
        lock(sqlite);
        bool meets = sqlite->window_floor <= upto;
        err = meets ? read_window(sqlite, read, upto) : 0;
        unlock(sqlite);
        read->more = read->more || (!meets && read->count);
        if (err || meets || read->count)
            return err;
    }
}

static void serve_read(struct broker_sqlite *sqlite, struct sqlite_reader *reader,
                       struct read *read)
{
    int err = ERR_BROKER_DOWN;
    if (reader && read->descending)
        err = sqlite_reader_read(reader, read, read->upto, expiry_ms(sqlite));
    else if (reader)
        err = read_upwards(sqlite, reader, read);
    if (err)
        drop_page(read);
    read->err = (enum err)err;
}

/* ---- who was seen ---- */

/* Under the lock. */
static void note_departure(struct broker_sqlite *sqlite, const struct address *address)
{
    if (address->kind == ADDRESS_USER && !dispatcher_sessions(&sqlite->dispatcher, address))
        sightings_note(&sqlite->sightings, address->hash, sqlite->options.wall_ms());
}

/* Under the lock. False: the disk has to be asked. */
static bool answer_from_memory(struct broker_sqlite *sqlite, struct inquiry *inquiry)
{
    bool all = true;
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct address *address = &inquiry->addresses[i];
        uint32_t sessions = dispatcher_sessions(&sqlite->dispatcher, address);
        int64_t seen_ms = sessions ? 0 : sightings_find(&sqlite->sightings, address->hash);
        inquiry->presence[i] = (struct presence){sessions, seen_ms};
        all = all && (sessions || seen_ms);
    }
    return all;
}

static int sqlite_inquire(struct broker *broker, struct inquiry *inquiry)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    bool done = answer_from_memory(sqlite, inquiry) || !sqlite->up;
    if (!done)
        ask_disk(sqlite, &inquiry->call, JOB_INQUIRY);
    unlock(sqlite);
    return done ? 0 : BROKER_PENDING;
}

static void serve_inquiry(struct sqlite_reader *reader, struct inquiry *inquiry)
{
    for (size_t i = 0; reader && i < inquiry->count; i++) {
        struct presence *presence = &inquiry->presence[i];
        if (!presence->sessions && !presence->last_seen_ms)
            presence->last_seen_ms = sqlite_reader_last_seen(reader, &inquiry->addresses[i]);
    }
}

/* ---- devices and single messages ---- */

/* Under the lock: what moved lately is known without the disk. */
static bool use_moved(struct broker_sqlite *sqlite, struct device_call *call)
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
static int move_device(struct broker_sqlite *sqlite, struct device_call *call)
{
    return devices_move(&sqlite->devices, call->user.hash, call->device, call->length, call->cursor,
                        sqlite->options.wall_ms())
               ? 0
               : ERR_OUT_OF_MEMORY;
}

static int sqlite_device(struct broker *broker, struct device_call *call)
{
    struct broker_sqlite *sqlite = self(broker);
    int err = BROKER_PENDING;
    lock(sqlite);
    if (call->verb == DEVICE_FORGET)
        enqueue(sqlite, &call->call, JOB_DEVICE);
    else if (use_moved(sqlite, call))
        err = 0;
    else if (call->verb == DEVICE_ACK && !call->call.done)
        err = move_device(sqlite, call);
    else if (!sqlite->up)
        err = ERR_BROKER_DOWN;
    else
        ask_disk(sqlite, &call->call, JOB_FIND_DEVICE);
    unlock(sqlite);
    if (err != BROKER_PENDING)
        call->err = (enum err)err;
    return err;
}

/* False: the writer goes on with it. */
static bool find_device(struct broker_sqlite *sqlite, struct sqlite_reader *reader,
                        struct device_call *call)
{
    uint64_t cursor = 0;
    bool on_disk = false;
    call->err =
        reader ? (enum err)sqlite_reader_device(reader, call, &on_disk, &cursor) : ERR_BROKER_DOWN;
    if (call->err)
        return true;
    lock(sqlite);
    bool moved = use_moved(sqlite, call);
    if (call->verb == DEVICE_ACK && on_disk && !moved)
        call->err = (enum err)move_device(sqlite, call);
    if (call->verb == DEVICE_OPEN && on_disk && (!moved || cursor > call->cursor))
        call->cursor = cursor;
    call->found = on_disk || moved;
    bool done = call->found || call->verb == DEVICE_ACK;
    if (!done)
        enqueue(sqlite, &call->call, JOB_DEVICE);
    unlock(sqlite);
    return done;
}

static int sqlite_lookup(struct broker *broker, struct lookup *lookup)
{
    struct broker_sqlite *sqlite = self(broker);
    int err = BROKER_PENDING;
    lookup->durable = true;
    lock(sqlite);
    if (!sqlite->up)
        err = ERR_BROKER_DOWN;
    else
        ask_disk(sqlite, &lookup->call, JOB_LOOKUP);
    unlock(sqlite);
    if (err != BROKER_PENDING)
        lookup->err = (enum err)err;
    return err;
}

static void serve_lookup(struct broker_sqlite *sqlite, struct sqlite_reader *reader,
                         struct lookup *lookup)
{
    int err = reader ? sqlite_reader_lookup(reader, lookup, expiry_ms(sqlite)) : ERR_BROKER_DOWN;
    lock(sqlite); /* and those that moved lately */
    if (!err && lookup->message && !broker_add_acks(lookup, &sqlite->devices))
        err = ERR_OUT_OF_MEMORY;
    unlock(sqlite);
    lookup->err = (enum err)err;
}

/* ---- the readers' threads ---- */

static struct sqlite_reader *open_reader(struct broker_sqlite *sqlite)
{
    struct sqlite_file_error error = {""};
    struct sqlite_reader *reader = sqlite_reader_open(sqlite->options.folder, &error);
    if (!reader)
        log_error("the data folder cannot be read", LOG_TEXT("why", error.text));
    return reader;
}

/* False: it is not answered yet. */
static bool serve(struct broker_sqlite *sqlite, struct sqlite_reader *reader, struct call *call)
{
    switch ((enum job_kind)call->record.kind) {
    case JOB_READ:
        serve_read(sqlite, reader, (struct read *)call);
        return true;
    case JOB_INQUIRY:
        serve_inquiry(reader, (struct inquiry *)call);
        return true;
    case JOB_FIND_DEVICE:
        return find_device(sqlite, reader, (struct device_call *)call);
    case JOB_LOOKUP:
        serve_lookup(sqlite, reader, (struct lookup *)call);
        return true;
    default: /* the writer's */
        assert(false);
        return true;
    }
}

static void *read_loop(void *context)
{
    struct broker_sqlite *sqlite = context;
    struct sqlite_reader *reader = NULL;
    unsigned generation = 0;
    lock(sqlite);
    for (;;) {
        while (list_empty(&sqlite->reads) && !sqlite->stopping)
            pthread_cond_wait(&sqlite->has_reads, &sqlite->mutex);
        if (list_empty(&sqlite->reads))
            break;
        struct call *call = list_first(&sqlite->reads, struct call, record.link);
        list_remove(&call->record.link);
        bool anew = !reader || generation != sqlite->generation;
        generation = sqlite->generation;
        unlock(sqlite);
        if (anew) {
            sqlite_reader_close(reader);
            reader = open_reader(sqlite);
        }
        bool answered = serve(sqlite, reader, call);
        lock(sqlite);
        if (answered)
            dispatcher_answer(&sqlite->dispatcher, call);
    }
    unlock(sqlite);
    sqlite_reader_close(reader);
    return NULL;
}

/* ---- the rest of the seam ---- */

static int sqlite_join(struct broker *broker, struct inbox *inbox)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    int member = dispatcher_join(&sqlite->dispatcher, inbox);
    unlock(sqlite);
    return member;
}

static int sqlite_watch(struct broker *broker, int member, const struct address *addresses,
                        size_t count, int delta, uint64_t *ret_head)
{
    struct broker_sqlite *sqlite = self(broker);
    int err = 0;
    lock(sqlite);
    if (delta < 0) {
        dispatcher_unwatch(&sqlite->dispatcher, member, addresses, count);
        for (size_t i = 0; i < count; i++)
            note_departure(sqlite, &addresses[i]);
    } else if (!dispatcher_watch(&sqlite->dispatcher, member, addresses, count)) {
        err = ERR_OUT_OF_MEMORY;
    }
    if (ret_head)
        *ret_head = sqlite->head;
    unlock(sqlite);
    return err;
}

static uint32_t sqlite_count(struct broker *broker, const struct address *address)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    uint32_t sessions = dispatcher_sessions(&sqlite->dispatcher, address);
    unlock(sqlite);
    return sessions;
}

static int sqlite_signal(struct broker *broker, int member, struct signal *signal)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    int err = dispatcher_signal(&sqlite->dispatcher, member, signal);
    unlock(sqlite);
    return err;
}

static void sqlite_tick(struct broker *broker)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    memory_store_expire(sqlite->window, expiry_ms(sqlite));
    unlock(sqlite);
}

static struct broker_stats sqlite_stats(struct broker *broker)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    struct broker_stats stats = {
        .messages = sqlite->messages,
        .bytes = sqlite->bytes,
        .head = sqlite->head,
        .up = sqlite->up,
        .disk_free = sqlite->disk_free,
    };
    unlock(sqlite);
    return stats;
}

/* ---- life ---- */

static void destroy(struct broker_sqlite *sqlite)
{
    sightings_finish(&sqlite->sightings);
    devices_finish(&sqlite->devices);
    memory_store_destroy(sqlite->window);
    dispatcher_finish(&sqlite->dispatcher);
    idempotency_destroy(sqlite->keys);
    sqlite_keeper_destroy(sqlite->keeper);
    sqlite_writer_close(sqlite->writer);
    if (sqlite->lock >= 0)
        close(sqlite->lock);
    free(sqlite->lives);
    pthread_cond_destroy(&sqlite->has_jobs);
    pthread_cond_destroy(&sqlite->has_reads);
    pthread_mutex_destroy(&sqlite->mutex);
    free(sqlite);
}

/* A disk that does not come back must not keep the process: what was acknowledged is on it, and
 * nobody waits for the rest any more. */
static void join(pthread_t thread)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += JOIN_SECONDS;
    if (pthread_timedjoin_np(thread, NULL, &until) == 0)
        return;
    log_error("the disk does not answer, ending without it");
    _exit(1);
}

static void sqlite_destroy(struct broker *broker)
{
    struct broker_sqlite *sqlite = self(broker);
    lock(sqlite);
    sqlite->stopping = true;
    pthread_cond_broadcast(&sqlite->has_jobs);
    pthread_cond_broadcast(&sqlite->has_reads);
    unlock(sqlite);
    for (size_t i = 0; i < 1 + READERS; i++)
        join(sqlite->threads[i]);
    destroy(sqlite);
}

static const struct broker_ops ops = {
    .name = "sqlite",
    .destroy = sqlite_destroy,
    .join = sqlite_join,
    .watch = sqlite_watch,
    .publish = sqlite_publish,
    .read = sqlite_read,
    .signal = sqlite_signal,
    .count = sqlite_count,
    .inquire = sqlite_inquire,
    .erase = sqlite_erase,
    .device = sqlite_device,
    .lookup = sqlite_lookup,
    .tick = sqlite_tick,
    .stats = sqlite_stats,
};

/* A clock that ran on alone while the disk stood still would age everything at once. */
static void judge_clock(struct broker_sqlite *sqlite, int64_t wall_ms)
{
    int64_t newest_ms = sqlite_writer_newest_ms(sqlite->writer);
    if (!newest_ms || wall_ms - newest_ms <= DAY_MS)
        return;
    sqlite->distrusted_until_ms = clock_mono_ms() + DISTRUST_MS;
    log_warn("the newest message is more than a day old: if the clock is wrong, set it right; "
             "nothing is let go for its age in the next hour",
             LOG_NUMBER("hours", (wall_ms - newest_ms) / 3600000));
}

/* From here on ids are this life's. */
static int begin_life(struct broker_sqlite *sqlite, int64_t wall_ms)
{
    struct life life = {.last = sqlite_writer_last(sqlite->writer)};
    life.first = broker_next_id(life.last, wall_ms) + 1;
    int err = sqlite_writer_begin(sqlite->writer);
    if (!err)
        err = sqlite_writer_add_life(sqlite->writer, &life);
    if (!err)
        err = sqlite_writer_gave(sqlite->writer, life.first - 1);
    if (!err)
        err = sqlite_writer_commit(sqlite->writer);
    sqlite->head = sqlite->shown = sqlite->last = sqlite->last_noted = life.first - 1;
    return err ? err
               : sqlite_writer_load_lives(sqlite->writer, &sqlite->lives, &sqlite->life_count);
}

static int take_over(struct broker_sqlite *sqlite)
{
    int err = reload(sqlite);
    int64_t oldest_ms = age_ms(sqlite) - sqlite->options.idempotency_ttl_ms;
    if (!err)
        err = sqlite_writer_load_keys(sqlite->writer,
                                      oldest_ms > 0 ? (uint64_t)oldest_ms << ID_CLOCK_SHIFT : 0,
                                      sqlite->options.idempotency_entries, reload_key, sqlite);
    return err;
}

static bool open_file(struct broker_sqlite *sqlite, struct sqlite_file_error *ret_error)
{
    int64_t wall_ms = sqlite->options.wall_ms();
    sqlite->lock = sqlite_file_lock(sqlite->options.folder, ret_error);
    if (sqlite->lock < 0)
        return false;
    sqlite->writer = open_writer(sqlite, ret_error);
    if (!sqlite->writer)
        return false;
    sqlite_writer_use_hash_key(sqlite->writer, true);
    judge_clock(sqlite, wall_ms);
    if (begin_life(sqlite, wall_ms) == 0 && take_over(sqlite) == 0)
        return true;
    snprintf(ret_error->text, sizeof ret_error->text,
             "%s: cannot be used; is there room on the disk? `pushwire check-data` says more",
             sqlite->options.folder);
    return false;
}

static void init(struct broker_sqlite *sqlite)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sqlite->has_jobs, &monotonic);
    pthread_cond_init(&sqlite->has_reads, NULL);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&sqlite->mutex, NULL);
    dispatcher_init(&sqlite->dispatcher);
    sightings_init(&sqlite->sightings);
    devices_init(&sqlite->devices, SIZE_MAX, SIZE_MAX);
    list_init(&sqlite->jobs);
    list_init(&sqlite->reads);
    sqlite->keys =
        idempotency_create(sqlite->options.idempotency_entries, sqlite->options.idempotency_ttl_ms);
    sqlite->keeper = sqlite_keeper_create(sqlite->options.folder);
    sqlite->age_offset_ms = sqlite->options.wall_ms() - clock_mono_ms();
}

static void start_thread(pthread_t *thread, void *(*loop)(void *), struct broker_sqlite *sqlite)
{
    int failed = pthread_create(thread, NULL, loop, sqlite);
    assert(!failed);
}

struct broker *broker_sqlite_create(const struct broker_sqlite_options *options, char *ret_error,
                                    size_t ret_size)
{
    struct sqlite_file_error error = {""};
    struct broker_sqlite *sqlite = mem_alloc(sizeof *sqlite);
    sqlite->broker.ops = &ops;
    sqlite->options = *options;
    sqlite->lock = -1;
    init(sqlite);
    if (!open_file(sqlite, &error)) {
        snprintf(ret_error, ret_size, "%s", error.text);
        destroy(sqlite);
        return NULL;
    }
    look_at_disk(sqlite);
    start_thread(&sqlite->threads[0], write_loop, sqlite);
    for (size_t i = 0; i < READERS; i++)
        start_thread(&sqlite->threads[1 + i], read_loop, sqlite);
    return &sqlite->broker;
}
