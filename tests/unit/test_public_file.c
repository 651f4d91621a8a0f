#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "http/public_file.h"

/* outside/secret beside site/, in which all else is. */
static char place[] = "/tmp/public-file-XXXXXX";
static char site[64];

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", place, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void in_place(int (*make)(const char *path), const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", place, name);
    assert_int_equal(make(path), 0);
}

static int folder(const char *path)
{
    return mkdir(path, 0700);
}

static int pipe_at(const char *path)
{
    return mkfifo(path, 0600);
}

static int link_out(const char *path)
{
    return symlink("../outside", path);
}

static int link_to_secret(const char *path)
{
    return symlink("../outside/secret.txt", path);
}

static int link_within(const char *path)
{
    return symlink("index.html", path);
}

static int build(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(place));
    snprintf(site, sizeof site, "%s/site", place);
    in_place(folder, "outside");
    in_place(folder, "site");
    in_place(folder, "site/js");
    in_place(folder, "site/.git");
    in_place(folder, "site/empty");
    in_place(pipe_at, "site/pipe");
    in_place(link_out, "site/out");
    in_place(link_to_secret, "site/secret.txt");
    in_place(link_within, "site/alias.html");
    write_file("outside/secret.txt", "secret");
    write_file("site/index.html", "<p>hi");
    write_file("site/js/app.js", "1");
    write_file("site/a b%.txt", "");
    write_file("site/.env", "secret");
    write_file("site/.git/config", "secret");
    return 0;
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", place);
    return system(command);
}

static void expect_file(const char *path, uint64_t size, const char *type)
{
    struct public_file file;
    assert_int_equal(public_file_open(site, path, &file), 0);
    assert_int_equal(file.size, size);
    assert_string_equal(file.content_type, type);
    close(file.fd);
}

static void a_path_leads_to_its_file(void **state)
{
    (void)state;
    expect_file("/", 5, "text/html; charset=utf-8");
    expect_file("/index.html", 5, "text/html; charset=utf-8");
    expect_file("/js/app.js", 1, "text/javascript; charset=utf-8");
    expect_file("/%6as/app%2ejs", 1, "text/javascript; charset=utf-8");
    expect_file("/a%20b%25.txt", 0, "text/plain; charset=utf-8");
}

static void nothing_leads_out_of_the_folder(void **state)
{
    static const char *const paths[] = {
        "/..",
        "/../outside/secret.txt",
        "/js/../../outside/secret.txt",
        "/js/../index.html",
        "/%2e%2e/outside/secret.txt",
        "/..%2foutside/secret.txt",
        "/%2e%2e%2foutside%2fsecret.txt",
        "/%252e%252e/outside/secret.txt",
        "/..\\outside\\secret.txt",
        "/.%00./outside/secret.txt",
        "/js%2fapp.js",
        "//outside/secret.txt",
        "/out/secret.txt",
        "/secret.txt",
        "/alias.html",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/js/.",
        "/./index.html",
        "//index.html",
        "/js//app.js",
        "/index.html%00.js",
        "/index.html/",
        "/js",
        "/js/",
        "/empty/",
        "/pipe",
        "/none",
        "/none/index.html",
        "/%",
        "/%zz",
    };
    struct public_file file;
    char longest[4096];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (public_file_open(site, paths[i], &file) != ERR_NOT_FOUND)
            fail_msg("found: %s", paths[i]);
    }
    longest[0] = '/';
    memset(longest + 1, 'a', sizeof longest - 2);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(public_file_open(site, longest, &file), ERR_NOT_FOUND);
    longest[257] = '\0';
    assert_int_equal(public_file_open(site, longest, &file), ERR_NOT_FOUND);
}

static void a_folder_that_is_gone_is_no_missing_file(void **state)
{
    struct public_file file;
    (void)state;
    assert_int_equal(public_file_open("/nonexistent/folder", "/", &file), ERR_UNREADABLE);
}

static void what_is_written_anew_has_another_etag(void **state)
{
    struct public_file before, after;
    (void)state;
    assert_int_equal(public_file_open(site, "/js/app.js", &before), 0);
    write_file("site/js/app.js", "12");
    assert_int_equal(public_file_open(site, "/js/app.js", &after), 0);
    assert_string_not_equal(before.etag, after.etag);
    close(before.fd);
    close(after.fd);
}

static void a_name_tells_the_type(void **state)
{
    (void)state;
    assert_string_equal(public_file_type("a.PNG"), "image/png");
    assert_string_equal(public_file_type("a.tar.gz"), "application/octet-stream");
    assert_string_equal(public_file_type("html"), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_its_file),
        cmocka_unit_test(nothing_leads_out_of_the_folder),
        cmocka_unit_test(a_folder_that_is_gone_is_no_missing_file),
        cmocka_unit_test(what_is_written_anew_has_another_etag),
        cmocka_unit_test(a_name_tells_the_type),
    };
    return cmocka_run_group_tests(tests, build, tear_down);
}
