/* log.h - one event, one line, on standard error.
 *
 *     log_info("session opened", LOG_TEXT("user", user), LOG_NUMBER("sessions", n));
 *
 * As logfmt (time, level, event, key=value), as JSON, or as the journal of systemd wants it: logfmt
 * that begins with its priority, as in `<6>`, instead of a time and a level. Control bytes and
 * quotes are escaped here and nowhere else, so a value can never forge a line. Callers keep query
 * strings, tokens and message bodies out. Any thread.
 *
 * The log holds nobody up, and cannot be flooded: after log_start, lines are written by a thread of
 * its own, and lost where nobody reads them; of one kind, so many a second are told as there is
 * room in its quota, and the others are counted. log_tick tells both counts. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LOG_LINES_A_SECOND 50 /* of one kind */

enum log_level {
    LOG_ERROR, /* someone must act */
    LOG_WARN,  /* we coped */
    LOG_INFO,  /* what starts and ends */
    LOG_DEBUG,
};

/* AUTO: the journal's where standard error is (by $JOURNAL_STREAM, see systemd.exec(5)), else
 * logfmt. */
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

enum log_kind { LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_BOOL };

struct log_field {
    const char *key;
    enum log_kind kind;
    const char *text; /* NULL: the field is left out */
    size_t length;
    int64_t number;
};

/* Of one kind of line. Starts as zeros and lives for ever; what is in it is the log's. */
struct log_quota {
    const char *code;
    const char *event; /* set: lines were held back */
    enum log_level level;
    int64_t second;
    unsigned told; /* in this second */
    uint64_t held;
    struct log_quota *next;
};

#define LOG_BYTES(k, t, n) ((struct log_field){(k), LOG_KIND_TEXT, (t), (n), 0})
#define LOG_TEXT(k, t)     log_text_field((k), (t))
#define LOG_NUMBER(k, n)   ((struct log_field){(k), LOG_KIND_NUMBER, "", 0, (int64_t)(n)})
#define LOG_BOOL(k, b)     ((struct log_field){(k), LOG_KIND_BOOL, "", 0, (b)})

/* Level and format may be changed at any time by any thread. Default: info, logfmt. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_wants(enum log_level level);

/* Until log_start, and after log_stop, a line is written before the call returns. log_stop waits a
 * second at most for what was not written yet. */
void log_start(void);
void log_stop(void);
/* Lines for people, as they are, in their turn. */
void log_say(const char *text);
/* About once a second. */
void log_tick(void);
/* How many lines were lost up to now. */
uint64_t log_lost(void);

/* For lines of which there is a kind for each of these. */
struct log_quota *log_quota_of(enum err err);

struct log_field log_text_field(const char *key, const char *text);
/* quota NULL: all lines of this kind are wanted. */
void log_write(struct log_quota *quota, enum log_level level, const char *event,
               const struct log_field *fields, size_t count);

#define LOG_WRITE(quota, level, event, ...)                                                        \
    do {                                                                                           \
        if (log_wants(level)) {                                                                    \
            const struct log_field fields_[] = {{NULL}, ##__VA_ARGS__};                            \
            log_write(quota, level, event, fields_ + 1, sizeof fields_ / sizeof *fields_ - 1);     \
        }                                                                                          \
    } while (0)

/* A quota for each place in the code. */
#define LOG_HERE(level, event, ...)                                                                \
    do {                                                                                           \
        static struct log_quota quota_;                                                            \
        LOG_WRITE(&quota_, level, event, ##__VA_ARGS__);                                           \
    } while (0)

#define log_error(event, ...) LOG_HERE(LOG_ERROR, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_HERE(LOG_WARN, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_HERE(LOG_INFO, event, ##__VA_ARGS__)
#define log_debug(event, ...) LOG_WRITE(NULL, LOG_DEBUG, event, ##__VA_ARGS__)

/* A client was refused; err is greater than 0. */
#define log_refused(err, ...)                                                                      \
    LOG_WRITE(log_quota_of(err), LOG_INFO, "refused", LOG_TEXT("code", err_code(err)),             \
              ##__VA_ARGS__)
/* For whoever has asked for a line about each request. */
#define log_request(...) LOG_WRITE(NULL, LOG_INFO, "request", ##__VA_ARGS__)

#endif
