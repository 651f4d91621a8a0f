/* status.h - is the server alive, ready, and what does it count?
 *
 * Worker's thread only. The wire is in docs/wire.md. */
#ifndef API_STATUS_H
#define API_STATUS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct metrics;
struct request;

struct status { /* the state of these routes; one for the server */
    atomic_bool stopping;
    struct broker *broker;
    const struct metrics *const *metrics; /* of every worker */
    size_t metrics_count;
    size_t max_fds;
    int64_t started_ms; /* by the wall's clock */
};

void status_alive_serve(struct request *request);   /* GET /healthz */
void status_ready_serve(struct request *request);   /* GET /readyz */
void status_metrics_serve(struct request *request); /* GET /metrics */

/* Descriptors this process has open; 0 where that cannot be told. */
size_t status_open_fds(void);

#endif
