#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"

static char folder[] = "/tmp/pushwire-file-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void expect_content(const char *content)
{
    struct buf buf;
    buf_init(&buf);
    assert_int_equal(file_read(path, 100, &buf), 0);
    assert_int_equal(buf.size, strlen(content));
    assert_memory_equal(buf.data, content, buf.size);
    buf_finish(&buf);
}

static void a_file_is_made_once_and_for_its_owner(void **state)
{
    struct stat found;
    (void)state;
    assert_int_equal(file_create(path, "one", 3), 0);
    assert_int_equal(file_create(path, "two", 3), EEXIST);
    expect_content("one");
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(file_replace(path, "three", 5), 0);
    expect_content("three");
    assert_int_equal(file_replace("/nowhere/file", "x", 1), ENOENT);
}

static void reading_has_a_limit(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf);
    assert_int_equal(file_read(path, 4, &buf), EFBIG);
    assert_int_equal(file_read("/nowhere", 4, &buf), ENOENT);
    assert_int_equal(file_read(folder, 4, &buf), EISDIR);
    buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_made_once_and_for_its_owner),
        cmocka_unit_test(a_file_is_replaced_as_a_whole),
        cmocka_unit_test(reading_has_a_limit),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
