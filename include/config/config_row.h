/* config_row.h - one row of the table: its names, and its value as text.
 *
 * The rows are constant; values live in a struct config that the caller owns. */
#ifndef CONFIG_CONFIG_ROW_H
#define CONFIG_CONFIG_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config_values.h"

struct config_errors;

enum config_type {
    CONFIG_STRING,
    CONFIG_LIST,
    CONFIG_INT,
    CONFIG_BOOL,
    CONFIG_DURATION,
    CONFIG_SIZE,
    CONFIG_ENUM,
};

enum config_section {
#define CONFIG_SECTION(section, ...) CONFIG_SECTION_##section,
    CONFIG_SECTIONS(CONFIG_SECTION)
#undef CONFIG_SECTION
        CONFIG_SECTION_COUNT
};

/* What a STRING, or each item of a LIST, must look like. */
struct config_form {
    bool (*matches)(const char *text);
    const char *name;    /* "host:port" */
    const char *mistake; /* "is not an address, say localhost:8000 or [::1]:8000" */
};

extern const struct config_form config_form_address, config_form_origin, config_form_network,
    config_form_path, config_form_text;

struct config_row {
    const char *key;
    enum config_type type;
    size_t offset;         /* of its field in struct config */
    const char *otherwise; /* the default */
    int64_t min, max;      /* INT DURATION SIZE */
    const char *zero;      /* INT: word for 0, or NULL */
    const char *words;     /* ENUM: in the order of its values, between bars */
    const struct config_form *form;
    enum config_section section;
    bool can_reload;
    const char *over;
    const char *help;
};

/* Room for any name of a key. */
#define CONFIG_NAME_SIZE 64

/* Room for what config_row_describe() says. */
#define CONFIG_RANGE_SIZE 128

const struct config_row *config_row(enum config_key key);
const struct config_row *config_row_find(const char *key);
enum config_key config_row_key(const struct config_row *row);

/* "--max-body" and "PUSHWIRE_MAX_BODY" for max_body, which is shorter than CONFIG_NAME_SIZE - 16.
 */
const char *config_spell_flag(char ret_text[static CONFIG_NAME_SIZE], const char *key);
const char *config_spell_variable(char ret_text[static CONFIG_NAME_SIZE], const char *key);

/* The key that someone who wrote this flag, variable or key may have meant: one of the table or of
 * `others`, which ends in NULL. NULL when none is near. */
const char *config_row_nearest(const char *written, const char *const *others);

/* Replaces the value, or tells errors why not and leaves it. A LIST takes its items from text
 * between commas; only a LIST takes items. */
bool config_row_set(struct config *config, const struct config_row *row, const char *text,
                    struct config_errors *errors);
bool config_row_set_items(struct config *config, const struct config_row *row, char *const *items,
                          size_t count, struct config_errors *errors);

/* Frees what the value owns; it is then empty. */
void config_row_clear(struct config *config, const struct config_row *row);

/* The value as YAML. */
void config_row_print(FILE *out, const struct config *config, const struct config_row *row);

/* What may be given, for people: "1 to 64, or auto"; "error|warn|info|debug". */
const char *config_row_describe(const struct config_row *row,
                                char ret_text[static CONFIG_RANGE_SIZE]);

/* Of INT, DURATION or SIZE: the number itself, and as people write it. */
int64_t config_row_number(const struct config *config, const struct config_row *row);
const char *config_row_format(const struct config_row *row, char ret_text[static CONFIG_NAME_SIZE],
                              int64_t number);

#endif
