#include "engine/litter.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/broker.h"
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

struct litter {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t *ids;
    size_t count;
    size_t room;
    size_t saved; /* so many are in the file */
    size_t next;  /* to be removed */
    bool busy;
};

static bool append(struct litter *litter, const void *ids, size_t count)
{
    if (litter->count + count > litter->room) {
        size_t room = (litter->count + count) * 2;
        uint64_t *more = realloc(litter->ids, room * sizeof *more);
        if (!more)
            return false;
        litter->ids = more;
        litter->room = room;
    }
    if (count)
        memcpy(litter->ids + litter->count, ids, count * sizeof *litter->ids);
    litter->count += count;
    return true;
}

static bool load(struct litter *litter)
{
    sqlite3_stmt *statement = litter->statements[LIST];
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const void *ids = sqlite3_column_blob(statement, 0);
        size_t count = (size_t)sqlite3_column_bytes(statement, 0) / sizeof *litter->ids;
        if (!append(litter, ids, count))
            break;
    }
    sqlite3_reset(statement);
    litter->saved = litter->count;
    return rc == SQLITE_DONE;
}

struct litter *litter_create(sqlite3 *db)
{
    struct litter *litter = mem_alloc(sizeof *litter);
    litter->db = db;
    if (sqlite_file_prepare(db, texts, STATEMENTS, litter->statements) && load(litter))
        return litter;
    litter_destroy(litter);
    return NULL;
}

void litter_destroy(struct litter *litter)
{
    if (!litter)
        return;
    sqlite_file_finalize(litter->statements, STATEMENTS);
    free(litter->ids);
    free(litter);
}

bool litter_add(struct litter *litter, const uint64_t *ids, size_t count)
{
    assert(!litter->busy);
    return append(litter, ids, count);
}

/* One row each time: a row for each id would cost as much as filing it. */
int litter_save(struct litter *litter)
{
    size_t fresh = litter->count - litter->saved;
    if (!fresh)
        return SQLITE_OK;
    sqlite3_bind_blob(litter->statements[SAVE], 1, litter->ids + litter->saved,
                      (int)(fresh * sizeof *litter->ids), SQLITE_STATIC);
    litter->saved = litter->count;
    int rc = sqlite_file_run(litter->statements[SAVE]);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

size_t litter_count(const struct litter *litter)
{
    return litter->count;
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
static void sort(struct litter *litter)
{
    uint64_t *other = malloc(litter->count * sizeof *other);
    if (!other)
        return;
    litter->room = litter->count;
    for (int shift = BROKER_ID_CLOCK_SHIFT; shift < 64; shift += DIGIT_BITS) {
        uint64_t *from = litter->ids;
        sort_digit(from, other, litter->count, shift);
        litter->ids = other;
        other = from;
    }
    free(other);
}

void litter_begin(struct litter *litter)
{
    if (litter->busy || !litter->count)
        return;
    sort(litter);
    litter->next = 0;
    litter->busy = true;
}

bool litter_busy(const struct litter *litter)
{
    return litter->busy;
}

static int drop(struct litter *litter, uint64_t *pruned)
{
    sqlite3_stmt *statement = litter->statements[DROP];
    sqlite3_bind_int64(statement, 1, (int64_t)litter->ids[litter->next++]);
    int rc = sqlite_file_run(statement);
    *pruned += rc == SQLITE_DONE ? (uint64_t)sqlite3_changes(litter->db) : 0;
    return rc;
}

/* After a crash in the midst of it, all of the list is there again, and what is gone stays gone. */
static int finish(struct litter *litter)
{
    litter->busy = false;
    litter->count = litter->saved = 0;
    return sqlite_file_run(litter->statements[EMPTY]);
}

int litter_slice(struct litter *litter, int64_t until_us, uint64_t *pruned)
{
    int rc = SQLITE_DONE;
    while (rc == SQLITE_DONE && litter->busy && clock_mono_us() < until_us) {
        for (int i = 0; rc == SQLITE_DONE && i < CHUNK && litter->next < litter->count; i++)
            rc = drop(litter, pruned);
        if (rc == SQLITE_DONE && litter->next == litter->count)
            rc = finish(litter);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
