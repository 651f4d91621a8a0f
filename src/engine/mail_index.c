#include "engine/mail_index.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/litter.h"
#include "engine/memory_store.h"
#include "engine/sqlite_file.h"
#include "model/message.h"

#define BUCKETS      256
#define INSERT_CHUNK 64
#define PRUNE_CHUNK  64

struct entry {
    uint64_t place; /* the address's hash, in the order of SQLite's signed numbers */
    uint64_t id;
    uint32_t size;
};

struct entries {
    struct entry *items;
    size_t count;
    size_t room;
};

/* The address at hand. */
struct box {
    uint64_t place;
    int64_t hash;
    uint64_t last; /* its newest row */
    uint64_t n;
    uint64_t total;
    uint64_t excess; /* messages still to be removed from its oldest end */
};

enum { LAST, FIRST, INSERT, OLDEST, CUT, ANY_OVER, IS_OVER, TELL, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [LAST] = "SELECT id, n, total FROM mail WHERE address = ? ORDER BY id DESC LIMIT 1",
    [FIRST] = "SELECT n, total FROM mail WHERE address = ? ORDER BY id LIMIT 1",
    [INSERT] = "INSERT INTO mail(address, id, n, total) VALUES (?,?,?,?)",
    [OLDEST] = "SELECT id FROM mail WHERE address = ? ORDER BY id LIMIT ?",
    [CUT] = "DELETE FROM mail WHERE address = ? AND id <= ?",
    [ANY_OVER] = "SELECT 1 FROM message WHERE own_ttl = 1 AND expires_at <= ? LIMIT 1",
    [IS_OVER] = "SELECT 1 FROM message WHERE id = ? AND own_ttl = 1 AND expires_at <= ?",
    [TELL] = SQLITE_FILE_TELL,
};

struct mail_index {
    struct mail_index_limits limits;
    struct litter *litter; /* borrowed */
    sqlite3_stmt *statements[STATEMENTS];
    struct entries noted;
    uint64_t noted_bytes;
    uint64_t noted_messages;
    uint64_t noted_upto;
    /* The bulk: parted by the first byte of the place; each part is sorted when its turn comes. */
    struct entries bulk;
    size_t ends[BUCKETS];
    size_t bucket;
    size_t sorted; /* entries below are in order */
    size_t next;
    uint64_t bulk_upto;
    uint64_t bulk_messages;
    struct box box;
    bool box_open; /* not yet through with it */
    bool any_over; /* somebody's message lies there whose own ttl has run out */
    struct mail_cut *cuts;
    size_t cut_count;
    size_t cut_room;
    bool busy;
};

struct mail_index *mail_index_create(sqlite3 *db, const struct mail_index_limits *limits,
                                     struct litter *litter)
{
    struct mail_index *index = mem_alloc(sizeof *index);
    index->limits = *limits;
    index->litter = litter;
    if (sqlite_file_prepare(db, texts, STATEMENTS, index->statements))
        return index;
    free(index);
    return NULL;
}

void mail_index_destroy(struct mail_index *index)
{
    if (!index)
        return;
    sqlite_file_finalize(index->statements, STATEMENTS);
    free(index->noted.items);
    free(index->bulk.items);
    free(index->cuts);
    free(index);
}

/* ---- noting ---- */

static uint64_t place_of(uint64_t hash)
{
    return hash ^ (uint64_t)1 << 63;
}

static bool grow(struct entries *entries, size_t more)
{
    if (entries->count + more <= entries->room)
        return true;
    size_t room = entries->room ? entries->room * 2 : 1024;
    while (room < entries->count + more)
        room *= 2;
    struct entry *items = realloc(entries->items, room * sizeof *items);
    if (!items)
        return false;
    entries->items = items;
    entries->room = room;
    return true;
}

bool mail_index_note(struct mail_index *index, const struct message *message)
{
    struct entries *noted = &index->noted;
    uint32_t size = message->sender_length + message->body_length;
    if (!grow(noted, message->address_count))
        return false;
    for (uint32_t i = 0; i < message->address_count; i++)
        noted->items[noted->count++] =
            (struct entry){place_of(message->addresses[i].hash), message->id, size};
    index->noted_bytes += memory_store_charge(message);
    index->noted_messages++;
    index->noted_upto = message->id;
    return true;
}

static void remove_place(struct entries *entries, size_t from, uint64_t place)
{
    for (size_t i = from; i < entries->count; i++) {
        if (entries->items[i].place == place)
            entries->items[i].size = UINT32_MAX; /* no message is as large: see is_dropped */
    }
}

static bool is_dropped(const struct entry *entry)
{
    return entry->size == UINT32_MAX;
}

void mail_index_forget(struct mail_index *index, uint64_t hash)
{
    remove_place(&index->noted, 0, place_of(hash));
    if (index->busy)
        remove_place(&index->bulk, index->next, place_of(hash));
}

bool mail_index_each(const struct mail_index *index, uint64_t hash, size_t *cursor,
                     uint64_t *ret_id)
{
    uint64_t place = place_of(hash);
    size_t bulk = index->busy ? index->bulk.count - index->next : 0;
    while (*cursor < bulk + index->noted.count) {
        size_t i = (*cursor)++;
        const struct entry *entry =
            i < bulk ? &index->bulk.items[index->next + i] : &index->noted.items[i - bulk];
        if (entry->place != place || is_dropped(entry))
            continue;
        *ret_id = entry->id;
        return true;
    }
    return false;
}

uint64_t mail_index_unfiled(const struct mail_index *index)
{
    return index->noted_messages + index->bulk_messages;
}

size_t mail_index_noted(const struct mail_index *index)
{
    return index->noted.count;
}

uint64_t mail_index_noted_bytes(const struct mail_index *index)
{
    return index->noted_bytes;
}

bool mail_index_busy(const struct mail_index *index)
{
    return index->busy;
}

/* ---- bulks ---- */

static size_t bucket_of(const struct entry *entry)
{
    return entry->place >> 56;
}

/* Parts the noted entries by their first byte; within a part ids still rise. */
static void part(struct mail_index *index)
{
    size_t at[BUCKETS], sum = 0;
    const struct entries *noted = &index->noted;
    memset(index->ends, 0, sizeof index->ends);
    for (size_t i = 0; i < noted->count; i++)
        index->ends[bucket_of(&noted->items[i])]++;
    for (size_t b = 0; b < BUCKETS; b++) {
        at[b] = sum;
        sum += index->ends[b];
        index->ends[b] = sum;
    }
    for (size_t i = 0; i < noted->count; i++)
        index->bulk.items[at[bucket_of(&noted->items[i])]++] = noted->items[i];
    index->bulk.count = noted->count;
}

bool mail_index_begin(struct mail_index *index)
{
    if (index->busy)
        return true;
    index->bulk.count = 0;
    if (!grow(&index->bulk, index->noted.count))
        return false;
    part(index);
    index->bulk_upto = index->noted_upto;
    index->bucket = index->next = index->sorted = 0;
    index->busy = true;
    index->box_open = false;
    index->bulk_messages = index->noted_messages;
    index->noted.count = 0;
    index->noted_bytes = index->noted_messages = 0;
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->place != y->place)
        return x->place > y->place ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* False: the bulk is at its end. */
static bool sort_next_bucket(struct mail_index *index)
{
    while (index->next == index->sorted) {
        if (index->next == index->bulk.count)
            return false;
        size_t end = index->ends[index->bucket++];
        qsort(index->bulk.items + index->next, end - index->next, sizeof *index->bulk.items,
              compare_entries);
        index->sorted = end;
    }
    return true;
}

/* ---- filing ---- */

static int find_last(struct mail_index *index, struct box *box)
{
    sqlite3_stmt *statement = index->statements[LAST];
    sqlite3_bind_int64(statement, 1, box->hash);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        box->last = (uint64_t)sqlite3_column_int64(statement, 0);
        box->n = (uint64_t)sqlite3_column_int64(statement, 1);
        box->total = (uint64_t)sqlite3_column_int64(statement, 2);
    }
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert(struct mail_index *index, struct box *box, const struct entry *entry)
{
    sqlite3_stmt *statement = index->statements[INSERT];
    if (is_dropped(entry) || entry->id <= box->last)
        return SQLITE_OK; /* erased; or filed before a crash */
    box->last = entry->id;
    box->total += entry->size;
    sqlite3_bind_int64(statement, 1, box->hash);
    sqlite3_bind_int64(statement, 2, (int64_t)entry->id);
    sqlite3_bind_int64(statement, 3, (int64_t)++box->n);
    sqlite3_bind_int64(statement, 4, (int64_t)box->total);
    int rc = sqlite_file_run(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* How many messages are over the limits, counted from the oldest; 0 while within an eighth. */
static int count_excess(struct mail_index *index, struct box *box)
{
    const struct mail_index_limits *limits = &index->limits;
    uint64_t messages = limits->keep_messages + limits->keep_messages / 8;
    uint64_t bytes = limits->keep_bytes + limits->keep_bytes / 8;
    box->excess = 0;
    if (box->n <= messages && box->total <= bytes)
        return SQLITE_OK;
    sqlite3_stmt *statement = index->statements[FIRST];
    sqlite3_bind_int64(statement, 1, box->hash);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        uint64_t count = box->n - (uint64_t)sqlite3_column_int64(statement, 0) + 1;
        uint64_t size = box->total - (uint64_t)sqlite3_column_int64(statement, 1);
        if (count > messages)
            box->excess = count - limits->keep_messages;
        else if (size > bytes && count > 1) /* by the mean size; the next bulk counts again */
            box->excess = (size - limits->keep_bytes) / (size / (count - 1)) + 1;
        if (box->excess >= count) /* the newest stays in any case */
            box->excess = count - 1;
    }
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Its going is no loss. */
static int is_over(struct mail_index *index, uint64_t id, int64_t now_ms, bool *ret_over)
{
    sqlite3_stmt *statement = index->statements[IS_OVER];
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int64(statement, 2, now_ms);
    int rc = sqlite3_step(statement);
    *ret_over = rc == SQLITE_ROW;
    sqlite3_reset(statement);
    return rc == SQLITE_ROW ? SQLITE_DONE : rc;
}

/* Most often there is none, and then no message need be looked at. */
static int look_for_over(struct mail_index *index, int64_t now_ms)
{
    sqlite3_stmt *statement = index->statements[ANY_OVER];
    sqlite3_bind_int64(statement, 1, now_ms);
    int rc = sqlite3_step(statement);
    index->any_over = rc == SQLITE_ROW;
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void note_cut(struct mail_index *index, const struct mail_cut *cut)
{
    if (index->cut_count == index->cut_room) {
        size_t room = index->cut_room ? index->cut_room * 2 : 64;
        struct mail_cut *cuts = realloc(index->cuts, room * sizeof *cuts);
        if (!cuts)
            return;
        index->cuts = cuts;
        index->cut_room = room;
    }
    index->cuts[index->cut_count++] = *cut;
}

const struct mail_cut *mail_index_take_cuts(struct mail_index *index, size_t *ret_count)
{
    *ret_count = index->cut_count;
    index->cut_count = 0;
    return index->cuts;
}

/* The last of these, in id order, that is a loss; 0: none is. */
static int find_told(struct mail_index *index, const uint64_t *ids, size_t count, int64_t now_ms,
                     uint64_t *ret_told_upto)
{
    int rc = SQLITE_DONE;
    bool over = true;
    while (count && rc == SQLITE_DONE && over) {
        over = false;
        count--;
        if (index->any_over)
            rc = is_over(index, ids[count], now_ms, &over);
    }
    *ret_told_upto = over ? 0 : ids[count];
    return rc;
}

/* Takes the oldest `count` of an address, PRUNE_CHUNK at most, from the index. */
static int prune(struct mail_index *index, const struct box *box, size_t count, int64_t now_ms)
{
    sqlite3_stmt *oldest = index->statements[OLDEST];
    uint64_t ids[PRUNE_CHUNK], told_upto;
    size_t found = 0;
    int rc;
    sqlite3_bind_int64(oldest, 1, box->hash);
    sqlite3_bind_int64(oldest, 2, (int64_t)count);
    while ((rc = sqlite3_step(oldest)) == SQLITE_ROW)
        ids[found++] = (uint64_t)sqlite3_column_int64(oldest, 0);
    sqlite3_reset(oldest);
    if (rc != SQLITE_DONE || !found)
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    if (!litter_add(index->litter, ids, found))
        return SQLITE_NOMEM;
    rc = find_told(index, ids, found, now_ms, &told_upto);
    if (rc == SQLITE_DONE)
        rc = sqlite_file_run_for(index->statements[CUT], box->hash, ids[found - 1]);
    if (rc == SQLITE_DONE && told_upto)
        rc = sqlite_file_run_for(index->statements[TELL], box->hash, told_upto);
    note_cut(index, &(struct mail_cut){(uint64_t)box->hash, ids[found - 1], told_upto});
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* At each address as long as there is time, in three steps: open, insert, prune. */

static int open_box(struct mail_index *index)
{
    uint64_t place = index->bulk.items[index->next].place;
    index->box = (struct box){.place = place, .hash = (int64_t)place_of(place)};
    index->box_open = true;
    return find_last(index, &index->box);
}

static bool has_entry(const struct mail_index *index)
{
    return index->next < index->sorted && index->bulk.items[index->next].place == index->box.place;
}

static int fill_box(struct mail_index *index, int64_t until_us)
{
    int rc = SQLITE_OK;
    do {
        for (int i = 0; rc == SQLITE_OK && i < INSERT_CHUNK && has_entry(index); i++)
            rc = insert(index, &index->box, &index->bulk.items[index->next++]);
    } while (rc == SQLITE_OK && has_entry(index) && clock_mono_us() < until_us);
    return rc == SQLITE_OK && !has_entry(index) ? count_excess(index, &index->box) : rc;
}

static int prune_box(struct mail_index *index, int64_t until_us, int64_t now_ms)
{
    struct box *box = &index->box;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && box->excess && clock_mono_us() < until_us) {
        size_t count = box->excess < PRUNE_CHUNK ? (size_t)box->excess : PRUNE_CHUNK;
        rc = prune(index, box, count, now_ms);
        box->excess -= count;
    }
    return rc;
}

static int file_next(struct mail_index *index, int64_t until_us, int64_t now_ms)
{
    int rc = index->box_open ? SQLITE_OK : open_box(index);
    if (rc == SQLITE_OK && has_entry(index))
        rc = fill_box(index, until_us);
    if (rc == SQLITE_OK && !has_entry(index))
        rc = prune_box(index, until_us, now_ms);
    index->box_open = has_entry(index) || index->box.excess;
    return rc;
}

int mail_index_slice(struct mail_index *index, int64_t until_us, int64_t now_ms, uint64_t *ret_upto)
{
    int rc = look_for_over(index, now_ms);
    *ret_upto = 0;
    while (rc == SQLITE_OK && index->busy && clock_mono_us() < until_us) {
        if (index->box_open || sort_next_bucket(index)) {
            rc = file_next(index, until_us, now_ms);
        } else {
            index->busy = false;
            index->bulk_messages = 0;
            *ret_upto = index->bulk_upto;
        }
    }
    return rc == SQLITE_OK ? litter_save(index->litter) : rc;
}
