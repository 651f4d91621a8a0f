#include "engine/sqlite_recovery.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/mail_index.h"
#include "engine/mailboxes.h"
#include "engine/sqlite_clock.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_notes.h"
#include "engine/sqlite_state.h"
#include "engine/sqlite_writer.h"

#define REST_MS 1000

/* ---- what the file knows ---- */

struct reload {
    struct sqlite_store *sqlite;
    struct mailboxes *window;
};

static bool reload_message(void *context, struct message *message)
{
    struct reload *reload = context;
    return mailboxes_add(reload->window, message, 0);
}

static void reload_erased(void *context, const struct topic *topic, uint64_t upto)
{
    struct reload *reload = context;
    mailboxes_erase(reload->window, topic, upto, sqlite_clock_expiry_ms(reload->sqlite));
}

static bool reload_key(void *context, const struct idempotency_key *key, uint64_t id, bool kept)
{
    struct sqlite_store *sqlite = context;
    int64_t sent_ms = (int64_t)(id >> MESSAGE_ID_CLOCK_SHIFT);
    return store_remember_key(&sqlite->store, key, id, kept,
                              sqlite_clock_steady_ms(sqlite) - sent_ms);
}

static void use_window(struct sqlite_store *sqlite, struct mailboxes *window)
{
    store_lock(&sqlite->store);
    mailboxes_destroy(sqlite->window);
    sqlite->window = window;
    sqlite->window_floor = sqlite->indexed_upto = sqlite_writer_indexed_upto(sqlite->writer);
    sqlite->store.messages = sqlite_writer_messages(sqlite->writer);
    sqlite->generation++;
    sqlite->store.up = true;
    store_unlock(&sqlite->store);
}

/* The file is open; takes over what it knows. */
static int reload(struct sqlite_store *sqlite)
{
    struct reload reload = {sqlite, mailboxes_create_window()};
    int err = sqlite_writer_load_tail(sqlite->writer, reload_message, reload_erased, &reload);
    if (err)
        mailboxes_destroy(reload.window);
    else
        use_window(sqlite, reload.window);
    return err;
}

static struct sqlite_writer *open_writer(const struct sqlite_store *sqlite,
                                         struct sqlite_file_error *ret_error)
{
    const struct broker_options *options = &sqlite->options;
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

static void close_file(struct sqlite_store *sqlite)
{
    sqlite_writer_close(sqlite->writer);
    sqlite->writer = NULL;
    store_lock(&sqlite->store);
    sqlite->store.up = false;
    store_unlock(&sqlite->store);
}

/* What may be on disk though its publishers were told otherwise is removed: meanwhile messages that
 * are not kept have got higher ids, and whoever has seen those would miss it. failed: the disk did.
 */
static void reopen_file(struct sqlite_store *sqlite, bool failed)
{
    struct sqlite_file_error error = {""};
    sqlite->writer = open_writer(sqlite, &error);
    if (!sqlite->writer) {
        log_error("the data folder cannot be opened, trying again", LOG_TEXT("why", error.text));
        return;
    }
    if (!sqlite_writer_use_hash_key(sqlite->writer, false) ||
        (failed && sqlite_writer_leave_log(sqlite->writer) != 0) ||
        sqlite_writer_take_back(sqlite->writer, sqlite->visible_upto) != 0 || reload(sqlite) != 0) {
        close_file(sqlite);
        return;
    }
    log_info("the data folder is open again", LOG_NUMBER("messages", sqlite->store.messages));
}

/* ---- after a failure ---- */

void sqlite_recovery_start_anew(struct sqlite_store *sqlite, int err)
{
    sqlite->rest_until_ms = clock_mono_ms() + REST_MS;
    sqlite->age_noted = false;
    close_file(sqlite);
    if (err == ERR_NO_ROOM) /* until the disk is looked at again */
        sqlite_notes_set_room(sqlite, false);
    if (err != ERR_BROKER_DOWN)
        reopen_file(sqlite, false);
}

void sqlite_recovery_try(struct sqlite_store *sqlite)
{
    reopen_file(sqlite, true);
}

/* ---- the start ---- */

/* From here on ids are this epoch's. Between the last one's and them a millisecond of ids is given
 * to nobody, whatever the clock says: what an epoch that is not on this disk gave after `last`
 * falls in there, and is told as a gap. */
static int begin_epoch(struct sqlite_store *sqlite, int64_t wall_ms)
{
    struct epoch epoch = {.last = sqlite_writer_last(sqlite->writer)};
    epoch.first =
        message_next_id(epoch.last + ((uint64_t)1 << MESSAGE_ID_CLOCK_SHIFT), wall_ms) + 1;
    int err = sqlite_writer_begin(sqlite->writer);
    if (!err)
        err = sqlite_writer_add_epoch(sqlite->writer, &epoch);
    if (!err)
        err = sqlite_writer_reserve(sqlite->writer, epoch.first - 1);
    if (!err && sqlite_clock_has_news(sqlite, wall_ms))
        err = sqlite_clock_note(sqlite);
    if (!err)
        err = sqlite_writer_lower_devices(sqlite->writer, epoch.first - 1);
    if (!err)
        err = sqlite_writer_commit(sqlite->writer);
    sqlite->visible_upto = sqlite->last = sqlite->last_noted = epoch.first - 1;
    store_begin(&sqlite->store, epoch.first - 1);
    return err ? err
               : sqlite_writer_load_epochs(sqlite->writer, &sqlite->epochs, &sqlite->epoch_count);
}

static int take_over(struct sqlite_store *sqlite)
{
    int err = reload(sqlite);
    if (!err)
        err = sqlite_writer_load_keys(sqlite->writer, sqlite_clock_old_keys(sqlite),
                                      sqlite->options.idempotency_entries, reload_key, sqlite);
    return err;
}

bool sqlite_recovery_open(struct sqlite_store *sqlite, struct sqlite_file_error *ret_error)
{
    int64_t wall_ms = sqlite->options.wall_ms();
    sqlite->lock = sqlite_folder_lock(sqlite->options.folder, ret_error);
    if (sqlite->lock < 0)
        return false;
    sqlite->writer = open_writer(sqlite, ret_error);
    if (!sqlite->writer)
        return false;
    sqlite_writer_use_hash_key(sqlite->writer, true);
    int err = sqlite_clock_begin(sqlite, wall_ms);
    if (!err && begin_epoch(sqlite, wall_ms) == 0 && take_over(sqlite) == 0)
        return true;
    snprintf(ret_error->text, sizeof ret_error->text,
             "%s: cannot be used; is there room on the disk? `pushwire check-data` says more",
             sqlite->options.folder);
    return false;
}
