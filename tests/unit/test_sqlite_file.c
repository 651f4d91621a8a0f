#include "support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sqlite_file.h"

static char folder[32];
static struct sqlite_file_error error;

static const char *in_folder(const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-file-XXXXXX");
    error.text[0] = '\0';
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {SQLITE_FILE_NAME, "lock", "copy"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

static void run(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* A file of ours with a number in it, changed by this statement. */
static void make_file(const char *sql)
{
    sqlite3 *db = sqlite_file_open(folder, true, &error);
    assert_non_null(db);
    assert_int_equal(sqlite_file_set(db, "answer", 42), SQLITE_OK);
    run(db, sql);
    sqlite_file_close(db);
}

static void assert_refused(const char *why)
{
    assert_null(sqlite_file_open(folder, true, &error));
    assert_non_null(strstr(error.text, why));
    assert_null(sqlite_file_open_to_read(folder, &error));
    assert_non_null(strstr(error.text, why));
}

static size_t findings;

static void count_finding(void *context, const char *line)
{
    (void)context;
    (void)line;
    findings++;
}

static void no_progress(void *context, int64_t done, int64_t total)
{
    (void)context;
    assert_true(done <= total);
}

static void one_holds_the_lock(void **state)
{
    char us[64];
    (void)state;

    int first = sqlite_folder_lock(folder, &error);
    assert_true(first >= 0);
    assert_int_equal(sqlite_folder_lock(folder, &error), -1);
    snprintf(us, sizeof us, "another Pushwire (process %ld) works on this folder", (long)getpid());
    assert_non_null(strstr(error.text, us));
    close(first);
    int second = sqlite_folder_lock(folder, &error);
    assert_true(second >= 0);
    close(second);
}

static void a_folder_is_made_for_us_alone(void **state)
{
    struct stat stat_of;
    (void)state;

    assert_int_equal(rmdir(folder), 0);
    int lock = sqlite_folder_lock(folder, &error);
    assert_true(lock >= 0);
    close(lock);
    assert_int_equal(stat(folder, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0700);
    assert_int_equal(sqlite_folder_lock("/dev/null/x", &error), -1);
    assert_non_null(strstr(error.text, "give another --data-dir"));
}

static void assert_private(const char *name)
{
    struct stat stat_of;
    assert_int_equal(stat(in_folder(name), &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
}

static void assert_files_are_private(mode_t mask)
{
    char copy[64];
    mode_t before = umask(mask);
    sqlite3 *db = sqlite_file_open(folder, true, &error);
    assert_non_null(db);
    assert_int_equal(sqlite_file_set(db, "answer", 42), SQLITE_OK);
    snprintf(copy, sizeof copy, "%s", in_folder("copy"));
    assert_true(sqlite_file_backup(folder, copy, no_progress, NULL, &error));
    umask(before);
    assert_private(SQLITE_FILE_NAME);
    assert_private(SQLITE_FILE_NAME "-wal");
    assert_private(SQLITE_FILE_NAME "-shm");
    assert_private("copy");
    sqlite_file_close(db);
    assert_int_equal(unlink(in_folder("copy")), 0);
}

static void files_are_ours_alone_whatever_the_umask(void **state)
{
    (void)state;

    assert_int_equal(chmod(folder, 0755), 0);
    assert_files_are_private(0);
    assert_int_equal(unlink(in_folder(SQLITE_FILE_NAME)), 0);
    assert_files_are_private(0777);
    assert_int_equal(chmod(in_folder(SQLITE_FILE_NAME), 0644), 0); /* an older version made it */
    assert_files_are_private(022);
}

static void what_was_set_is_there_when_opened_again(void **state)
{
    int64_t value;
    (void)state;

    make_file("SELECT 1");
    sqlite3 *db = sqlite_file_open_to_read(folder, &error);
    assert_non_null(db);
    assert_int_equal(sqlite_file_get(db, "answer", &value), SQLITE_OK);
    assert_int_equal(value, 42);
    assert_int_equal(sqlite_file_get(db, "question", &value), SQLITE_OK);
    assert_int_equal(value, 0);
    assert_int_not_equal(sqlite_file_set(db, "answer", 43), SQLITE_OK); /* it only reads */
    sqlite_file_close(db);
}

static void a_newer_file_is_refused(void **state)
{
    (void)state;

    make_file("PRAGMA user_version=2");
    assert_refused("written by a newer Pushwire, with schema 2; this one knows up to 1");
}

static void a_foreign_file_is_refused(void **state)
{
    (void)state;

    make_file("PRAGMA application_id=7");
    assert_refused("not a file of Pushwire's");
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;

    make_file("SELECT 1");
    int fd = open(in_folder(SQLITE_FILE_NAME), O_WRONLY);
    assert_int_equal(write(fd, "a shopping list.", 16), 16);
    close(fd);
    assert_refused("damaged");
    assert_false(sqlite_file_check(folder, count_finding, NULL, &error));
}

static void a_file_is_checked(void **state)
{
    (void)state;

    findings = 0;
    make_file("SELECT 1");
    assert_true(sqlite_file_check(folder, count_finding, NULL, &error));
    assert_int_equal(findings, 0);
    make_file("INSERT INTO mail VALUES (1, 2, 1, 1)"); /* of no message */
    assert_false(sqlite_file_check(folder, count_finding, NULL, &error));
    assert_int_equal(findings, 1);
}

static void a_backup_is_a_copy_and_overwrites_nothing(void **state)
{
    char copy[64];
    int64_t value;
    (void)state;

    snprintf(copy, sizeof copy, "%s", in_folder("copy"));
    assert_false(sqlite_file_backup(folder, copy, no_progress, NULL, &error)); /* nothing there */
    assert_int_equal(access(copy, F_OK), -1);
    make_file("SELECT 1");
    assert_true(sqlite_file_backup(folder, copy, no_progress, NULL, &error));
    assert_false(sqlite_file_backup(folder, copy, no_progress, NULL, &error));
    assert_non_null(strstr(error.text, "is there already"));
    assert_int_equal(rename(copy, in_folder(SQLITE_FILE_NAME)), 0);
    sqlite3 *db = sqlite_file_open(folder, true, &error);
    assert_non_null(db);
    assert_int_equal(sqlite_file_get(db, "answer", &value), SQLITE_OK);
    assert_int_equal(value, 42);
    sqlite_file_close(db);
}

#define folder_test(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(one_holds_the_lock),
        folder_test(a_folder_is_made_for_us_alone),
        folder_test(files_are_ours_alone_whatever_the_umask),
        folder_test(what_was_set_is_there_when_opened_again),
        folder_test(a_newer_file_is_refused),
        folder_test(a_foreign_file_is_refused),
        folder_test(a_damaged_file_is_refused),
        folder_test(a_file_is_checked),
        folder_test(a_backup_is_a_copy_and_overwrites_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
