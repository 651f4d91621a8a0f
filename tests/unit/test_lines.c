#include "support.h"

#include "base/lines.h"

#define MAX_LINE 4

/* What has been cut so far: each line and `|`, `!` for one that is too long. */
static char seen[64];

static void note(const struct line *line)
{
    if (line->err) {
        assert_int_equal(line->err, ERR_BODY_TOO_LARGE);
        assert_null(line->text);
        strcat(seen, "!");
    } else {
        strncat(seen, line->text, line->size);
    }
    strcat(seen, "|");
}

static void feed(struct lines *lines, const char *bytes, size_t size)
{
    size_t taken;
    struct line line;

    for (; size; bytes += taken, size -= taken) {
        bool whole = lines_take(lines, bytes, size, &taken, &line);
        assert_in_range(taken, 1, size);
        if (whole)
            note(&line);
        else
            assert_int_equal(taken, size);
    }
}

static void end(struct lines *lines)
{
    struct line line;

    if (lines_take_last(lines, &line))
        note(&line);
    assert_false(lines_take_last(lines, &line));
}

static const struct {
    const char *bytes, *lines;
} cases[] = {
    {"", ""},
    {"a", "a|"},
    {"a\n", "a|"},
    {"a\nb", "a|b|"},
    {"a\r\nb\r\n", "a|b|"},
    {"\n\n", "||"},
    {"\r\n\r\n", "||"},
    {"a\rb\n", "a\rb|"},
    {"a\r", "a|"},
    {"\r\r\n", "\r|"},
    {"abcd\n", "abcd|"},
    {"abcd\r\n", "abcd|"},
    {"abcd", "abcd|"},
    {"abcde\nf\n", "!|f|"},
    {"abcdef\r\nabcdefghi\na\n", "!|!|a|"},
    {"abcde", "!|"},
    {"a\nabcdefghi", "a|!|"},
};

static void lines_end_in_lf_or_cr_lf(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lines lines;
        lines_init(&lines, MAX_LINE);
        seen[0] = '\0';
        feed(&lines, cases[i].bytes, strlen(cases[i].bytes));
        end(&lines);
        assert_string_equal(seen, cases[i].lines);
        lines_finish(&lines);
    }
}

static void pieces_change_nothing(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t size = strlen(cases[i].bytes);
        for (size_t step = 1; step < size; step++) {
            struct lines lines;
            lines_init(&lines, MAX_LINE);
            seen[0] = '\0';
            for (size_t at = 0; at < size; at += step)
                feed(&lines, cases[i].bytes + at, at + step < size ? step : size - at);
            end(&lines);
            assert_string_equal(seen, cases[i].lines);
            lines_finish(&lines);
        }
    }
}

/* Of a line that is too long nothing is kept. */
static void memory_is_bounded_by_the_longest_line(void **state)
{
    struct lines lines;
    (void)state;

    lines_init(&lines, 1000);
    for (int i = 0; i < 100000; i++) {
        seen[0] = '\0';
        feed(&lines, "0123456789", 10);
        assert_in_range(lines.begun.capacity, 0, 2048);
    }
    feed(&lines, "\nx\n", 3);
    assert_string_equal(seen, "!|x|");
    lines_finish(&lines);
}

static void a_line_that_lies_in_one_piece_is_not_copied(void **state)
{
    static const char bytes[] = "abc\ndef\n";
    struct lines lines;
    struct line line;
    size_t taken;
    (void)state;

    lines_init(&lines, MAX_LINE);
    assert_true(lines_take(&lines, bytes, strlen(bytes), &taken, &line));
    assert_ptr_equal(line.text, bytes);
    assert_int_equal(taken, 4);
    assert_null(lines.begun.data);
    lines_finish(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_lf_or_cr_lf),
        cmocka_unit_test(pieces_change_nothing),
        cmocka_unit_test(memory_is_bounded_by_the_longest_line),
        cmocka_unit_test(a_line_that_lies_in_one_piece_is_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
