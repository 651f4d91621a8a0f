#include "support.h"

#include "engine/mailbox.h"

enum { MANY = 200 };

static struct kept kept[MANY];

/* Ids 10, 20, 30, … in order; the shelf holds the messages, the mailbox borrows. */
static struct mailbox *filled(size_t count)
{
    struct topic alice = a_user("alice");
    struct mailbox *mailbox = mailbox_create(&alice, 0);
    for (size_t i = 0; i < count; i++) {
        kept[i] = (struct kept){.message = a_message_for("alice", (i + 1) * 10)};
        assert_true(mailbox_reserve(mailbox));
        mailbox_push(mailbox, &kept[i]);
    }
    return mailbox;
}

static void put_away(struct mailbox *mailbox, size_t count)
{
    while (mailbox->count)
        mailbox_pop(mailbox, false);
    assert_int_equal(mailbox->bytes, 0);
    assert_null(mailbox->ring);
    mailbox_destroy(mailbox);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(kept[i].mailboxes, 0);
        message_unref(kept[i].message);
    }
}

static void it_knows_its_address(void **state)
{
    struct topic alice = a_user("alice"), bob = a_user("bob");
    struct topic channel = topic_make(TOPIC_CHANNEL, "alice", 5);
    struct mailbox *mailbox = filled(0);
    (void)state;

    assert_true(mailbox_is_at(mailbox, &alice));
    assert_false(mailbox_is_at(mailbox, &bob));
    assert_false(mailbox_is_at(mailbox, &channel));
    put_away(mailbox, 0);
}

static void the_first_after_an_id_is_found(void **state)
{
    struct mailbox *mailbox = filled(7);
    (void)state;

    for (int round = 0; round < 2; round++) {
        for (uint64_t id = 0; id < 90; id++) {
            uint32_t wanted = 0;
            while (wanted < mailbox->count && mailbox_at(mailbox, wanted)->message->id <= id)
                wanted++;
            assert_int_equal(mailbox_after(mailbox, id), wanted);
        }
        assert_int_equal(mailbox_after(mailbox, UINT64_MAX), mailbox->count);
        mailbox_pop(mailbox, false);
    }
    put_away(mailbox, 7);
}

static void the_ring_turns_grows_and_shrinks(void **state)
{
    struct topic alice = a_user("alice");
    struct mailbox *mailbox = mailbox_create(&alice, 0);
    size_t in = 0, out = 0;
    uint64_t seed = 4;
    (void)state;

    for (size_t i = 0; i < MANY; i++)
        kept[i] = (struct kept){.message = a_message_for("alice", i + 1)};
    while (out < MANY) {
        bool push = in < MANY && (in == out || next_random(&seed) % 3);
        if (push) {
            assert_true(mailbox_reserve(mailbox));
            mailbox_push(mailbox, &kept[in++]);
        } else {
            assert_ptr_equal(mailbox_pop(mailbox, false), &kept[out++]);
        }
        assert_int_equal(mailbox->count, in - out);
        for (uint32_t i = 0; i < mailbox->count; i++)
            assert_ptr_equal(mailbox_at(mailbox, i), &kept[out + i]);
        assert_true(mailbox->capacity <= 4 || mailbox->count * 4 > mailbox->capacity / 2);
    }
    assert_int_equal(mailbox->pruned_upto, 0);
    put_away(mailbox, MANY);
}

static void what_is_pruned_is_remembered_as_a_gap(void **state)
{
    struct mailbox *mailbox = filled(3);
    (void)state;

    mailbox_pop(mailbox, false);
    assert_int_equal(mailbox->pruned_upto, 0);
    mailbox_pop(mailbox, true);
    assert_int_equal(mailbox->pruned_upto, 20);
    put_away(mailbox, 3);
}

static bool is_odd(const struct kept *one, const void *context)
{
    (void)context;
    return one->message->id / 10 % 2;
}

static void count_release(struct kept *one, void *owner)
{
    assert_int_equal(one->mailboxes, 0);
    ++*(int *)owner;
}

static void some_are_taken_out_of_the_middle(void **state)
{
    struct mailbox *mailbox = filled(9);
    int released = 0;
    (void)state;

    kept[1].message->expires_at_ms = 77;
    mailbox_remove_if(mailbox, is_odd, NULL, count_release, &released);
    assert_int_equal(released, 5);
    assert_int_equal(mailbox->count, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(mailbox_at(mailbox, i)->message->id, (i + 1) * 20);
    assert_int_equal(mailbox->next_expiry_ms, 77);
    put_away(mailbox, 9);
}

static void the_next_expiry_is_the_earliest(void **state)
{
    struct mailbox *mailbox = filled(0);
    (void)state;

    assert_true(mailbox->next_expiry_ms == INT64_MAX);
    for (size_t i = 0; i < 2; i++) {
        kept[i] = (struct kept){.message = a_message_for("alice", i + 1)};
        kept[i].message->expires_at_ms = i ? 500 : 900;
        assert_true(mailbox_reserve(mailbox));
        mailbox_push(mailbox, &kept[i]);
    }
    assert_int_equal(mailbox->next_expiry_ms, 500);
    put_away(mailbox, 2);
}

static void one_is_taken_from_anywhere(void **state)
{
    (void)state;

    for (uint32_t at = 0; at < 7; at++) {
        struct mailbox *mailbox = filled(7);
        mailbox_remove(mailbox, at, at % 2);
        assert_int_equal(mailbox->count, 6);
        assert_int_equal(mailbox->pruned_upto, at % 2 ? (at + 1) * 10 : 0);
        for (uint32_t i = 0; i < 6; i++)
            assert_int_equal(mailbox_at(mailbox, i)->message->id, (i + 1 + (i >= at)) * 10);
        put_away(mailbox, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_knows_its_address),
        cmocka_unit_test(the_first_after_an_id_is_found),
        cmocka_unit_test(the_ring_turns_grows_and_shrinks),
        cmocka_unit_test(what_is_pruned_is_remembered_as_a_gap),
        cmocka_unit_test(some_are_taken_out_of_the_middle),
        cmocka_unit_test(the_next_expiry_is_the_earliest),
        cmocka_unit_test(one_is_taken_from_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
