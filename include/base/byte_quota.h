/* byte_quota.h - how many bytes the requests of a worker may hold at once.
 *
 * One sum over the bodies that come in, the answers that go out, and what is on its way to the
 * broker: what a client can make grow by sending much, or by reading nothing, counts here. Whoever
 * holds bytes keeps their number beside them. Worker's thread only. */
#ifndef BASE_BYTE_QUOTA_H
#define BASE_BYTE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a body or an answer so much does not count: who sends and reads little is served also while
 * others have used up the sum. There are no more of these than connections. */
#define BYTE_QUOTA_FREE ((size_t)16 * 1024)

struct byte_quota {
    size_t held;
    size_t limit;
    _Atomic int64_t *gauge; /* shows `held`; NULL: nobody looks */
};

/* The holder of *held bytes now holds so many. False: that would be beyond the limit, and nothing
 * has changed. Fewer always may, and so may whoever is the only one to hold any. */
bool byte_quota_try(struct byte_quota *quota, size_t *held, size_t bytes);
/* The same for what cannot be refused any more. */
void byte_quota_set(struct byte_quota *quota, size_t *held, size_t bytes);

/* A share for one who wishes for so many bytes: less of it the less is left, at least
 * BYTE_QUOTA_FREE.
 */
size_t byte_quota_share(const struct byte_quota *quota, size_t wish);

/* What of so many bytes counts. */
static inline size_t byte_quota_counted(size_t bytes)
{
    return bytes > BYTE_QUOTA_FREE ? bytes - BYTE_QUOTA_FREE : 0;
}

#endif
