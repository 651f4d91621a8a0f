#include "top/descriptors.h"

#include <sys/resource.h>

#include "api/status.h"
#include "base/log.h"
#include "base/minmax.h"
#include "config/config.h"
#include "model/connection_limits.h"

/* What is held besides sockets of clients. */
#define LOOP_FDS    8  /* of the main thread's loop, or of a worker */
#define BROKER_FDS  10 /* the lock, the file and its log, thrice */
#define SPARE_FDS   8  /* each upgrade holds two descriptors for a moment */
#define SOCKETS_MIN 8

size_t descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur == RLIM_INFINITY ? 1048576 : (size_t)limit.rlim_cur;
}

bool descriptors_suffice(const struct config *config, size_t max)
{
    size_t listening = config->listen.count + 1; /* localhost is two */
    size_t needed = status_open_fds() + LOOP_FDS + BROKER_FDS +
                    (size_t)config->workers * (LOOP_FDS + listening) + SPARE_FDS + SOCKETS_MIN;
    if (max >= needed)
        return true;
    log_error("too few descriptors, raise `ulimit -n` or the unit's LimitNOFILE",
              LOG_NUMBER("limit", max), LOG_NUMBER("needed", needed));
    return false;
}

struct connection_limits *descriptors_limits(const struct config *config, size_t max)
{
    size_t kept_back =
        status_open_fds() + LOOP_FDS + LOOP_FDS * (size_t)config->workers + SPARE_FDS;
    size_t sockets = max > kept_back + SOCKETS_MIN ? max - kept_back : SOCKETS_MIN;
    size_t sessions =
        config->max_sessions ? (size_t)config->max_sessions : max - min_u64(64, max / 2);
    return connection_limits_create(&(struct connection_limits_options){
        .max_sockets = sockets,
        .max_sessions = min_u64(sessions, sockets - 4), /* leaves a few for HTTP */
        .max_sessions_per_ip = (size_t)config->max_sessions_per_ip,
        .max_unauthenticated = (size_t)config->max_unauthenticated,
    });
}
