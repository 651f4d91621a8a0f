#include "config/config_yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/config_errors.h"
#include "base/mem.h"

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, owned */
    const char *text;
    size_t size;
    struct config_errors *errors; /* borrowed */
    void (*on_pair)(void *context, const struct config_yaml_pair *pair);
    void *context; /* on_pair's, borrowed */
    char *key;     /* of the current pair, owned */
    char **items;  /* of the current pair, owned */
    size_t count;
    size_t room; /* of items */
};

/* libyaml tells a broken byte by its offset, all else by its line. */
static size_t line_of_problem(const struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    size_t line = 1;

    if (parser->error != YAML_READER_ERROR)
        return parser->problem_mark.line + 1;
    for (size_t i = 0; i < parser->problem_offset && i < reader->size; i++)
        line += reader->text[i] == '\n';
    return line;
}

static bool fail(struct reader *reader, const char *what)
{
    config_errors_add(reader->errors, "%s", what);
    return false;
}

/* To the next event; false at a fault, which it has told. */
static bool next(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        const char *problem = reader->parser.problem;
        reader->errors->line = line_of_problem(reader);
        reader->errors->name = NULL;
        config_errors_add(reader->errors, "not proper YAML: %s", problem ? problem : "no memory");
        return false;
    }
    reader->errors->line = reader->event.start_mark.line + 1;
    return true;
}

static bool has_ornaments(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    default:
        return false;
    }
}

/* The same, for events that stand inside the document. */
static bool next_node(struct reader *reader)
{
    if (!next(reader))
        return false;
    if (has_ornaments(&reader->event))
        return fail(reader, "anchors (&), aliases (*) and tags (!) are not read here");
    return true;
}

/* A copy of the current scalar; NULL, and told, when it is no C string. */
static char *take_scalar(struct reader *reader)
{
    const char *value = (const char *)reader->event.data.scalar.value;
    size_t length = reader->event.data.scalar.length;

    if (strlen(value) == length)
        return mem_strndup(value, length);
    fail(reader, "holds a NUL character");
    return NULL;
}

static bool is_null(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (!strcmp((const char *)event->data.scalar.value, nulls[i]))
            return true;
    return false;
}

static bool add_item(struct reader *reader)
{
    char *item = take_scalar(reader);
    if (!item)
        return false;
    if (reader->count == reader->room) {
        reader->room = reader->room ? 2 * reader->room : 8;
        reader->items = mem_realloc(reader->items, reader->room * sizeof *reader->items);
    }
    reader->items[reader->count++] = item;
    return true;
}

/* From behind the start of a list to its end. */
static bool read_items(struct reader *reader)
{
    for (;;) {
        if (!next_node(reader))
            return false;
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail(reader, "a list here holds plain values only");
        if (!add_item(reader))
            return false;
    }
}

static void clear_pair(struct reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        free(reader->items[i]);
    free(reader->items);
    free(reader->key);
    reader->errors->name = NULL;
    reader->items = NULL;
    reader->key = NULL;
    reader->count = reader->room = 0;
}

static bool read_value(struct reader *reader, struct config_yaml_pair *pair)
{
    if (!next_node(reader))
        return false;
    if (reader->event.type == YAML_MAPPING_START_EVENT)
        return fail(reader, "holds a mapping; this file is one flat list of keys");
    if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        pair->is_list = true;
        return read_items(reader);
    }
    pair->is_null = is_null(&reader->event);
    return add_item(reader);
}

/* The current event is a key. */
static bool read_pair(struct reader *reader)
{
    size_t line = reader->errors->line;
    struct config_yaml_pair pair = {0};

    if (reader->event.type != YAML_SCALAR_EVENT)
        return fail(reader, "a key is a plain word");
    reader->key = take_scalar(reader);
    reader->errors->name = reader->key;
    if (!reader->key || !read_value(reader, &pair))
        return false;
    pair.key = reader->key;
    pair.items = reader->items;
    pair.count = reader->count;
    reader->errors->line = line;
    reader->on_pair(reader->context, &pair);
    clear_pair(reader);
    return true;
}

/* From the start of the document to its end. */
static bool read_document(struct reader *reader)
{
    if (!next_node(reader))
        return false;
    if (reader->event.type == YAML_SCALAR_EVENT && is_null(&reader->event))
        return next(reader);
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return fail(reader, "not a list of keys, say workers: 2");
    for (;;) {
        if (!next_node(reader))
            return false;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return next(reader);
        if (!read_pair(reader))
            return false;
    }
}

static bool read_stream(struct reader *reader)
{
    if (!next(reader) || !next(reader)) /* the start of the stream, and what follows */
        return false;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (!read_document(reader) || !next(reader))
        return false;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return fail(reader, "a second document begins; one file holds one");
    return true;
}

void config_yaml_read(const char *text, size_t size, struct config_errors *errors,
                      void (*on_pair)(void *context, const struct config_yaml_pair *pair),
                      void *context)
{
    /* libyaml counts a mark at the start as a column, and takes the next line for another block. */
    static const char mark[] = "\xef\xbb\xbf";
    if (size >= strlen(mark) && !memcmp(text, mark, strlen(mark))) {
        text += strlen(mark);
        size -= strlen(mark);
    }

    struct reader reader = {
        .text = text, .size = size, .errors = errors, .on_pair = on_pair, .context = context};

    if (!yaml_parser_initialize(&reader.parser)) {
        config_errors_add(errors, "no memory to read it");
        return;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
    read_stream(&reader);

    clear_pair(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    errors->line = 0;
}
