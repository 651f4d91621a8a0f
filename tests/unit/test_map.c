#include "support.h"

#include "base/map.h"

enum { KEYS = 64 };

struct thing {
    uint64_t hash;
    int key;
};

static bool is_key(const void *value, const void *key)
{
    return ((const struct thing *)value)->key == *(const int *)key;
}

/* Adds and removes at random, under hashes that meet often, and compares with an array of flags. */
static void run_against_flags(uint64_t hash_mask, uint64_t seed)
{
    struct thing things[KEYS];
    bool there[KEYS] = {false};
    size_t count = 0;
    struct map map;
    map_init(&map);
    for (int k = 0; k < KEYS; k++)
        things[k] = (struct thing){(next_random(&seed) & hash_mask) * 0x9e3779b97f4a7c15u, k};

    for (int step = 0; step < 4000; step++) {
        int k = (int)(next_random(&seed) % KEYS);
        /* Phases of growing and of shrinking. */
        bool add = next_random(&seed) % 4 < (step / 500 % 2 ? 1u : 3u);
        if (add && !there[k])
            assert_true(map_add(&map, things[k].hash, &things[k]));
        else if (!add && there[k])
            map_remove(&map, things[k].hash, &things[k]);
        count += add && !there[k];
        count -= !add && there[k];
        there[k] = add;
        assert_int_equal(map.count, count);
        for (int i = 0; i < KEYS; i++)
            assert_ptr_equal(map_find(&map, things[i].hash, is_key, &i),
                             there[i] ? &things[i] : NULL);
    }

    size_t cursor = 0, walked = 0;
    for (struct thing *thing; (thing = map_next(&map, &cursor)); walked++)
        assert_true(there[thing->key]);
    assert_int_equal(walked, count);
    map_finish(&map);
}

static void it_agrees_with_a_naive_model(void **state)
{
    (void)state;

    run_against_flags(UINT64_MAX, 1); /* hardly a collision */
    run_against_flags(7, 2);          /* long runs */
    run_against_flags(0, 3);          /* one hash for all */
}

static void an_empty_map_holds_no_memory(void **state)
{
    struct map map;
    size_t cursor = 0;
    int key = 1;
    (void)state;

    map_init(&map);
    assert_null(map.slots);
    assert_null(map_find(&map, 5, is_key, &key));
    assert_null(map_next(&map, &cursor));
    map_finish(&map);
}

static void a_large_map_becomes_small_again(void **state)
{
    enum { MANY = 5000 };
    static struct thing things[MANY];
    struct map map;
    (void)state;

    map_init(&map);
    for (int i = 0; i < MANY; i++) {
        things[i] = (struct thing){(uint64_t)i * 0x9e3779b97f4a7c15u, i};
        assert_true(map_add(&map, things[i].hash, &things[i]));
    }
    assert_true(map.count * 4 <= map.capacity * 3);
    for (int i = 0; i < MANY - 1; i++)
        map_remove(&map, things[i].hash, &things[i]);
    assert_in_range(map.capacity, 1, 32);
    int last = MANY - 1;
    assert_ptr_equal(map_find(&map, things[last].hash, is_key, &last), &things[last]);
    map_finish(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_naive_model),
        cmocka_unit_test(an_empty_map_holds_no_memory),
        cmocka_unit_test(a_large_map_becomes_small_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
