#include "engine/mail_index.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/mailboxes.h"
#include "engine/sqlite_file.h"
#include "engine/tombstones.h"
#include "model/message.h"

#define BUCKETS      256
#define INSERT_CHUNK 64
#define ROW_CHUNK    64

struct entry {
    uint64_t place; /* the topic's hash, in the order of SQLite's signed numbers */
    uint64_t id;
    uint32_t size;
};

struct entries {
    struct entry *items;
    size_t count;
    size_t room;
};

/* A row of the table. n and total count from the topic's first row on: where no row between two
 * is missing, they tell how much lies between them, and where some are, no less. */
struct row {
    uint64_t id;
    uint64_t n;
    uint64_t total;
};

/* What is done at a topic, in this order; most need no more than FILL. */
enum step { CLOSED, FILL, COUNT, PRUNE };

/* The topic at hand. */
struct box {
    enum step step;
    uint64_t place;
    int64_t hash;
    struct row last;  /* its newest */
    struct row first; /* its oldest that counts; id 0: none has been counted */
    struct row at;    /* the last one counted, as it is now */
    struct row was;   /* the last one seen, as it was */
    bool young;       /* what follows has not outlived the default ttl */
};

/* What a row's message says of it. */
struct look {
    bool over; /* past its time, or gone: it counts no more */
    bool told; /* and its going is a loss */
    bool young;
    uint64_t size;
};

enum { LAST, FIRST, INSERT, ROWS, RENUMBER, UNMAIL, CUT, ANY_OVER, LOOK, TELL, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [LAST] = "SELECT id, n, total FROM mail WHERE address = ? ORDER BY id DESC LIMIT 1",
    [FIRST] = "SELECT id, n, total FROM mail WHERE address = ? ORDER BY id LIMIT 1",
    [INSERT] = "INSERT INTO mail(address, id, n, total) VALUES (?,?,?,?)",
    [ROWS] = "SELECT id, n, total FROM mail WHERE address = ? AND id > ? ORDER BY id LIMIT ?",
    [RENUMBER] = "UPDATE mail SET n = ?3, total = ?4 WHERE address = ?1 AND id = ?2",
    [UNMAIL] = "DELETE FROM mail WHERE address = ? AND id = ?",
    [CUT] = "DELETE FROM mail WHERE address = ? AND id <= ?",
    [ANY_OVER] = "SELECT 1 FROM message WHERE own_ttl = 1 AND expires_at <= ? LIMIT 1",
    [LOOK] = ("SELECT own_ttl, expires_at <= ?2, CASE WHEN ?3 THEN length(CAST(sender AS BLOB)) +"
              " length(CAST(body AS BLOB)) END FROM message WHERE id = ?1"),
    [TELL] = SQLITE_FILE_TELL,
};

struct mail_index {
    struct mail_index_limits limits;
    struct tombstones *tombstones; /* borrowed */
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
    size_t done; /* steps of this slice */
    uint64_t bulk_upto;
    uint64_t bulk_messages;
    struct box box;
    int64_t now_ms;
    bool any_over; /* somebody's message lies there whose own ttl has run out */
    struct mail_cut *cuts;
    size_t cut_count;
    size_t cut_room;
    bool busy;
};

struct mail_index *mail_index_create(sqlite3 *db, const struct mail_index_limits *limits,
                                     struct tombstones *tombstones)
{
    struct mail_index *index = mem_alloc(sizeof *index);
    index->limits = *limits;
    index->tombstones = tombstones;
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
    if (!grow(noted, message->topic_count))
        return false;
    for (uint32_t i = 0; i < message->topic_count; i++)
        noted->items[noted->count++] =
            (struct entry){place_of(message->topics[i].hash), message->id, size};
    index->noted_bytes += mailboxes_charge(message);
    index->noted_messages++;
    index->noted_upto = message->id;
    return true;
}

static void drop(struct entry *entry)
{
    entry->size = UINT32_MAX; /* no message is as large */
}

static bool is_dropped(const struct entry *entry)
{
    return entry->size == UINT32_MAX;
}

void mail_index_unnote(struct mail_index *index, const struct message *message, uint32_t i)
{
    struct entries *noted = &index->noted;
    assert(message->id == index->noted_upto && i < message->topic_count);
    drop(&noted->items[noted->count - message->topic_count + i]);
}

static void remove_place(struct entries *entries, size_t from, uint64_t place)
{
    for (size_t i = from; i < entries->count; i++) {
        if (entries->items[i].place == place)
            drop(&entries->items[i]);
    }
}

void mail_index_forget(struct mail_index *index, uint64_t hash)
{
    remove_place(&index->noted, 0, place_of(hash));
    if (index->busy)
        remove_place(&index->bulk, index->next, place_of(hash));
}

void mail_index_lose(struct mail_index *index, uint64_t id)
{
    uint64_t *messages =
        index->busy && id <= index->bulk_upto ? &index->bulk_messages : &index->noted_messages;
    *messages -= *messages > 0; /* one that cannot be read was not noted */
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
    index->box.step = CLOSED;
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

/* The one row that a statement gives for a topic; none leaves it as it is. */
static int find_row(sqlite3_stmt *statement, int64_t hash, struct row *row)
{
    sqlite3_bind_int64(statement, 1, hash);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *row = (struct row){(uint64_t)sqlite3_column_int64(statement, 0),
                            (uint64_t)sqlite3_column_int64(statement, 1),
                            (uint64_t)sqlite3_column_int64(statement, 2)};
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* One that takes a topic and an id, and gives no row. */
static int run_for(struct mail_index *index, int which, uint64_t id)
{
    int rc = sqlite_file_run_for(index->statements[which], index->box.hash, id);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Of INSERT and RENUMBER. */
static int write_row(sqlite3_stmt *statement, int64_t hash, const struct row *row)
{
    sqlite3_bind_int64(statement, 1, hash);
    sqlite3_bind_int64(statement, 2, (int64_t)row->id);
    sqlite3_bind_int64(statement, 3, (int64_t)row->n);
    sqlite3_bind_int64(statement, 4, (int64_t)row->total);
    int rc = sqlite_file_run(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert(struct mail_index *index, struct box *box, const struct entry *entry)
{
    if (is_dropped(entry) || entry->id <= box->last.id)
        return SQLITE_OK; /* erased; or filed before a crash */
    box->last = (struct row){entry->id, box->last.n + 1, box->last.total + entry->size};
    return write_row(index->statements[INSERT], box->hash, &box->last);
}

static bool has_entry(const struct mail_index *index)
{
    return index->next < index->sorted && index->bulk.items[index->next].place == index->box.place;
}

static int open_box(struct mail_index *index)
{
    uint64_t place = index->bulk.items[index->next].place;
    index->box = (struct box){.step = FILL, .place = place, .hash = (int64_t)place_of(place)};
    return find_row(index->statements[LAST], index->box.hash, &index->box.last);
}

/* Would a topic with these two ends be over its limits, by more than an eighth? */
static bool is_beyond(const struct mail_index *index, const struct row *first,
                      const struct row *last)
{
    const struct mail_index_limits *limits = &index->limits;
    return last->n - first->n + 1 > limits->keep_messages + limits->keep_messages / 8 ||
           last->total - first->total > limits->keep_bytes + limits->keep_bytes / 8;
}

static int fill(struct mail_index *index)
{
    struct box *box = &index->box;
    struct row first = {0};
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < INSERT_CHUNK && has_entry(index); i++) {
        rc = insert(index, box, &index->bulk.items[index->next++]);
        index->done++;
    }
    if (rc != SQLITE_OK || has_entry(index))
        return rc;
    box->step = CLOSED;
    rc = find_row(index->statements[FIRST], box->hash, &first);
    if (rc == SQLITE_OK && first.id && is_beyond(index, &first, &box->last))
        box->step = COUNT;
    return rc;
}

/* ---- counting ---- */

/* The next rows of the box above an id, ROW_CHUNK at most. */
static int list_rows(struct mail_index *index, uint64_t above, struct row *rows, size_t *ret_count)
{
    sqlite3_stmt *statement = index->statements[ROWS];
    int rc;
    *ret_count = 0;
    sqlite3_bind_int64(statement, 1, index->box.hash);
    sqlite3_bind_int64(statement, 2, (int64_t)above);
    sqlite3_bind_int(statement, 3, ROW_CHUNK);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
        rows[(*ret_count)++] = (struct row){(uint64_t)sqlite3_column_int64(statement, 0),
                                            (uint64_t)sqlite3_column_int64(statement, 1),
                                            (uint64_t)sqlite3_column_int64(statement, 2)};
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Most often no message's own ttl has run out, and then few need be looked at. */
static int look_for_over(struct mail_index *index)
{
    sqlite3_stmt *statement = index->statements[ANY_OVER];
    sqlite3_bind_int64(statement, 1, index->now_ms);
    int rc = sqlite3_step(statement);
    index->any_over = rc == SQLITE_ROW;
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int look_at(struct mail_index *index, uint64_t id, bool measure, struct look *look)
{
    sqlite3_stmt *statement = index->statements[LOOK];
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_int64(statement, 2, index->now_ms);
    sqlite3_bind_int(statement, 3, measure);
    int rc = sqlite3_step(statement);
    bool own_ttl = rc != SQLITE_ROW || sqlite3_column_int(statement, 0);
    look->over = rc != SQLITE_ROW || sqlite3_column_int(statement, 1);
    look->told = look->over && !own_ttl;
    look->young = !look->over && !own_ttl;
    if (measure && rc == SQLITE_ROW)
        look->size = (uint64_t)sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What is missing before the row is seen by its number; then its size, too, stands in the message
 * only. */
static int judge_row(struct mail_index *index, const struct row *row, struct look *ret_look)
{
    struct box *box = &index->box;
    bool follows = row->n == box->was.n + 1;
    int rc = SQLITE_OK;
    *ret_look = (struct look){.size = row->total - box->was.total};
    if (!follows || index->any_over || !box->young)
        rc = look_at(index, row->id, !follows, ret_look);
    box->young = box->young || ret_look->young;
    box->was = *row;
    return rc;
}

/* Gives a row the numbers it has without those that are missing or over. */
static int count_row(struct mail_index *index, const struct row *row, const struct look *look)
{
    struct box *box = &index->box;
    struct row now = *row;
    if (box->first.id) {
        now.n = box->at.n + !look->over;
        now.total = box->at.total + (look->over ? 0 : look->size);
    } else {
        box->first = now;
    }
    box->at = now;
    return now.n == row->n && now.total == row->total
               ? SQLITE_OK
               : write_row(index->statements[RENUMBER], box->hash, &now);
}

/* Counts what is there and alive; what is over leaves. The newest stays in any case: after a crash
 * it tells what has been filed. */
static int count_rows(struct mail_index *index, const struct row *rows, size_t count)
{
    uint64_t ids[ROW_CHUNK], reported_upto = 0;
    size_t over = 0;
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++) {
        struct look look;
        rc = judge_row(index, &rows[i], &look);
        if (rc != SQLITE_OK)
            break;
        if (!look.over || rows[i].id == index->box.last.id) {
            rc = count_row(index, &rows[i], &look);
            continue;
        }
        rc = run_for(index, UNMAIL, rows[i].id);
        ids[over++] = rows[i].id;
        reported_upto = look.told ? rows[i].id : reported_upto;
    }
    if (rc == SQLITE_OK && !tombstones_add(index->tombstones, ids, over))
        rc = SQLITE_NOMEM;
    return rc == SQLITE_OK && reported_upto ? run_for(index, TELL, reported_upto) : rc;
}

static int count(struct mail_index *index)
{
    struct box *box = &index->box;
    struct row rows[ROW_CHUNK];
    size_t found;
    int rc = list_rows(index, box->was.id, rows, &found);
    if (rc == SQLITE_OK)
        rc = count_rows(index, rows, found);
    if (rc != SQLITE_OK || found == ROW_CHUNK)
        return rc;
    box->last = box->at;
    box->step = box->first.id && is_beyond(index, &box->first, &box->last) ? PRUNE : CLOSED;
    return rc;
}

/* ---- pruning ---- */

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

/* By its number and not by how many are to go: others may have gone since it was counted. */
static bool is_excess(const struct mail_index *index, const struct row *row)
{
    const struct mail_index_limits *limits = &index->limits;
    const struct row *last = &index->box.last;
    return row->id != last->id && (last->n - row->n >= limits->keep_messages ||
                                   last->total - row->total > limits->keep_bytes);
}

static int cut(struct mail_index *index, uint64_t upto)
{
    int rc = run_for(index, CUT, upto);
    note_cut(index, &(struct mail_cut){(uint64_t)index->box.hash, upto});
    return rc == SQLITE_OK ? run_for(index, TELL, upto) : rc;
}

/* Takes the oldest from the index. All of them were alive when they were counted: a loss. */
static int prune(struct mail_index *index)
{
    struct row rows[ROW_CHUNK];
    uint64_t ids[ROW_CHUNK];
    size_t found, excess = 0;
    int rc = list_rows(index, 0, rows, &found);
    if (rc != SQLITE_OK)
        return rc;
    for (; excess < found && is_excess(index, &rows[excess]); excess++)
        ids[excess] = rows[excess].id;
    if (excess < ROW_CHUNK)
        index->box.step = CLOSED;
    if (!tombstones_add(index->tombstones, ids, excess))
        return SQLITE_NOMEM;
    return excess ? cut(index, ids[excess - 1]) : SQLITE_OK;
}

/* ---- slices ---- */

static int file_next(struct mail_index *index)
{
    int rc = index->box.step == CLOSED ? open_box(index) : SQLITE_OK;
    index->done++;
    if (rc != SQLITE_OK)
        return rc;
    switch (index->box.step) {
    case CLOSED:
    case FILL:
        return fill(index);
    case COUNT:
        return count(index);
    case PRUNE:
        return prune(index);
    }
    return SQLITE_OK;
}

int mail_index_slice(struct mail_index *index, int64_t until_us, size_t least, int64_t now_ms,
                     uint64_t *ret_upto)
{
    index->now_ms = now_ms;
    index->done = 0;
    int rc = look_for_over(index);
    *ret_upto = 0;
    while (rc == SQLITE_OK && index->busy && (index->done < least || clock_mono_us() < until_us)) {
        if (index->box.step != CLOSED || sort_next_bucket(index)) {
            rc = file_next(index);
        } else {
            index->busy = false;
            index->bulk_messages = 0;
            *ret_upto = index->bulk_upto;
        }
    }
    return rc == SQLITE_OK ? tombstones_save(index->tombstones) : rc;
}
