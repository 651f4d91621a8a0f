#include "support.h"

#include "model/access.h"

static void this_machine_has_three_names(void **state)
{
    static const char *const good[] = {
        "localhost",       "localhost:8000", "LocalHost:1", "127.0.0.1",
        "127.0.0.1:65535", "[::1]",          "[::1]:80",
    };
    static const char *const bad[] = {
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost.",
        "localhost:",
        "localhost:123456",
        "localhost:80x",
        "localhost:-1",
        "localhost:80:80",
        "localhost/",
        "localhost@evil.example",
        "localhost:80@evil.example",
        " localhost",
        "localhos",
        "xlocalhost",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "127.1",
        "0.0.0.0",
        "::1",
        "[::1",
        "[::1].evil.example",
        "[::2]",
    };
    struct access *access = access_create(NULL, 0, false);
    struct access *open = access_create(NULL, 0, true);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(access_host_allowed(access, good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(access_host_allowed(access, bad[i]));
        assert_true(access_host_allowed(open, bad[i]));
    }
    access_destroy(access);
    access_destroy(open);
}

static void pages_of_this_machine_and_of_this_server_may_connect(void **state)
{
    static const struct {
        const char *origin, *host;
        bool allowed;
    } cases[] = {
        {"http://localhost", "localhost:8000", true},
        {"http://localhost:3000", "localhost:8000", true},
        {"https://127.0.0.1:3000", "localhost:8000", true},
        {"http://[::1]:5", "localhost:8000", true},
        {"http://push.example", "push.example", true},
        {"https://push.example:8000", "push.example:8000", true},
        {"https://Push.Example", "push.example", true},
        {"http://push.example", "push.example:8000", false},
        {"http://push.example:8000", "push.example", false},
        {"http://push.example.evil", "push.example", false},
        {"http://evil.example", "localhost:8000", false},
        {"http://localhost.evil.example", "localhost:8000", false},
        {"http://localhost:80@evil.example", "localhost:8000", false},
        {"null", "localhost", false},
        {"", "", false},
        {"http://", "localhost", false},
        {"localhost", "localhost", false},
        {"file://localhost", "localhost", false},
        {"HTTP://localhost", "localhost", false},
        {"chrome-extension://localhost", "localhost", false},
        {"http://localhost/", "localhost", false},
        {"http://localhost http://evil.example", "localhost", false},
    };
    struct access *access = access_create(NULL, 0, false);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(access_origin_allowed(access, cases[i].origin, cases[i].host),
                         cases[i].allowed);
    access_destroy(access);
}

static void listed_origins_are_exact(void **state)
{
    char app[] = "https://app.example", other[] = "http://[2001:db8::1]:8443";
    char *origins[] = {app, other};
    struct access *access = access_create(origins, 2, false);
    (void)state;

    app[0] = other[0] = 'X'; /* they were copied */
    assert_true(access_origin_allowed(access, "https://app.example", "push.example"));
    assert_true(access_origin_allowed(access, "http://[2001:db8::1]:8443", "push.example"));
    assert_false(access_origin_allowed(access, "http://app.example", "push.example"));
    assert_false(access_origin_allowed(access, "https://app.example:443", "push.example"));
    assert_false(access_origin_allowed(access, "https://app.example/", "push.example"));
    assert_false(access_origin_allowed(access, "https://app.example.evil", "push.example"));
    assert_false(access_origin_allowed(access, "https://www.app.example", "push.example"));
    access_destroy(access);
    access_destroy(NULL);
}

static void an_origin_has_one_proper_form(void **state)
{
    static const char *const good[] = {
        "http://localhost",    "https://app.example",  "https://app.example:8443",
        "http://192.0.2.1:80", "http://[2001:db8::1]", "http://[::1]:8000",
    };
    static const char *const bad[] = {
        "",
        "null",
        "*",
        "app.example",
        "ftp://app.example",
        "HTTPS://app.example",
        "https://",
        "https://App.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example:",
        "https://app.example:123456",
        "https://user@app.example",
        "https://*.example",
        "https://[::1",
        "https://[::1]x",
        "https:// app.example",
        "https://app.example ",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(access_is_origin(good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(access_is_origin(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_has_three_names),
        cmocka_unit_test(pages_of_this_machine_and_of_this_server_may_connect),
        cmocka_unit_test(listed_origins_are_exact),
        cmocka_unit_test(an_origin_has_one_proper_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
