#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "model/revocations.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1769860800000)

static char folder[] = "/tmp/pushwire-revocations-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/revocations", folder);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static bool refuses(struct revocations *revocations, const char *user, int64_t issued_ms)
{
    return revocations_has(revocations, user, strlen(user), issued_ms);
}

static void add(struct revocations *revocations, const char *user, int64_t now_ms)
{
    assert_true(revocations_add(revocations, user, strlen(user), now_ms));
}

static void expect_file(const char *wanted)
{
    struct buf buf;
    buf_init(&buf);
    assert_int_equal(file_read(path, 100000, &buf), 0);
    buf_add(&buf, "", 1);
    assert_string_equal(buf.data, wanted);
    buf_finish(&buf);
}

static void write_file(const char *text)
{
    assert_int_equal(file_replace(path, text, strlen(text)), 0);
}

static void what_was_issued_before_is_refused(void **state)
{
    struct revocations *revocations = revocations_open(NULL, DAY, NOW);
    (void)state;
    assert_false(refuses(revocations, "ada", NOW - 1));
    add(revocations, "ada", NOW);
    assert_true(refuses(revocations, "ada", NOW - 1));
    assert_true(refuses(revocations, "ada", INT64_MIN));
    assert_false(refuses(revocations, "ada", NOW));
    assert_false(refuses(revocations, "bob", NOW - 1));
    add(revocations, "ada", NOW - 5); /* a clock that went back takes nothing back */
    assert_true(refuses(revocations, "ada", NOW - 1));
    revocations_close(revocations);
    revocations_close(NULL);
}

static void they_survive(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_open(path, DAY, NOW);
    assert_non_null(revocations);
    add(revocations, "ada", NOW);
    add(revocations, "b b", NOW + 1);
    expect_file("1769860800000 ada\n1769860800001 b b\n");
    revocations_close(revocations);

    revocations = revocations_open(path, DAY, NOW + 10);
    assert_int_equal(revocations_count(revocations), 2);
    assert_true(refuses(revocations, "ada", NOW - 1));
    assert_true(refuses(revocations, "b b", NOW));
    revocations_close(revocations);
}

static void those_no_token_can_outlive_go_at_start(void **state)
{
    (void)state;
    write_file("1769860800000 ada\n1769860800000 bob\n1769860800500 bob\n");
    struct revocations *revocations = revocations_open(path, DAY, NOW + DAY + 100);
    expect_file("1769860800500 bob\n");
    assert_false(refuses(revocations, "ada", NOW - 1));
    assert_true(refuses(revocations, "bob", NOW));
    revocations_close(revocations);
}

static void what_was_not_written_whole_does_not_count(void **state)
{
    (void)state;
    write_file("1769860800000 ada\nnonsense\n1769860800000 \n17698608000000000000000 x\n"
               "1769860800000 bo");
    struct revocations *revocations = revocations_open(path, DAY, NOW);
    expect_file("1769860800000 ada\n");
    add(revocations, "bo", NOW);
    expect_file("1769860800000 ada\n1769860800000 bo\n");
    revocations_close(revocations);
}

static void the_file_does_not_grow_for_ever(void **state)
{
    struct buf buf;
    (void)state;
    struct revocations *revocations = revocations_open(path, DAY, NOW);
    for (int i = 0; i < 1100; i++)
        add(revocations, "ada", NOW + i);
    buf_init(&buf);
    assert_int_equal(file_read(path, 100000, &buf), 0);
    assert_true(buf.size < 200 * strlen("1769860800000 ada\n"));
    buf_finish(&buf);
    assert_true(refuses(revocations, "ada", NOW + 1098));
    revocations_close(revocations);
}

static void a_file_that_cannot_be_is_said(void **state)
{
    (void)state;
    errno = 0;
    assert_null(revocations_open("/nowhere/revocations", DAY, NOW));
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_issued_before_is_refused),
        cmocka_unit_test_teardown(they_survive, remove_file),
        cmocka_unit_test_teardown(those_no_token_can_outlive_go_at_start, remove_file),
        cmocka_unit_test_teardown(what_was_not_written_whole_does_not_count, remove_file),
        cmocka_unit_test_teardown(the_file_does_not_grow_for_ever, remove_file),
        cmocka_unit_test(a_file_that_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
