#include "support.h"

#include "engine/expiries.h"
#include "engine/mailbox.h"

enum { MANY = 300 };

static struct kept kept[MANY];

static void what_expires_first_comes_first(void **state)
{
    struct expiries expiries;
    uint64_t seed = 1;
    (void)state;

    expiries_init(&expiries);
    assert_null(expiries_first(&expiries));
    for (int i = 0; i < MANY; i++) {
        kept[i] = (struct kept){.message = a_message_for("alice", (uint64_t)i + 1)};
        message_number(kept[i].message, (uint64_t)i + 1, 0, next_random(&seed) % 100);
        assert_true(expiries_reserve(&expiries));
        expiries_add(&expiries, &kept[i]);
    }
    for (int i = 0; i < MANY; i += 3) /* from the midst, as limits do */
        expiries_remove(&expiries, &kept[i]);
    int64_t before_ms = 0;
    for (int i = 0; i < MANY - MANY / 3; i++) {
        struct kept *first = expiries_first(&expiries);
        assert_true(first->message->expires_at_ms >= before_ms);
        before_ms = first->message->expires_at_ms;
        expiries_remove(&expiries, first);
    }
    assert_null(expiries_first(&expiries));
    expiries_finish(&expiries);
    for (int i = 0; i < MANY; i++)
        message_unref(kept[i].message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_expires_first_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
