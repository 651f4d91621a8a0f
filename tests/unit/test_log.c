#include "support.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static int from_log;

/* What one statement wrote to standard error, its time stamp replaced by T. */
static const char *line(void)
{
    static char text[8192];
    ssize_t size = read(from_log, text, sizeof text - 1);
    assert_true(size > 0 && size < (ssize_t)sizeof text - 1);
    text[size] = '\0';
    char *time = strstr(text, "20");
    assert_non_null(time);
    assert_true(time[10] == 'T' && time[23] == 'Z');
    time[0] = 'T';
    memmove(time + 1, time + 24, strlen(time + 24) + 1);
    return text;
}

static void fields_follow_the_event(void **state)
{
    (void)state;

    log_set_format(LOG_FORMAT_LOGFMT);
    log_info("session opened", LOG_TEXT("user", "alice"), LOG_NUMBER("sessions", -3),
             LOG_BOOL("behind", true), LOG_TEXT("absent", NULL));
    assert_string_equal(line(), "T info  session opened user=alice sessions=-3 behind=true\n");
    log_error("stopped");
    assert_string_equal(line(), "T error stopped\n");
}

static void a_value_forges_no_line(void **state)
{
    (void)state;

    log_set_format(LOG_FORMAT_LOGFMT);
    log_warn("odd", LOG_TEXT("a", "x\nT error forged b=1"), LOG_TEXT("b", "say \"hi\" \\ \x1b[1m"),
             LOG_TEXT("c", ""), LOG_BYTES("d", "a\0b", 3), LOG_TEXT("e", "caf\xc3\xa9"),
             LOG_TEXT("f", "\x7f"));
    assert_string_equal(line(), "T warn  odd a=\"x\\u000aT error forged b=1\" "
                                "b=\"say \\\"hi\\\" \\\\ \\u001b[1m\" c=\"\" d=\"a\\u0000b\" "
                                "e=caf\xc3\xa9 f=\"\\u007f\"\n");
}

static void json_lines_hold_the_same(void **state)
{
    (void)state;

    log_set_format(LOG_FORMAT_JSON);
    log_info("it \"ran\"", LOG_TEXT("user", "a\nb"), LOG_NUMBER("n", 5), LOG_BOOL("ok", false));
    assert_string_equal(line(), "{\"time\":\"T\",\"level\":\"info\",\"event\":\"it \\\"ran\\\"\","
                                "\"user\":\"a\\u000ab\",\"n\":5,\"ok\":false}\n");
}

static void levels_are_heard_or_not(void **state)
{
    (void)state;

    log_set_format(LOG_FORMAT_LOGFMT);
    assert_false(log_wants(LOG_DEBUG));
    log_debug("unheard");
    log_set_level(LOG_DEBUG);
    log_debug("heard");
    assert_string_equal(line(), "T debug heard\n");
    log_set_level(LOG_ERROR);
    log_warn("unheard");
    log_set_level(LOG_INFO);
    log_info("heard");
    assert_string_equal(line(), "T info  heard\n");
}

/* Whatever is cut off, one whole line comes out, and in JSON an object. */
static void long_lines_are_cut_and_stay_whole(void **state)
{
    static char value[6000];
    static const char *const units[] = {"x", "\"", "\x01", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    (void)state;

    for (size_t u = 0; u < COUNT_OF(units); u++) {
        size_t width = strlen(units[u]);
        for (size_t i = 0; i + width <= sizeof value; i += width)
            memcpy(value + i, units[u], width);
        for (size_t length = 3800 / 6 * 6; length <= 4110; length += width) {
            log_set_format(LOG_FORMAT_JSON);
            log_info("long", LOG_BYTES("value", value, length - length % width),
                     LOG_NUMBER("after", INT64_MIN), LOG_BYTES("again", value, 60));
            const char *text = line();
            size_t size = strlen(text);
            assert_in_range(size, 1, 4096);
            assert_ptr_equal(strchr(text, '\n'), text + size - 1);
            json_t *object = json_loadb(text, size, 0, NULL);
            assert_true(json_is_object(object));
            json_decref(object);
        }
        log_set_format(LOG_FORMAT_LOGFMT);
        log_info("long", LOG_BYTES("value", value, sizeof value - sizeof value % width));
        const char *text = line();
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    }
}

static int catch_stderr(void **state)
{
    int ends[2];
    (void)state;
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        return -1;
    close(ends[1]);
    from_log = ends[0];
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_follow_the_event),
        cmocka_unit_test(a_value_forges_no_line),
        cmocka_unit_test(json_lines_hold_the_same),
        cmocka_unit_test(levels_are_heard_or_not),
        cmocka_unit_test(long_lines_are_cut_and_stay_whole),
    };
    return cmocka_run_group_tests(tests, catch_stderr, NULL);
}
