#include "base/byte_quota.h"

#include "base/metrics.h"

#define SHARE 8 /* of what is left, to each who asks: many find something */

void byte_quota_set(struct byte_quota *quota, size_t *held, size_t bytes)
{
    if (quota->gauge && bytes != *held)
        metrics_add(quota->gauge, (int64_t)bytes - (int64_t)*held);
    quota->held = quota->held - *held + bytes;
    *held = bytes;
}

bool byte_quota_try(struct byte_quota *quota, size_t *held, size_t bytes)
{
    size_t others = quota->held - *held;
    if (bytes > *held && others && others + bytes > quota->limit)
        return false;
    byte_quota_set(quota, held, bytes);
    return true;
}

size_t byte_quota_share(const struct byte_quota *quota, size_t wish)
{
    size_t left = quota->limit > quota->held ? quota->limit - quota->held : 0;
    size_t share = BYTE_QUOTA_FREE + left / SHARE;
    return wish < share ? wish : share;
}
