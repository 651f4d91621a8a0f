/* The trial of libmicrohttpd, with the one that is loaded and with others that it is made to be. */
#include "support.h"

#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../library/moved.h"
#include "http/parser.h"

/* ---- a library that keeps strings elsewhere, as a later version may ---- */

static struct {
    bool moves;
    bool refuses;
    struct moved moved;
} other;

int __real_MHD_get_connection_values_n(struct MHD_Connection *, enum MHD_ValueKind,
                                       MHD_KeyValueIteratorN, void *);
int __wrap_MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                       MHD_KeyValueIteratorN take, void *cls);

int __wrap_MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                       MHD_KeyValueIteratorN take, void *cls)
{
    if (!other.moves)
        return __real_MHD_get_connection_values_n(connection, kind, take, cls);
    other.moved.take = take;
    other.moved.cls = cls;
    other.moved.used = 0;
    return __real_MHD_get_connection_values_n(connection, kind, moved_take, &other.moved);
}

/* ---- a library that refuses by itself ---- */

static bool is_loose(const char *at, const char *end)
{
    for (const char *c = at; c < end; c++) {
        bool cr_lf = *c == '\n' && c > at && c[-1] == '\r';
        bool folded = cr_lf && c + 1 < end && (c[1] == ' ' || c[1] == '\t');
        bool bare = (*c == '\n' && !cr_lf) || (*c == '\r' && (c + 1 == end || c[1] != '\n'));
        if (bare || folded || *c == '\0' || (*c == ' ' && c + 1 < end && c[1] == ':'))
            return true;
    }
    return false;
}

int __real_MHD_add_connection(struct MHD_Daemon *, int, const struct sockaddr *, socklen_t);
int __wrap_MHD_add_connection(struct MHD_Daemon *daemon, int fd, const struct sockaddr *peer,
                              socklen_t size);

int __wrap_MHD_add_connection(struct MHD_Daemon *daemon, int fd, const struct sockaddr *peer,
                              socklen_t size)
{
    char head[512];
    ssize_t got = other.refuses ? recv(fd, head, sizeof head, MSG_PEEK) : 0;
    assert_true(got >= 0);
    if (!is_loose(head, head + got))
        return __real_MHD_add_connection(daemon, fd, peer, size);
    close(fd);
    return MHD_NO;
}

/* ---- the tests ---- */

static int reset(void **state)
{
    (void)state;
    memset(&other, 0, sizeof other);
    return 0;
}

static void test_the_loaded_library_can_be_used(void **state)
{
    (void)state;
    struct parser parser = {0};
    assert_true(parser_find(&parser));
    assert_true(parser.in_place || parser.strict);
}

/* Of heads that it lets through, who could say what their lines were? */
static void test_without_places_and_without_refusals_there_is_no_way(void **state)
{
    (void)state;
    struct parser parser = {0}, loaded = {0};
    assert_true(parser_find(&loaded));
    other.moves = true;
    assert_int_equal(parser_find(&parser), !loaded.in_place); /* later ones do refuse */
}

/* As 1.0.1 does, also to a binary that was built where 0.9.75 is. */
static void test_one_that_refuses_by_itself_may_keep_strings_anywhere(void **state)
{
    (void)state;
    struct parser parser = {0};
    other.moves = other.refuses = true;
    assert_true(parser_find(&parser));
    assert_true(parser.strict);
    assert_false(parser.in_place);
}

static void test_where_we_can_judge_we_are_the_one_to_refuse(void **state)
{
    (void)state;
    struct parser parser = {0}, loaded = {0};
    assert_true(parser_find(&loaded));
    other.refuses = true;
    assert_true(parser_find(&parser));
    assert_int_equal(parser.in_place, loaded.in_place);
    assert_int_equal(parser.strict, loaded.strict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_loaded_library_can_be_used, reset),
        cmocka_unit_test_setup(test_without_places_and_without_refusals_there_is_no_way, reset),
        cmocka_unit_test_setup(test_one_that_refuses_by_itself_may_keep_strings_anywhere, reset),
        cmocka_unit_test_setup(test_where_we_can_judge_we_are_the_one_to_refuse, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
