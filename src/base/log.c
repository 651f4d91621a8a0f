#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log_out.h"
#include "base/text.h"

#define LINE_SIZE 4096 /* a longer line is cut; the newline always fits */

/* Punctuation around a key and its value, and any number; a field without that room is left out. */
#define SHORTEST_FIELD 32

static atomic_int current_level = LOG_INFO;
static atomic_int current_format = LOG_FORMAT_LOGFMT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct line {
    char text[LINE_SIZE];
    size_t size;
};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

static bool goes_to_journal(void)
{
    struct stat found;
    char here[64];
    const char *stream = getenv("JOURNAL_STREAM");
    if (!stream || fstat(STDERR_FILENO, &found) != 0)
        return false;
    snprintf(here, sizeof here, "%llu:%llu", (unsigned long long)found.st_dev,
             (unsigned long long)found.st_ino);
    return strcmp(stream, here) == 0;
}

void log_set_format(enum log_format format)
{
    if (format == LOG_FORMAT_AUTO)
        format = goes_to_journal() ? LOG_FORMAT_JOURNAL : LOG_FORMAT_LOGFMT;
    atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

struct log_field log_text_field(const char *key, const char *text)
{
    return LOG_BYTES(key, text, text ? strlen(text) : 0);
}

/* Two bytes are kept back: `}` and the newline. */
static size_t room_in(const struct line *line)
{
    return sizeof line->text - 2 - line->size;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* What does not fit is cut, between two characters. */
static void add(struct line *line, const char *text, size_t length)
{
    if (length > room_in(line)) {
        length = room_in(line);
        while (length && is_continuation(text[length]))
            length--;
    }
    memcpy(line->text + line->size, text, length);
    line->size += length;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_number(struct line *line, int64_t number)
{
    char digits[24];
    add(line, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)number));
}

/* How many bytes the character at text has; 0: it is none. */
static size_t character_size(const char *text, size_t length)
{
    for (size_t size = 1; size <= 4 && size <= length; size++) {
        if (text_is_utf8(text, size))
            return size;
    }
    return 0;
}

/* Writes the character at text as it stands in a string; returns how many bytes it has. Terminals
 * obey the control characters above 0x7f, too. */
static size_t escape(const char *text, size_t length, char ret_escaped[static 8])
{
    unsigned char c = (unsigned char)text[0];
    size_t size = character_size(text, length);
    if (c == '"' || c == '\\') {
        snprintf(ret_escaped, 8, "\\%c", c);
    } else if (c < 0x20 || c == 0x7f) {
        snprintf(ret_escaped, 8, "\\u%04x", c);
    } else if (size == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0) {
        snprintf(ret_escaped, 8, "\\u%04x", (unsigned char)text[1]);
    } else if (size == 0) {
        snprintf(ret_escaped, 8, "\\ufffd");
        size = 1;
    } else {
        memcpy(ret_escaped, text, size);
        ret_escaped[size] = '\0';
    }
    return size;
}

/* A JSON string; logfmt readers understand the same escapes. It is closed wherever it is cut. */
static void add_quoted(struct line *line, const char *text, size_t length)
{
    add(line, "\"", 1);
    for (size_t i = 0; i < length;) {
        char escaped[8];
        i += escape(text + i, length - i, escaped);
        if (strlen(escaped) + 1 > room_in(line))
            break;
        add_text(line, escaped);
    }
    add(line, "\"", 1);
}

static bool is_bare_word(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7f || c == 0xc2 || c == '"' || c == '\\' || c == '=')
            return false; /* 0xc2 may begin a control character */
    }
    return length > 0 && text_is_utf8(text, length);
}

static void add_value(struct line *line, const struct log_field *field, bool json)
{
    if (field->kind == LOG_KIND_NUMBER)
        add_number(line, field->number);
    else if (field->kind == LOG_KIND_BOOL)
        add_text(line, field->number ? "true" : "false");
    else if (!json && is_bare_word(field->text, field->length))
        add(line, field->text, field->length);
    else
        add_quoted(line, field->text, field->length);
}

static void add_field(struct line *line, const struct log_field *field, bool json)
{
    if (!field->text || room_in(line) < strlen(field->key) + SHORTEST_FIELD)
        return;
    add_text(line, json ? ",\"" : " ");
    add_text(line, field->key);
    add_text(line, json ? "\":" : "=");
    add_value(line, field, json);
}

/* The journal has a time of its own, and shows priorities in colours. */
static void add_journal_head(struct line *line, enum log_level level, const char *event)
{
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    add_text(line, priorities[level]);
    add_text(line, event);
}

static void add_head(struct line *line, enum log_level level, const char *event, bool json)
{
    char now[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), now);
    add_text(line, json ? "{\"time\":\"" : "");
    add_text(line, now);
    add_text(line, json ? "\",\"level\":\"" : " ");
    add_text(line, level_names[level]);
    add_text(line, json ? "\",\"event\":" : level == LOG_INFO || level == LOG_WARN ? "  " : " ");
    if (json)
        add_quoted(line, event, strlen(event));
    else
        add_text(line, event);
}

static void put(enum log_level level, const char *event, const struct log_field *fields,
                size_t count)
{
    int format = atomic_load_explicit(&current_format, memory_order_relaxed);
    bool json = format == LOG_FORMAT_JSON;
    struct line line = {.size = 0};
    if (format == LOG_FORMAT_JOURNAL)
        add_journal_head(&line, level, event);
    else
        add_head(&line, level, event, json);
    for (size_t i = 0; i < count; i++)
        add_field(&line, &fields[i], json);
    if (json)
        line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    log_out_put(line.text, line.size);
}

/* ---- how much of a kind ---- */

static struct {
    pthread_mutex_t mutex;    /* guards all quotas */
    struct log_quota *listed; /* those that held lines back */
    uint64_t told_lost;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct log_quota *log_quota_of(enum err err)
{
    static struct log_quota quotas[ERR_COUNT] = {
#define QUOTA(name, word, ...) [ERR_##name] = {.code = (word)},
        ERR_TABLE(QUOTA)
#undef QUOTA
    };
    return &quotas[err];
}

/* False: this one is only counted. */
static bool take(struct log_quota *quota, enum log_level level, const char *event)
{
    int64_t second = clock_mono_ms() / 1000;
    pthread_mutex_lock(&all.mutex);
    if (quota->second != second)
        quota->told = 0;
    quota->second = second;
    bool has_room = quota->told < LOG_LINES_A_SECOND;
    quota->told += has_room;
    quota->held += !has_room;
    if (!has_room && !quota->event) {
        quota->event = event;
        quota->level = level;
        quota->next = all.listed;
        all.listed = quota;
    }
    pthread_mutex_unlock(&all.mutex);
    return has_room;
}

void log_write(struct log_quota *quota, enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    if (!quota || take(quota, level, event))
        put(level, event, fields, count);
}

void log_say(const char *text)
{
    log_out_put(text, strlen(text));
}

static void tell_held(struct log_quota *quota)
{
    const struct log_field fields[] = {LOG_TEXT("event", quota->event),
                                       LOG_TEXT("code", quota->code),
                                       LOG_NUMBER("count", quota->held)};
    put(quota->level, "more lines of one kind", fields, sizeof fields / sizeof *fields);
    quota->held = 0;
    quota->event = NULL;
}

static void tell_lost(void)
{
    uint64_t lost = log_out_lost();
    const struct log_field field = LOG_NUMBER("count", lost - all.told_lost);
    if (lost == all.told_lost || !log_out_is_open(LINE_SIZE))
        return;
    all.told_lost = lost;
    put(LOG_WARN, "lines of the log were lost", &field, 1);
}

void log_tick(void)
{
    pthread_mutex_lock(&all.mutex);
    tell_lost();
    for (; all.listed; all.listed = all.listed->next)
        tell_held(all.listed);
    pthread_mutex_unlock(&all.mutex);
}

uint64_t log_lost(void)
{
    return log_out_lost();
}

/* ---- its life ---- */

void log_start(void)
{
    log_out_start();
}

void log_stop(void)
{
    log_tick();
    log_out_stop();
}
