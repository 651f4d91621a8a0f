#include "support.h"

#include "engine/watch_table.h"

enum { HASHES = 24, MEMBERS = 4 };

static void walk(const struct watch_table *table, uint64_t hash, const uint32_t *wanted)
{
    uint32_t seen[MEMBERS] = {0}, sum = 0;
    size_t cursor = 0;
    for (const struct watch *watch; (watch = watch_table_next(table, hash, &cursor));) {
        assert_true(watch->hash == hash && watch->member < MEMBERS && watch->sessions);
        assert_int_equal(seen[watch->member], 0); /* each member once */
        seen[watch->member] = watch->sessions;
    }
    for (int m = 0; m < MEMBERS; m++) {
        assert_int_equal(seen[m], wanted[m]);
        sum += wanted[m];
    }
    assert_int_equal(watch_table_sessions(table, hash), sum);
}

static void run_against_counts(uint64_t hash_mask, uint64_t seed)
{
    uint64_t hashes[HASHES];
    uint32_t counts[HASHES][MEMBERS] = {{0}};
    struct watch_table table;
    watch_table_init(&table);
    for (size_t h = 0; h < HASHES; h++) /* distinct, but with homes that meet */
        hashes[h] = (uint64_t)h << 32 | (next_random(&seed) & hash_mask);

    for (int step = 0; step < 4000; step++) {
        size_t h = next_random(&seed) % HASHES;
        uint32_t m = next_random(&seed) % MEMBERS;
        bool add = next_random(&seed) % 4 < (step / 500 % 2 ? 1u : 3u);
        if (add) {
            assert_true(watch_table_add(&table, hashes[h], m));
            counts[h][m]++;
        } else if (counts[h][m]) {
            watch_table_remove(&table, hashes[h], m);
            counts[h][m]--;
        }
        for (size_t i = 0; i < HASHES; i++)
            walk(&table, hashes[i], counts[i]);
    }
    watch_table_finish(&table);
}

static void it_agrees_with_a_naive_model(void **state)
{
    (void)state;

    run_against_counts(UINT32_MAX, 1);
    run_against_counts(7, 2);
    run_against_counts(0, 3);
}

static void an_empty_table_answers(void **state)
{
    struct watch_table table;
    size_t cursor = 0;
    (void)state;

    watch_table_init(&table);
    assert_null(watch_table_next(&table, 5, &cursor));
    assert_int_equal(watch_table_sessions(&table, 5), 0);
    watch_table_finish(&table);
    assert_int_equal(sizeof(struct watch), 16);
}

static void a_large_table_becomes_small_again(void **state)
{
    struct watch_table table;
    (void)state;

    watch_table_init(&table);
    for (uint64_t i = 0; i < 5000; i++)
        assert_true(watch_table_add(&table, i * 0x9e3779b97f4a7c15u, 1));
    for (uint64_t i = 0; i < 4999; i++)
        watch_table_remove(&table, i * 0x9e3779b97f4a7c15u, 1);
    assert_in_range(table.capacity, 1, 128);
    assert_int_equal(watch_table_sessions(&table, 4999 * 0x9e3779b97f4a7c15u), 1);
    watch_table_finish(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_naive_model),
        cmocka_unit_test(an_empty_table_answers),
        cmocka_unit_test(a_large_table_becomes_small_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
