#include "engine/sqlite_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "engine/mail_index.h"
#include "engine/mailboxes.h"
#include "engine/sqlite_checkpointer.h"
#include "engine/sqlite_clock.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_notes.h"
#include "engine/sqlite_reader_pool.h"
#include "engine/sqlite_recovery.h"
#include "engine/sqlite_writer.h"

#define SLICE_US      2000
#define LONG_SLICE_US 20000
#define QUIET_MS      1000
#define SECOND_MS     1000
#define SEEN_EVERY_S  60

/* A batch that is being written. */
struct writing {
    struct sqlite_store *sqlite;
    const struct batch *batch;
    int err; /* why what was to be kept is not */
};

static struct sqlite_store *self(struct store *store)
{
    return (struct sqlite_store *)store;
}

/* ---- one batch ---- */

/* Before whatever a job writes: nothing can be, once something of the batch has failed. adds: it
 * takes room. */
static int begin(struct writing *writing, bool adds)
{
    struct sqlite_store *sqlite = writing->sqlite;
    if (writing->err)
        return writing->err;
    if (!sqlite->writer)
        return ERR_BROKER_DOWN;
    if (adds && sqlite->no_room)
        return ERR_NO_ROOM;
    return writing->err = sqlite_writer_begin(sqlite->writer);
}

static int append(struct writing *writing, const struct publish_call *publish)
{
    struct sqlite_store *sqlite = writing->sqlite;
    const struct message *message = publish->message;
    int err = begin(writing, true);
    if (err)
        return err;
    if (sqlite_clock_has_news(sqlite, message->sent_at_ms))
        writing->err = sqlite_clock_note(sqlite);
    if (!writing->err)
        writing->err = sqlite_writer_add(sqlite->writer, message);
    if (!writing->err && publish->key)
        writing->err = sqlite_writer_add_key(sqlite->writer, message->id, publish->key, true);
    return writing->err;
}

/* The key of what is not kept outlives a restart, too. A disk that is full or away only forgets it:
 * the message needs no disk. */
static int append_key(struct writing *writing, const struct publish_call *publish)
{
    if (publish->key && begin(writing, true) == 0)
        writing->err = sqlite_writer_add_key(writing->sqlite->writer, publish->message->id,
                                             publish->key, false);
    return 0;
}

static int write_publish(struct writing *writing, struct call *job)
{
    const struct publish_call *publish = (const struct publish_call *)job;
    return publish->kept ? append(writing, publish) : append_key(writing, publish);
}

static int write_erase(struct writing *writing, struct call *job)
{
    struct erase_call *erase = (struct erase_call *)job;
    struct sqlite_store *sqlite = writing->sqlite;
    int err = begin(writing, false);
    if (err)
        return err;
    return writing->err = sqlite_writer_erase(sqlite->writer, &erase->topic, writing->batch->last,
                                              sqlite_clock_expiry_ms(sqlite), &erase->erased);
}

/* A device is on disk before its session hears of it. */
static int write_device(struct writing *writing, struct call *job)
{
    struct device_call *call = (struct device_call *)job;
    struct sqlite_store *sqlite = writing->sqlite;
    bool opens = call->verb == DEVICE_OPEN;
    int err = begin(writing, opens);
    if (err)
        return err;
    if (!call->has_cursor)
        call->cursor = 0;
    struct device device = {
        .user = call->user.hash,
        .cursor = call->cursor,
        .moved_at_ms = sqlite->options.wall_ms(),
        .length = call->length,
    };
    memcpy(device.name, call->device, call->length);
    return writing->err = opens
                              ? sqlite_writer_open_device(sqlite->writer, &device,
                                                          sqlite->options.devices_per_user)
                              : sqlite_writer_forget_device(sqlite->writer, &device, &call->found);
}

static void commit(struct writing *writing)
{
    struct sqlite_store *sqlite = writing->sqlite;
    int64_t began_us = clock_mono_us();
    if (writing->err || !sqlite->writer || !sqlite_writer_in_transaction(sqlite->writer))
        return;
    writing->err = sqlite_writer_commit(sqlite->writer);
    sqlite->committed = true;
    if (writing->batch->count) /* else it keeps house, and nobody waits */
        metrics_observe(&sqlite->options.metrics->commit_seconds, clock_mono_us() - began_us);
}

/* Nothing of the batch is kept; what was not to be kept goes on. */
static void fail(struct writing *writing)
{
    for (size_t i = 0; i < writing->batch->count; i++) {
        struct call *job = writing->batch->jobs[i];
        if (batch_has(job) &&
            (job->record.kind != JOB_PUBLISH || ((struct publish_call *)job)->kept))
            job->err = (enum err)writing->err;
    }
}

/* ---- what is shown ---- */

/* Out of memory: what is on disk and not in the window is removed when the file is opened anew. */
static int show_publish(struct sqlite_store *sqlite, const struct call *job, uint64_t last)
{
    const struct publish_call *publish = (const struct publish_call *)job;
    (void)last;
    if (!sqlite->shows_nothing && publish->kept &&
        (!sqlite_writer_note(sqlite->writer, publish->message) ||
         !mailboxes_add(sqlite->window, publish->message, 0))) {
        sqlite->shows_nothing = true;
        sqlite->failed = ERR_OUT_OF_MEMORY;
    }
    if (sqlite->shows_nothing)
        return ERR_OUT_OF_MEMORY;
    if (publish->kept)
        sqlite->visible_upto = publish->id;
    return 0;
}

static int show_erase(struct sqlite_store *sqlite, const struct call *job, uint64_t last)
{
    mailboxes_erase(sqlite->window, &((const struct erase_call *)job)->topic, last,
                    sqlite_clock_expiry_ms(sqlite));
    return 0;
}

static int show_device(struct sqlite_store *sqlite, const struct call *job, uint64_t last)
{
    const struct device_call *call = (const struct device_call *)job;
    (void)last;
    if (call->verb == DEVICE_FORGET)
        devices_forget(&sqlite->devices, call->user.hash, call->device, call->length);
    return 0;
}

static const struct job_ops {
    int (*write)(struct writing *writing, struct call *job);
    int (*show)(struct sqlite_store *sqlite, const struct call *job, uint64_t last);
} job_ops[JOB_COUNT] = {
    [JOB_PUBLISH] = {write_publish, show_publish},
    [JOB_ERASE] = {write_erase, show_erase},
    [JOB_DEVICE] = {write_device, show_device},
};

static int sqlite_show(struct store *store, struct call *job, uint64_t last)
{
    return job_ops[job->record.kind].show(self(store), job, last);
}

/* ---- the window ---- */

/* What limits took from the file, memory must not show. */
static void cut_window(struct sqlite_store *sqlite)
{
    size_t count;
    const struct mail_cut *cuts = sqlite_writer_take_cuts(sqlite->writer, &count);
    for (size_t i = 0; i < count; i++)
        mailboxes_cut(sqlite->window, cuts[i].hash, cuts[i].upto);
}

/* What the index has needs no memory beyond recent_bytes, nor once it is gone. */
static void trim_window(struct sqlite_store *sqlite)
{
    const struct message *oldest;
    uint64_t gone_upto = sqlite->writer ? sqlite_writer_gone_upto(sqlite->writer) : 0;
    while ((oldest = mailboxes_oldest(sqlite->window)) && oldest->id <= sqlite->indexed_upto &&
           (oldest->id <= gone_upto ||
            mailboxes_bytes(sqlite->window) > sqlite->options.recent_bytes)) {
        sqlite->window_floor = oldest->id;
        mailboxes_forget_oldest(sqlite->window);
    }
}

/* What the last commit has changed of what was there before. */
static void follow_file(struct sqlite_store *sqlite)
{
    store_lock(&sqlite->store);
    if (sqlite->writer) {
        sqlite->indexed_upto = sqlite_writer_indexed_upto(sqlite->writer);
        sqlite->store.messages = sqlite_writer_messages(sqlite->writer);
        sqlite->store.bytes = sqlite_writer_bytes(sqlite->writer);
        cut_window(sqlite);
        mailboxes_filed(sqlite->window, sqlite->indexed_upto);
    }
    trim_window(sqlite);
    sqlite->late = mailboxes_bytes(sqlite->window) > sqlite->options.recent_bytes;
    store_unlock(&sqlite->store);
}

/* ---- between batches ---- */

static bool is_quiet(const struct sqlite_store *sqlite)
{
    return clock_mono_ms() - sqlite->published_at_ms >= QUIET_MS;
}

static bool has_work(const struct sqlite_store *sqlite)
{
    return sqlite->writer && clock_mono_ms() >= sqlite->rest_until_ms &&
           sqlite_writer_has_work(sqlite->writer, is_quiet(sqlite));
}

/* A slice of the housekeeping, in the transaction that the batch is going to use. */
static void work(struct writing *writing)
{
    struct sqlite_store *sqlite = writing->sqlite;
    if (!has_work(sqlite))
        return;
    int64_t until_us = clock_mono_us() + (sqlite->late ? LONG_SLICE_US : SLICE_US);
    writing->err = sqlite_writer_begin(sqlite->writer);
    if (!writing->err)
        writing->err = sqlite_writer_work(sqlite->writer, until_us, sqlite_clock_expiry_ms(sqlite),
                                          is_quiet(sqlite));
}

static void each_second(struct sqlite_store *sqlite)
{
    sqlite->second_at_ms = clock_mono_ms() + SECOND_MS;
    sqlite->seconds++;
    if (!sqlite->writer)
        sqlite_recovery_try(sqlite);
    sqlite_notes_look_at_disk(sqlite);
    if (!sqlite->writer)
        return;
    sqlite_clock_look(sqlite);
    int err = sqlite_writer_look(sqlite->writer, sqlite_clock_expiry_ms(sqlite),
                                 sqlite_clock_old_keys(sqlite));
    if (!err && !sqlite->no_room)
        err = sqlite_notes_write(sqlite, sqlite->seconds % SEEN_EVERY_S == 0);
    if (err)
        sqlite_recovery_start_anew(sqlite, err);
}

/* What the batch before has left, now that it is answered. */
static void tidy(struct sqlite_store *sqlite)
{
    if (sqlite->failed)
        sqlite_recovery_start_anew(sqlite, sqlite->failed);
    else if (sqlite->committed && sqlite->writer)
        sqlite_checkpointer_committed(sqlite->checkpointer, sqlite->writer);
    sqlite->committed = sqlite->shows_nothing = false;
    sqlite->failed = 0;
    if (clock_mono_ms() >= sqlite->second_at_ms)
        each_second(sqlite);
}

static int64_t sqlite_due_ms(const struct store *store)
{
    const struct sqlite_store *sqlite = (const struct sqlite_store *)store;
    return sqlite->failed || sqlite->committed || has_work(sqlite) ? 0 : sqlite->second_at_ms;
}

static void sqlite_write(struct store *store, const struct batch *batch)
{
    struct sqlite_store *sqlite = self(store);
    struct writing writing = {.sqlite = sqlite, .batch = batch};
    tidy(sqlite);
    work(&writing);
    for (size_t i = 0; i < batch->count; i++) {
        struct call *job = batch->jobs[i];
        if (batch_has(job))
            job->err = (enum err)job_ops[job->record.kind].write(&writing, job);
    }
    commit(&writing);
    if (writing.err)
        fail(&writing);
    follow_file(sqlite);
    sqlite->failed = writing.err;
    sqlite->last = batch->last;
    if (batch->count)
        sqlite->published_at_ms = clock_mono_ms();
}

static void sqlite_tick(struct store *store)
{
    mailboxes_expire(self(store)->window, sqlite_clock_expiry_ms(self(store)));
}

/* ---- life ---- */

static void destroy(struct sqlite_store *sqlite)
{
    sqlite_checkpointer_destroy(sqlite->checkpointer);
    sqlite_writer_close(sqlite->writer);
    if (sqlite->lock >= 0)
        close(sqlite->lock);
    devices_finish(&sqlite->devices);
    mailboxes_destroy(sqlite->window);
    pthread_cond_destroy(&sqlite->has_questions);
    free(sqlite->epochs);
    free(sqlite);
}

static void sqlite_close(struct store *store)
{
    struct sqlite_store *sqlite = self(store);
    tidy(sqlite);
    sqlite->age_noted = false; /* in any case: from here on it stands still */
    if (sqlite->writer && sqlite_notes_write(sqlite, true))
        log_warn("not all was noted before the end; nothing that was sent is lost");
    destroy(sqlite);
}

static const struct store_ops ops = {
    .name = "sqlite",
    .stop = sqlite_reader_pool_stop,
    .close = sqlite_close,
    .write = sqlite_write,
    .due_ms = sqlite_due_ms,
    .show = sqlite_show,
    .read = sqlite_reader_pool_read,
    .find = sqlite_reader_pool_find,
    .device = sqlite_reader_pool_device,
    .last_seen = sqlite_reader_pool_last_seen,
    .asked = sqlite_reader_pool_asked,
    .tick = sqlite_tick,
};

struct store *sqlite_store_open(struct broker *broker, const struct broker_options *options,
                                char *ret_error, size_t ret_size)
{
    struct sqlite_file_error error = {""};
    struct sqlite_store *sqlite = mem_alloc(sizeof *sqlite);
    sqlite->store = (struct store){.ops = &ops, .broker = broker, .durable = true};
    sqlite->options = *options;
    sqlite->lock = -1;
    devices_init(&sqlite->devices, SIZE_MAX, SIZE_MAX);
    list_init(&sqlite->questions);
    pthread_cond_init(&sqlite->has_questions, NULL);
    sqlite->checkpointer = sqlite_checkpointer_create(options->folder);
    if (!sqlite_recovery_open(sqlite, &error)) {
        snprintf(ret_error, ret_size, "%s", error.text);
        destroy(sqlite);
        return NULL;
    }
    sqlite_notes_look_at_disk(sqlite);
    sqlite->readers = sqlite_reader_pool_create(sqlite);
    return &sqlite->store;
}
