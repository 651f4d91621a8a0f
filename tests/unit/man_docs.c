/* Holds docs/man against the tables of commands and keys, or with -w writes it anew. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/command.h"
#include "config/config_row.h"
#include "top/commands.h"

#define HEAD ".\\\" Made by `ninja -C build config-docs` from the tables of commands and keys.\n"

/* ---- roff ---- */

/* As it stands, whatever roff would make of it; after a newline no word is a request. */
static void put(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\'')
            fputs("\\(aq", out);
        else if (*text == '~')
            fputs("\\(ti", out);
        else if (*text != '`') /* quotes of Markdown */
            fputc(*text, out);
    }
}

static void put_line(FILE *out, const char *text)
{
    put(out, text);
    fputc('\n', out);
}

static void section(FILE *out, const char *title)
{
    fprintf(out, ".SH %s\n", title);
}

/* Lines as they are broken, each a line of its own. */
static void verbatim(FILE *out, const char *text)
{
    fputs(".nf\n", out);
    while (*text) {
        size_t length = strcspn(text, "\n");
        char line[512];
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        put_line(out, *line ? line : " ");
        text += length + (text[length] == '\n');
    }
    fputs(".fi\n", out);
}

static void head(FILE *out, const char *name, const char *volume, const char *what)
{
    fprintf(out, HEAD ".TH %s %s 2026-11-29 \"Pushwire %s\" \"%s\"\n", name, volume,
            PUSHWIRE_VERSION, what);
}

/* ---- pushwire(1) ---- */

static void write_flag(FILE *out, const struct command_flag *flag)
{
    fputs(".TP\n.BR ", out);
    put(out, flag->name);
    if (flag->value) {
        fputs(" \" \" ", out);
        fputs("\\fI", out);
        put(out, flag->value);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put(out, flag->help);
    if (flag->variable) {
        fputs(" ($", out);
        put(out, flag->variable);
        fputs(")", out);
    }
    fputc('\n', out);
}

static void write_command(FILE *out, const struct command *command)
{
    fputs(".SS ", out);
    command_print_usage(out, command);
    fputc('\n', out);
    put_line(out, command->help);
    if (command->details) {
        fputs(".PP\n", out);
        verbatim(out, command->details);
    }
    for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
        write_flag(out, flag);
}

static void write_pairs(FILE *out, const char *const (*pairs)[2])
{
    for (; (*pairs)[0]; pairs++) {
        fputs(".TP\n.B ", out);
        put_line(out, (*pairs)[0]);
        put_line(out, (*pairs)[1]);
    }
}

static void write_command_page(FILE *out)
{
    static const char *const options[][2] = {
        {"--config FILE", "The configuration, YAML or JSON; see pushwire.yaml(5)."},
        {"--check-config", "Only look whether the server would start with it."},
        {"--print-config", "Show each value, and where it came from."},
        {"--help, -h", "Of the command whose word stands before it, or of all."},
        {"--version, -V", "The version, and those of the libraries."},
        {NULL, NULL},
    };
    static const char *const controls[][2] = {
        {"SIGHUP", "Reads the configuration and the files of keys again: all or nothing."},
        {"SIGTERM, SIGINT", "Stops: what was accepted is answered, receivers are told when to come "
                            "back. A second one ends it at once."},
        {NULL, NULL},
    };
    static const char *const codes[][2] = {
        {"0", "Done."},
        {"1", "It could not."},
        {"2", "It was asked wrongly."},
        {NULL, NULL},
    };
    head(out, "PUSHWIRE", "1", "Pushwire");
    section(out, "NAME");
    fputs("pushwire \\- notification server: HTTP in, WebSocket out\n", out);
    section(out, "SYNOPSIS");
    fputs(".B pushwire\n.RI [ command ]\n.RI [ flags ]\n", out);
    section(out, "DESCRIPTION");
    fputs(
        "A backend POSTs a message for a user; every open tab of that user shows it at once, and\n"
        "whoever is away gets it on return.\nWithout a word\n.B pushwire\nserves until it is "
        "stopped.\n"
        "Flags of the configuration stand on either side of the word, those of a command behind "
        "it.\n",
        out);
    section(out, "COMMANDS");
    for (const struct command *command = commands; command->word; command++)
        write_command(out, command);
    section(out, "OPTIONS");
    write_pairs(out, options);
    fputs("Every key of\n.BR pushwire.yaml (5)\nis a flag, too:\n.B \\-\\-max\\-body 1MiB\nis\n.BR "
          "\"max_body: 1MiB\" .\n",
          out);
    section(out, "ENVIRONMENT");
    fputs("Every key is a variable, too:\n.B PUSHWIRE_MAX_BODY\nis max_body.\n.B PUSHWIRE_CONFIG\n"
          "names the file.\nAn unknown variable of that prefix is an error.\n",
          out);
    section(out, "SIGNALS");
    write_pairs(out, controls);
    section(out, "EXIT STATUS");
    write_pairs(out, codes);
    section(out, "SEE ALSO");
    fputs(".BR pushwire.yaml (5)\n", out);
}

/* ---- pushwire.yaml(5) ---- */

static void write_row(FILE *out, const struct config_row *row)
{
    char range[CONFIG_RANGE_SIZE];
    fputs(".TP\n.B ", out);
    put_line(out, row->key);
    put(out, row->help);
    fputs(".\nIt is ", out);
    put(out, config_row_describe(row, range));
    fputs("; default ", out);
    put(out, *row->otherwise ? row->otherwise : "none");
    fputs(row->can_reload ? ".\n" : "; a change needs a restart.\n", out);
    if (*row->over) {
        fputs("What is over it meets: ", out);
        put(out, row->over);
        fputs(".\n", out);
    }
}

static void write_config_page(FILE *out)
{
    static const char *const titles[] = {
#define TITLE(section, title, ...) title,
        CONFIG_SECTIONS(TITLE)
#undef TITLE
    };
    head(out, "PUSHWIRE.YAML", "5", "Pushwire");
    section(out, "NAME");
    fputs("pushwire.yaml \\- configuration of the notification server Pushwire\n", out);
    section(out, "DESCRIPTION");
    fputs("The file is YAML, thus also JSON: one flat mapping, without anchors, aliases and tags.\n"
          "A list is a YAML list or words between commas.\n"
          "Durations are 500ms, 10s, 5m, 2h, 7d; sizes are bytes or 512B, 64KiB, 1MiB, 2GiB.\n"
          ".PP\n"
          "Each key is also a flag\n.RB ( \\-\\-max\\-body )\nand a variable\n.RB ( "
          "PUSHWIRE_MAX_BODY ):\n"
          "a flag wins over a variable, that over the file.\n"
          "An unknown key and a value that is not allowed are errors.\n"
          ".B pushwire config init\nprints a file to begin with;\n.B pushwire "
          "\\-\\-config FILE \\-\\-check\\-config\nlooks at one.\n",
          out);
    section(out, "KEYS");
    for (enum config_section at = 0; at < CONFIG_SECTION_COUNT; at++) {
        fprintf(out, ".SS %s\n", titles[at]);
        for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
            if (config_row(key)->section == at)
                write_row(out, config_row(key));
        }
    }
    section(out, "FILES");
    fputs(".TP\n.I /etc/pushwire/pushwire.yaml\nwhat the service reads.\n"
          ".TP\n.I /var/lib/pushwire\nwhere its messages are.\n",
          out);
    section(out, "SEE ALSO");
    fputs(".BR pushwire (1)\n", out);
}

/* ---- holding them against the files ---- */

/* Linters want lines of text below 80 bytes; those of requests and of examples stay as they are. */
static void fold(char *text)
{
    bool as_is = false;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        end += *end == '\n';
        as_is = strncmp(line, ".nf", 3) == 0 || (as_is && strncmp(line, ".fi", 3) != 0);
        char *blank = as_is || *line == '.' || end - line < 80 ? NULL : memrchr(line, ' ', 79);
        if (blank) {
            *blank = '\n';
            end = blank + 1;
        }
    }
}

static char *written(void (*write)(FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    write(out);
    fclose(out);
    fold(text);
    return text;
}

static int hold(const char *folder, const char *name, void (*write)(FILE *out), int anew)
{
    char path[4096];
    char *text = written(write), *found = calloc(1, 1 << 20);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, anew ? "w" : "r");
    if (!file || !found) {
        perror(path);
        return 1;
    }
    int code = 0;
    if (anew)
        fputs(text, file);
    else if (fread(found, 1, (1 << 20) - 1, file) != strlen(text) || strcmp(found, text) != 0)
        code = 1;
    fclose(file);
    if (code)
        fprintf(stderr, "%s does not match the tables: ninja -C build config-docs\n", path);
    free(found);
    free(text);
    return code;
}

int main(int argc, char *argv[])
{
    int anew = argc == 3 && strcmp(argv[1], "-w") == 0;
    if (argc != 2 + anew)
        return 2;
    const char *folder = argv[argc - 1];
    return hold(folder, "pushwire.1", write_command_page, anew) |
           hold(folder, "pushwire.yaml.5", write_config_page, anew);
}
