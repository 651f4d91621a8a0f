/* sqlite_writer.h - the one connection that writes: log, keys, index, retention, epochs.
 *
 * Everything happens in a transaction of the caller's: what is added is kept once
 * sqlite_writer_commit says so. One thread at a time. Functions return 0, ERR_NO_ROOM (the disk is
 * full), ERR_OUT_OF_MEMORY or ERR_BROKER_DOWN (writing failed; why stands in the log); after any of
 * the three the transaction is lost and the writer is to be closed and opened anew. */
#ifndef ENGINE_SQLITE_WRITER_H
#define ENGINE_SQLITE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/mail_index.h"
#include "engine/retention.h"
#include "engine/sqlite_loader.h"

struct age;
struct device;
struct idempotency_key;
struct message;
struct sqlite_file_error;
struct sqlite_writer;
struct topic;

struct sqlite_writer_options {
    const char *folder; /* borrowed */
    bool full_sync;
    uint64_t recent_bytes; /* what may wait for the index, in memory */
    struct mail_index_limits index;
    struct retention_limits retention;
};

struct sqlite_writer *sqlite_writer_open(const struct sqlite_writer_options *options,
                                         struct sqlite_file_error *ret_error);
void sqlite_writer_close(struct sqlite_writer *writer); /* NULL is fine; rolls back */

/* The key of hash.h under which topics are filed: a new file takes over the process's, and with
 * `adopt` the process an older file's. False: they differ. */
bool sqlite_writer_use_hash_key(struct sqlite_writer *writer, bool adopt);

/* ---- what is there ---- */

/* The greatest id known to have been given. */
uint64_t sqlite_writer_last(const struct sqlite_writer *writer);
/* Every message up to here is in the index. */
uint64_t sqlite_writer_indexed_upto(const struct sqlite_writer *writer);
uint64_t sqlite_writer_messages(const struct sqlite_writer *writer);
uint64_t sqlite_writer_bytes(const struct sqlite_writer *writer);
/* When the newest message was sent; 0: there is none. */
int64_t sqlite_writer_newest_ms(const struct sqlite_writer *writer);

int sqlite_writer_get_age(struct sqlite_writer *writer, struct age *ret_age);

/* Hands every message that is not in the index to take(), in id order, and notes it for the
 * index. erased() follows for each topic of it that was erased since. False from take(): stop,
 * out of memory. */
int sqlite_writer_load_tail(struct sqlite_writer *writer,
                            bool (*take)(void *context, struct message *message),
                            void (*erased)(void *context, const struct topic *topic, uint64_t upto),
                            void *context);

/* Hands the keys above this id to take(), oldest first; count of them at most, the newest. */
int sqlite_writer_load_keys(struct sqlite_writer *writer, uint64_t above, size_t count,
                            bool (*take)(void *context, const struct idempotency_key *key,
                                         uint64_t id, bool kept),
                            void *context);

/* All epochs, oldest first; *ret_epochs is the caller's to free. */
int sqlite_writer_load_epochs(struct sqlite_writer *writer, struct epoch **ret_epochs,
                              size_t *ret_count);

/* ---- after a failure, before anything else is written ---- */

/* Copies all of the log into the file and begins a new one. What was in the log when a sync failed
 * may be in memory only, and another sync would not say so; what follows it must not stand on it.
 */
int sqlite_writer_leave_log(struct sqlite_writer *writer);

/* Removes the messages above this id, and their keys: none of them is in the index. */
int sqlite_writer_take_back(struct sqlite_writer *writer, uint64_t upto);

/* ---- writing ---- */

/* Begins a transaction, if none is open. */
int sqlite_writer_begin(struct sqlite_writer *writer);
bool sqlite_writer_in_transaction(const struct sqlite_writer *writer);

int sqlite_writer_add(struct sqlite_writer *writer, const struct message *message);
int sqlite_writer_add_key(struct sqlite_writer *writer, uint64_t id,
                          const struct idempotency_key *key, bool kept);
int sqlite_writer_add_epoch(struct sqlite_writer *writer, const struct epoch *epoch);
/* No device can have more than was given: those that claim to are set to head. */
int sqlite_writer_lower_devices(struct sqlite_writer *writer, uint64_t head);
int sqlite_writer_set_age(struct sqlite_writer *writer, const struct age *age);
int sqlite_writer_note_last_seen(struct sqlite_writer *writer, uint64_t hash, int64_t at_ms);

/* A device of a user: made with a cursor, and then the user's that moved longest ago goes where it
 * has more than so many; moved up, if it is there; removed. */
int sqlite_writer_open_device(struct sqlite_writer *writer, const struct device *device,
                              size_t per_user);
int sqlite_writer_move_device(struct sqlite_writer *writer, const struct device *device);
int sqlite_writer_forget_device(struct sqlite_writer *writer, const struct device *device,
                                bool *ret_found);

/* Records that ids up to here have been given, though nothing of them is kept. */
int sqlite_writer_reserve(struct sqlite_writer *writer, uint64_t last);

/* Removes a topic's mail, all of it. now_ms: what has expired by then does not count. */
int sqlite_writer_erase(struct sqlite_writer *writer, const struct topic *topic, uint64_t upto,
                        int64_t now_ms, uint64_t *ret_erased);

int sqlite_writer_commit(struct sqlite_writer *writer);

/* A committed message that is to be indexed. False: out of memory, as above. */
bool sqlite_writer_note(struct sqlite_writer *writer, const struct message *message);

/* ---- housekeeping, in slices ---- */

/* Is there work? quiet: nothing was published for a second. */
bool sqlite_writer_has_work(const struct sqlite_writer *writer, bool quiet);

/* Looks for what is past its time: messages that have expired by now_ms, and keys up to an id. Once
 * a second or so, outside a transaction. */
int sqlite_writer_look(struct sqlite_writer *writer, int64_t now_ms, uint64_t keys_upto);

/* Does some of it in this transaction, until the time on the monotonic clock; before anything is
 * added to it. now_ms: as mail_index_slice has it. */
int sqlite_writer_work(struct sqlite_writer *writer, int64_t until_us, int64_t now_ms, bool quiet);

/* What limits took that memory may still have: from single topics (see mail_index_take_cuts),
 * and the oldest of all, up to an id. Only what is committed. */
const struct mail_cut *sqlite_writer_take_cuts(struct sqlite_writer *writer, size_t *ret_count);
uint64_t sqlite_writer_gone_upto(const struct sqlite_writer *writer);

/* Pages of the write-ahead log, after the last commit. */
int sqlite_writer_log_pages(const struct sqlite_writer *writer);

/* Makes the next commit begin the write-ahead log anew, if all of it can be copied into the file
 * within a moment; nothing happens if not. Outside a transaction. */
void sqlite_writer_restart_log(struct sqlite_writer *writer);

#endif
