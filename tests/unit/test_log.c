#include "support.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_out.h"

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
            LOG_WRITE(NULL, LOG_INFO, "long", LOG_BYTES("value", value, length - length % width),
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
        LOG_WRITE(NULL, LOG_INFO, "long",
                  LOG_BYTES("value", value, sizeof value - sizeof value % width));
        const char *text = line();
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    }
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    while ((text = strchr(text, '\n'))) {
        lines++;
        text++;
    }
    return lines;
}

/* All that was written and not read. */
static char *all_lines(void)
{
    static char text[65536];
    ssize_t size = read(from_log, text, sizeof text - 1);
    assert_true(size > 0);
    text[size] = '\0';
    return text;
}

/* A second may end in the midst of it, then it is two quotas. */
static void of_one_kind_so_many_are_told_and_the_others_counted(void **state)
{
    char count[64];
    (void)state;

    for (int i = 0; i < 300; i++)
        log_info("again and again");
    size_t told = count_lines(all_lines());
    assert_in_range(told, LOG_LINES_A_SECOND, 2 * LOG_LINES_A_SECOND);
    log_tick();
    snprintf(count, sizeof count, "event=\"again and again\" count=%zu\n", 300 - told);
    const char *text = line();
    assert_non_null(strstr(text, "T info  more lines of one kind"));
    assert_non_null(strstr(text, count));
    log_tick(); /* once */
    log_info("quiet");
    assert_string_equal(line(), "T info  quiet\n");
}

static void each_code_of_a_refusal_is_a_kind(void **state)
{
    char count[64];
    (void)state;

    for (int i = 0; i < 300; i++)
        log_refused(ERR_UNAUTHORIZED, LOG_NUMBER("i", i));
    size_t told = count_lines(all_lines());
    log_refused(ERR_FORBIDDEN, LOG_TEXT("why", "a"));
    assert_string_equal(line(), "T info  refused code=forbidden why=a\n");
    log_tick();
    snprintf(count, sizeof count, "event=refused code=unauthorized count=%zu\n", 300 - told);
    assert_non_null(strstr(line(), count));
}

static void each_request_is_told_to_whoever_wants_that(void **state)
{
    (void)state;

    for (int i = 0; i < 300; i++)
        log_request(LOG_NUMBER("i", i));
    assert_int_equal(count_lines(all_lines()), 300);
}

static void lines_come_in_order_and_all_before_it_stops(void **state)
{
    char end[64];
    (void)state;

    log_start();
    log_start(); /* twice is once */
    for (int i = 0; i < 300; i++)
        log_request(LOG_NUMBER("i", i));
    log_stop();
    log_stop();
    log_info("after"); /* at once */
    char *text = all_lines();
    for (int i = 0; i < 300; i++) {
        snprintf(end, sizeof end, "request i=%d\n", i);
        text = strstr(text, end);
        assert_non_null(text);
        text += strlen(end);
    }
    assert_non_null(strstr(text, "after\n"));
}

static void who_reads_nothing_holds_nobody_and_hears_what_is_lost(void **state)
{
    static char value[3900];
    char count[64];
    size_t lines = 0;
    (void)state;

    uint64_t before = log_out_lost();
    memset(value, 'x', sizeof value);
    log_start();
    for (int i = 0; i < 300; i++)
        log_request(LOG_BYTES("value", value, sizeof value));
    size_t lost = (size_t)(log_out_lost() - before);
    assert_in_range(lost, 1, 300);
    while (lines < 300 - lost)
        lines += count_lines(all_lines());
    log_tick();
    snprintf(count, sizeof count, "T warn  lines of the log were lost count=%zu\n", lost);
    assert_string_equal(line(), count);
    log_stop();
}

static void what_cannot_be_written_is_counted(void **state)
{
    int ends[2];
    (void)state;

    signal(SIGPIPE, SIG_IGN);
    close(from_log);
    log_info("one");
    log_info("two");
    log_tick(); /* which it does not try to tell there */
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    from_log = ends[0];
    log_info("three");
    assert_string_equal(line(), "T info  three\n");
    log_tick();
    assert_string_equal(line(), "T warn  lines of the log were lost count=2\n");
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

static void the_journal_gets_a_priority_and_no_time(void **state)
{
    char text[256];
    (void)state;

    log_set_format(LOG_FORMAT_JOURNAL);
    log_error("stopped", LOG_TEXT("reason", "a b"));
    log_warn("odd");
    log_info("ready");
    ssize_t size = read(from_log, text, sizeof text - 1);
    assert_true(size > 0);
    text[size] = '\0';
    assert_string_equal(text, "<3>stopped reason=\"a b\"\n<4>odd\n<6>ready\n");
    log_set_format(LOG_FORMAT_LOGFMT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_follow_the_event),
        cmocka_unit_test(a_value_forges_no_line),
        cmocka_unit_test(json_lines_hold_the_same),
        cmocka_unit_test(the_journal_gets_a_priority_and_no_time),
        cmocka_unit_test(levels_are_heard_or_not),
        cmocka_unit_test(long_lines_are_cut_and_stay_whole),
        cmocka_unit_test(of_one_kind_so_many_are_told_and_the_others_counted),
        cmocka_unit_test(each_code_of_a_refusal_is_a_kind),
        cmocka_unit_test(each_request_is_told_to_whoever_wants_that),
        cmocka_unit_test(lines_come_in_order_and_all_before_it_stops),
        cmocka_unit_test(who_reads_nothing_holds_nobody_and_hears_what_is_lost),
        cmocka_unit_test(what_cannot_be_written_is_counted),
    };
    return cmocka_run_group_tests(tests, catch_stderr, NULL);
}
