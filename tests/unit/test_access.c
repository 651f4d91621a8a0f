#include "support.h"

#include "model/access.h"

/* Of an open server with these origins. */
static struct access *open_access(char *const *origins, size_t count, bool insecure)
{
    return access_create(&(struct access_options){
        .origins = origins, .origin_count = count, .open = true, .insecure_open = insecure});
}

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
    struct access *access = open_access(NULL, 0, false);
    struct access *open = open_access(NULL, 0, true);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(access_host_allowed(access, good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(access_host_allowed(access, bad[i]));
        assert_true(access_host_allowed(open, bad[i]));
    }
    access_unref(access);
    access_unref(open);
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
        {"https://push.example", "push.example:443", true},
        {"https://push.example:443", "push.example", true},
        {"http://push.example:80", "push.example", true},
        {"https://push.example", "push.example:80", false},
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
    struct access *access = open_access(NULL, 0, false);
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(access_judge_origin(access, cases[i].origin, cases[i].host),
                         cases[i].allowed ? ACCESS_ORIGIN_OURS : ACCESS_ORIGIN_REFUSED);
    access_unref(access);
}

static void pages_without_an_origin_come_where_null_is_listed(void **state)
{
    char null[] = "null", app[] = "https://app.example";
    char *origins[] = {app, null};
    (void)state;

    for (size_t count = 1; count <= 2; count++) {
        struct access *access = open_access(origins, count, false);
        assert_int_equal(access_judge_origin(access, "null", "push.example"),
                         count == 2 ? ACCESS_ORIGIN_LISTED : ACCESS_ORIGIN_REFUSED);
        assert_int_equal(access_judge_origin(access, "Null", "push.example"),
                         ACCESS_ORIGIN_REFUSED);
        access_unref(access);
    }
}

static void listed_origins_are_exact(void **state)
{
    char app[] = "https://app.example", other[] = "http://[2001:db8::1]:8443";
    char *origins[] = {app, other};
    struct access *access = open_access(origins, 2, false);
    (void)state;

    app[0] = other[0] = 'X'; /* they were copied */
    assert_int_equal(access_judge_origin(access, "https://app.example", "push.example"),
                     ACCESS_ORIGIN_LISTED);
    assert_int_equal(access_judge_origin(access, "http://[2001:db8::1]:8443", "push.example"),
                     ACCESS_ORIGIN_LISTED);
    assert_false(access_judge_origin(access, "http://app.example", "push.example"));
    assert_int_equal(access_judge_origin(access, "https://app.example:443", "push.example"),
                     ACCESS_ORIGIN_LISTED);
    assert_false(access_judge_origin(access, "https://app.example/", "push.example"));
    assert_false(access_judge_origin(access, "https://app.example.evil", "push.example"));
    assert_false(access_judge_origin(access, "https://www.app.example", "push.example"));
    access_unref(access);
    access_unref(NULL);
}

static void with_credentials_only_listed_origins_may_come(void **state)
{
    char app[] = "https://app.example";
    char *origins[] = {app};
    struct access *access =
        access_create(&(struct access_options){.origins = origins, .origin_count = 1});
    (void)state;
    assert_true(access_host_allowed(access, "push.example"));
    assert_int_equal(access_judge_origin(access, app, "push.example"), ACCESS_ORIGIN_LISTED);
    assert_int_equal(access_judge_origin(access, "https://push.example", "push.example"),
                     ACCESS_ORIGIN_OURS);
    assert_false(access_judge_origin(access, "http://localhost:3000", "push.example"));
    assert_false(access_judge_origin(access, "http://localhost:3000", "localhost:8000"));
    access_unref(access);
}

static void proxies_that_are_trusted_name_their_clients(void **state)
{
    static const struct {
        const char *peer, *forwarded, *client; /* NULL: the peer */
    } cases[] = {
        {"10.0.0.1", NULL, NULL},
        {"10.0.0.1", "", NULL},
        {"10.0.0.1", "192.0.2.7", "192.0.2.7"},
        {"10.0.0.1", " 192.0.2.7 ", "192.0.2.7"},
        {"10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"},
        {"10.0.0.1", "6.6.6.6, 192.0.2.7,10.0.0.2", "192.0.2.7"}, /* the first is made up */
        {"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
        {"10.0.0.1", "192.0.2.7, nonsense", NULL},
        {"10.0.0.1", "nonsense, 192.0.2.7", "192.0.2.7"},
        {"10.0.0.1", "2001:db8::1", "2001:db8::1"},
        {"10.0.0.1", "192.0.2.7:80", "192.0.2.7"},
        {"10.0.0.1", "[2001:db8::1]:443, 10.0.0.2:5", "2001:db8::1"},
        {"10.0.0.1", "[2001:db8::1]", "2001:db8::1"},
        {"10.0.0.1", "192.0.2.7:", NULL},
        {"10.0.0.1", "192.0.2.7:x", NULL},
        {"10.0.0.1", "[192.0.2.7]", NULL},
        {"10.0.0.1", "[2001:db8::1", NULL},
        {"10.0.0.1", "[2001:db8::1]x", NULL},
        {"10.0.0.1", ":80", NULL},
        {"10.0.0.1", ",,,", NULL},
        {"192.0.2.1", "192.0.2.7", NULL}, /* no proxy of ours */
    };
    char network[] = "10.0.0.0/8";
    char *proxies[] = {network};
    struct access *access =
        access_create(&(struct access_options){.proxies = proxies, .proxy_count = 1});
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        union network_address peer, client;
        char text[NETWORK_TEXT_SIZE];
        network_parse_address(cases[i].peer, strlen(cases[i].peer), &peer);
        bool found = access_find_client(access, &peer.any, cases[i].forwarded, &client);
        assert_int_equal(found, cases[i].client != NULL);
        if (!found)
            continue;
        network_format(&client.any, text);
        assert_string_equal(text, cases[i].client);
    }
    access_unref(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_has_three_names),
        cmocka_unit_test(pages_of_this_machine_and_of_this_server_may_connect),
        cmocka_unit_test(pages_without_an_origin_come_where_null_is_listed),
        cmocka_unit_test(listed_origins_are_exact),
        cmocka_unit_test(with_credentials_only_listed_origins_may_come),
        cmocka_unit_test(proxies_that_are_trusted_name_their_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
