#include "support.h"

#include "model/idempotency.h"

static struct idempotency_key key_of(uint64_t scope, uint64_t number, char body)
{
    struct idempotency_key key = {.scope = scope, .hash = scope * 1000003 + number};
    memset(key.body, body, sizeof key.body);
    return key;
}

static enum idempotency_answer ask(struct idempotency *table, uint64_t scope, uint64_t number,
                                   char body, int64_t now_ms, uint64_t *ret_id)
{
    struct idempotency_key key = key_of(scope, number, body);
    bool kept = false;
    uint64_t id = 0;
    enum idempotency_answer answer = idempotency_find(table, &key, now_ms, &id, &kept);
    if (answer == IDEMPOTENCY_DUPLICATE) {
        assert_int_equal(kept, id % 2);
        *ret_id = id;
    }
    return answer;
}

static void add(struct idempotency *table, uint64_t scope, uint64_t number, uint64_t id,
                int64_t now_ms)
{
    struct idempotency_key key = key_of(scope, number, 'b');
    assert_true(idempotency_add(table, &key, id, id % 2, now_ms));
}

static bool has(struct idempotency *table, uint64_t scope, uint64_t number, int64_t now_ms)
{
    uint64_t id;
    return ask(table, scope, number, 'b', now_ms, &id) == IDEMPOTENCY_DUPLICATE;
}

static void a_key_is_new_then_a_duplicate(void **state)
{
    struct idempotency *table = idempotency_create(100, 1000);
    uint64_t id = 0;
    (void)state;

    assert_int_equal(ask(table, 1, 1, 'b', 0, &id), IDEMPOTENCY_NEW);
    add(table, 1, 1, 51, 0);
    assert_int_equal(ask(table, 1, 1, 'b', 10, &id), IDEMPOTENCY_DUPLICATE);
    assert_int_equal(id, 51);
    add(table, 1, 2, 52, 0);
    assert_int_equal(ask(table, 1, 2, 'b', 10, &id), IDEMPOTENCY_DUPLICATE);
    assert_int_equal(id, 52);
    idempotency_destroy(table);
    idempotency_destroy(NULL);
}

static void another_body_is_a_conflict(void **state)
{
    struct idempotency *table = idempotency_create(100, 1000);
    uint64_t id;
    (void)state;

    add(table, 1, 1, 5, 0);
    assert_int_equal(ask(table, 1, 1, 'x', 0, &id), IDEMPOTENCY_CONFLICT);
    idempotency_destroy(table);
}

static void publishers_do_not_see_each_other(void **state)
{
    struct idempotency *table = idempotency_create(100, 1000);
    struct idempotency_key mine = {.scope = 1, .hash = 7}, yours = {.scope = 2, .hash = 7};
    uint64_t id;
    bool kept;
    (void)state;

    assert_true(idempotency_add(table, &mine, 5, true, 0));
    assert_int_equal(idempotency_find(table, &yours, 0, &id, &kept), IDEMPOTENCY_NEW);
    idempotency_destroy(table);
}

static void keys_are_forgotten_when_their_time_is_over(void **state)
{
    struct idempotency *table = idempotency_create(100, 1000);
    (void)state;

    add(table, 1, 1, 1, 0);
    add(table, 1, 2, 2, 500);
    assert_true(has(table, 1, 1, 999));
    assert_false(has(table, 1, 1, 1000));
    assert_true(has(table, 1, 2, 1499));
    assert_false(has(table, 1, 2, 1500));
    assert_int_equal(idempotency_count(table), 0);
    idempotency_destroy(table);
}

static void the_oldest_make_room(void **state)
{
    struct idempotency *table = idempotency_create(8, 1000);
    (void)state;

    for (uint64_t i = 0; i < 8; i++)
        add(table, i, 1, i, 0); /* eight publishers, each below a quarter */
    add(table, 9, 1, 9, 0);
    assert_int_equal(idempotency_count(table), 8);
    assert_false(has(table, 0, 1, 0));
    assert_true(has(table, 1, 1, 0));
    assert_true(has(table, 9, 1, 0));
    idempotency_destroy(table);
}

static void who_holds_over_a_quarter_gives_up_its_own(void **state)
{
    struct idempotency *table = idempotency_create(8, 1000);
    (void)state;

    add(table, 1, 1, 1, 0);
    for (uint64_t i = 0; i < 7; i++)
        add(table, 2, i, i, 0);
    add(table, 2, 7, 7, 0);
    assert_true(has(table, 1, 1, 0));
    assert_false(has(table, 2, 0, 0));
    assert_true(has(table, 2, 1, 0));
    add(table, 3, 1, 1, 0); /* a newcomer takes from the oldest of all */
    assert_false(has(table, 1, 1, 0));
    assert_int_equal(idempotency_count(table), 8);
    idempotency_destroy(table);
}

static void tiny_tables_work_too(void **state)
{
    (void)state;

    for (size_t max = 1; max <= 5; max++) {
        struct idempotency *table = idempotency_create(max, 1000);
        for (uint64_t i = 0; i < 20; i++) {
            add(table, i % 3, i, i, 0);
            assert_true(idempotency_count(table) <= max);
            assert_true(has(table, i % 3, i, 0));
        }
        idempotency_destroy(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_new_then_a_duplicate),
        cmocka_unit_test(another_body_is_a_conflict),
        cmocka_unit_test(publishers_do_not_see_each_other),
        cmocka_unit_test(keys_are_forgotten_when_their_time_is_over),
        cmocka_unit_test(the_oldest_make_room),
        cmocka_unit_test(who_holds_over_a_quarter_gives_up_its_own),
        cmocka_unit_test(tiny_tables_work_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
