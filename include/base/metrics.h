/* metrics.h - counters and gauges, as one table that makes the struct and the /metrics text.
 *
 * Each worker owns one struct and is its only writer; anybody may read (relaxed atomics). Never a
 * user id in a label. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;

/* field, name after `pushwire_`, label or "", type, help; rows of one name stand together */
#define METRICS_TABLE(X)                                                                           \
    X(published_message, "published_total", "kind=\"message\"", "counter",                         \
      "Messages accepted by the broker.")                                                          \
    X(http_connections, "http_connections", "", "gauge", "Open HTTP connections.")                 \
    X(buffered, "buffered_bytes", "", "gauge",                                                     \
      "Bytes of bodies, answers and sends in flight, as max_buffered counts them.")                \
    X(http_requests, "http_requests_total", "", "counter", "HTTP requests answered.")              \
    X(handed_poll, "handed_over_total", "what=\"poll\"", "counter",                                \
      "Requests of Engine.IO brought to another worker.")                                          \
    X(handed_post, "handed_over_total", "what=\"post\"", "counter",                                \
      "Requests of Engine.IO brought to another worker.")                                          \
    X(handed_websocket, "handed_over_total", "what=\"websocket\"", "counter",                      \
      "Requests of Engine.IO brought to another worker.")                                          \
    X(replayed, "replayed_total", "", "counter", "Messages sent from pages to sessions behind.")   \
    X(gaps, "gaps_total", "", "counter", "Gaps told to sessions.")                                 \
    X(overflows, "doubts_total", "", "counter",                                                    \
      "Times a full inbox sent sessions back to the broker.")

/* Sessions are counted apart by the protocol they receive by: at most so many. Whose number is
 * whose is said in session/protocols.h. */
#define METRICS_PROTOCOLS 8

#define METRICS_BUCKETS 16

/* Bucket i counts what took at most 2^i * 16 microseconds: 16 us to 0.5 s. */
struct metrics_histogram {
    _Atomic uint64_t bucket[METRICS_BUCKETS + 1];
    _Atomic uint64_t sum_us;
};

struct metrics {
#define METRICS_FIELD(field, name, label, type, help) _Atomic int64_t field;
    METRICS_TABLE(METRICS_FIELD)
#undef METRICS_FIELD
    _Atomic int64_t delivered[METRICS_PROTOCOLS]; /* messages handed to a session's socket queue */
    _Atomic int64_t live[METRICS_PROTOCOLS];      /* open sessions, by state */
    _Atomic int64_t behind[METRICS_PROTOCOLS];
    _Atomic int64_t closed[ERR_COUNT];  /* sessions, by reason */
    _Atomic int64_t refused[ERR_COUNT]; /* requests, by code */
    struct metrics_histogram publish_seconds;
    struct metrics_histogram commit_seconds;
};

/* Owner's thread only. */
static inline void metrics_add(_Atomic int64_t *counter, int64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void metrics_observe(struct metrics_histogram *histogram, int64_t us);

/* The sum over all workers, in Prometheus' text format 0.0.4. transports: the label of each
 * protocol, and a NULL at the end; those of the same label are one. */
void metrics_write(struct buf *buf, const struct metrics *const *all, size_t count,
                   const char *const *transports);

/* One gauge or counter that is no worker's. */
void metrics_write_gauge(struct buf *buf, const char *name, const char *help, int64_t value);
void metrics_write_counter(struct buf *buf, const char *name, const char *help, int64_t value);

#endif
