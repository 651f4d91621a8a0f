#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "model/connection_limits.h"

static struct connection_limits *some_connection_limits(size_t sockets, size_t sessions,
                                                        size_t per_ip)
{
    struct connection_limits_options limits = {sockets, sessions, per_ip};
    return connection_limits_create(&limits);
}

union peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union peer a_peer(const char *ip, uint16_t port)
{
    union peer address;
    memset(&address, 0, sizeof address);
    if (strchr(ip, ':')) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        assert_int_equal(inet_pton(AF_INET6, ip, &address.v6.sin6_addr), 1);
    } else {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        assert_int_equal(inet_pton(AF_INET, ip, &address.v4.sin_addr), 1);
    }
    return address;
}

static bool take_from(struct connection_limits *connection_limits, const char *ip, uint16_t port)
{
    union peer address = a_peer(ip, port);
    return connection_limits_take_address(connection_limits, &address.any);
}

static void give_to(struct connection_limits *connection_limits, const char *ip, uint16_t port)
{
    union peer address = a_peer(ip, port);
    connection_limits_give_address(connection_limits, &address.any);
}

static void sockets_have_a_limit(void **state)
{
    struct connection_limits *connection_limits = some_connection_limits(2, 9, 0);
    (void)state;

    for (int round = 0; round < 3; round++) {
        assert_true(connection_limits_take_socket(connection_limits));
        assert_true(connection_limits_take_socket(connection_limits));
        assert_false(connection_limits_take_socket(connection_limits));
        assert_false(
            connection_limits_take_socket(connection_limits)); /* a refusal takes nothing */
        connection_limits_give_socket(connection_limits);
        assert_true(connection_limits_take_socket(connection_limits));
        connection_limits_give_socket(connection_limits);
        connection_limits_give_socket(connection_limits);
    }
    connection_limits_destroy(connection_limits);
    connection_limits_destroy(NULL);
}

static void a_session_is_a_socket_too(void **state)
{
    struct connection_limits *connection_limits = some_connection_limits(3, 2, 0);
    (void)state;

    assert_true(connection_limits_take_session(connection_limits));
    assert_true(connection_limits_take_session(connection_limits));
    assert_false(connection_limits_take_session(connection_limits)); /* sessions are full */
    assert_true(connection_limits_take_socket(connection_limits));
    assert_false(connection_limits_take_socket(connection_limits)); /* and now everything */
    connection_limits_give_session(connection_limits);
    assert_true(connection_limits_take_socket(connection_limits));
    assert_false(connection_limits_take_session(
        connection_limits)); /* no socket: its session is given back */
    connection_limits_give_socket(connection_limits);
    assert_true(connection_limits_take_session(connection_limits));
    connection_limits_destroy(connection_limits);
}

static void an_address_has_its_share(void **state)
{
    struct connection_limits *connection_limits = some_connection_limits(9, 9, 2);
    (void)state;

    assert_true(connection_limits_counts_addresses(connection_limits));
    assert_true(take_from(connection_limits, "192.0.2.1", 1000));
    assert_true(take_from(connection_limits, "192.0.2.1", 1001));
    assert_false(take_from(connection_limits, "192.0.2.1", 1002));
    assert_true(take_from(connection_limits, "192.0.2.2", 1000));
    assert_true(take_from(connection_limits, "2001:db8::1", 1000));
    assert_true(take_from(connection_limits, "2001:db8::ffff:1:2", 1001)); /* one of the same /64 */
    assert_false(take_from(connection_limits, "2001:db8::1", 1002));
    assert_false(take_from(connection_limits, "2001:db8:0:0:9::3", 1000));
    assert_true(take_from(connection_limits, "2001:db8:0:1::1", 1000));
    give_to(connection_limits, "192.0.2.1", 1000);
    assert_true(take_from(connection_limits, "192.0.2.1", 1003));
    assert_false(take_from(connection_limits, "192.0.2.1", 1004));
    give_to(connection_limits, "192.0.2.1", 1001);
    give_to(connection_limits, "192.0.2.1", 1003);
    give_to(connection_limits, "192.0.2.2", 1000);
    give_to(connection_limits, "2001:db8::1", 1000);
    give_to(connection_limits, "2001:db8::1", 1001);
    give_to(connection_limits, "2001:db8:0:1::1", 1000);
    assert_true(take_from(connection_limits, "192.0.2.1", 1));
    assert_true(take_from(connection_limits, "192.0.2.1", 2));
    assert_false(take_from(connection_limits, "192.0.2.1", 3));
    give_to(connection_limits, "192.0.2.1", 1);
    give_to(connection_limits, "192.0.2.1", 2);
    connection_limits_destroy(
        connection_limits); /* leak checkers look here: nobody is counted any more */
}

/* 192.0.2.1 begins with the same four bytes as c000:201::, which is somebody else. */
static void v4_and_v6_do_not_mix(void **state)
{
    struct connection_limits *connection_limits = some_connection_limits(9, 9, 1);
    (void)state;

    assert_true(take_from(connection_limits, "192.0.2.1", 1));
    assert_true(take_from(connection_limits, "c000:201::", 1));
    assert_false(
        take_from(connection_limits, "::ffff:192.0.2.1", 1)); /* the same host on a v6 socket */
    give_to(connection_limits, "192.0.2.1", 1);
    give_to(connection_limits, "c000:201::", 1);
    connection_limits_destroy(connection_limits);
}

static void without_a_share_nobody_is_counted(void **state)
{
    struct connection_limits *connection_limits = some_connection_limits(9, 9, 0);
    (void)state;

    assert_false(connection_limits_counts_addresses(connection_limits));
    for (int i = 0; i < 100; i++)
        assert_true(take_from(connection_limits, "192.0.2.1", 1));
    give_to(connection_limits, "192.0.2.1", 1);
    connection_limits_destroy(connection_limits);
}

static void one_address_cannot_hold_all_that_wait_for_a_token(void **state)
{
    struct connection_limits *connection_limits =
        connection_limits_create(&(struct connection_limits_options){
            .max_sockets = 99, .max_sessions = 99, .max_unauthenticated = 9});
    union peer one = a_peer("192.0.2.1", 1), other = a_peer("2001:db8::1", 1);
    size_t ones = 0, others = 0;
    (void)state;

    while (connection_limits_take_unauthenticated(connection_limits, &one.any))
        ones++;
    assert_int_equal(ones, 5);
    while (connection_limits_take_unauthenticated(connection_limits, &other.any))
        others++;
    assert_int_equal(others, 3); /* of the four that were left */
    while (others--)
        connection_limits_give_unauthenticated(connection_limits, &other.any);
    while (ones--)
        connection_limits_give_unauthenticated(connection_limits, &one.any);
    connection_limits_destroy(connection_limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_have_a_limit),
        cmocka_unit_test(a_session_is_a_socket_too),
        cmocka_unit_test(an_address_has_its_share),
        cmocka_unit_test(v4_and_v6_do_not_mix),
        cmocka_unit_test(one_address_cannot_hold_all_that_wait_for_a_token),
        cmocka_unit_test(without_a_share_nobody_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
