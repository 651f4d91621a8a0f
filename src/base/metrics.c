#include "base/metrics.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

struct metrics_row {
    size_t offset;
    const char *name;
    const char *label;
    const char *type;
    const char *help;
};

static const struct metrics_row rows[] = {
#define METRICS_ROW(field, name, label, type, help)                                                \
    {offsetof(struct metrics, field), name, label, type, help},
    METRICS_TABLE(METRICS_ROW)
#undef METRICS_ROW
};

void metrics_observe(struct metrics_histogram *histogram, int64_t us)
{
    size_t i = 0;
    while (i < METRICS_BUCKETS && us > (int64_t)16 << i)
        i++;
    atomic_fetch_add_explicit(&histogram->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, (uint64_t)us, memory_order_relaxed);
}

static int64_t sum_at(const struct metrics *const *all, size_t count, size_t offset)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const _Atomic int64_t *at = (const void *)((const char *)all[i] + offset);
        sum += atomic_load_explicit(at, memory_order_relaxed);
    }
    return sum;
}

static void write_head(struct buf *buf, const char *name, const char *type, const char *help)
{
    buf_add_format(buf, "# HELP pushwire_%s %s\n# TYPE pushwire_%s %s\n", name, help, name, type);
}

static void write_rows(struct buf *buf, const struct metrics *const *all, size_t count)
{
    const char *last = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct metrics_row *row = &rows[i];
        if (strcmp(row->name, last) != 0)
            write_head(buf, row->name, row->type, row->help);
        last = row->name;
        bool bare = row->label[0] == '\0';
        buf_add_format(buf, "pushwire_%s%s%s%s %lld\n", row->name, bare ? "" : "{", row->label,
                       bare ? "" : "}", (long long)sum_at(all, count, row->offset));
    }
}

/* The first of its label, for all of them? */
static bool is_first(const char *const *transports, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(transports[i], transports[at]) == 0)
            return false;
    }
    return true;
}

static long long sum_of_transport(const struct metrics *const *all, size_t count, size_t offset,
                                  const char *const *transports, const char *transport)
{
    int64_t sum = 0;
    for (size_t i = 0; transports[i]; i++) {
        if (strcmp(transports[i], transport) == 0)
            sum += sum_at(all, count, offset + i * sizeof(_Atomic int64_t));
    }
    return sum;
}

static void write_by_transport(struct buf *buf, const struct metrics *const *all, size_t count,
                               const char *const *transports)
{
    write_head(buf, "delivered_total", "counter", "Messages handed to a session's socket queue.");
    for (size_t i = 0; transports[i]; i++) {
        if (is_first(transports, i))
            buf_add_format(buf, "pushwire_delivered_total{transport=\"%s\"} %lld\n", transports[i],
                           sum_of_transport(all, count, offsetof(struct metrics, delivered),
                                            transports, transports[i]));
    }
    write_head(buf, "sessions", "gauge", "Open sessions.");
    for (size_t i = 0; transports[i]; i++) {
        const char *name = transports[i];
        if (!is_first(transports, i))
            continue;
        buf_add_format(
            buf, "pushwire_sessions{transport=\"%s\",state=\"live\"} %lld\n", name,
            sum_of_transport(all, count, offsetof(struct metrics, live), transports, name));
        buf_add_format(
            buf, "pushwire_sessions{transport=\"%s\",state=\"behind\"} %lld\n", name,
            sum_of_transport(all, count, offsetof(struct metrics, behind), transports, name));
    }
}

/* One line for each code that has been counted, so that the text stays short. */
static void write_by_code(struct buf *buf, const struct metrics *const *all, size_t count,
                          size_t offset, const char *name, const char *label, const char *help)
{
    write_head(buf, name, "counter", help);
    for (int err = 0; err < ERR_COUNT; err++) {
        int64_t sum = sum_at(all, count, offset + (size_t)err * sizeof(_Atomic int64_t));
        if (sum)
            buf_add_format(buf, "pushwire_%s{%s=\"%s\"} %lld\n", name, label,
                           err_code((enum err)err), (long long)sum);
    }
}

static void write_histogram(struct buf *buf, const struct metrics *const *all, size_t count,
                            size_t offset, const char *name, const char *help)
{
    uint64_t seen = 0, sum_us = 0;
    write_head(buf, name, "histogram", help);
    for (size_t b = 0; b <= METRICS_BUCKETS; b++) {
        for (size_t i = 0; i < count; i++) {
            const struct metrics_histogram *one = (const void *)((const char *)all[i] + offset);
            seen += atomic_load_explicit(&one->bucket[b], memory_order_relaxed);
            sum_us += b ? 0 : atomic_load_explicit(&one->sum_us, memory_order_relaxed);
        }
        if (b < METRICS_BUCKETS)
            buf_add_format(buf, "pushwire_%s_bucket{le=\"%.6f\"} %llu\n", name,
                           (double)((int64_t)16 << b) / 1e6, (unsigned long long)seen);
    }
    buf_add_format(buf, "pushwire_%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)seen);
    buf_add_format(buf, "pushwire_%s_sum %.6f\npushwire_%s_count %llu\n", name,
                   (double)sum_us / 1e6, name, (unsigned long long)seen);
}

void metrics_write(struct buf *buf, const struct metrics *const *all, size_t count,
                   const char *const *transports)
{
    write_rows(buf, all, count);
    write_by_transport(buf, all, count, transports);
    write_by_code(buf, all, count, offsetof(struct metrics, closed), "closed_total", "reason",
                  "Sessions closed, by reason.");
    write_by_code(buf, all, count, offsetof(struct metrics, refused), "refused_total", "code",
                  "Requests refused, by code.");
    write_histogram(buf, all, count, offsetof(struct metrics, publish_seconds), "publish_seconds",
                    "From a request's head to the broker's word on it.");
    write_histogram(buf, all, count, offsetof(struct metrics, commit_seconds), "commit_seconds",
                    "One commit of the broker's, for all that had come since the last.");
}

static void write_one(struct buf *buf, const char *name, const char *type, const char *help,
                      int64_t value)
{
    write_head(buf, name, type, help);
    buf_add_format(buf, "pushwire_%s %lld\n", name, (long long)value);
}

void metrics_write_gauge(struct buf *buf, const char *name, const char *help, int64_t value)
{
    write_one(buf, name, "gauge", help, value);
}

void metrics_write_counter(struct buf *buf, const char *name, const char *help, int64_t value)
{
    write_one(buf, name, "counter", help, value);
}
