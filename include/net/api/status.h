/* status.h - is the server alive, ready, and what does it count?
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef NET_API_STATUS_H
#define NET_API_STATUS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct exchange;
struct metrics;

struct status { /* the state of these routes; one for the server */
    atomic_bool stopping;
    struct broker *broker;
    const struct metrics *const *metrics; /* of every worker */
    size_t metrics_count;
    size_t max_fds;
    int64_t started_ms; /* by the wall's clock */
};

void status_alive_serve(struct exchange *exchange);   /* GET /healthz */
void status_ready_serve(struct exchange *exchange);   /* GET /readyz */
void status_metrics_serve(struct exchange *exchange); /* GET /metrics */

/* Descriptors this process has open; 0 where that cannot be told. */
size_t status_open_fds(void);

#endif
