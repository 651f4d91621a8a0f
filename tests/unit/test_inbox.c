#include "support.h"

#include "base/inbox.h"

enum { LETTER, DOUBT };

struct letter {
    struct inbox_record record;
    char name;
};

struct reader {
    struct inbox inbox;
    int wakes;
    struct letter letters[26];
    size_t written;
};

static void count_wake(void *context)
{
    ((struct reader *)context)->wakes++;
}

static void reader_init(struct reader *reader, size_t max_bytes)
{
    *reader = (struct reader){0};
    inbox_init(&reader->inbox, max_bytes, DOUBT, count_wake, reader);
}

static struct inbox_record *letter(struct reader *reader, size_t bytes)
{
    struct letter *next = &reader->letters[reader->written];
    next->name = (char)('a' + reader->written++);
    next->record.kind = LETTER;
    next->record.bytes = bytes;
    return &next->record;
}

/* Takes everything; what came, as one letter each and `?` for an overflow. */
static const char *take(struct reader *reader)
{
    static char text[64];
    size_t length = 0;
    struct list records;
    list_init(&records);
    inbox_take(&reader->inbox, &records);
    while (!list_empty(&records)) {
        struct inbox_record *record = list_first(&records, struct inbox_record, link);
        list_remove(&record->link);
        text[length++] = record->kind == DOUBT ? '?' : ((struct letter *)record)->name;
    }
    text[length] = '\0';
    return text;
}

static void records_come_in_the_order_they_were_pushed(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 100);
    assert_string_equal(take(&reader), "");
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 10), false));
    inbox_push(&reader.inbox, letter(&reader, 0), true);
    assert_string_equal(take(&reader), "abc");
    assert_string_equal(take(&reader), "");
    inbox_finish(&reader.inbox);
}

static void one_wake_serves_a_batch(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 100);
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    assert_int_equal(reader.wakes, 0);
    inbox_wake(&reader.inbox);
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 1);
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 1); /* it takes this with the others */
    take(&reader);
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 2);
    take(&reader);
    inbox_push(&reader.inbox, letter(&reader, 0), true);
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 2); /* the owner takes at the end of its turn anyway */
    inbox_finish(&reader.inbox);
}

static void who_took_it_meanwhile_is_not_woken(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 100);
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    assert_string_equal(take(&reader), "a");
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 0);
    inbox_overflow(&reader.inbox, false);
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 1);
    take(&reader);
    inbox_finish(&reader.inbox);
}

static void content_that_does_not_fit_becomes_one_doubt(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 100);
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 60), false));  /* a */
    assert_false(inbox_offer(&reader.inbox, letter(&reader, 41), false)); /* b is dropped here */
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 40), false));  /* c just fits */
    assert_false(inbox_offer(&reader.inbox, letter(&reader, 1), false));
    assert_string_equal(take(&reader), "a?c");
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 100), false));
    assert_string_equal(take(&reader), "e");
    inbox_finish(&reader.inbox);
}

static void what_is_larger_than_all_it_holds_comes_all_the_same(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 100);
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 40), false));
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 150), false));
    assert_false(inbox_offer(&reader.inbox, letter(&reader, 150), false));
    assert_string_equal(take(&reader), "ab?");
    inbox_finish(&reader.inbox);
}

static void answers_are_never_dropped(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 10);
    assert_true(inbox_offer(&reader.inbox, letter(&reader, 10), false));
    inbox_push(&reader.inbox, letter(&reader, 0), false);
    inbox_push(&reader.inbox, letter(&reader, 500), false);
    assert_string_equal(take(&reader), "abc");
    inbox_finish(&reader.inbox);
}

/* While the reader still holds the doubt of one batch, the next batch may need its own. */
static void doubts_of_two_batches_do_not_meet(void **state)
{
    struct reader reader;
    struct list first, second;
    (void)state;

    reader_init(&reader, 10);
    list_init(&first);
    list_init(&second);
    inbox_overflow(&reader.inbox, false);
    inbox_overflow(&reader.inbox, false);
    inbox_take(&reader.inbox, &first);
    inbox_overflow(&reader.inbox, false);
    struct inbox_record *one = list_first(&first, struct inbox_record, link);
    assert_int_equal(one->kind, DOUBT);
    list_remove(&one->link);
    assert_true(list_empty(&first));
    inbox_take(&reader.inbox, &second);
    struct inbox_record *other = list_first(&second, struct inbox_record, link);
    assert_int_equal(other->kind, DOUBT);
    assert_ptr_not_equal(one, other);
    list_remove(&other->link);
    assert_true(list_empty(&second));
    assert_string_equal(take(&reader), "");
    for (int i = 0; i < 5; i++) {
        inbox_overflow(&reader.inbox, false);
        assert_string_equal(take(&reader), "?");
    }
    inbox_finish(&reader.inbox);
}

static void a_doubt_wakes_like_any_record(void **state)
{
    struct reader reader;
    (void)state;

    reader_init(&reader, 0);
    assert_false(inbox_offer(&reader.inbox, letter(&reader, 1), false));
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 1);
    assert_string_equal(take(&reader), "?");
    inbox_overflow(&reader.inbox, true);
    inbox_wake(&reader.inbox);
    assert_int_equal(reader.wakes, 1);
    assert_string_equal(take(&reader), "?");
    inbox_finish(&reader.inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_in_the_order_they_were_pushed),
        cmocka_unit_test(one_wake_serves_a_batch),
        cmocka_unit_test(who_took_it_meanwhile_is_not_woken),
        cmocka_unit_test(content_that_does_not_fit_becomes_one_doubt),
        cmocka_unit_test(what_is_larger_than_all_it_holds_comes_all_the_same),
        cmocka_unit_test(answers_are_never_dropped),
        cmocka_unit_test(doubts_of_two_batches_do_not_meet),
        cmocka_unit_test(a_doubt_wakes_like_any_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
