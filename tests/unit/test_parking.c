/* parking's judgement of connections with which libmicrohttpd comes no further, over a kernel that
 * says what it is told to. */
#include "support.h"

#include "http/deadlines.h"
#include "http/parking.h"
#include "http/requests.h"

#include <microhttpd.h>

static struct {
    uint64_t received; /* what has come */
    uint64_t taken;    /* and was taken */
    bool comes;        /* a byte whenever the kernel is asked */
    bool silent;       /* the kernel does not say what has come: a Unix socket */
    int suspended, ended;
    struct deadlines deadlines;
    struct deadline deadline;
    struct request request;
    struct parking parking;
    int64_t now_ms;
} world;

int __wrap_deadline_unread(const struct deadline *deadline);
int __wrap_deadline_unread(const struct deadline *deadline)
{
    (void)deadline;
    int unread = (int)(world.received - world.taken);
    world.received += world.comes;
    return unread;
}

bool __wrap_deadline_received(const struct deadline *deadline, uint64_t *ret_bytes);
bool __wrap_deadline_received(const struct deadline *deadline, uint64_t *ret_bytes)
{
    (void)deadline;
    if (world.silent)
        return false;
    *ret_bytes = world.received;
    world.received += world.comes;
    return true;
}

void __wrap_MHD_suspend_connection(struct MHD_Connection *connection);
void __wrap_MHD_suspend_connection(struct MHD_Connection *connection)
{
    (void)connection;
    world.suspended++;
}

void __wrap_MHD_resume_connection(struct MHD_Connection *connection);
void __wrap_MHD_resume_connection(struct MHD_Connection *connection)
{
    (void)connection;
    world.suspended--;
}

static void end(void *context, struct deadline *deadline)
{
    (void)context;
    (void)deadline;
    world.ended++;
}

static int begin(void **state)
{
    static const int64_t limits[DEADLINE_PHASES] = {0};
    (void)state;
    memset(&world, 0, sizeof world);
    deadlines_init(&world.deadlines, limits);
    deadlines_add(&world.deadlines, &world.deadline, 3, 0);
    deadlines_move(&world.deadlines, &world.deadline, DEADLINE_BODY, 0);
    world.request.announced.chunked = true;
    world.deadline.request = &world.request;
    world.parking = (struct parking){.deadlines = &world.deadlines, .end = end};
    return 0;
}

static void look(void)
{
    world.now_ms += PARKING_LOOK_MS;
    parking_look(&world.parking, world.now_ms);
}

static void who_leaves_bytes_lying_is_ended(void **state)
{
    (void)state;

    world.received = 100;
    look();
    assert_int_equal(world.ended, 0); /* perhaps it was not the library's turn */
    look();
    assert_int_equal(world.ended, 1);
}

static void who_has_nothing_to_be_read_is_parked_until_more_comes(void **state)
{
    (void)state;

    world.received = world.taken = 100;
    look();
    look();
    assert_int_equal(world.suspended, 1);
    assert_false(parking_wake(&world.parking));
    world.received++;
    assert_true(parking_wake(&world.parking));
    assert_int_equal(world.suspended, 0);
    assert_int_equal(world.ended, 0);
}

/* Its bytes come at any moment, also between two questions to the kernel. */
static void who_is_slow_is_neither(void **state)
{
    (void)state;

    for (int moment = 0; moment < 4; moment++) {
        begin(NULL);
        for (int i = 0; i < 100; i++) {
            world.comes = moment & 1;
            look();
            world.comes = false;
            world.taken = world.received; /* the library's turn */
            world.received += moment >> 1;
        }
        assert_int_equal(world.ended, 0);
        assert_int_equal(world.suspended, moment == 0);
    }
}

static void where_the_kernel_does_not_say_nobody_is_ended(void **state)
{
    (void)state;

    world.silent = true;
    world.received = 100;
    look();
    look();
    assert_int_equal(world.ended, 0);
    world.taken = 100;
    look();
    assert_int_equal(world.suspended, 1);
}

#define parking_test(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        parking_test(who_leaves_bytes_lying_is_ended),
        parking_test(who_has_nothing_to_be_read_is_parked_until_more_comes),
        parking_test(who_is_slow_is_neither),
        parking_test(where_the_kernel_does_not_say_nobody_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
