#include "engine/sqlite_committer.h"

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
#include "engine/age.h"
#include "engine/broker.h"
#include "engine/mail_index.h"
#include "engine/memory_store.h"
#include "engine/sqlite_checkpointer.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_shared.h"
#include "engine/sqlite_writer.h"
#include "model/idempotency.h"

#define MAX_BATCH     2000
#define LET_IN        128
#define SLICE_US      2000
#define LONG_SLICE_US 20000
#define QUIET_MS      1000
#define SECOND_MS     1000
#define SEEN_EVERY_S  60
#define DAY_MS        ((int64_t)24 * 3600 * 1000)
#define DOUBT_MS      ((int64_t)3600 * 1000)
#define LOG_BYTES_MAX ((uint64_t)64 * 1024 * 1024)
#define PAGE_BYTES    4096

struct sqlite_committer {
    struct sqlite_shared *shared;
    int lock;
    struct sqlite_writer *writer; /* NULL: down */
    struct sqlite_checkpointer *checkpointer;
    struct idempotency *keys;
    struct age age;           /* as the file has it */
    bool age_noted;           /* in this epoch */
    int64_t steady_offset_ms; /* the wall clock when it began less the monotonic clock */
    uint64_t last;            /* last id given */
    uint64_t last_noted;      /* of those not kept, what the file knows */
    int64_t published_at_ms;
    int64_t second_at_ms;
    int64_t rest_until_ms; /* from housekeeping, after it failed */
    int seconds;
    bool no_room;
    bool late; /* more waits for the index than memory is meant for */
    pthread_t thread;
};

/* One commit's worth. */
struct batch {
    struct call *jobs[MAX_BATCH];
    size_t count;
    uint64_t last_before;
    int err; /* why what was to be kept is not */
};

/* ---- clocks ---- */

static bool is_in_doubt(const struct sqlite_committer *committer)
{
    return sqlite_shared_expiry_ms(committer->shared) == 0;
}

static void begin_age(struct sqlite_committer *committer, int64_t wall_ms)
{
    struct sqlite_shared *shared = committer->shared;
    atomic_store_explicit(&shared->age_offset_ms,
                          age_begin(&committer->age, wall_ms) - shared->options.mono_ms(),
                          memory_order_relaxed);
}

/* Has the clock done something that the file does not know, and would misjudge expiry by? While it
 * is in doubt nothing is believed. */
static bool has_age_to_note(struct sqlite_committer *committer, int64_t wall_ms)
{
    if (is_in_doubt(committer))
        return false;
    bool changed = age_follow(&committer->age, sqlite_shared_age_ms(committer->shared), wall_ms);
    return changed || !committer->age_noted;
}

static int note_age(struct sqlite_committer *committer)
{
    if (is_in_doubt(committer))
        return 0;
    committer->age.last_ms = sqlite_shared_age_ms(committer->shared);
    committer->age_noted = true; /* unless the transaction is lost */
    return sqlite_writer_set_age(committer->writer, &committer->age);
}

/* Of what the wall clock said when this epoch began, and has gone on since, whatever it was set to.
 */
static int64_t steady_ms(const struct sqlite_committer *committer)
{
    return committer->shared->options.mono_ms() + committer->steady_offset_ms;
}

/* Keys up to here are too old. */
static uint64_t old_keys(const struct sqlite_committer *committer)
{
    int64_t oldest_ms = steady_ms(committer) - committer->shared->options.idempotency_ttl_ms;
    return oldest_ms > 0 ? (uint64_t)oldest_ms << BROKER_ID_CLOCK_SHIFT : 0;
}

/* ---- one batch ---- */

/* Before whatever a job writes: nothing can be, once something of the batch has failed. adds: it
 * takes room. */
static int begin(struct sqlite_committer *committer, struct batch *batch, bool adds)
{
    if (batch->err)
        return batch->err;
    if (!committer->writer)
        return ERR_BROKER_DOWN;
    if (adds && committer->no_room)
        return ERR_NO_ROOM;
    return batch->err = sqlite_writer_begin(committer->writer);
}

static int append(struct sqlite_committer *committer, struct batch *batch,
                  const struct publish_call *publish)
{
    int err = begin(committer, batch, true);
    if (err)
        return err;
    if (has_age_to_note(committer, publish->message->sent_at_ms))
        batch->err = note_age(committer);
    if (!batch->err)
        batch->err = sqlite_writer_add(committer->writer, publish->message);
    if (!batch->err && publish->key)
        batch->err =
            sqlite_writer_add_key(committer->writer, publish->message->id, publish->key, true);
    return batch->err;
}

/* The key of what is not kept outlives a restart, too. A disk that is full or away only forgets it:
 * the message needs no disk. */
static void file_key(struct sqlite_committer *committer, struct batch *batch,
                     const struct publish_call *publish)
{
    if (publish->key && begin(committer, batch, true) == 0)
        batch->err =
            sqlite_writer_add_key(committer->writer, publish->message->id, publish->key, false);
}

/* Gives the message its number and its place in the log. */
static int sequence(struct sqlite_committer *committer, struct batch *batch,
                    struct publish_call *publish)
{
    struct sqlite_shared *shared = committer->shared;
    int64_t wall_ms = shared->options.wall_ms();
    bool keeps = publish->draft.ttl_ms > 0;
    int err = broker_check_key(publish, committer->keys, clock_mono_ms());
    publish->durable = publish->kept; /* of a duplicate */
    if (err || publish->duplicate)
        return err;
    uint64_t id = broker_next_id(committer->last, wall_ms);
    message_number(publish->message, id, wall_ms,
                   sqlite_shared_age_ms(shared) + publish->draft.ttl_ms);
    if (publish->key && !idempotency_add(committer->keys, publish->key, id, keeps, clock_mono_ms()))
        return ERR_OUT_OF_MEMORY;
    if (keeps && (err = append(committer, batch, publish))) {
        if (publish->key)
            idempotency_remove(committer->keys, publish->key);
        return err;
    }
    if (!keeps)
        file_key(committer, batch, publish);
    publish->id = committer->last = id;
    publish->kept = publish->durable = keeps;
    return 0;
}

static int erase_filed(struct sqlite_committer *committer, struct batch *batch,
                       struct erase_call *erase)
{
    int err = begin(committer, batch, false);
    if (err)
        return err;
    batch->err = sqlite_writer_erase(committer->writer, &erase->topic, committer->last,
                                     sqlite_shared_expiry_ms(committer->shared), &erase->erased);
    return batch->err;
}

/* A device is on disk before its session hears of it. */
static int file_device(struct sqlite_committer *committer, struct batch *batch,
                       struct device_call *call)
{
    struct sqlite_shared *shared = committer->shared;
    bool opens = call->verb == DEVICE_OPEN;
    int err = begin(committer, batch, opens);
    if (err)
        return err;
    if (!call->has_cursor)
        call->cursor = 0;
    struct device device = {
        .user = call->user.hash,
        .cursor = call->cursor,
        .moved_at_ms = shared->options.wall_ms(),
        .length = call->length,
    };
    memcpy(device.name, call->device, call->length);
    if (opens)
        batch->err =
            sqlite_writer_open_device(committer->writer, &device, shared->options.devices_per_user);
    else
        batch->err = sqlite_writer_forget_device(committer->writer, &device, &call->found);
    return batch->err;
}

static void do_job(struct sqlite_committer *committer, struct batch *batch, struct call *call)
{
    if (call->record.kind == SQLITE_PUBLISH) {
        struct publish_call *publish = (struct publish_call *)call;
        publish->call.err = (enum err)sequence(committer, batch, publish);
    } else if (call->record.kind == SQLITE_DEVICE) {
        struct device_call *device = (struct device_call *)call;
        device->call.err = (enum err)file_device(committer, batch, device);
    } else {
        struct erase_call *erase = (struct erase_call *)call;
        erase->call.err = (enum err)erase_filed(committer, batch, erase);
    }
}

static void commit(struct sqlite_committer *committer, struct batch *batch)
{
    int64_t began_us = clock_mono_us();
    if (batch->err || !committer->writer || !sqlite_writer_in_transaction(committer->writer))
        return;
    batch->err = sqlite_writer_commit(committer->writer);
    metrics_observe(&committer->shared->options.metrics->commit_seconds,
                    clock_mono_us() - began_us);
}

/* Nothing of the batch is kept: neither what it added nor what it would repeat. */
static void take_back(struct sqlite_committer *committer, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct publish_call *publish = (struct publish_call *)batch->jobs[i];
        if (batch->jobs[i]->record.kind == SQLITE_ERASE) {
            batch->jobs[i]->err = (enum err)batch->err;
            continue;
        }
        if (batch->jobs[i]->record.kind == SQLITE_DEVICE) {
            batch->jobs[i]->err = (enum err)batch->err;
            continue;
        }
        if (publish->call.err || !publish->kept || publish->id <= batch->last_before)
            continue;
        if (publish->key && !publish->duplicate)
            idempotency_remove(committer->keys, publish->key);
        publish->call.err = (enum err)batch->err;
    }
}

/* Under the lock. False: out of memory; what is on disk and not in the window is removed when the
 * file is opened anew. */
static bool show(struct sqlite_committer *committer, struct publish_call *publish)
{
    struct sqlite_shared *shared = committer->shared;
    struct message *message = publish->message;
    if (publish->kept && (!sqlite_writer_note(committer->writer, message) ||
                          !memory_store_add(shared->window, message, 0)))
        return false;
    shared->head = message->id;
    if (publish->kept)
        shared->visible_upto = message->id;
    dispatcher_send(&shared->dispatcher, DISPATCHER_NOBODY, message, publish->delivered);
    return true;
}

/* Under the lock: what limits took from the file, memory must not show. */
static void cut_window(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    size_t count;
    const struct mail_cut *cuts = sqlite_writer_take_cuts(committer->writer, &count);
    for (size_t i = 0; i < count; i++)
        memory_store_cut(shared->window, cuts[i].hash, cuts[i].upto);
}

/* Under the lock: what the index has needs no memory beyond recent_bytes, nor once it is gone. */
static void trim_window(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    const struct message *oldest;
    uint64_t gone_upto = committer->writer ? sqlite_writer_gone_upto(committer->writer) : 0;
    while ((oldest = memory_store_oldest(shared->window)) && oldest->id <= shared->indexed_upto &&
           (oldest->id <= gone_upto ||
            memory_store_bytes(shared->window) > shared->options.recent_bytes)) {
        shared->window_floor = oldest->id;
        memory_store_forget_oldest(shared->window);
    }
}

static void finish_publish(struct sqlite_committer *committer, struct batch *batch,
                           struct publish_call *publish)
{
    if (!publish->call.err && !publish->duplicate) {
        if (batch->err == ERR_OUT_OF_MEMORY || !show(committer, publish))
            publish->call.err = (enum err)(batch->err = ERR_OUT_OF_MEMORY);
    }
    message_unref(publish->message);
    dispatcher_answer(&committer->shared->dispatcher, &publish->call);
}

static void finish_erase(struct sqlite_committer *committer, struct erase_call *erase)
{
    struct sqlite_shared *shared = committer->shared;
    if (!erase->call.err)
        memory_store_erase(shared->window, &erase->topic, committer->last,
                           sqlite_shared_expiry_ms(shared));
    dispatcher_answer(&shared->dispatcher, &erase->call);
}

static void finish_device(struct sqlite_committer *committer, struct device_call *call)
{
    struct sqlite_shared *shared = committer->shared;
    if (!call->call.err && call->verb == DEVICE_FORGET)
        devices_forget(&shared->devices, call->user.hash, call->device, call->length);
    dispatcher_answer(&shared->dispatcher, &call->call);
}

static void finish_job(struct sqlite_committer *committer, struct batch *batch, struct call *call)
{
    if (call->record.kind == SQLITE_PUBLISH)
        finish_publish(committer, batch, (struct publish_call *)call);
    else if (call->record.kind == SQLITE_DEVICE)
        finish_device(committer, (struct device_call *)call);
    else
        finish_erase(committer, (struct erase_call *)call);
}

/* The messages first, in id order, then the answers: each inbox has them in this order. */
static void finish(struct sqlite_committer *committer, struct batch *batch)
{
    struct sqlite_shared *shared = committer->shared;
    sqlite_shared_lock(shared);
    for (size_t i = 0; i < batch->count; i++) {
        finish_job(committer, batch, batch->jobs[i]);
        if (i % LET_IN == LET_IN - 1) { /* whoever waits for the lock */
            sqlite_shared_unlock(shared);
            sqlite_shared_lock(shared);
        }
    }
    if (committer->writer) {
        shared->indexed_upto = sqlite_writer_indexed_upto(committer->writer);
        shared->messages = sqlite_writer_messages(committer->writer);
        shared->bytes = sqlite_writer_bytes(committer->writer);
        cut_window(committer);
        memory_store_filed(shared->window, shared->indexed_upto);
    }
    trim_window(committer);
    committer->late = memory_store_bytes(shared->window) > shared->options.recent_bytes;
    sqlite_shared_unlock(shared);
}

/* ---- opening the file anew ---- */

struct reload {
    struct sqlite_committer *committer;
    struct memory_store *window;
};

static bool reload_message(void *context, struct message *message)
{
    struct reload *reload = context;
    return memory_store_add(reload->window, message, 0);
}

static void reload_erased(void *context, const struct topic *topic, uint64_t upto)
{
    struct reload *reload = context;
    memory_store_erase(reload->window, topic, upto,
                       sqlite_shared_expiry_ms(reload->committer->shared));
}

static bool reload_key(void *context, const struct idempotency_key *key, uint64_t id, bool kept)
{
    struct sqlite_committer *committer = context;
    int64_t age = steady_ms(committer) - (int64_t)(id >> BROKER_ID_CLOCK_SHIFT);
    uint64_t known_id;
    bool known_kept;
    int64_t then_ms = clock_mono_ms() - (age > 0 ? age : 0);
    if (idempotency_find(committer->keys, key, then_ms, &known_id, &known_kept) != IDEMPOTENCY_NEW)
        return true;
    return idempotency_add(committer->keys, key, id, kept, then_ms);
}

static void use_window(struct sqlite_committer *committer, struct memory_store *window)
{
    struct sqlite_shared *shared = committer->shared;
    sqlite_shared_lock(shared);
    memory_store_destroy(shared->window);
    shared->window = window;
    shared->window_floor = shared->indexed_upto = sqlite_writer_indexed_upto(committer->writer);
    shared->messages = sqlite_writer_messages(committer->writer);
    shared->generation++;
    shared->up = true;
    sqlite_shared_unlock(shared);
}

/* The file is open; takes over what it knows. */
static int reload(struct sqlite_committer *committer)
{
    struct reload reload = {committer, memory_store_create_window()};
    int err = sqlite_writer_load_tail(committer->writer, reload_message, reload_erased, &reload);
    if (err)
        memory_store_destroy(reload.window);
    else
        use_window(committer, reload.window);
    return err;
}

static struct sqlite_writer *open_writer(const struct sqlite_committer *committer,
                                         struct sqlite_file_error *ret_error)
{
    const struct sqlite_options *options = &committer->shared->options;
    return sqlite_writer_open(
        &(struct sqlite_writer_options){
            .folder = options->folder,
            .full_sync = options->full_sync,
            .recent_bytes = options->recent_bytes,
            .index = {options->keep_messages, options->keep_bytes},
            .retention = {options->keep_total, options->idempotency_entries},
        },
        ret_error);
}

static void close_file(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    sqlite_writer_close(committer->writer);
    committer->writer = NULL;
    sqlite_shared_lock(shared);
    shared->up = false;
    sqlite_shared_unlock(shared);
}

/* What may be on disk though its publishers were told otherwise is removed: meanwhile messages that
 * are not kept have got higher ids, and whoever has seen those would miss it. failed: the disk did.
 */
static void reopen_file(struct sqlite_committer *committer, bool failed)
{
    struct sqlite_shared *shared = committer->shared;
    struct sqlite_file_error error = {""};
    committer->writer = open_writer(committer, &error);
    if (!committer->writer) {
        log_error("the data folder cannot be opened, trying again", LOG_TEXT("why", error.text));
        return;
    }
    if (!sqlite_writer_use_hash_key(committer->writer, false) ||
        (failed && sqlite_writer_leave_log(committer->writer) != 0) ||
        sqlite_writer_take_back(committer->writer, shared->visible_upto) != 0 ||
        reload(committer) != 0) {
        close_file(committer);
        return;
    }
    log_info("the data folder is open again", LOG_NUMBER("messages", shared->messages));
}

/* ---- once a second ---- */

static void note_room(struct sqlite_committer *committer, bool room)
{
    struct sqlite_shared *shared = committer->shared;
    if (room != committer->no_room)
        return;
    committer->no_room = !room;
    if (room)
        log_info("the disk has room again", LOG_NUMBER("free", shared->disk_free));
    else
        log_error("the disk is full, refusing what must be kept",
                  LOG_NUMBER("free", shared->disk_free));
}

static void look_at_disk(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    struct statvfs disk;
    if (statvfs(shared->options.folder, &disk) != 0)
        return;
    uint64_t size = (uint64_t)disk.f_blocks * disk.f_frsize;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    sqlite_shared_lock(shared);
    shared->disk_free = left;
    sqlite_shared_unlock(shared);
    note_room(committer, left >= min_u64(shared->options.disk_reserve, size / 50));
    sqlite_checkpointer_limit(committer->checkpointer,
                              (int)(min_u64(LOG_BYTES_MAX, size / 32) / PAGE_BYTES));
}

/* What is known in memory and can wait a while for the disk. */
struct notes {
    struct device *devices;
    size_t device_count;
    struct last_seen_row *last_seen;
    size_t last_seen_count;
};

static struct notes take_notes(struct sqlite_committer *committer, bool last_seen)
{
    struct sqlite_shared *shared = committer->shared;
    struct notes notes = {NULL};
    sqlite_shared_lock(shared);
    notes.devices = devices_copy(&shared->devices, &notes.device_count);
    if (last_seen)
        notes.last_seen = last_seen_copy(&shared->last_seen, &notes.last_seen_count);
    sqlite_shared_unlock(shared);
    if (notes.device_count)
        qsort(notes.devices, notes.device_count, sizeof *notes.devices, device_compare);
    if (notes.last_seen_count)
        qsort(notes.last_seen, notes.last_seen_count, sizeof *notes.last_seen, last_seen_compare);
    return notes;
}

/* A cursor may be the id of what was not kept; no gap must be told for that. */
static int write_notes(struct sqlite_committer *committer, const struct notes *notes)
{
    int err = sqlite_writer_begin(committer->writer);
    if (!err)
        err = sqlite_writer_reserve(committer->writer, committer->last);
    if (!err)
        err = note_age(committer);
    for (size_t i = 0; !err && i < notes->device_count; i++)
        err = sqlite_writer_move_device(committer->writer, &notes->devices[i]);
    for (size_t i = 0; !err && i < notes->last_seen_count; i++)
        err = sqlite_writer_note_last_seen(committer->writer, notes->last_seen[i].user,
                                           notes->last_seen[i].at_ms);
    return err ? err : sqlite_writer_commit(committer->writer);
}

static void forget_notes(struct sqlite_committer *committer, const struct notes *notes)
{
    struct sqlite_shared *shared = committer->shared;
    committer->last_noted = committer->last;
    sqlite_shared_lock(shared);
    devices_forget_copied(&shared->devices, notes->devices, notes->device_count);
    last_seen_forget(&shared->last_seen, notes->last_seen, notes->last_seen_count);
    sqlite_shared_unlock(shared);
}

/* All of it by one commit. */
static int file_notes(struct sqlite_committer *committer, bool last_seen)
{
    struct notes notes = take_notes(committer, last_seen);
    int err = 0;
    if (notes.device_count || notes.last_seen_count || committer->last != committer->last_noted ||
        has_age_to_note(committer, committer->shared->options.wall_ms())) {
        err = write_notes(committer, &notes);
        if (!err)
            forget_notes(committer, &notes);
    }
    free(notes.devices);
    free(notes.last_seen);
    return err;
}

/* A clock that ran on alone while the disk stood still would age everything at once. */
static void judge_clock(struct sqlite_committer *committer, int64_t wall_ms)
{
    struct sqlite_shared *shared = committer->shared;
    int64_t newest_ms = sqlite_writer_newest_ms(committer->writer);
    bool doubt = newest_ms && wall_ms - newest_ms > DAY_MS;
    atomic_store_explicit(&shared->doubted_until_ms,
                          doubt ? shared->options.mono_ms() + DOUBT_MS : INT64_MIN,
                          memory_order_relaxed);
    if (doubt)
        log_warn("the newest message is more than a day old: if the clock is wrong, set it right; "
                 "nothing is let go for its age in the next hour",
                 LOG_NUMBER("hours", (wall_ms - newest_ms) / 3600000));
}

/* In the hour of doubt it may be set right. */
static void look_at_clock(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    int64_t wall_ms = shared->options.wall_ms();
    if (!is_in_doubt(committer) ||
        !age_is_behind(&committer->age, sqlite_shared_age_ms(shared), wall_ms))
        return;
    log_info("the clock was set back: messages age as it says now");
    begin_age(committer, wall_ms);
    judge_clock(committer, wall_ms);
}

static int each_second(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    committer->second_at_ms = clock_mono_ms() + SECOND_MS;
    committer->seconds++;
    if (!committer->writer)
        reopen_file(committer, true);
    look_at_disk(committer);
    if (!committer->writer)
        return 0;
    look_at_clock(committer);
    int err =
        sqlite_writer_look(committer->writer, sqlite_shared_expiry_ms(shared), old_keys(committer));
    if (!err && !committer->no_room)
        err = file_notes(committer, committer->seconds % SEEN_EVERY_S == 0);
    return err;
}

/* ---- the thread ---- */

/* After an error the transaction, and what was done in it, is lost: the file says what is true. */
static void start_anew(struct sqlite_committer *committer, int err)
{
    committer->rest_until_ms = clock_mono_ms() + SECOND_MS;
    committer->age_noted = false;
    close_file(committer);
    if (err == ERR_NO_ROOM) /* until the disk is looked at again */
        note_room(committer, false);
    if (err != ERR_BROKER_DOWN)
        reopen_file(committer, false);
}

static bool is_quiet(const struct sqlite_committer *committer)
{
    return clock_mono_ms() - committer->published_at_ms >= QUIET_MS;
}

static bool has_work(const struct sqlite_committer *committer)
{
    return committer->writer && clock_mono_ms() >= committer->rest_until_ms &&
           sqlite_writer_has_work(committer->writer, is_quiet(committer));
}

/* A slice of the housekeeping, in the transaction that the batch is going to use. */
static void work(struct sqlite_committer *committer, struct batch *batch)
{
    if (!has_work(committer))
        return;
    int64_t until_us = clock_mono_us() + (committer->late ? LONG_SLICE_US : SLICE_US);
    batch->err = sqlite_writer_begin(committer->writer);
    if (!batch->err)
        batch->err =
            sqlite_writer_work(committer->writer, until_us,
                               sqlite_shared_expiry_ms(committer->shared), is_quiet(committer));
}

static void write_batch(struct sqlite_committer *committer, struct batch *batch)
{
    batch->err = 0;
    batch->last_before = committer->last;
    work(committer, batch);
    for (size_t i = 0; i < batch->count; i++)
        do_job(committer, batch, batch->jobs[i]);
    commit(committer, batch);
    if (batch->err)
        take_back(committer, batch);
    int err = batch->err;
    batch->err = 0;
    finish(committer, batch);
    if (err || batch->err)
        start_anew(committer, err ? err : batch->err);
    else if (committer->writer)
        sqlite_checkpointer_committed(committer->checkpointer, committer->writer);
    if (batch->count)
        committer->published_at_ms = clock_mono_ms();
}

/* Under the lock. An erase is a batch of its own: what came before it must be there to be erased.
 */
static void take_batch(struct sqlite_committer *committer, struct batch *batch)
{
    struct sqlite_shared *shared = committer->shared;
    batch->count = 0;
    while (batch->count < MAX_BATCH && !list_empty(&shared->jobs)) {
        struct call *call = list_first(&shared->jobs, struct call, record.link);
        bool alone = call->record.kind == SQLITE_ERASE;
        if (alone && batch->count)
            return;
        list_remove(&call->record.link);
        batch->jobs[batch->count++] = call;
        if (alone)
            return;
    }
}

static void wait_for_jobs(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    struct timespec until;
    int64_t ms = committer->second_at_ms - clock_mono_ms();
    if (ms <= 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&shared->has_jobs, &shared->mutex, &until);
}

static void *write_loop(void *context)
{
    struct sqlite_committer *committer = context;
    struct sqlite_shared *shared = committer->shared;
    static struct batch batch;
    for (bool stop = false; !stop;) {
        sqlite_shared_lock(shared);
        if (!shared->stopping && list_empty(&shared->jobs) && !has_work(committer))
            wait_for_jobs(committer);
        take_batch(committer, &batch);
        stop = shared->stopping && !batch.count;
        sqlite_shared_unlock(shared);
        if (stop)
            break;
        write_batch(committer, &batch);
        if (clock_mono_ms() >= committer->second_at_ms) {
            int err = each_second(committer);
            if (err)
                start_anew(committer, err);
        }
    }
    committer->age_noted = false; /* in any case: from here on it stands still */
    if (committer->writer && file_notes(committer, true))
        log_warn("not all was noted before the end; nothing that was sent is lost");
    return NULL;
}

/* ---- life ---- */

/* From here on ids are this epoch's. Between the last one's and them a millisecond of ids is given
 * to nobody, whatever the clock says: what an epoch that is not on this disk gave after `last`
 * falls in there, and is told as a gap. */
static int begin_epoch(struct sqlite_committer *committer, int64_t wall_ms)
{
    struct sqlite_shared *shared = committer->shared;
    struct epoch epoch = {.last = sqlite_writer_last(committer->writer)};
    epoch.first = broker_next_id(epoch.last + ((uint64_t)1 << BROKER_ID_CLOCK_SHIFT), wall_ms) + 1;
    int err = sqlite_writer_begin(committer->writer);
    if (!err)
        err = sqlite_writer_add_epoch(committer->writer, &epoch);
    if (!err)
        err = sqlite_writer_reserve(committer->writer, epoch.first - 1);
    if (!err && has_age_to_note(committer, wall_ms))
        err = note_age(committer);
    if (!err)
        err = sqlite_writer_lower_devices(committer->writer, epoch.first - 1);
    if (!err)
        err = sqlite_writer_commit(committer->writer);
    shared->head = shared->visible_upto = committer->last = committer->last_noted = epoch.first - 1;
    return err ? err
               : sqlite_writer_load_epochs(committer->writer, &shared->epochs,
                                           &shared->epoch_count);
}

static int take_over(struct sqlite_committer *committer)
{
    struct sqlite_shared *shared = committer->shared;
    int err = reload(committer);
    if (!err)
        err = sqlite_writer_load_keys(committer->writer, old_keys(committer),
                                      shared->options.idempotency_entries, reload_key, committer);
    return err;
}

static bool open_file(struct sqlite_committer *committer, struct sqlite_file_error *ret_error)
{
    struct sqlite_shared *shared = committer->shared;
    int64_t wall_ms = shared->options.wall_ms();
    committer->lock = sqlite_file_lock(shared->options.folder, ret_error);
    if (committer->lock < 0)
        return false;
    committer->writer = open_writer(committer, ret_error);
    if (!committer->writer)
        return false;
    sqlite_writer_use_hash_key(committer->writer, true);
    committer->steady_offset_ms = wall_ms - shared->options.mono_ms();
    int err = sqlite_writer_get_age(committer->writer, &committer->age);
    begin_age(committer, wall_ms);
    judge_clock(committer, wall_ms);
    if (!err && begin_epoch(committer, wall_ms) == 0 && take_over(committer) == 0)
        return true;
    snprintf(ret_error->text, sizeof ret_error->text,
             "%s: cannot be used; is there room on the disk? `pushwire check-data` says more",
             shared->options.folder);
    return false;
}

struct sqlite_committer *sqlite_committer_create(struct sqlite_shared *shared,
                                                 struct sqlite_file_error *ret_error)
{
    const struct sqlite_options *options = &shared->options;
    struct sqlite_committer *committer = mem_alloc(sizeof *committer);
    committer->shared = shared;
    committer->lock = -1;
    committer->keys = idempotency_create(options->idempotency_entries, options->idempotency_ttl_ms);
    committer->checkpointer = sqlite_checkpointer_create(options->folder);
    if (!open_file(committer, ret_error)) {
        sqlite_committer_destroy(committer);
        return NULL;
    }
    look_at_disk(committer);
    return committer;
}

void sqlite_committer_destroy(struct sqlite_committer *committer)
{
    if (!committer)
        return;
    idempotency_destroy(committer->keys);
    sqlite_checkpointer_destroy(committer->checkpointer);
    sqlite_writer_close(committer->writer);
    if (committer->lock >= 0)
        close(committer->lock);
    free(committer);
}

void sqlite_committer_start(struct sqlite_committer *committer)
{
    sqlite_shared_start(&committer->thread, write_loop, committer);
}

void sqlite_committer_join(struct sqlite_committer *committer)
{
    pthread_join(committer->thread, NULL);
}
