/* What two members answer, put together. */
#include "support.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "engine/call.h"
#include "engine/presence.h"
#include "model/connection_manager.h"

static struct metrics metrics;

static struct {
    struct connection_manager *managers[2];
    struct recorder recorders[6];
    size_t count;
    struct buf records;
} desk;

static int open_desk(void **state)
{
    (void)state;
    memset(&desk, 0, sizeof desk);
    for (int m = 0; m < 2; m++)
        desk.managers[m] = connection_manager_create(&metrics);
    buf_init(&desk.records);
    return 0;
}

static int close_desk(void **state)
{
    (void)state;
    for (size_t i = 0; i < desk.count; i++)
        connection_manager_detach(desk.managers[i % 2], &desk.recorders[i].session);
    for (int m = 0; m < 2; m++)
        connection_manager_destroy(desk.managers[m]);
    buf_finish(&desk.records);
    return 0;
}

/* The next session is at the other member. */
static struct session *sit_down(const char *user)
{
    size_t i = desk.count++;
    struct topic topic = a_user(user);
    struct session *session = recorder_init(&desk.recorders[i], 10 + i);
    assert_true(connection_manager_attach(desk.managers[i % 2], session, &topic));
    return session;
}

static uint64_t ask(const struct control *control)
{
    uint64_t sessions = 0;
    for (int m = 0; m < 2; m++)
        sessions += presence_serve(desk.managers[m], control, &desk.records);
    assert_true(buf_ok(&desk.records));
    return sessions;
}

static void each_session_is_described(void **state)
{
    struct control control = {.verb = CONTROL_DESCRIBE, .topic = a_user("alice")};
    size_t count;
    (void)state;

    sit_down("alice")->state = SESSION_BEHIND;
    struct session *second = sit_down("alice");
    second->state = SESSION_LIVE;
    second->opened_at_s = 5;
    sit_down("bob");
    assert_int_equal(ask(&control), 2);
    const struct session_info *sessions = presence_sessions(&desk.records, &count);
    assert_int_equal(count, 2);
    assert_int_equal(sessions[0].id, 10);
    assert_true(sessions[0].behind);
    assert_int_equal(sessions[1].id, 11);
    assert_false(sessions[1].behind);
    assert_int_equal(sessions[1].opened_at_ms, 5000);
    assert_string_equal(sessions[1].device, "");
}

static void assert_names(const struct control *control, const char *expected)
{
    char text[64] = "";
    size_t count;
    buf_finish(&desk.records);
    buf_init(&desk.records);
    ask(control);
    struct user_name *names = presence_names(&desk.records, &count);
    assert_non_null(names);
    for (size_t i = 0; i < count; i++) {
        strncat(text, names[i].text, names[i].length);
        strcat(text, ";");
    }
    free(names);
    assert_string_equal(text, expected);
}

static void names_come_sorted_and_once(void **state)
{
    struct control control = {.verb = CONTROL_USERS, .topic = all_of_them(), .limit = 10};
    (void)state;

    assert_names(&control, "");
    sit_down("dora");
    sit_down("al");
    sit_down("alice");
    sit_down("dora");
    sit_down("carol");
    sit_down("bob");
    assert_names(&control, "al;alice;bob;carol;dora;");
    control.from = "al";
    control.from_length = 2;
    control.limit = 2; /* from each */
    assert_names(&control, "alice;bob;carol;dora;");
}

#define desk_test(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        desk_test(each_session_is_described),
        desk_test(names_come_sorted_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
