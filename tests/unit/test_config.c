#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/command.h"
#include "config/config.h"
#include "config/config_row.h"

/* --- helpers --- */

#define ARGS(...) ((const char *const[]){"pushwire", ##__VA_ARGS__, NULL})
#define ENV(...)  ((const char *const[]){"HOME=/root", ##__VA_ARGS__, NULL})

static char file_name[] = "pushwire-test-XXXXXX";

static const char *const *with_file(const char *text)
{
    static char flag[64];
    static const char *const args[] = {"pushwire", flag, NULL};
    FILE *out = fopen(file_name, "w");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
    snprintf(flag, sizeof flag, "--config=%s", file_name);
    return args;
}

static const struct command_flag key_flags[] = {{"--scope", "LIST", "what it may do", NULL},
                                                {"--ttl", "DURATION", "how long", NULL},
                                                {"--loud", NULL, "says it", NULL},
                                                {"--key", "KEY", "whose", "PUSHWIRE_KEY"},
                                                {NULL, NULL, NULL, NULL}};
static const struct command_default dev_defaults[] = {{"workers", "7"}, {NULL, NULL}};

static const struct command commands[] = {
    {.word = "serve", .operands = ""},
    {.word = "dev", .operands = "", .defaults = dev_defaults},
    {.word = "key new", .operands = "", .help = "draws one", .flags = key_flags},
    {.word = "key list", .operands = "[WHICH]", .most = 1, .help = "lists them"},
    {.word = "token", .operands = "A B", .least = 1, .most = 2, .flags = key_flags},
    {.word = "token check", .operands = "TOKEN", .least = 1, .most = 1},
    {.word = "plain", .operands = "", .ignores_config = true},
    {.word = NULL},
};

static int count(const char *const *words)
{
    int n = 0;
    while (words[n])
        n++;
    return n;
}

/* The configuration, which has to load. */
static struct config load(const char *const *args, const char *const *env,
                          enum config_action expected)
{
    struct config config;
    enum config_action action;
    char *error = NULL;

    if (config_load(&config, commands, count(args), (char *const *)args, (char *const *)env,
                    &action, &error))
        fail_msg("refused: %s", error);
    assert_int_equal(action, expected);
    return config;
}

/* Refused with exactly this text, in which @ stands for the file's name. */
static void expect_error(const char *const *args, const char *const *env, const char *expected)
{
    struct config config;
    enum config_action action;
    char *error = NULL;
    char text[4096] = "";

    for (; *expected; expected++)
        if (*expected == '@')
            strcat(text, file_name);
        else
            strncat(text, expected, 1);
    if (!config_load(&config, commands, count(args), (char *const *)args, (char *const *)env,
                     &action, &error))
        fail_msg("taken, instead of: %s", text);
    assert_string_equal(error, text);
    free(error);
}

static void expect_text_error(const char *text, size_t size, const char *expected)
{
    struct config config;
    char *error = NULL;

    config_init_defaults(&config);
    if (!config_parse_text(&config, "x.yaml", text, size, &error))
        fail_msg("taken, instead of: %s", expected);
    assert_string_equal(error, expected);
    free(error);
    config_finish(&config);
}

#define EXPECT_TEXT_ERROR(text, expected) expect_text_error(text, sizeof(text) - 1, expected)

static struct config parse(const char *text)
{
    struct config config;
    char *error = NULL;

    config_init_defaults(&config);
    if (config_parse_text(&config, "x.yaml", text, strlen(text), &error))
        fail_msg("refused: %s", error);
    return config;
}

/* noinline: gcc 12 loses sight of open_memstream otherwise and calls the text dangling */
__attribute__((noinline)) static char *written(void (*write)(FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    write(out);
    fclose(out);
    return text;
}

static const struct config *to_print;

static void print(FILE *out)
{
    config_print(out, to_print);
}

static void print_check(FILE *out)
{
    config_print_check(out, to_print);
}

static char *printed(const struct config *config)
{
    to_print = config;
    return written(print);
}

static void expect_line(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return;
    fail_msg("no line \"%s\" in:\n%s", line, text);
}

/* --- values --- */

static void defaults_are_those_of_the_contract(void **state)
{
    struct config c = load(ARGS(), ENV(), CONFIG_RUN);
    (void)state;

    assert_int_equal(c.listen.count, 1);
    assert_string_equal(c.listen.items[0], "localhost:8000");
    assert_int_equal(c.workers, 1);
    assert_int_equal(c.broker, CONFIG_BROKER_SQLITE);
    assert_string_equal(c.data_dir, "auto");
    assert_int_equal(c.sync, CONFIG_SYNC_FULL);
    assert_string_equal(c.metrics_listen, "");
    assert_int_equal(c.allowed_origins.count, 0);
    assert_false(c.insecure_open);
    assert_false(c.dev_echo);
    assert_int_equal(c.log_level, CONFIG_LOG_INFO);
    assert_int_equal(c.log_format, CONFIG_LOG_AUTO);
    assert_false(c.access_log);
    assert_int_equal(c.max_message, 65536);
    assert_int_equal(c.max_body, 262144);
    assert_int_equal(c.max_head, 8192);
    assert_int_equal(c.head_timeout_ms, 10000);
    assert_int_equal(c.request_timeout_ms, 15000);
    assert_int_equal(c.keepalive_ms, 75000);
    assert_int_equal(c.max_sessions, 0);
    assert_int_equal(c.max_sessions_per_user, 1024);
    assert_int_equal(c.max_sessions_per_ip, 0);
    assert_int_equal(c.ws_max_message, 65536);
    assert_int_equal(c.ws_max_fragments, 128);
    assert_int_equal(c.heartbeat_ms, 25000);
    assert_int_equal(c.queue_high, 262144);
    assert_int_equal(c.stall_timeout_ms, 30000);
    assert_int_equal(c.ttl_ms, 604800000);
    assert_int_equal(c.ttl_max_ms, 2592000000);
    assert_int_equal(c.keep_messages, 10000);
    assert_int_equal(c.keep_bytes, 0);
    assert_int_equal(c.keep_total, 0);
    assert_int_equal(c.recent_bytes, 33554432);
    assert_int_equal(c.disk_reserve, 67108864);
    assert_int_equal(c.idempotency_ttl_ms, 86400000);
    assert_int_equal(c.idempotency_entries, 1000000);
    assert_int_equal(c.devices_per_user, 20);
    assert_int_equal(c.drain_ms, 8000);
    assert_int_equal(c.drain_delay_ms, 0);
    assert_int_equal(c.retry_spread_ms, 5000);
    assert_string_equal(c.command->word, "serve");
    assert_int_equal(c.operand_count, 0);
    assert_null(c.file);
    config_finish(&c);
    config_finish(&c);
}

static void flags_take_both_forms(void **state)
{
    struct config c = load(ARGS("--workers", "3", "--max-body=1MiB", "--dev-echo", "serve",
                                "--access-log=no", "--listen", "a:1, [::1]:0", "--workers=4"),
                           ENV(), CONFIG_RUN);
    (void)state;

    assert_int_equal(c.workers, 4);
    assert_int_equal(c.max_body, 1048576);
    assert_true(c.dev_echo);
    assert_false(c.access_log);
    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.items[0], "a:1");
    assert_string_equal(c.listen.items[1], "[::1]:0");
    config_finish(&c);
}

static void truth_has_many_words(void **state)
{
    static const char *const yes[] = {"true", "1", "yes", "on", "True", "YES"};
    static const char *const no[] = {"false", "0", "no", "off", "False", "NO"};
    char variable[64];
    (void)state;

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        snprintf(variable, sizeof variable, "PUSHWIRE_DEV_ECHO=%s", yes[i]);
        struct config c = load(ARGS(), ENV(variable), CONFIG_RUN);
        assert_true(c.dev_echo);
        config_finish(&c);
        snprintf(variable, sizeof variable, "PUSHWIRE_DEV_ECHO=%s", no[i]);
        c = load(ARGS(), ENV(variable), CONFIG_RUN);
        assert_false(c.dev_echo);
        config_finish(&c);
    }
}

static void a_higher_level_replaces_a_lower_one(void **state)
{
    const char *const *args =
        with_file("workers: 2\nttl: 1h\nmax_head: 4KiB\nlisten: [a:1, b:2]\n");
    struct config c =
        load(ARGS(args[1], "--workers", "4"),
             ENV("PUSHWIRE_WORKERS=3", "PUSHWIRE_TTL=2h", "PUSHWIRE_LISTEN=c:3"), CONFIG_RUN);
    (void)state;

    assert_int_equal(c.workers, 4);
    assert_int_equal(c.ttl_ms, 7200000);
    assert_int_equal(c.max_head, 4096);
    assert_int_equal(c.listen.count, 1);
    assert_string_equal(c.listen.items[0], "c:3");
    assert_int_equal(c.keepalive_ms, 75000);
    assert_int_equal(c.sources[CONFIG_KEY_workers].level, CONFIG_FLAG);
    assert_int_equal(c.sources[CONFIG_KEY_ttl].level, CONFIG_ENVIRONMENT);
    assert_int_equal(c.sources[CONFIG_KEY_max_head].level, CONFIG_FILE);
    assert_int_equal(c.sources[CONFIG_KEY_max_head].line, 3);
    assert_int_equal(c.sources[CONFIG_KEY_keepalive].level, CONFIG_DEFAULT);
    config_finish(&c);
}

static void the_file_may_be_named_by_a_variable(void **state)
{
    char variable[64];
    with_file("workers: 7\n");
    snprintf(variable, sizeof variable, "PUSHWIRE_CONFIG=%s", file_name);
    struct config c = load(ARGS(), ENV(variable), CONFIG_RUN);
    (void)state;

    assert_int_equal(c.workers, 7);
    assert_string_equal(c.file, file_name);
    config_finish(&c);
}

static void yaml_and_json_are_read(void **state)
{
    struct config c = parse("# comment\nlisten:\n  - localhost:1\n  - '[::1]:2'\nworkers: \"2\"\n"
                            "allowed_origins: https://a.example, http://localhost:3000\n"
                            "log_level: debug\nmetrics_listen: \"\"\nmax_sessions: 5\n");
    (void)state;

    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.items[1], "[::1]:2");
    assert_int_equal(c.workers, 2);
    assert_int_equal(c.allowed_origins.count, 2);
    assert_string_equal(c.allowed_origins.items[1], "http://localhost:3000");
    assert_int_equal(c.log_level, CONFIG_LOG_DEBUG);
    assert_int_equal(c.max_sessions, 5);
    config_finish(&c);

    c = parse("{\"workers\": 2, \"listen\": [\"a:1\"], \"dev_echo\": true, \"max_body\": 70000}");
    assert_int_equal(c.workers, 2);
    assert_string_equal(c.listen.items[0], "a:1");
    assert_true(c.dev_echo);
    assert_int_equal(c.max_body, 70000);
    config_finish(&c);

    c = parse("\xef\xbb\xbfworkers: 2\r\nttl: 1d\r\n");
    assert_int_equal(c.workers, 2);
    assert_int_equal(c.ttl_ms, 86400000);
    config_finish(&c);
}

static void nothing_in_a_file_is_fine(void **state)
{
    static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "{}", "--- ~\n"};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config c = parse(texts[i]);
        assert_int_equal(c.workers, 1);
        config_finish(&c);
    }
}

static void lists_can_be_empty_where_that_means_off(void **state)
{
    struct config c =
        load(ARGS("--allowed-origins="), ENV("PUSHWIRE_ALLOWED_ORIGINS=https://a"), CONFIG_RUN);
    (void)state;

    assert_int_equal(c.allowed_origins.count, 0);
    config_finish(&c);
    expect_error(ARGS("--listen="), ENV(), "--listen: needs at least one host:port");
    EXPECT_TEXT_ERROR("listen: []", "x.yaml:1: listen: needs at least one host:port");
}

static void words_stand_for_zero(void **state)
{
    struct config c = parse("max_sessions: auto\nmax_sessions_per_ip: off\n");
    (void)state;

    assert_int_equal(c.max_sessions, 0);
    assert_int_equal(c.max_sessions_per_ip, 0);
    config_finish(&c);
    c = parse("max_sessions_per_ip: 0\n");
    assert_int_equal(c.max_sessions_per_ip, 0);
    config_finish(&c);
    EXPECT_TEXT_ERROR("max_sessions: 0", "x.yaml:1: max_sessions: \"0\" is out of range, say 1 to "
                                         "10000000, or auto");
}

/* --- errors --- */

static void unknown_keys_are_refused_with_a_suggestion(void **state)
{
    (void)state;
    expect_error(with_file("\n\nworkres: 2\n"), ENV(),
                 "@:3: workres: unknown key, did you mean workers?");
    expect_error(with_file("max-body: 2\n"), ENV(),
                 "@:1: max-body: unknown key, did you mean max_body?");
    expect_error(with_file("frobnication: 2\n"), ENV(), "@:1: frobnication: unknown key");
    expect_error(ARGS("--workres=2"), ENV(), "--workres: unknown flag, did you mean --workers?");
    expect_error(ARGS("--max_body", "--workers=2"), ENV(),
                 "--max_body: unknown flag, did you mean --max-body?");
    expect_error(ARGS("--check-confg"), ENV(),
                 "--check-confg: unknown flag, did you mean --check-config?");
    expect_error(ARGS("--port=1"), ENV(), "--port: unknown flag, did you mean --listen?");
    expect_error(ARGS("--xyzzyxyzzy"), ENV(), "--xyzzyxyzzy: unknown flag, see --help");
    expect_error(ARGS("-w"), ENV(), "-w: unknown flag, see --help");
    expect_error(ARGS(), ENV("PUSHWIRE_WORKRES=2"),
                 "PUSHWIRE_WORKRES: unknown variable, did you mean PUSHWIRE_WORKERS?");
    expect_error(ARGS(), ENV("PUSHWIRE_workers=2"),
                 "PUSHWIRE_workers: unknown variable, did you mean PUSHWIRE_WORKERS?");
    expect_error(ARGS(), ENV("PUSHWIRE_FROBNICATION=2"),
                 "PUSHWIRE_FROBNICATION: unknown variable, see --help");
    expect_error(ARGS(), ENV("PUSHWIRE_CONFIGS=2"),
                 "PUSHWIRE_CONFIGS: unknown variable, did you mean PUSHWIRE_CONFIG?");
}

static void variables_of_a_service_of_kubernetes_are_not_ours(void **state)
{
    struct config c =
        load(ARGS(),
             ENV("PUSHWIRE_SERVICE_HOST=10.0.0.11", "PUSHWIRE_SERVICE_PORT=8000",
                 "PUSHWIRE_SERVICE_PORT_HTTP=8000", "PUSHWIRE_PORT=tcp://10.0.0.11:8000",
                 "PUSHWIRE_PORT_8000_TCP=tcp://10.0.0.11:8000", "PUSHWIRE_PORT_8000_TCP_PROTO=tcp",
                 "PUSHWIRE_PORT_8000_TCP_PORT=8000", "PUSHWIRE_PORT_8000_TCP_ADDR=10.0.0.11",
                 "PUSHWIRE_WORKERS=3"),
             CONFIG_RUN);
    (void)state;

    assert_int_equal(c.workers, 3);
    config_finish(&c);
    c = load(ARGS(),
             ENV("PUSHWIRE_X_1_SERVICE_HOST=fd00::11", "PUSHWIRE_X_1_SERVICE_PORT=53",
                 "PUSHWIRE_X_1_PORT=udp://[fd00::11]:53", "PUSHWIRE_X_1_SERVICE_PORT_A_B=53",
                 "PUSHWIRE_X_1_PORT_53_UDP=udp://[fd00::11]:53",
                 "PUSHWIRE_X_1_PORT_53_UDP_PROTO=udp", "PUSHWIRE_X_1_PORT_53_UDP_PORT=53",
                 "PUSHWIRE_X_1_PORT_53_UDP_ADDR=fd00::11"),
             CONFIG_RUN);
    config_finish(&c);
}

static void what_only_looks_like_them_is_refused(void **state)
{
    static const char *const entries[] = {
        "PUSHWIRE_PORT=8000",           "PUSHWIRE_PORT=",
        "PUSHWIRE_PORT=http://a:8000",  "PUSHWIRE_SERVICE_HOST=example.org",
        "PUSHWIRE_SERVICE_PORT=all",    "PUSHWIRE_SERVICE_PORTS=8000",
        "PUSHWIRE_XPORT=tcp://a:1",     "PUSHWIRE_port=tcp://a:1",
        "PUSHWIRE_PORT_8000=tcp://a:1", "PUSHWIRE_PORT_8000_TCP_PROTO=http",
    };
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct config ignored;
        enum config_action action;
        char *error = NULL;
        if (!config_load(&ignored, commands, 1, (char *const *)ARGS(),
                         (char *const *)ENV(entries[i]), &action, &error))
            fail_msg("taken: %s", entries[i]);
        assert_non_null(strstr(error, ": unknown variable"));
        free(error);
    }
}

static void wrong_values_are_refused_with_a_hint(void **state)
{
    (void)state;
    expect_error(ARGS("--workers", "two"), ENV(),
                 "--workers: \"two\" is not a whole number, say 1 to 64");
    expect_error(ARGS("--workers=0"), ENV(), "--workers: \"0\" is out of range, say 1 to 64");
    expect_error(ARGS("--workers=99999999999999999999"), ENV(),
                 "--workers: \"99999999999999999999\" is out of range, say 1 to 64");
    expect_error(ARGS("--workers="), ENV(), "--workers: \"\" is not a whole number, say 1 to 64");
    expect_error(ARGS(), ENV("PUSHWIRE_TTL=7x"),
                 "PUSHWIRE_TTL: \"7x\" is not a duration, say 10s, 5m, 2h or 7d");
    expect_error(ARGS("--head-timeout=100ms"), ENV(),
                 "--head-timeout: \"100ms\" is out of range, say 1s to 10m");
    expect_error(ARGS("--max-head=8KB"), ENV(),
                 "--max-head: \"8KB\" is not a size, say 512B, 64KiB, 1MiB or 2GiB");
    expect_error(ARGS("--max-head=65KiB"), ENV(),
                 "--max-head: \"65KiB\" is out of range, say 1KiB to 64KiB");
    expect_error(ARGS("--dev-echo=maybe"), ENV(),
                 "--dev-echo: \"maybe\" is neither true nor false");
    expect_error(ARGS("--log-level=loud"), ENV(),
                 "--log-level: \"loud\" is unknown, say error|warn|info|debug");
    expect_error(ARGS("--log-level=war"), ENV(),
                 "--log-level: \"war\" is unknown, say error|warn|info|debug");
    expect_error(ARGS("--broker=redis"), ENV(),
                 "--broker: \"redis\" is unknown, say sqlite|memory");
    expect_error(ARGS("--workers"), ENV(), "--workers: needs a value");
    expect_error(ARGS("--config"), ENV(), "--config: needs a value");
    expect_error(ARGS("--listen=a:1", "--listen=b:1"), ENV(),
                 "--listen: given twice, put commas between values");
    expect_error(ARGS("serve", "now"), ENV(), "\"now\" is no flag, and serve takes nothing else");
}

static void zero_does_not_slip_in(void **state)
{
    static const char *const may_be_zero[] = {"max_sessions_per_ip",
                                              "max_channels_per_session",
                                              "ttl",
                                              "drain",
                                              "drain_delay",
                                              "retry_spread",
                                              "disk_reserve"};
    (void)state;

    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const struct config_row *row = config_row(key);
        bool may = false;
        for (size_t i = 0; i < sizeof may_be_zero / sizeof *may_be_zero; i++)
            may |= !strcmp(row->key, may_be_zero[i]);
        if (row->type == CONFIG_INT || row->type == CONFIG_DURATION || row->type == CONFIG_SIZE) {
            assert_true(row->min < row->max);
            assert_int_equal(row->min == 0, may);
        }
    }
}

static void addresses_are_host_and_port(void **state)
{
    static const char *const good[] = {"localhost:0", "0.0.0.0:65535", "[::]:80",
                                       "[::ffff:1.2.3.4]:1", "a-b.example:8000"};
    static const char *const bad[] = {"8000",     ":8000", "localhost", "localhost:", "a:65536",
                                      "::1:8000", "[::1]", "[]:1",      "a:1:2",      "http://a:1",
                                      "[::1:1",   "a:-1",  "a b:1",     "*:1",        "a:1\n"};
    struct config c;
    char expected[160];
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        c = load(ARGS("--metrics-listen", good[i]), ENV(), CONFIG_RUN);
        assert_string_equal(c.metrics_listen, good[i]);
        config_finish(&c);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(expected, sizeof expected,
                 "--metrics-listen: \"%s\" is not an address, say localhost:8000, 0.0.0.0:8000, "
                 "[::]:8000 or unix:/run/pushwire/http.sock",
                 bad[i]);
        char *newline = strchr(expected, '\n');
        if (newline)
            *newline = '?';
        expect_error(ARGS("--metrics-listen", bad[i]), ENV(), expected);
    }
}

static void origins_are_exact(void **state)
{
    static const char *const bad[] = {"*",           "example.com", "https://",
                                      "https://a/",  "://a",        "https://A.com",
                                      "https://a?b", "https:/a",    "https://:80"};
    struct config c =
        load(ARGS("--allowed-origins=https://a.example:8443,http://[::1]:3000"), ENV(), CONFIG_RUN);
    char expected[160];
    (void)state;

    assert_string_equal(c.allowed_origins.items[0], "https://a.example:8443");
    assert_string_equal(c.allowed_origins.items[1], "http://[::1]:3000");
    config_finish(&c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(expected, sizeof expected,
                 "--allowed-origins: \"%s\" is not an origin, say https://app.example.com or "
                 "http://localhost:3000",
                 bad[i]);
        expect_error(ARGS("--allowed-origins", bad[i]), ENV(), expected);
    }
    expect_error(ARGS("--allowed-origins=https://a,"), ENV(),
                 "--allowed-origins: \"\" is not an origin, say https://app.example.com or "
                 "http://localhost:3000");
}

static void keys_are_checked_against_each_other(void **state)
{
    (void)state;
    expect_error(ARGS("--ttl=40d"), ENV(), "--ttl: 40d is more than ttl_max, which is 30d");
    expect_error(ARGS("--ttl-max=1d"), ENV(), "--ttl-max: 1d is less than ttl, which is 7d");
    expect_error(ARGS(), ENV("PUSHWIRE_MAX_BODY=32KiB"),
                 "PUSHWIRE_MAX_BODY: 32KiB is less than max_message, which is 64KiB");
    expect_error(with_file("ttl: 1d\nmax_message: 1MiB\n"), ENV(),
                 "@:2: max_message: 1MiB is more than max_body, which is 256KiB");
    expect_error(ARGS("--keep-bytes=2KiB", "--keep-total=1KiB"), ENV(),
                 "--keep-bytes: 2KiB is less than max_message, which is 64KiB\n"
                 "--keep-total: 1KiB is less than max_message, which is 64KiB");
    struct config c = load(ARGS("--ttl=40d", "--ttl-max=40d"), ENV(), CONFIG_RUN);
    config_finish(&c);
}

static void all_errors_come_at_once(void **state)
{
    const char *const *args = with_file("workers: 0\nttl: 3\n");
    (void)state;

    expect_error(ARGS("--nope!", args[1], "--drain=x"), ENV("PUSHWIRE_HEARTBEAT=1w"),
                 "--nope!: unknown flag, see --help\n"
                 "@:1: workers: \"0\" is out of range, say 1 to 64\n"
                 "@:2: ttl: \"3\" is not a duration, say 10s, 5m, 2h or 7d\n"
                 "PUSHWIRE_HEARTBEAT: \"1w\" is not a duration, say 10s, 5m, 2h or 7d\n"
                 "--drain: \"x\" is not a duration, say 10s, 5m, 2h or 7d");
}

static void errors_end_somewhere(void **state)
{
    char text[4096] = "", *error = NULL;
    struct config config;
    (void)state;

    for (int i = 0; i < 25; i++)
        sprintf(text + strlen(text), "zzzzzzzz%d: 1\n", i);
    config_init_defaults(&config);
    assert_int_equal(config_parse_text(&config, "x", text, strlen(text), &error), -1);
    assert_non_null(strstr(error, "x:20: zzzzzzzz19: unknown key\nand 5 more"));
    free(error);
    config_finish(&config);
}

static void files_of_another_shape_are_refused(void **state)
{
    (void)state;
    EXPECT_TEXT_ERROR("workers: 2\nworkers: 3\n",
                      "x.yaml:2: workers: given twice, first in line 1");
    EXPECT_TEXT_ERROR("ttl: 1s\nworkers:\n  a: 1\n",
                      "x.yaml:3: workers: holds a mapping; this file is one flat list of keys");
    EXPECT_TEXT_ERROR("listen: [[a]]\n", "x.yaml:1: listen: a list here holds plain values only");
    EXPECT_TEXT_ERROR("listen:\n- {a: b}\n",
                      "x.yaml:2: listen: a list here holds plain values only");
    EXPECT_TEXT_ERROR("workers: [1]\n", "x.yaml:1: workers: takes one value, not a list");
    EXPECT_TEXT_ERROR("workers:\n", "x.yaml:1: workers: has no value");
    EXPECT_TEXT_ERROR("workers: 1\nallowed_origins:\n  - https://a.example\n  - ftp://x\n",
                      "x.yaml:2: allowed_origins: \"ftp://x\" is not an origin, say "
                      "https://app.example.com or http://localhost:3000");
    EXPECT_TEXT_ERROR("workers: null\n", "x.yaml:1: workers: has no value");
    EXPECT_TEXT_ERROR("metrics_listen: ~\n", "x.yaml:1: metrics_listen: has no value");
    EXPECT_TEXT_ERROR("- workers\n", "x.yaml:1: not a list of keys, say workers: 2");
    EXPECT_TEXT_ERROR("workers\n", "x.yaml:1: not a list of keys, say workers: 2");
    EXPECT_TEXT_ERROR("? [workers]\n: 2\n", "x.yaml:1: a key is a plain word");
    EXPECT_TEXT_ERROR("workers: 2\n---\nttl: 1s\n",
                      "x.yaml:2: a second document begins; one file holds one");
    EXPECT_TEXT_ERROR("workers: &a 2\n",
                      "x.yaml:1: workers: anchors (&), aliases (*) and tags (!) are not read here");
    EXPECT_TEXT_ERROR("listen: &a [a]\n",
                      "x.yaml:1: listen: anchors (&), aliases (*) and tags (!) are not read here");
    EXPECT_TEXT_ERROR("workers: *a\n",
                      "x.yaml:1: workers: anchors (&), aliases (*) and tags (!) are not read here");
    EXPECT_TEXT_ERROR("workers: !!int 2\n",
                      "x.yaml:1: workers: anchors (&), aliases (*) and tags (!) are not read here");
    EXPECT_TEXT_ERROR("!!map {workers: 2}\n",
                      "x.yaml:1: anchors (&), aliases (*) and tags (!) are not read here");
}

static void broken_files_are_refused(void **state)
{
    (void)state;
    EXPECT_TEXT_ERROR("workers: 2\nttl: \xff\n",
                      "x.yaml:2: not proper YAML: invalid leading UTF-8 octet");
    EXPECT_TEXT_ERROR("\xff\xfew\0", "x.yaml:1: not proper YAML: invalid leading UTF-8 octet");
    EXPECT_TEXT_ERROR("workers: 2\n\nttl: \0\n",
                      "x.yaml:3: not proper YAML: control characters are not allowed");
    EXPECT_TEXT_ERROR("metrics_listen: \"a\\0:1\"\n",
                      "x.yaml:1: metrics_listen: holds a NUL character");
    EXPECT_TEXT_ERROR("\"wor\\0kers\": 1\n", "x.yaml:1: holds a NUL character");
    EXPECT_TEXT_ERROR("listen: [a:1\nttl: 1s",
                      "x.yaml:2: not proper YAML: did not find expected ',' or ']'");
    EXPECT_TEXT_ERROR("workers: \"2\nttl: 1s\n",
                      "x.yaml:3: not proper YAML: found unexpected end of stream");
    expect_error(ARGS("--config", "does/not/exist.yaml"), ENV(),
                 "does/not/exist.yaml: cannot be read: No such file or directory");
    expect_error(ARGS("--config=."), ENV(), ".: cannot be read: Is a directory");
}

static void a_file_has_a_limit(void **state)
{
    size_t size = (1 << 20) + 1;
    char *text = malloc(size + 1);
    struct config config;
    char *error = NULL;
    (void)state;

    memset(text, '\n', size);
    text[size] = '\0';
    config_init_defaults(&config);
    assert_int_equal(config_parse_text(&config, "x", text, size - 1, &error), 0);
    config_finish(&config);
    expect_error(with_file(text), ENV(), "@: is larger than 1MiB");
    free(text);
}

static void errors_are_safe_to_show(void **state)
{
    (void)state;
    expect_error(ARGS("--wor\x1b[31m\nkers"), ENV(), "--wor?[31m?kers: unknown flag, see --help");
    expect_error(ARGS("--workers=\xff\xc3\xa9"), ENV(),
                 "--workers: \"???\" is not a whole number, say 1 to 64");
    expect_error(ARGS("--workers=\xc3\xa9"), ENV(),
                 "--workers: \"\xc3\xa9\" is not a whole number, say 1 to 64");
    expect_error(ARGS("--workers=123456789012345678901234567890123456789\xc3\xa9tail"), ENV(),
                 "--workers: \"123456789012345678901234567890123456789...\" is not a whole number, "
                 "say 1 to 64");
    EXPECT_TEXT_ERROR("workers: \"a\\u2028\\u0085\\uFEFF\"\n",
                      "x.yaml:1: workers: \"a????????\" is not a whole number, say 1 to 64");
}

/* --- actions and commands --- */

static void actions_are_told(void **state)
{
    static const struct {
        const char *flag;
        enum config_action action;
    } flags[] = {{"--help", CONFIG_HELP},
                 {"-h", CONFIG_HELP},
                 {"--version", CONFIG_VERSION},
                 {"--check-config", CONFIG_CHECK},
                 {"--print-config", CONFIG_PRINT}};
    (void)state;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        struct config c = load(ARGS(flags[i].flag), ENV(), flags[i].action);
        config_finish(&c);
        c = load(ARGS("serve", flags[i].flag), ENV(), flags[i].action);
        config_finish(&c);
    }
    expect_error(ARGS("--check-config=yes"), ENV(), "--check-config: takes no value");
}

static void who_asks_for_help_gets_it(void **state)
{
    struct config c = load(
        ARGS("--nope", "--workers=0", "--check-config", "--help", "--version", "--config=missing"),
        ENV("PUSHWIRE_NOPE=1"), CONFIG_HELP);
    (void)state;
    config_finish(&c);
}

static void flags_of_the_configuration_stand_on_either_side_of_the_word(void **state)
{
    struct config c =
        load(ARGS("--workers=2", "key", "list", "--max-body", "1MiB", "x"), ENV(), CONFIG_RUN);
    (void)state;
    assert_string_equal(c.command->word, "key list");
    assert_true(c.is_named);
    assert_int_equal(c.operand_count, 1);
    assert_string_equal(c.operands[0], "x");
    assert_int_equal(c.workers, 2);
    assert_int_equal(c.max_body, 1048576);
    config_finish(&c);
}

static void flags_of_a_command_stand_behind_it_and_win_over_a_key(void **state)
{
    struct config c =
        load(ARGS("--ttl=1d", "key", "new", "--scope", "send", "--ttl=5m", "--scope=a", "--loud"),
             ENV(), CONFIG_RUN);
    (void)state;
    assert_string_equal(config_option(&c, "--scope"), "a");
    assert_string_equal(config_option(&c, "--ttl"), "5m");
    assert_string_equal(config_option(&c, "--loud"), "");
    assert_null(config_option(&c, "--key"));
    assert_int_equal(c.ttl_ms, 86400000);
    config_finish(&c);
    expect_error(ARGS("--scope", "send", "key", "new"), ENV(),
                 "--scope: stands behind its command: pushwire key new --scope");
    expect_error(ARGS("key", "list", "--loud"), ENV(),
                 "--loud: unknown flag of key list, it belongs to key new");
    expect_error(ARGS("key", "new", "--scop=x"), ENV(),
                 "--scop: unknown flag, did you mean --scope?");
    expect_error(ARGS("key", "new", "--scope"), ENV(), "--scope: needs a value");
    expect_error(ARGS("key", "new", "--loud=1"), ENV(), "--loud: takes no value");
}

static void a_flag_of_a_command_may_have_a_variable(void **state)
{
    struct config c = load(ARGS("key", "new"), ENV("PUSHWIRE_KEY=a"), CONFIG_RUN);
    (void)state;
    assert_string_equal(config_option(&c, "--key"), "a");
    config_finish(&c);
    c = load(ARGS("key", "new", "--key=b"), ENV("PUSHWIRE_KEY=a"), CONFIG_RUN);
    assert_string_equal(config_option(&c, "--key"), "b");
    config_finish(&c);
    c = load(ARGS(), ENV("PUSHWIRE_KEY=a"), CONFIG_RUN); /* another command's is no mistake */
    config_finish(&c);
    c = load(ARGS("key", "new"), ENV("PUSHWIRE_KEY="), CONFIG_RUN);
    assert_null(config_option(&c, "--key"));
    config_finish(&c);
}

static void the_longer_word_is_tried_first(void **state)
{
    struct config c = load(ARGS("token", "check", "x"), ENV(), CONFIG_RUN);
    (void)state;
    assert_string_equal(c.command->word, "token check");
    config_finish(&c);
    c = load(ARGS("token", "x", "-", "--"), ENV(), CONFIG_RUN);
    assert_string_equal(c.command->word, "token");
    assert_string_equal(c.operands[1], "-");
    config_finish(&c);
    c = load(ARGS("token", "--", "--ttl"), ENV(), CONFIG_RUN);
    assert_string_equal(c.operands[0], "--ttl");
    config_finish(&c);
}

static void words_that_do_not_fit_are_told(void **state)
{
    (void)state;
    expect_error(ARGS("tokne"), ENV(), "\"tokne\" is an unknown command, did you mean token?");
    expect_error(ARGS("key"), ENV(),
                 "\"key\" wants one more word:\n"
                 "pushwire key new                      draws one\n"
                 "pushwire key list [WHICH]             lists them");
    expect_error(ARGS("token"), ENV(), "say more: pushwire token A B");
    expect_error(ARGS("token", "a", "b", "c"), ENV(),
                 "\"c\" is one word too many: pushwire token A B");
    expect_error(ARGS("dev", "a"), ENV(), "\"a\" is no flag, and dev takes nothing else");
}

static void a_command_has_defaults_of_its_own(void **state)
{
    struct config c = load(ARGS("dev"), ENV(), CONFIG_RUN);
    (void)state;
    assert_int_equal(c.workers, 7);
    assert_int_equal(c.sources[CONFIG_KEY_workers].level, CONFIG_DEFAULT);
    config_finish(&c);
    c = load(ARGS("dev"), ENV("PUSHWIRE_WORKERS=3"), CONFIG_RUN);
    assert_int_equal(c.workers, 3);
    config_finish(&c);
}

static void some_commands_do_not_look_at_the_configuration(void **state)
{
    struct config c = load(ARGS("plain", "--config=missing"), ENV("PUSHWIRE_NOPE=1"), CONFIG_RUN);
    (void)state;
    config_finish(&c);
}

static void no_arguments_at_all_are_fine(void **state)
{
    const char *const none[] = {NULL};
    struct config c = load(none, none, CONFIG_RUN);
    (void)state;
    assert_string_equal(c.command->word, "serve");
    assert_false(c.is_named);
    config_finish(&c);
}

/* --- what is written --- */

static void each_value_is_printed_with_its_source(void **state)
{
    const char *const *args = with_file("ttl: 36h\nlisten: [a:1, '[::1]:2']\n");
    char expected[128];
    struct config c = load(ARGS(args[1], "--workers=2", "--print-config"),
                           ENV("PUSHWIRE_DEV_ECHO=yes"), CONFIG_PRINT);
    char *text = printed(&c);
    (void)state;

    expect_line(text, "workers: 2  # flag --workers");
    expect_line(text, "dev_echo: true  # environment PUSHWIRE_DEV_ECHO");
    snprintf(expected, sizeof expected, "ttl: 36h  # file %s:1", file_name);
    expect_line(text, expected);
    snprintf(expected, sizeof expected, "listen: [\"a:1\", \"[::1]:2\"]  # file %s:2", file_name);
    expect_line(text, expected);
    expect_line(text, "allowed_origins: []  # default");
    expect_line(text, "metrics_listen: \"\"  # default");
    expect_line(text, "max_message: 64KiB  # default");
    expect_line(text, "max_sessions: auto  # default");
    expect_line(text, "max_sessions_per_ip: off  # default");
    expect_line(text, "log_level: info  # default");
    free(text);
    config_finish(&c);
}

/* Takes "  # default" away. */
static void cut_comments(char *text)
{
    char *to = text;
    for (const char *from = text; *from; *to++ = *from++)
        if (!strncmp(from, "  # ", 4))
            from += strcspn(from, "\n");
    *to = '\0';
}

/* A value other than the default for each key; a new key has to come here too. */
static void the_data_folder_is_any_path_that_can_be_written_down(void **state)
{
    struct config c = load(ARGS("--data-dir", "/srv/a b"), ENV(), CONFIG_RUN);
    (void)state;

    assert_string_equal(c.data_dir, "/srv/a b");
    config_finish(&c);
    expect_error(ARGS("--data-dir=a\nb"), ENV(),
                 "--data-dir: \"a?b\" has quotes, backslashes or control characters, which no path "
                 "here may have");
}

static const char every_key[] = "listen: [\"a:1\", \"[::1]:2\"]\n"
                                "workers: 64\n"
                                "broker: memory\n"
                                "data_dir: \"/var/lib/pushwire\"\n"
                                "sync: normal\n"
                                "root_room: off\n"
                                "root_greeting: \"hi there\"\n"
                                "public: \"site\"\n"
                                "metrics_listen: \"127.0.0.1:9000\"\n"
                                "dev_echo: true\n"
                                "dev_socketio: true\n"
                                "keys_file: \"keys\"\n"
                                "jwt_secret_file: \"secrets\"\n"
                                "jwks_file: \"jwks.json\"\n"
                                "jwt_issuer: \"https://a.example\"\n"
                                "jwt_audience: \"push\"\n"
                                "allowed_origins: [\"https://a.example\", \"http://b:3000\"]\n"
                                "trusted_proxies: [\"10.0.0.0/8\", \"::1\"]\n"
                                "insecure_open: true\n"
                                "log_level: error\n"
                                "log_format: json\n"
                                "access_log: true\n"
                                "max_message: 1025B\n"
                                "max_body: 1MiB\n"
                                "max_buffered: 3MiB\n"
                                "max_head: 9KiB\n"
                                "head_timeout: 1500ms\n"
                                "request_timeout: 2m\n"
                                "keepalive: 1h\n"
                                "max_sessions: 77\n"
                                "max_sessions_per_user: 3\n"
                                "max_sessions_per_ip: 4\n"
                                "max_unauthenticated: 9\n"
                                "auth_timeout: 11s\n"
                                "token_max_age: 2d\n"
                                "max_channels_per_session: 0\n"
                                "max_channels: 8\n"
                                "ws_max_message: 2KiB\n"
                                "ws_max_fragments: 5\n"
                                "heartbeat: 1s\n"
                                "poll_wait: 55s\n"
                                "queue_high: 17KiB\n"
                                "stall_timeout: 31s\n"
                                "ttl: 0s\n"
                                "ttl_max: 3650d\n"
                                "keep_messages: 1\n"
                                "keep_bytes: 2GiB\n"
                                "keep_total: 3GiB\n"
                                "recent_bytes: 8MiB\n"
                                "disk_reserve: 0B\n"
                                "idempotency_ttl: 25h\n"
                                "idempotency_entries: 6\n"
                                "devices_per_user: 7\n"
                                "drain: 9s\n"
                                "drain_delay: 1s\n"
                                "retry_spread: 6s\n";

static void what_is_printed_reads_back(void **state)
{
    struct config c = parse(every_key);
    char *text = printed(&c);
    (void)state;

    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
        assert_int_equal(c.sources[key].level, CONFIG_FILE);
    struct config again = parse(text);
    assert_int_equal(again.keep_total, INT64_C(3) << 30);
    char *text_again = printed(&again);
    cut_comments(text);
    cut_comments(text_again);
    assert_string_equal(text, every_key);
    assert_string_equal(text_again, every_key);
    free(text);
    free(text_again);
    config_finish(&c);
    config_finish(&again);
}

static void a_strange_file_name_stays_in_its_comment(void **state)
{
    struct config c;
    char *error = NULL;
    (void)state;

    config_init_defaults(&c);
    assert_int_equal(
        config_parse_text(&c, "a\nworkers: 9\xe2\x80\xa8#\xc2\x85", "ttl: 1h", 7, &error), 0);
    char *text = printed(&c);
    expect_line(text, "ttl: 1h  # file a?workers: 9???#??:1");
    struct config again = parse(text);
    assert_int_equal(again.workers, 1);
    free(text);
    config_finish(&c);
    config_finish(&again);
}

static void a_check_names_the_file(void **state)
{
    char expected[128];
    struct config c = load(with_file("ttl: 1h"), ENV(), CONFIG_RUN);
    to_print = &c;
    char *text = written(print_check);
    (void)state;

    snprintf(expected, sizeof expected, "%s: configuration is fine\n", file_name);
    assert_string_equal(text, expected);
    free(text);
    config_finish(&c);
    config_init_defaults(&c);
    text = written(print_check);
    assert_string_equal(text, "configuration is fine (no file)\n");
    free(text);
    config_finish(&c);
}

static void help_fits_a_screen_and_names_every_key(void **state)
{
    char *text = written(config_help);
    char flag[CONFIG_NAME_SIZE + 1];
    size_t lines = 0;
    (void)state;

    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        config_spell_flag(flag, config_row(key)->key);
        const char *found = strstr(text, strcat(flag, " "));
        assert_non_null(found);
        if (*config_row(key)->otherwise && config_row(key)->type != CONFIG_BOOL) {
            const char *otherwise = strstr(found, config_row(key)->otherwise);
            assert_non_null(otherwise);
            assert_true(otherwise < found + strcspn(found, "\n"));
        }
    }
    for (char *line = text; *line; line += strcspn(line, "\n") + 1, lines++)
        if (strcspn(line, "\n") > 100)
            fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
    assert_true(lines <= 54);
    expect_line(text, "  --workers <1 to 64>                   threads that serve connections, one "
                      "loop each (1)");
    free(text);
}

static void docs_name_every_key_in_well_formed_rows(void **state)
{
    char *text = written(config_docs);
    char cell[CONFIG_NAME_SIZE + 8];
    (void)state;

    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        snprintf(cell, sizeof cell, "\n| `%s` |", config_row(key)->key);
        const char *row = strstr(text, cell);
        size_t bars = 0;
        assert_non_null(row);
        for (row++; *row != '\n'; row++)
            bars += *row == '|' && row[-1] != '\\';
        assert_int_equal(bars, 7);
    }
    expect_line(text, "| `max_head` | `8KiB` | 1KiB to 64KiB | 431 | restart | request line and "
                      "headers together |");
    free(text);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file_name);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_contract),
        cmocka_unit_test(flags_take_both_forms),
        cmocka_unit_test(truth_has_many_words),
        cmocka_unit_test(a_higher_level_replaces_a_lower_one),
        cmocka_unit_test(the_file_may_be_named_by_a_variable),
        cmocka_unit_test(yaml_and_json_are_read),
        cmocka_unit_test(nothing_in_a_file_is_fine),
        cmocka_unit_test(lists_can_be_empty_where_that_means_off),
        cmocka_unit_test(words_stand_for_zero),
        cmocka_unit_test(unknown_keys_are_refused_with_a_suggestion),
        cmocka_unit_test(variables_of_a_service_of_kubernetes_are_not_ours),
        cmocka_unit_test(what_only_looks_like_them_is_refused),
        cmocka_unit_test(wrong_values_are_refused_with_a_hint),
        cmocka_unit_test(zero_does_not_slip_in),
        cmocka_unit_test(addresses_are_host_and_port),
        cmocka_unit_test(origins_are_exact),
        cmocka_unit_test(keys_are_checked_against_each_other),
        cmocka_unit_test(all_errors_come_at_once),
        cmocka_unit_test(errors_end_somewhere),
        cmocka_unit_test(files_of_another_shape_are_refused),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(a_file_has_a_limit),
        cmocka_unit_test(errors_are_safe_to_show),
        cmocka_unit_test(actions_are_told),
        cmocka_unit_test(who_asks_for_help_gets_it),
        cmocka_unit_test(flags_of_the_configuration_stand_on_either_side_of_the_word),
        cmocka_unit_test(flags_of_a_command_stand_behind_it_and_win_over_a_key),
        cmocka_unit_test(a_flag_of_a_command_may_have_a_variable),
        cmocka_unit_test(the_longer_word_is_tried_first),
        cmocka_unit_test(words_that_do_not_fit_are_told),
        cmocka_unit_test(a_command_has_defaults_of_its_own),
        cmocka_unit_test(some_commands_do_not_look_at_the_configuration),
        cmocka_unit_test(no_arguments_at_all_are_fine),
        cmocka_unit_test(each_value_is_printed_with_its_source),
        cmocka_unit_test(the_data_folder_is_any_path_that_can_be_written_down),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(a_strange_file_name_stays_in_its_comment),
        cmocka_unit_test(a_check_names_the_file),
        cmocka_unit_test(help_fits_a_screen_and_names_every_key),
        cmocka_unit_test(docs_name_every_key_in_well_formed_rows),
    };
    return cmocka_run_group_tests_name("config", tests, make_file, remove_file);
}
