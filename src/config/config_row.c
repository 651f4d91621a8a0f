#include "config/config_row.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "config/config_errors.h"

#define KIB    UNITS_KIB
#define MIB    UNITS_MIB
#define GIB    UNITS_GIB
#define SECOND UNITS_SECOND
#define MINUTE UNITS_MINUTE
#define HOUR   UNITS_HOUR
#define DAY    UNITS_DAY

#define ANY                         .min = 0
#define RANGE(least, most)          .min = (least), .max = (most)
#define RANGE_OR(least, most, word) .min = (least), .max = (most), .zero = (word)
#define WORDS(bar_separated)        .words = (bar_separated)
#define FORM_ADDRESS                &config_form_address
#define FORM_ORIGIN                 &config_form_origin
#define FORM_NETWORK                &config_form_network
#define FORM_PATH                   &config_form_path
#define FORM_TEXT                   &config_form_text
#define FORM(name)                  .form = FORM_##name
#define CHANGE_RELOAD               true
#define CHANGE_RESTART              false

#define NAME_STRING(key)   key
#define NAME_LIST(key)     key
#define NAME_INT(key)      key
#define NAME_BOOL(key)     key
#define NAME_DURATION(key) key##_ms
#define NAME_SIZE(key)     key
#define NAME_ENUM(key)     key

static const struct config_row rows[CONFIG_KEY_COUNT] = {
#define ROW(row_type, row_key, by_default, limits, row_section, change, over_it, help_line)        \
    {.key = #row_key,                                                                              \
     .type = CONFIG_##row_type,                                                                    \
     .offset = offsetof(struct config, NAME_##row_type(row_key)),                                  \
     .otherwise = by_default,                                                                      \
     limits,                                                                                       \
     .section = CONFIG_SECTION_##row_section,                                                      \
     .can_reload = CHANGE_##change,                                                                \
     .over = over_it,                                                                              \
     .help = help_line},
    CONFIG_TABLE(ROW)
#undef ROW
};

static_assert(sizeof(enum config_log_level) == sizeof(unsigned), "enums are stored as unsigned");

static const void *field(const struct config *config, const struct config_row *row)
{
    return (const char *)config + row->offset;
}

static void *mutable_field(struct config *config, const struct config_row *row)
{
    return (char *)config + row->offset;
}

/* --- names --- */

const struct config_row *config_row(enum config_key key)
{
    return &rows[key];
}

enum config_key config_row_key(const struct config_row *row)
{
    return (enum config_key)(row - rows);
}

const struct config_row *config_row_find(const char *key)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        if (!strcmp(rows[i].key, key))
            return &rows[i];
    return NULL;
}

/* --- numbers --- */

static const char *format_number(char ret_text[static UNITS_TEXT_SIZE], int64_t number)
{
    snprintf(ret_text, UNITS_TEXT_SIZE, "%" PRId64, number);
    return ret_text;
}

struct number_kind {
    int (*parse)(const char *text, int64_t *ret_number);
    const char *(*format)(char ret_text[static UNITS_TEXT_SIZE], int64_t number);
    const char *mistake;
};

static const struct number_kind number_kinds[] = {
    [CONFIG_INT] = {units_parse_number, format_number, "is not a whole number"},
    [CONFIG_DURATION] = {units_parse_duration, units_format_duration,
                         "is not a duration, say 10s, 5m, 2h or 7d"},
    [CONFIG_SIZE] = {units_parse_size, units_format_size,
                     "is not a size, say 512B, 64KiB, 1MiB or 2GiB"},
};

static void describe_number(const struct config_row *row, char *ret_text)
{
    char min[UNITS_TEXT_SIZE], max[UNITS_TEXT_SIZE];
    const struct number_kind *kind = &number_kinds[row->type];

    snprintf(ret_text, CONFIG_RANGE_SIZE, "%s to %s%s%s", kind->format(min, row->min),
             kind->format(max, row->max), row->zero ? ", or " : "", row->zero ? row->zero : "");
}

static bool set_number(struct config *config, const struct config_row *row, const char *text,
                       struct config_errors *errors)
{
    int64_t *number = mutable_field(config, row);
    int64_t value;
    char range[CONFIG_RANGE_SIZE];

    if (row->zero && !strcmp(text, row->zero)) {
        *number = 0;
        return true;
    }
    describe_number(row, range);
    int err = number_kinds[row->type].parse(text, &value);
    if (err == -EINVAL && row->type == CONFIG_INT)
        config_errors_add_value(errors, text, "%s, say %s", number_kinds[CONFIG_INT].mistake,
                                range);
    else if (err == -EINVAL)
        config_errors_add_value(errors, text, "%s", number_kinds[row->type].mistake);
    else if (err || value < row->min || value > row->max)
        config_errors_add_value(errors, text, "is out of range, say %s", range);
    else
        return *number = value, true;
    return false;
}

static void print_number(FILE *out, const struct config *config, const struct config_row *row)
{
    char text[CONFIG_NAME_SIZE];
    fputs(config_row_format(row, text, config_row_number(config, row)), out);
}

int64_t config_row_number(const struct config *config, const struct config_row *row)
{
    return *(const int64_t *)field(config, row);
}

const char *config_row_format(const struct config_row *row, char ret_text[static CONFIG_NAME_SIZE],
                              int64_t number)
{
    if (!number && row->zero)
        return row->zero;
    return number_kinds[row->type].format(ret_text, number);
}

/* --- words --- */

static bool set_bool(struct config *config, const struct config_row *row, const char *text,
                     struct config_errors *errors)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (size_t value = 0; value < 2; value++)
            if (!strcasecmp(text, words[i][value])) {
                *(bool *)mutable_field(config, row) = value;
                return true;
            }
    config_errors_add_value(errors, text, "is neither true nor false");
    return false;
}

static void print_bool(FILE *out, const struct config *config, const struct config_row *row)
{
    fputs(*(const bool *)field(config, row) ? "true" : "false", out);
}

static void describe_bool(const struct config_row *row, char *ret_text)
{
    (void)row;
    strcpy(ret_text, "true|false");
}

static bool set_enum(struct config *config, const struct config_row *row, const char *text,
                     struct config_errors *errors)
{
    size_t length = strlen(text);
    unsigned value = 0;

    for (const char *word = row->words; word; value++) {
        const char *bar = strchrnul(word, '|');
        if ((size_t)(bar - word) == length && !memcmp(word, text, length)) {
            *(unsigned *)mutable_field(config, row) = value;
            return true;
        }
        word = *bar ? bar + 1 : NULL;
    }
    config_errors_add_value(errors, text, "is unknown, say %s", row->words);
    return false;
}

static void print_enum(FILE *out, const struct config *config, const struct config_row *row)
{
    const char *word = row->words;
    for (unsigned left = *(const unsigned *)field(config, row); left; left--)
        word = strchr(word, '|') + 1;
    fprintf(out, "%.*s", (int)strcspn(word, "|"), word);
}

static void describe_enum(const struct config_row *row, char *ret_text)
{
    strcpy(ret_text, row->words);
}

/* --- text; the forms leave nothing in it that quotes would have to escape --- */

static bool check_form(const struct config_row *row, const char *text, struct config_errors *errors)
{
    if (row->form->matches(text))
        return true;
    config_errors_add_value(errors, text, "%s", row->form->mistake);
    return false;
}

static bool set_string(struct config *config, const struct config_row *row, const char *text,
                       struct config_errors *errors)
{
    char **string = mutable_field(config, row);

    if (*text && !check_form(row, text, errors))
        return false;
    free(*string);
    *string = mem_strdup(text);
    return true;
}

static void clear_string(struct config *config, const struct config_row *row)
{
    char **string = mutable_field(config, row);
    free(*string);
    *string = NULL;
}

static void print_string(FILE *out, const struct config *config, const struct config_row *row)
{
    fprintf(out, "\"%s\"", *(char *const *)field(config, row));
}

static void describe_string(const struct config_row *row, char *ret_text)
{
    strcpy(ret_text, row->form->name);
}

static void clear_list(struct config *config, const struct config_row *row)
{
    struct config_list *list = mutable_field(config, row);
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

static bool set_list(struct config *config, const struct config_row *row, char *const *items,
                     size_t count, struct config_errors *errors)
{
    bool ok = true;

    /* Whoever has a default needs at least one, for there is no word for none. */
    if (!count && *row->otherwise) {
        config_errors_add(errors, "needs at least one %s", row->form->name);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        ok &= check_form(row, items[i], errors);
    if (!ok)
        return false;

    struct config_list fresh = {mem_alloc(count * sizeof *fresh.items), count};
    for (size_t i = 0; i < count; i++)
        fresh.items[i] = mem_strdup(items[i]);
    clear_list(config, row);
    *(struct config_list *)mutable_field(config, row) = fresh;
    return true;
}

/* Cuts "a, b" in place. items has room for one more than there are commas. */
static size_t split(char *text, char **items)
{
    size_t count = 0;
    char *item;

    if (!text[strspn(text, " ")])
        return 0;
    while ((item = strsep(&text, ","))) {
        item += strspn(item, " ");
        for (size_t end = strlen(item); end && item[end - 1] == ' ';)
            item[--end] = '\0';
        items[count++] = item;
    }
    return count;
}

static bool set_list_text(struct config *config, const struct config_row *row, const char *text,
                          struct config_errors *errors)
{
    char *copy = mem_strdup(text);
    char **items = mem_alloc((strlen(text) + 1) * sizeof *items);
    bool ok = set_list(config, row, items, split(copy, items), errors);

    free(items);
    free(copy);
    return ok;
}

static void print_list(FILE *out, const struct config *config, const struct config_row *row)
{
    const struct config_list *list = field(config, row);
    fputc('[', out);
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "%s\"%s\"", i ? ", " : "", list->items[i]);
    fputc(']', out);
}

static void describe_list(const struct config_row *row, char *ret_text)
{
    snprintf(ret_text, CONFIG_RANGE_SIZE, "%s,...", row->form->name);
}

/* --- all types --- */

struct type_ops {
    bool (*set)(struct config *config, const struct config_row *row, const char *text,
                struct config_errors *errors);
    void (*clear)(struct config *config, const struct config_row *row); /* NULL: owns nothing */
    void (*print)(FILE *out, const struct config *config, const struct config_row *row);
    void (*describe)(const struct config_row *row, char *ret_text);
};

static const struct type_ops types[] = {
    [CONFIG_STRING] = {set_string, clear_string, print_string, describe_string},
    [CONFIG_LIST] = {set_list_text, clear_list, print_list, describe_list},
    [CONFIG_INT] = {set_number, NULL, print_number, describe_number},
    [CONFIG_BOOL] = {set_bool, NULL, print_bool, describe_bool},
    [CONFIG_DURATION] = {set_number, NULL, print_number, describe_number},
    [CONFIG_SIZE] = {set_number, NULL, print_number, describe_number},
    [CONFIG_ENUM] = {set_enum, NULL, print_enum, describe_enum},
};

bool config_row_set(struct config *config, const struct config_row *row, const char *text,
                    struct config_errors *errors)
{
    return types[row->type].set(config, row, text, errors);
}

bool config_row_set_items(struct config *config, const struct config_row *row, char *const *items,
                          size_t count, struct config_errors *errors)
{
    if (row->type == CONFIG_LIST)
        return set_list(config, row, items, count, errors);
    config_errors_add(errors, "takes one value, not a list");
    return false;
}

void config_row_clear(struct config *config, const struct config_row *row)
{
    if (types[row->type].clear)
        types[row->type].clear(config, row);
}

void config_row_print(FILE *out, const struct config *config, const struct config_row *row)
{
    types[row->type].print(out, config, row);
}

const char *config_row_describe(const struct config_row *row,
                                char ret_text[static CONFIG_RANGE_SIZE])
{
    types[row->type].describe(row, ret_text);
    return ret_text;
}
