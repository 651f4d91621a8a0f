#include "support.h"

#include "base/buf.h"
#include "base/metrics.h"

static char text[65536];

enum { SOCKETS, STREAMS, POLLS, ROOMS };
static const char *const transports[] = {"websocket", "sse", "poll", "websocket", NULL};

static const char *written(const struct metrics *const *all, size_t count)
{
    struct buf buf;
    buf_init(&buf);
    metrics_write(&buf, all, count, transports);
    assert_true(buf_ok(&buf) && buf.size < sizeof text);
    memcpy(text, buf.data, buf.size);
    text[buf.size] = '\0';
    buf_finish(&buf);
    return text;
}

#define assert_has_line(wanted) assert_non_null(strstr(text, "\n" wanted "\n"))

static void workers_are_summed(void **state)
{
    static struct metrics a, b;
    const struct metrics *const all[] = {&a, &b};
    (void)state;

    metrics_add(&a.published_message, 3);
    metrics_add(&b.published_message, 4);
    metrics_add(&a.live[SOCKETS], 5);
    metrics_add(&b.live[SOCKETS], -1); /* handed over to another worker */
    metrics_add(&a.live[ROOMS], 6);
    metrics_add(&a.behind[STREAMS], 2);
    metrics_add(&a.delivered[STREAMS], 8);
    metrics_add(&b.delivered[POLLS], 9);
    metrics_add(&b.closed[ERR_STALLED], 2);
    metrics_add(&a.refused[ERR_BAD_JSON], 1);
    written(all, 2);
    assert_has_line("pushwire_published_total{kind=\"message\"} 7");
    assert_has_line("pushwire_sessions{transport=\"websocket\",state=\"live\"} 10");
    assert_has_line("pushwire_sessions{transport=\"websocket\",state=\"behind\"} 0");
    assert_has_line("pushwire_sessions{transport=\"sse\",state=\"live\"} 0");
    assert_has_line("pushwire_sessions{transport=\"sse\",state=\"behind\"} 2");
    assert_has_line("pushwire_sessions{transport=\"poll\",state=\"live\"} 0");
    assert_has_line("pushwire_delivered_total{transport=\"websocket\"} 0");
    assert_has_line("pushwire_delivered_total{transport=\"sse\"} 8");
    assert_has_line("pushwire_delivered_total{transport=\"poll\"} 9");
    assert_has_line("pushwire_http_connections 0");
    assert_has_line("pushwire_closed_total{reason=\"stalled\"} 2");
    assert_has_line("pushwire_refused_total{code=\"bad_json\"} 1");
    assert_null(strstr(text, "reason=\"kicked\"")); /* not counted, not written */
}

static void each_name_is_described_once(void **state)
{
    static struct metrics a;
    const struct metrics *const all[] = {&a};
    (void)state;

    written(all, 1);
    assert_has_line("# TYPE pushwire_sessions gauge");
    assert_has_line("# TYPE pushwire_publish_seconds histogram");
    for (const char *at = text; (at = strstr(at, "# TYPE ")); at += 7) {
        size_t length = strcspn(at, "\n");
        char line[128];
        assert_true(length < sizeof line);
        memcpy(line, at, length);
        line[length] = '\0';
        assert_null(strstr(at + 1, line));
    }
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void times_fall_into_buckets(void **state)
{
    static struct metrics a, b;
    const struct metrics *const all[] = {&a, &b};
    (void)state;

    metrics_observe(&a.publish_seconds, 0);
    metrics_observe(&a.publish_seconds, 16);
    metrics_observe(&b.publish_seconds, 17);
    metrics_observe(&b.publish_seconds, 524288);
    metrics_observe(&b.publish_seconds, 5000000);
    written(all, 2);
    assert_has_line("pushwire_publish_seconds_bucket{le=\"0.000016\"} 2");
    assert_has_line("pushwire_publish_seconds_bucket{le=\"0.000032\"} 3");
    assert_has_line("pushwire_publish_seconds_bucket{le=\"0.262144\"} 3");
    assert_has_line("pushwire_publish_seconds_bucket{le=\"0.524288\"} 4");
    assert_has_line("pushwire_publish_seconds_bucket{le=\"+Inf\"} 5");
    assert_has_line("pushwire_publish_seconds_sum 5.524321");
    assert_has_line("pushwire_publish_seconds_count 5");
}

static void a_gauge_stands_alone(void **state)
{
    struct buf buf;
    (void)state;

    buf_init(&buf);
    metrics_write_gauge(&buf, "open_fds", "Open descriptors.", 42);
    buf_add(&buf, "", 1);
    assert_string_equal(buf.data, "# HELP pushwire_open_fds Open descriptors.\n"
                                  "# TYPE pushwire_open_fds gauge\npushwire_open_fds 42\n");
    buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_are_summed),
        cmocka_unit_test(each_name_is_described_once),
        cmocka_unit_test(times_fall_into_buckets),
        cmocka_unit_test(a_gauge_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
