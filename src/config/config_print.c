#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_errors.h"
#include "config/config_row.h"

enum { LONGEST_PATH = 4096, HELP_WIDTH = 98 };

struct section {
    const char *title;
    bool a_line_each;
};

static const struct section sections[] = {
#define SECTION(section, section_title, in_full) {section_title, in_full},
    CONFIG_SECTIONS(SECTION)
#undef SECTION
};

/* --- values --- */

static void print_source(FILE *out, const struct config *config, const struct config_row *row)
{
    const struct config_source *source = &config->sources[config_row_key(row)];
    char name[CONFIG_NAME_SIZE];
    char *file = config_printable(config->file ? config->file : "", LONGEST_PATH);

    switch (source->level) {
    case CONFIG_DEFAULT:
        fputs("default", out);
        break;
    case CONFIG_FILE:
        fprintf(out, "file %s:%zu", file, source->line);
        break;
    case CONFIG_ENVIRONMENT:
        fprintf(out, "environment %s", config_spell_variable(name, row->key));
        break;
    case CONFIG_FLAG:
        fprintf(out, "flag %s", config_spell_flag(name, row->key));
        break;
    }
    free(file);
}

void config_print(FILE *out, const struct config *config)
{
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const struct config_row *row = config_row(key);
        fprintf(out, "%s: ", row->key);
        config_row_print(out, config, row);
        fputs("  # ", out);
        print_source(out, config, row);
        fputc('\n', out);
    }
}

void config_print_check(FILE *out, const struct config *config)
{
    if (!config->file) {
        fputs("configuration is fine (no file)\n", out);
        return;
    }
    char *file = config_printable(config->file, LONGEST_PATH);
    fprintf(out, "%s: configuration is fine\n", file);
    free(file);
}

/* --- a file to begin with --- */

static void template_row(FILE *out, const struct config_row *row)
{
    char range[CONFIG_RANGE_SIZE];
    fprintf(out, "\n# %s", row->help);
    if (*config_row_describe(row, range))
        fprintf(out, " [%s]", range);
    fprintf(out, "\n#%s: %s\n", row->key, *row->otherwise ? row->otherwise : "\"\"");
}

void config_print_template(FILE *out)
{
    fputs(
        "# Pushwire's configuration. Every key stands here with its default; take the # away from\n"
        "# those to change, and look with `pushwire --config FILE --check-config`.\n",
        out);
    for (enum config_section section = 0; section < CONFIG_SECTION_COUNT; section++) {
        fprintf(out, "\n# ---- %s ----\n", sections[section].title);
        for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
            if (config_row(key)->section == section)
                template_row(out, config_row(key));
    }
}

/* --- help --- */

/* As --help shows it. */
static const char *default_word(const struct config_row *row)
{
    if (row->type == CONFIG_BOOL || !*row->otherwise)
        return "off";
    return row->otherwise;
}

static void help_row(FILE *out, const struct config_row *row)
{
    char flag[CONFIG_NAME_SIZE], range[CONFIG_RANGE_SIZE],
        left[CONFIG_NAME_SIZE + CONFIG_RANGE_SIZE];

    config_spell_flag(flag, row->key);
    if (row->type == CONFIG_BOOL)
        snprintf(left, sizeof left, "%s", flag);
    else
        snprintf(left, sizeof left, "%s <%s>", flag, config_row_describe(row, range));
    fprintf(out, "  %-37s %s (%s)\n", left, row->help, default_word(row));
}

/* "--key default" side by side, as many as a line holds. Returns the new column. */
static size_t help_short(FILE *out, const struct config_row *row, size_t column)
{
    char flag[CONFIG_NAME_SIZE];
    size_t width = strlen(config_spell_flag(flag, row->key)) + 1 + strlen(default_word(row));

    if (column && column + 2 + width > HELP_WIDTH) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "  %s %s", flag, default_word(row));
    return column + 2 + width;
}

static void help_section(FILE *out, enum config_section section)
{
    size_t column = 0;

    fprintf(out, "\n%s%s:\n", sections[section].title,
            sections[section].a_line_each ? "" : ", with defaults");
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const struct config_row *row = config_row(key);
        if (row->section != section)
            continue;
        if (sections[section].a_line_each)
            help_row(out, row);
        else
            column = help_short(out, row, column);
    }
    if (column)
        fputc('\n', out);
}

void config_help(FILE *out)
{
    fputs("Each flag is also a variable (PUSHWIRE_MAX_BODY) and a key of the file (max_body: "
          "1MiB); a flag\n"
          "wins over a variable, that over the file. docs/configuration.md tells what each does.\n"
          "\n"
          "  --config <file>                       YAML or JSON (none)\n"
          "  --check-config                        only look whether a start would succeed\n"
          "  --print-config                        show each value and where it came from\n",
          out);
    for (enum config_section section = 0; section < CONFIG_SECTION_COUNT; section++)
        help_section(out, section);
}

/* --- docs/configuration.md --- */

/* Bars would end the cell. */
static void docs_cell(FILE *out, const char *text)
{
    for (fputc(' ', out); *text; text++)
        fprintf(out, "%s%c", *text == '|' ? "\\" : "", *text);
    fputs(" |", out);
}

static void docs_row(FILE *out, const struct config_row *row)
{
    char range[CONFIG_RANGE_SIZE];

    fprintf(out, "| `%s` | %s%s%s |", row->key, *row->otherwise ? "`" : "",
            *row->otherwise ? row->otherwise : "off", *row->otherwise ? "`" : "");
    docs_cell(out, config_row_describe(row, range));
    docs_cell(out, row->over);
    docs_cell(out, row->can_reload ? "reload" : "restart");
    docs_cell(out, row->help);
    fputc('\n', out);
}

static void docs_section(FILE *out, enum config_section section)
{
    fprintf(out,
            "\n## %s\n\n"
            "| key | default | values | over it | change | what it is |\n"
            "|---|---|---|---|---|---|\n",
            sections[section].title);
    for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++)
        if (config_row(key)->section == section)
            docs_row(out, config_row(key));
}

static const char docs_intro[] =
    "# Configuration\n"
    "\n"
    "<!-- Made from include/config/config_table.h by `ninja -C build config-docs`. -->\n"
    "\n"
    "Every key can be given in three places. A higher place replaces what a lower one says, lists\n"
    "included:\n"
    "\n"
    "1. a flag: `--max-body 1MiB` or `--max-body=1MiB`; `--dev-echo` alone means `true`\n"
    "2. the environment: `PUSHWIRE_MAX_BODY=1MiB`\n"
    "3. a file named by `--config` or `PUSHWIRE_CONFIG`: `max_body: 1MiB`\n"
    "\n"
    "The file is YAML, thus also JSON: one flat mapping of at most 1 MiB, without anchors, "
    "aliases\n"
    "and tags. A list is a YAML list or words between commas:\n"
    "\n"
    "```yaml\n"
    "listen: [localhost:8000, 192.0.2.7:8000]\n"
    "allowed_origins: https://app.example.com, https://admin.example.com\n"
    "log_format: json\n"
    "ttl: 2d\n"
    "```\n"
    "\n"
    "Durations are `500ms`, `10s`, `5m`, `2h`, `7d`; sizes are bytes or `512B`, `64KiB`, `1MiB`,\n"
    "`2GiB`. Truth is `true`, `yes`, `on`, `1`, or `false`, `no`, `off`, `0`.\n"
    "\n"
    "An unknown key, flag or `PUSHWIRE_` variable and a value that is not allowed are errors: the\n"
    "server says where each one is, and exits with 2. `--check-config` says what\n"
    "would keep a start from binding its addresses, and leaves no trace; `--print-config`\n"
    "prints every value with where it came from, as a file that can be read again. Variables that\n"
    "Kubernetes makes for a Service named `pushwire` or `pushwire-x`, as\n"
    "`PUSHWIRE_PORT=tcp://10.0.0.11:8000`, are not looked at.\n"
    "\n"
    "*Over it* is what meets a client or an old message beyond the limit: an HTTP status, or a\n"
    "WebSocket close code from 1000 on. *Change* says which keys can change in a running server\n"
    "(reload) and which need a restart. On SIGHUP it reads its configuration again, and what "
    "stands\n"
    "in the files of keys and secrets: all or nothing. The log names what needs a restart.\n"
    "\n"
    "`max_message` is at most `max_body`, `keep_bytes` and `keep_total`; `ttl` is at most "
    "`ttl_max`.\n";

void config_docs(FILE *out)
{
    fputs(docs_intro, out);
    for (enum config_section section = 0; section < CONFIG_SECTION_COUNT; section++)
        docs_section(out, section);
}
