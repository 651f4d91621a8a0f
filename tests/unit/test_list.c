#include "support.h"

#include "base/list.h"

struct thing {
    int n;
    struct list link;
};

static void fill(struct list *head, struct thing *things, int count, int from)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        things[i].n = from + i;
        list_append(head, &things[i].link);
    }
}

static int digits(const struct list *head)
{
    int sum = 0;
    list_for_each(thing, head, struct thing, link)
        sum = sum * 10 + thing->n;
    return sum;
}

static void order_is_the_order_of_appending(void **state)
{
    struct list head;
    struct thing things[3];
    (void)state;

    fill(&head, things, 3, 1);
    assert_int_equal(digits(&head), 123);
    assert_ptr_equal(list_first(&head, struct thing, link), &things[0]);
}

static void a_link_leaves_twice_without_harm(void **state)
{
    struct list head;
    struct thing things[3];
    (void)state;

    fill(&head, things, 3, 1);
    list_remove(&things[1].link);
    assert_true(list_empty(&things[1].link));
    list_remove(&things[1].link);
    assert_int_equal(digits(&head), 13);
    list_remove(&things[0].link);
    list_remove(&things[2].link);
    assert_true(list_empty(&head));
    assert_null(list_first(&head, struct thing, link));
}

static void a_list_moves_to_the_end_of_another(void **state)
{
    struct list left, right;
    struct thing some[2], more[2];
    (void)state;

    fill(&left, some, 2, 1);
    fill(&right, more, 2, 3);
    list_splice(&left, &right);
    assert_int_equal(digits(&left), 1234);
    assert_true(list_empty(&right));
    list_splice(&left, &right);
    assert_int_equal(digits(&left), 1234);
    list_splice(&right, &left);
    assert_int_equal(digits(&right), 1234);
    assert_true(list_empty(&left));
}

static void the_walk_may_remove_where_it_stands(void **state)
{
    struct list head;
    struct thing things[5];
    (void)state;

    fill(&head, things, 5, 1);
    list_for_each_safe(thing, &head, struct thing, link) {
        if (thing->n % 2)
            list_remove(&thing->link);
    }
    assert_int_equal(digits(&head), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_the_order_of_appending),
        cmocka_unit_test(a_link_leaves_twice_without_harm),
        cmocka_unit_test(a_list_moves_to_the_end_of_another),
        cmocka_unit_test(the_walk_may_remove_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
