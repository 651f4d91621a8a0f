/* log.h - one event, one line, on standard error.
 *
 *     log_info("session opened", LOG_TEXT("user", user), LOG_NUMBER("sessions", n));
 *
 * As logfmt (time, level, event, key=value) or as JSON. Control bytes and quotes are escaped here
 * and nowhere else, so a value can never forge a line. Callers keep query strings, tokens and
 * message bodies out. Any thread; a line is one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_ERROR, /* someone must act */
    LOG_WARN,  /* we coped */
    LOG_INFO,  /* the lives of parts */
    LOG_DEBUG,
};

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

enum log_kind { LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_BOOL };

struct log_field {
    const char *key;
    enum log_kind kind;
    const char *text; /* NULL: the field is left out */
    size_t length;
    int64_t number;
};

#define LOG_BYTES(k, t, n) ((struct log_field){(k), LOG_KIND_TEXT, (t), (n), 0})
#define LOG_TEXT(k, t)     log_text_field((k), (t))
#define LOG_NUMBER(k, n)   ((struct log_field){(k), LOG_KIND_NUMBER, "", 0, (int64_t)(n)})
#define LOG_BOOL(k, b)     ((struct log_field){(k), LOG_KIND_BOOL, "", 0, (b)})

/* Level and format may be changed at any time by any thread. Default: info, logfmt. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_wants(enum log_level level);

struct log_field log_text_field(const char *key, const char *text);
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

#define LOG_WRITE(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_wants(level)) {                                                                    \
            const struct log_field fields_[] = {{NULL}, ##__VA_ARGS__};                            \
            log_write(level, event, fields_ + 1, sizeof fields_ / sizeof *fields_ - 1);            \
        }                                                                                          \
    } while (0)

#define log_error(event, ...) LOG_WRITE(LOG_ERROR, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_WRITE(LOG_WARN, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_WRITE(LOG_INFO, event, ##__VA_ARGS__)
#define log_debug(event, ...) LOG_WRITE(LOG_DEBUG, event, ##__VA_ARGS__)

#endif
