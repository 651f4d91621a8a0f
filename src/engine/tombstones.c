#include "engine/tombstones.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/sqlite_file.h"

#define CHUNK      16 /* messages between two looks at the clock */
#define DIGIT_BITS 11 /* four digits are all the milliseconds of an id */
#define DIGIT      (((uint64_t)1 << DIGIT_BITS) - 1)

enum { LIST, SAVE, DROP, EMPTY, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [LIST] = "SELECT ids FROM litter",
    [SAVE] = "INSERT INTO litter(ids) VALUES (?)",
    [DROP] = "DELETE FROM message WHERE id = ? AND shared = 0",
    [EMPTY] = "DELETE FROM litter",
};

struct tombstones {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t *ids;
    size_t count;
    size_t room;
    size_t saved; /* so many are in the file */
    size_t next;  /* to be removed */
    bool busy;
};

static bool append(struct tombstones *tombstones, const void *ids, size_t count)
{
    if (tombstones->count + count > tombstones->room) {
        size_t room = (tombstones->count + count) * 2;
        uint64_t *more = realloc(tombstones->ids, room * sizeof *more);
        if (!more)
            return false;
        tombstones->ids = more;
        tombstones->room = room;
    }
    if (count)
        memcpy(tombstones->ids + tombstones->count, ids, count * sizeof *tombstones->ids);
    tombstones->count += count;
    return true;
}

static bool load(struct tombstones *tombstones)
{
    sqlite3_stmt *statement = tombstones->statements[LIST];
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const void *ids = sqlite3_column_blob(statement, 0);
        size_t count = (size_t)sqlite3_column_bytes(statement, 0) / sizeof *tombstones->ids;
        if (!append(tombstones, ids, count))
            break;
    }
    sqlite3_reset(statement);
    tombstones->saved = tombstones->count;
    return rc == SQLITE_DONE;
}

struct tombstones *tombstones_create(sqlite3 *db)
{
    struct tombstones *tombstones = mem_alloc(sizeof *tombstones);
    tombstones->db = db;
    if (sqlite_file_prepare(db, texts, STATEMENTS, tombstones->statements) && load(tombstones))
        return tombstones;
    tombstones_destroy(tombstones);
    return NULL;
}

void tombstones_destroy(struct tombstones *tombstones)
{
    if (!tombstones)
        return;
    sqlite_file_finalize(tombstones->statements, STATEMENTS);
    free(tombstones->ids);
    free(tombstones);
}

bool tombstones_add(struct tombstones *tombstones, const uint64_t *ids, size_t count)
{
    assert(!tombstones->busy);
    return append(tombstones, ids, count);
}

/* One row each time: a row for each id would cost as much as filing it. */
int tombstones_save(struct tombstones *tombstones)
{
    size_t fresh = tombstones->count - tombstones->saved;
    if (!fresh)
        return SQLITE_OK;
    sqlite3_bind_blob(tombstones->statements[SAVE], 1, tombstones->ids + tombstones->saved,
                      (int)(fresh * sizeof *tombstones->ids), SQLITE_STATIC);
    tombstones->saved = tombstones->count;
    int rc = sqlite_file_run(tombstones->statements[SAVE]);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

size_t tombstones_count(const struct tombstones *tombstones)
{
    return tombstones->count;
}

/* ---- removing ---- */

/* One digit of the order; what is equal stays as it was. */
static void sort_digit(const uint64_t *from, uint64_t *to, size_t count, int shift)
{
    size_t at[1 << DIGIT_BITS] = {0}, sum = 0;
    for (size_t i = 0; i < count; i++)
        at[from[i] >> shift & DIGIT]++;
    for (size_t digit = 0; digit <= DIGIT; digit++) {
        size_t many = at[digit];
        at[digit] = sum;
        sum += many;
    }
    for (size_t i = 0; i < count; i++)
        to[at[from[i] >> shift & DIGIT]++] = from[i];
}

/* By their milliseconds, digit by digit: as good as the whole order, and a tenth of the time of
 * qsort, which would be as long as ten slices. Without memory for it they go as they came, page
 * after page. */
static void sort(struct tombstones *tombstones)
{
    uint64_t *other = malloc(tombstones->count * sizeof *other);
    if (!other)
        return;
    tombstones->room = tombstones->count;
    for (int shift = MESSAGE_ID_CLOCK_SHIFT; shift < 64; shift += DIGIT_BITS) {
        uint64_t *from = tombstones->ids;
        sort_digit(from, other, tombstones->count, shift);
        tombstones->ids = other;
        other = from;
    }
    free(other);
}

void tombstones_begin(struct tombstones *tombstones)
{
    if (tombstones->busy || !tombstones->count)
        return;
    sort(tombstones);
    tombstones->next = 0;
    tombstones->busy = true;
}

bool tombstones_busy(const struct tombstones *tombstones)
{
    return tombstones->busy;
}

static int drop(struct tombstones *tombstones, uint64_t *pruned)
{
    sqlite3_stmt *statement = tombstones->statements[DROP];
    sqlite3_bind_int64(statement, 1, (int64_t)tombstones->ids[tombstones->next++]);
    int rc = sqlite_file_run(statement);
    *pruned += rc == SQLITE_DONE ? (uint64_t)sqlite3_changes(tombstones->db) : 0;
    return rc;
}

/* After a crash in the midst of it, all of the list is there again, and what is gone stays gone. */
static int finish(struct tombstones *tombstones)
{
    tombstones->busy = false;
    tombstones->count = tombstones->saved = 0;
    return sqlite_file_run(tombstones->statements[EMPTY]);
}

int tombstones_slice(struct tombstones *tombstones, int64_t until_us, size_t least,
                     uint64_t *pruned)
{
    size_t first = tombstones->next;
    int rc = SQLITE_DONE;
    while (rc == SQLITE_DONE && tombstones->busy &&
           (tombstones->next - first < least || clock_mono_us() < until_us)) {
        for (int i = 0; rc == SQLITE_DONE && i < CHUNK && tombstones->next < tombstones->count; i++)
            rc = drop(tombstones, pruned);
        if (rc == SQLITE_DONE && tombstones->next == tombstones->count)
            rc = finish(tombstones);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
