#include "api/status.h"

#include <dirent.h>
#include <string.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/process.h"
#include "engine/broker.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "session/protocols.h"
#include "model/access.h"
#include "model/api_keys.h"
#include "model/identity.h"

static void answer(struct request *request, const char *text, size_t size)
{
    response_add_field(request_response(request), "Cache-Control", "no-store");
    request_answer_static(request, 200, "application/json", text, size);
}

void status_alive_serve(struct request *request)
{
    static const char alive[] = "{\"status\":\"alive\"}\n";
    answer(request, alive, sizeof alive - 1);
}

void status_ready_serve(struct request *request)
{
    static const char ready[] = "{\"status\":\"ready\"}\n";
    const struct status *status = ((const struct api *)request_context(request))->status;
    if (atomic_load(&status->stopping))
        request_problem(request, ERR_STOPPING, NULL, "Send new connections elsewhere.");
    else if (!broker_stats(status->broker).up)
        request_problem(request, ERR_BROKER_DOWN, NULL, "The data folder cannot be written.");
    else
        answer(request, ready, sizeof ready - 1);
}

size_t status_open_fds(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0; /* `.`, `..` and the folder itself */
}

/* Who is confined to a prefix sees its own key alone: the others' names are other tenants'. Where
 * nobody is asked all are shown. */
static bool is_shown(const struct api_key *key, const struct identity *who)
{
    return !who || !identity_prefix(who) || strcmp(key->id, identity_key_id(who)) == 0;
}

/* So that one sees whether an old key is still in use. An id has no quotes. */
static void write_keys(struct buf *body, const struct api_keys *keys, const struct identity *who)
{
    if (!keys)
        return;
    buf_add_text(body, "# HELP pushwire_key_uses_total Requests that brought this key.\n"
                       "# TYPE pushwire_key_uses_total counter\n");
    for (size_t i = 0; i < keys_count(keys); i++) {
        const struct api_key *key = keys_at(keys, i);
        if (is_shown(key, who))
            buf_add_format(body, "pushwire_key_uses_total{key=\"%s\"} %llu\n", key->id,
                           (unsigned long long)key->uses);
    }
}

/* Under the names that every program has, so that what is made for others shows it. */
static void write_process(struct buf *body, const struct status *status)
{
    struct process_usage usage = process_look();
    buf_add_format(body,
                   "# HELP process_cpu_seconds_total CPU time of all threads.\n"
                   "# TYPE process_cpu_seconds_total counter\n"
                   "process_cpu_seconds_total %.6f\n"
                   "# HELP process_resident_memory_bytes Memory that is held.\n"
                   "# TYPE process_resident_memory_bytes gauge\n"
                   "process_resident_memory_bytes %lld\n"
                   "# HELP process_start_time_seconds When it started, since 1970.\n"
                   "# TYPE process_start_time_seconds gauge\n"
                   "process_start_time_seconds %.3f\n",
                   (double)usage.cpu_us / 1e6, (long long)usage.resident_bytes,
                   (double)status->started_ms / 1e3);
    buf_add_format(body,
                   "# HELP process_open_fds Open descriptors.\n"
                   "# TYPE process_open_fds gauge\n"
                   "process_open_fds %zu\n"
                   "# HELP process_max_fds Descriptors the process may open.\n"
                   "# TYPE process_max_fds gauge\n"
                   "process_max_fds %zu\n",
                   status_open_fds(), status->max_fds);
}

void status_metrics_serve(struct request *request)
{
    const struct status *status = ((const struct api *)request_context(request))->status;
    struct broker_stats stats = broker_stats(status->broker);
    struct buf body;
    buf_init(&body);
    buf_add_text(&body, "# HELP pushwire_build_info What is running.\n"
                        "# TYPE pushwire_build_info gauge\n"
                        "pushwire_build_info{version=\"" PUSHWIRE_VERSION "\"} 1\n");
    const char *transports[METRICS_PROTOCOLS + 1];
    protocols_list_transports(transports);
    metrics_write(&body, status->metrics, status->metrics_count, transports);
    metrics_write_gauge(&body, "broker_messages", "Messages kept.", (int64_t)stats.messages);
    metrics_write_gauge(&body, "broker_bytes", "What the kept messages cost.",
                        (int64_t)stats.bytes);
    metrics_write_gauge(&body, "disk_free_bytes", "Room left on the disk of the data folder.",
                        (int64_t)stats.disk_free);
    metrics_write_counter(
        &body, "log_lines_lost_total",
        "Lines of the log that nobody read in time, or that could not be written.",
        (int64_t)log_lost());
    metrics_write_gauge(&body, "open_fds", "Open descriptors.", (int64_t)status_open_fds());
    metrics_write_gauge(&body, "max_fds", "Descriptors the process may open.",
                        (int64_t)status->max_fds);
    write_process(&body, status);
    write_keys(&body, access_keys(request_access(request)), request_who(request));
    request_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"GET", "/healthz", status_alive_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/readyz", status_ready_serve, NULL, false, RIGHT_OPEN},
};

const struct route_family status_routes = {routes, sizeof routes / sizeof *routes};
