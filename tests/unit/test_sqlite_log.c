#include "support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sqlite_file.h"

#define FRAME (24 + 4096)

static struct {
    char folder[32];
    sqlite3 *db;
    int pages;      /* of the log, at the last commit */
    int64_t length; /* of the log, as far as is known */
} disk;

static const char *in_folder(const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", disk.folder, name);
    return path;
}

static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)context;
    (void)db;
    (void)name;
    disk.pages = pages;
    return SQLITE_OK;
}

static void run(const char *sql)
{
    assert_int_equal(sqlite3_exec(disk.db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int open_disk(void **state)
{
    (void)state;
    disk.pages = 0;
    disk.length = 0;
    strcpy(disk.folder, "/tmp/test-log-XXXXXX");
    if (!mkdtemp(disk.folder) || sqlite3_open(in_folder("db"), &disk.db) != SQLITE_OK)
        return -1;
    run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(i INTEGER)");
    sqlite3_wal_hook(disk.db, on_commit, NULL);
    return 0;
}

static int close_disk(void **state)
{
    static const char *const names[] = {"db", "db-wal", "db-shm", "copy", "copy-wal", "copy-shm"};
    (void)state;
    sqlite3_close(disk.db);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(disk.folder);
}

static long long log_size(void)
{
    struct stat stat_of;
    assert_int_equal(stat(in_folder("db-wal"), &stat_of), 0);
    return stat_of.st_size;
}

static void make_room(void)
{
    sqlite_file_lengthen_log(disk.db, (int64_t)disk.pages * FRAME, &disk.length);
}

static void add(int i)
{
    char sql[64];
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES(%d)", i);
    run(sql);
}

/* As a process leaves it that is killed. */
static void copy_file(const char *from, const char *to)
{
    static char bytes[4 * 1024 * 1024];
    int in = open(in_folder(from), O_RDONLY);
    ssize_t size = read(in, bytes, sizeof bytes);
    assert_in_range(size, 1, sizeof bytes - 1);
    close(in);
    int out = open(in_folder(to), O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(out, bytes, (size_t)size), size);
    close(out);
}

static int answer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void small_commits_seldom_make_it_longer(void **state)
{
    (void)state;
    int changes = 0;
    add(0);
    make_room();
    for (int i = 1; i < 200; i++) {
        long long before = log_size();
        add(i);
        assert_int_equal(log_size(), before); /* the commit itself never does */
        make_room();
        changes += log_size() != before;
    }
    assert_in_range(changes, 1, 200 * FRAME / (256 * 1024) + 1);
}

static void a_log_with_zeros_behind_it_is_read_as_one_without(void **state)
{
    sqlite3 *copy;
    (void)state;

    for (int i = 0; i < 100; i++) {
        add(i);
        make_room();
    }
    assert_true(log_size() >= 32 + (long long)(disk.pages + 16) * FRAME);
    copy_file("db", "copy");
    copy_file("db-wal", "copy-wal");
    assert_int_equal(sqlite3_open(in_folder("copy"), &copy), SQLITE_OK);
    assert_int_equal(answer(copy, "SELECT count(*) FROM t"), 100);
    assert_int_equal(answer(copy, "SELECT sum(i) FROM t"), 4950);
    assert_int_equal(answer(copy, "SELECT count(*) FROM pragma_integrity_check "
                                  "WHERE integrity_check = 'ok'"),
                     1);
    sqlite3_close(copy);
}

static void a_log_begun_anew_needs_no_room_for_long(void **state)
{
    (void)state;

    for (int i = 0; i < 100; i++) {
        add(i);
        make_room();
    }
    long long size = log_size();
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(disk.db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 50; i++) {
        add(i);
        make_room();
    }
    assert_in_range(disk.pages, 1, 60);
    assert_int_equal(log_size(), size);
    assert_int_equal(answer(disk.db, "SELECT count(*) FROM t"), 150);
}

#define log_test(name) cmocka_unit_test_setup_teardown(name, open_disk, close_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(small_commits_seldom_make_it_longer),
        log_test(a_log_with_zeros_behind_it_is_read_as_one_without),
        log_test(a_log_begun_anew_needs_no_room_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
