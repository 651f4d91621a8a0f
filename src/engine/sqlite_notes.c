#include "engine/sqlite_notes.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/minmax.h"
#include "engine/last_seen.h"
#include "engine/sqlite_checkpointer.h"
#include "engine/sqlite_clock.h"
#include "engine/sqlite_state.h"
#include "engine/sqlite_writer.h"

#define LOG_BYTES_MAX ((uint64_t)64 * 1024 * 1024)
#define PAGE_BYTES    4096

/* ---- the disk ---- */

void sqlite_notes_set_room(struct sqlite_store *sqlite, bool room)
{
    if (room != sqlite->no_room)
        return;
    sqlite->no_room = !room;
    if (room)
        log_info("the disk has room again", LOG_NUMBER("free", sqlite->store.disk_free));
    else
        log_error("the disk is full, refusing what must be kept",
                  LOG_NUMBER("free", sqlite->store.disk_free));
}

void sqlite_notes_look_at_disk(struct sqlite_store *sqlite)
{
    struct statvfs disk;
    if (statvfs(sqlite->options.folder, &disk) != 0)
        return;
    uint64_t size = (uint64_t)disk.f_blocks * disk.f_frsize;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    store_lock(&sqlite->store);
    sqlite->store.disk_free = left;
    store_unlock(&sqlite->store);
    sqlite_notes_set_room(sqlite, left >= min_u64(sqlite->options.disk_reserve, size / 50));
    sqlite_checkpointer_limit(sqlite->checkpointer,
                              (int)(min_u64(LOG_BYTES_MAX, size / 32) / PAGE_BYTES));
}

/* ---- what is written down ---- */

struct notes {
    struct device *devices;
    size_t device_count;
    struct last_seen_row *last_seen;
    size_t last_seen_count;
};

static struct notes take_notes(struct sqlite_store *sqlite, bool with_last_seen)
{
    struct notes notes = {NULL};
    store_lock(&sqlite->store);
    notes.devices = devices_copy(&sqlite->devices, &notes.device_count);
    if (with_last_seen)
        notes.last_seen = last_seen_copy(store_last_seen(&sqlite->store), &notes.last_seen_count);
    store_unlock(&sqlite->store);
    if (notes.device_count)
        qsort(notes.devices, notes.device_count, sizeof *notes.devices, device_compare);
    if (notes.last_seen_count)
        qsort(notes.last_seen, notes.last_seen_count, sizeof *notes.last_seen, last_seen_compare);
    return notes;
}

/* A cursor may be the id of what was not kept; no gap must be told for that. */
static int write_notes(struct sqlite_store *sqlite, const struct notes *notes)
{
    int err = sqlite_writer_begin(sqlite->writer);
    if (!err)
        err = sqlite_writer_reserve(sqlite->writer, sqlite->last);
    if (!err)
        err = sqlite_clock_note(sqlite);
    for (size_t i = 0; !err && i < notes->device_count; i++)
        err = sqlite_writer_move_device(sqlite->writer, &notes->devices[i]);
    for (size_t i = 0; !err && i < notes->last_seen_count; i++)
        err = sqlite_writer_note_last_seen(sqlite->writer, notes->last_seen[i].user,
                                           notes->last_seen[i].at_ms);
    return err ? err : sqlite_writer_commit(sqlite->writer);
}

static void forget_notes(struct sqlite_store *sqlite, const struct notes *notes)
{
    sqlite->last_noted = sqlite->last;
    store_lock(&sqlite->store);
    devices_forget_copied(&sqlite->devices, notes->devices, notes->device_count);
    last_seen_forget(store_last_seen(&sqlite->store), notes->last_seen, notes->last_seen_count);
    store_unlock(&sqlite->store);
}

int sqlite_notes_write(struct sqlite_store *sqlite, bool with_last_seen)
{
    struct notes notes = take_notes(sqlite, with_last_seen);
    int err = 0;
    if (notes.device_count || notes.last_seen_count || sqlite->last != sqlite->last_noted ||
        sqlite_clock_has_news(sqlite, sqlite->options.wall_ms())) {
        err = write_notes(sqlite, &notes);
        if (!err)
            forget_notes(sqlite, &notes);
    }
    free(notes.devices);
    free(notes.last_seen);
    return err;
}
