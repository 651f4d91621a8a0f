#include "support.h"

#include "base/origin.h"

static void what_a_browser_sends_is_an_origin(void **state)
{
    static const char *const good[] = {
        "http://localhost",          "https://app.example",
        "https://app.example:8443",  "http://192.0.2.1:80",
        "http://[2001:db8::1]",      "http://[::1]:8000",
        "https://app.example.",      "https://a_b.example",
        "https://App.example",       "capacitor://localhost",
        "chrome-extension://ab",     "https://xn--bcher-kva.example",
        "https://app.example:65535", "null",
    };
    static const char *const bad[] = {
        "",
        "Null",
        "null ",
        "*",
        "app.example",
        "://app.example",
        "HTTPS://app.example",
        "https://",
        "https://.",
        "https://a..example",
        "https://.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example:",
        "https://app.example:0",
        "https://app.example:080",
        "https://app.example:65536",
        "https://app.example:123456",
        "https://user@app.example",
        "https://*.app.example",
        "https://256.1.1.1",
        "https://app.1",
        "https://[::1",
        "https://[::1]x",
        "https://[zz]",
        "https://[]",
        "https:// app.example",
        "https://app.example ",
        "https://\xc3\xbc.example",
        "http://a.example http://b.example",
    };
    struct origin origin;
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(origin_parse(good[i], &origin));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (origin_parse(bad[i], &origin))
            print_error("%s\n", bad[i]);
        assert_false(origin_parse(bad[i], &origin));
    }
}

static void a_list_has_origins_and_stars(void **state)
{
    static const char *const good[] = {
        "https://app.example:443", "https://*.preview.example.com", "https://*.example.com:8443",
        "capacitor://localhost",   "chrome-extension://ab",         "null"};
    static const char *const bad[] = {
        "https://*",         "https://*.",
        "https://*.example", "https://*.com.",
        "https://*.*.a.b",   "https://a.*.example",
        "https://x*.a.b",    "https://*.192.0.2.1",
        "https://*.[::1]",   "*.example.com",
        "https://A.example", "Null",
        "https://a.b/path",  "",
        "ftp://x",           "wss://app.example",
        "ws://app.example",  "file://x",
        "https://a:b:c",     "https://app.example.com:44x",
        "https://",          "https://a:99999",
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(origin_is_listed_form(good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(origin_is_listed_form(bad[i]));
}

static void it_matches_by_scheme_host_and_port(void **state)
{
    static const struct {
        const char *listed, *origin;
        bool matches;
    } cases[] = {
        {"https://a.example", "https://a.example", true},
        {"https://a.example", "https://A.example:443", true},
        {"https://a.example:443", "https://a.example", true},
        {"http://a.example:443", "http://a.example", false},
        {"https://a.example", "http://a.example", false},
        {"https://a.example", "https://b.a.example", false},
        {"https://*.a.example", "https://b.a.example", true},
        {"https://*.a.example", "https://c.b.a.example:443", true},
        {"https://*.a.example", "https://a.example", false},
        {"https://*.a.example", "https://xa.example", false},
        {"https://*.a.example", "https://b.a.example.evil", false},
        {"https://*.a.example", "https://b.a.example:8443", false},
        {"https://*.a.example", "http://b.a.example", false},
        {"https://*.a.example:8443", "https://b.a.example:8443", true},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct origin listed, origin;
        assert_true(origin_parse_listed(cases[i].listed, &listed));
        assert_true(origin_parse(cases[i].origin, &origin));
        assert_int_equal(origin_matches(&listed, &origin), cases[i].matches);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_browser_sends_is_an_origin),
        cmocka_unit_test(a_list_has_origins_and_stars),
        cmocka_unit_test(it_matches_by_scheme_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
