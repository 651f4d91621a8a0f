#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

static int manager; /* the other end */

/* Names a socket of the abstract namespace that is ours alone. */
static void listen_as_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    snprintf(name, sizeof name, "@pushwire-test-%d", (int)getpid());
    memcpy(address.sun_path, name, strlen(name));
    address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static const char *heard(void)
{
    static char text[1024];
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void without_a_manager_nothing_is_said(void **state)
{
    int first;
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_init();
    notify_say("READY=1");
    assert_false(notify_is_heard());
    assert_int_equal(notify_watchdog_ms(), 0);
    assert_int_equal(notify_sockets(&first), 0);
}

static void the_manager_hears_what_is_said(void **state)
{
    (void)state;
    listen_as_manager();
    setenv("WATCHDOG_USEC", "3000000", 1);
    notify_init();
    assert_true(notify_is_heard());
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_int_equal(notify_watchdog_ms(), 3000);
    notify_say("READY=1\nSTATUS=%d sessions", 7);
    assert_string_equal(heard(), "READY=1\nSTATUS=7 sessions");
    notify_reloading();
    assert_memory_equal(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27);
    close(manager);
    notify_say("STOPPING=1"); /* nobody is there any more */
}

static void what_is_meant_for_another_process_is_left(void **state)
{
    int first;
    (void)state;
    setenv("NOTIFY_SOCKET", "not a path", 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "2", 1);
    notify_init();
    assert_false(notify_is_heard());
    assert_int_equal(notify_watchdog_ms(), 0);
    assert_int_equal(notify_sockets(&first), 0);
    assert_null(getenv("LISTEN_FDS"));
}

static void sockets_are_counted_for_this_process(void **state)
{
    char pid[16];
    int first;
    (void)state;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    notify_init();
    assert_int_equal(notify_sockets(&first), 2);
    assert_int_equal(first, 3);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "many", 1);
    notify_init();
    assert_int_equal(notify_sockets(&first), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_manager_nothing_is_said),
        cmocka_unit_test(the_manager_hears_what_is_said),
        cmocka_unit_test(what_is_meant_for_another_process_is_left),
        cmocka_unit_test(sockets_are_counted_for_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
