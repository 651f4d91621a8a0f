#include "engine/remnants.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/minmax.h"
#include "engine/sqlite_file.h"

#define MAX_ROWS   1000000
#define MIN_ROWS   1000
#define MAX_EPOCHS 10000
#define SHARE      512 /* bytes of the whole file for each row: a sixteenth of it, or so */

enum { ADDRESSES, USERS, DEVICES, EPOCHS, TABLES };

/* The age of a row rises with time: an id, a time of the wall clock. */
struct table {
    const char *name;
    const char *age;
    /* What goes with ?1, the age up to which rows go, and ?2, indexed_upto. */
    const char *drop;
};

/* An erasure is needed while there may be mail below it: what others share, and are to keep. */
#define TOPIC_GOES                                                                                 \
    " WHERE max(pruned_upto, erased_upto) <= ?1 AND erased_upto <= ?2"                             \
    " AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.address = address.hash"                        \
    " AND mail.id <= address.erased_upto)"

static const struct table tables[TABLES] = {
    [ADDRESSES] =
        {
            "address",
            "max(pruned_upto, erased_upto)",
            "INSERT OR REPLACE INTO meta(name, value) SELECT 'floor',"
            " max(coalesce((SELECT value FROM meta WHERE name = 'floor'), 0),"
            " coalesce(max(pruned_upto), 0)) FROM address" TOPIC_GOES ";"
            "DELETE FROM address" TOPIC_GOES,
        },
    [USERS] = {"seen", "at", "DELETE FROM seen WHERE at <= ?1"},
    [DEVICES] = {"device", "moved_at", "DELETE FROM device WHERE moved_at <= ?1"},
    /* All epochs up to one become one hole: a cursor of theirs is told a gap. */
    [EPOCHS] =
        {
            "life",
            "first",
            "UPDATE life SET last = (SELECT min(last) FROM life) WHERE first ="
            " (SELECT min(first) FROM life WHERE first > ?1);"
            "DELETE FROM life WHERE first <= ?1",
        },
};

struct remnants {
    sqlite3 *db;
    int64_t max[TABLES];
    int64_t rows[TABLES]; /* when they were last counted */
    int64_t changes[TABLES];
};

struct remnants_limits remnants_limits_of(uint64_t keep_total)
{
    int64_t rows = (int64_t)max_u64(min_u64(keep_total / SHARE, MAX_ROWS), MIN_ROWS);
    return (struct remnants_limits){rows, rows, rows, MAX_EPOCHS};
}

struct remnants *remnants_create(sqlite3 *db, const struct remnants_limits *limits)
{
    struct remnants *remnants = mem_alloc(sizeof *remnants);
    *remnants = (struct remnants){
        .db = db,
        .max = {limits->topics, limits->users, limits->devices, limits->epochs},
    };
    for (int i = 0; i < TABLES; i++)
        remnants->rows[i] = INT64_MAX; /* not counted yet */
    return remnants;
}

void remnants_destroy(struct remnants *remnants)
{
    free(remnants);
}

/* Each statement of a text. */
static int run_for(sqlite3 *db, const char *text, int64_t age, uint64_t indexed_upto)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && *text) {
        sqlite3_stmt *statement;
        rc = sqlite3_prepare_v2(db, text, -1, &statement, &text);
        if (rc != SQLITE_OK)
            break;
        sqlite3_bind_int64(statement, 1, age);
        sqlite3_bind_int64(statement, 2, (int64_t)indexed_upto); /* where it asks for it */
        sqlite3_step(statement);
        rc = sqlite3_finalize(statement);
    }
    return rc;
}

/* As many rows as there were changes may have come; to count them takes time. */
static bool may_be_over(const struct remnants *remnants, int i)
{
    int64_t changes = sqlite3_total_changes64(remnants->db) - remnants->changes[i];
    return remnants->rows[i] > remnants->max[i] - changes;
}

static int count(struct remnants *remnants, int i)
{
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i].name);
    remnants->changes[i] = sqlite3_total_changes64(remnants->db);
    return sqlite_file_number(remnants->db, sql, &remnants->rows[i]);
}

/* The oldest go, and of the rest a sixteenth, so that it is not done for each row. */
static int drop_oldest(struct remnants *remnants, int i, uint64_t indexed_upto)
{
    int64_t surplus = remnants->rows[i] - remnants->max[i] + remnants->max[i] / 16;
    int64_t age = 0;
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT %s AS age FROM %s ORDER BY age LIMIT 1 OFFSET %lld",
             tables[i].age, tables[i].name, (long long)surplus - 1);
    int rc = sqlite_file_number(remnants->db, sql, &age);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(remnants->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = run_for(remnants->db, tables[i].drop, age, indexed_upto);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(remnants->db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        sqlite3_exec(remnants->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int remnants_trim(struct remnants *remnants, uint64_t indexed_upto)
{
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < TABLES; i++) {
        if (!may_be_over(remnants, i))
            continue;
        rc = count(remnants, i);
        if (rc == SQLITE_OK && remnants->rows[i] > remnants->max[i]) {
            rc = drop_oldest(remnants, i, indexed_upto);
            if (rc == SQLITE_OK)
                rc = count(remnants, i);
        }
    }
    return rc;
}
