/* sqlite_state.h - the store that is a file, as its own modules share it.
 *
 * The broker's thread writes: a batch is appended to the log and committed as one; housekeeping
 * goes between, in slices. Two threads read pages, on connections of their own. The newest messages
 * stay in memory, in the window, so that pages among them need no disk. When writing fails, the
 * store is down: it refuses what must be kept, and tries once a second to open the file anew.
 *
 * Private to the files named sqlite_*.c. */
#ifndef ENGINE_SQLITE_STATE_H
#define ENGINE_SQLITE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/age.h"
#include "engine/broker_options.h"
#include "engine/devices.h"
#include "engine/store.h"

struct epoch;
struct mailboxes;
struct sqlite_checkpointer;
struct sqlite_reader_pool;
struct sqlite_writer;

struct sqlite_store {
    struct store store;
    /* These never change after the start. */
    struct broker_options options;
    struct epoch *epochs;
    size_t epoch_count;
    struct sqlite_reader_pool *readers;

    atomic_int_least64_t doubted_until_ms; /* the writing thread's, and read by all */

    /* The writing thread's: */
    int lock;                     /* on the folder */
    struct sqlite_writer *writer; /* NULL: down */
    struct sqlite_checkpointer *checkpointer;
    struct age age;           /* as the file has it */
    bool age_noted;           /* in this epoch */
    int64_t steady_offset_ms; /* the wall clock when it began less the monotonic clock */
    uint64_t last;            /* last id given */
    uint64_t last_noted;      /* of those not kept, what the file knows */
    int failed;               /* why what was written last is lost, until the file is open anew */
    bool shows_nothing;       /* no memory to show a message: none above it is shown either */
    bool committed;           /* and the log is to be looked after */
    int64_t published_at_ms;
    int64_t second_at_ms;
    int64_t rest_until_ms; /* from housekeeping, after it failed */
    int seconds;
    bool no_room;
    bool late; /* more waits for the index than memory is meant for */

    /* Under the broker's lock: */
    struct mailboxes *window; /* all that is kept and above window_floor */
    uint64_t window_floor;    /* never above indexed_upto */
    uint64_t indexed_upto;
    uint64_t visible_upto;  /* the last of those that are kept */
    struct devices devices; /* that moved since they were last written */
    struct list questions;
    pthread_cond_t has_questions;
    unsigned generation; /* of the open file; whoever reads it follows */
    bool stopping;
};

#endif
