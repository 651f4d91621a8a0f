#include "model/connection_limits.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

struct visitor {
    unsigned char ip[16];
    uint64_t hash;
    size_t sessions;
    size_t unauthenticated;
};

struct connection_limits {
    struct connection_limits_options limits;
    atomic_size_t sockets; /* sessions count here too */
    atomic_size_t sessions;
    pthread_mutex_t mutex; /* guards what follows */
    size_t unauthenticated;
    struct map visitors;
};

struct connection_limits *connection_limits_create(const struct connection_limits_options *limits)
{
    struct connection_limits *connection_limits = mem_alloc(sizeof *connection_limits);
    connection_limits->limits = *limits;
    pthread_mutex_init(&connection_limits->mutex, NULL);
    map_init(&connection_limits->visitors);
    return connection_limits;
}

void connection_limits_destroy(struct connection_limits *connection_limits)
{
    if (!connection_limits)
        return;
    map_finish(&connection_limits->visitors);
    pthread_mutex_destroy(&connection_limits->mutex);
    free(connection_limits);
}

static bool take(atomic_size_t *count, size_t max)
{
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < max)
        return true;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

static void give(atomic_size_t *count)
{
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
}

bool connection_limits_take_socket(struct connection_limits *connection_limits)
{
    return take(&connection_limits->sockets, connection_limits->limits.max_sockets);
}

void connection_limits_give_socket(struct connection_limits *connection_limits)
{
    give(&connection_limits->sockets);
}

bool connection_limits_take_session(struct connection_limits *connection_limits)
{
    if (!take(&connection_limits->sessions, connection_limits->limits.max_sessions))
        return false;
    if (take(&connection_limits->sockets, connection_limits->limits.max_sockets))
        return true;
    give(&connection_limits->sessions);
    return false;
}

void connection_limits_give_session(struct connection_limits *connection_limits)
{
    give(&connection_limits->sessions);
    give(&connection_limits->sockets);
}

bool connection_limits_counts_addresses(const struct connection_limits *connection_limits)
{
    return connection_limits->limits.max_sessions_per_ip > 0;
}

static void set_ip(struct visitor *visitor, const struct sockaddr *address)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    memset(visitor, 0, sizeof *visitor);
    if (address->sa_family == AF_INET6) {
        memcpy(visitor->ip, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        if (memcmp(visitor->ip, mapped, sizeof mapped) != 0)
            memset(visitor->ip + 8, 0, 8); /* whoever has one of a /64 has all */
    } else {                               /* in its v6 form, RFC 4291 section 2.5.5.2 */
        memcpy(visitor->ip, mapped, sizeof mapped);
        memcpy(visitor->ip + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    }
    visitor->hash = hash_bytes(visitor->ip, sizeof visitor->ip);
}

static bool is_visitor(const void *value, const void *key)
{
    return memcmp(((const struct visitor *)value)->ip, ((const struct visitor *)key)->ip,
                  sizeof((const struct visitor *)0)->ip) == 0;
}

static struct visitor *add_visitor(struct connection_limits *connection_limits,
                                   const struct visitor *key)
{
    struct visitor *visitor = malloc(sizeof *visitor);
    if (!visitor)
        return NULL;
    *visitor = *key;
    if (map_add(&connection_limits->visitors, visitor->hash, visitor))
        return visitor;
    free(visitor);
    return NULL;
}

/* Under the lock. NULL: nobody yet, and, where one is to be made, no memory. */
static struct visitor *find_visitor(struct connection_limits *connection_limits,
                                    const struct sockaddr *address, bool make)
{
    struct visitor key;
    set_ip(&key, address);
    struct visitor *visitor = map_find(&connection_limits->visitors, key.hash, is_visitor, &key);
    return visitor || !make ? visitor : add_visitor(connection_limits, &key);
}

/* Under the lock. */
static void forget_if_gone(struct connection_limits *connection_limits, struct visitor *visitor)
{
    if (!visitor || visitor->sessions || visitor->unauthenticated)
        return;
    map_remove(&connection_limits->visitors, visitor->hash, visitor);
    free(visitor);
}

bool connection_limits_take_address(struct connection_limits *connection_limits,
                                    const struct sockaddr *address)
{
    if (!connection_limits_counts_addresses(connection_limits))
        return true;
    pthread_mutex_lock(&connection_limits->mutex);
    struct visitor *visitor = find_visitor(connection_limits, address, true);
    bool taken = visitor && visitor->sessions < connection_limits->limits.max_sessions_per_ip;
    if (taken)
        visitor->sessions++;
    pthread_mutex_unlock(&connection_limits->mutex);
    return taken;
}

void connection_limits_give_address(struct connection_limits *connection_limits,
                                    const struct sockaddr *address)
{
    if (!connection_limits_counts_addresses(connection_limits))
        return;
    pthread_mutex_lock(&connection_limits->mutex);
    struct visitor *visitor = find_visitor(connection_limits, address, false);
    if (visitor)
        visitor->sessions--;
    forget_if_gone(connection_limits, visitor);
    pthread_mutex_unlock(&connection_limits->mutex);
}

bool connection_limits_take_unauthenticated(struct connection_limits *connection_limits,
                                            const struct sockaddr *address)
{
    pthread_mutex_lock(&connection_limits->mutex);
    size_t left =
        connection_limits->limits.max_unauthenticated - connection_limits->unauthenticated;
    struct visitor *visitor = left ? find_visitor(connection_limits, address, true) : NULL;
    bool taken = visitor && visitor->unauthenticated <= left;
    if (taken) {
        visitor->unauthenticated++;
        connection_limits->unauthenticated++;
    }
    forget_if_gone(connection_limits, visitor);
    pthread_mutex_unlock(&connection_limits->mutex);
    return taken;
}

void connection_limits_give_unauthenticated(struct connection_limits *connection_limits,
                                            const struct sockaddr *address)
{
    pthread_mutex_lock(&connection_limits->mutex);
    struct visitor *visitor = find_visitor(connection_limits, address, false);
    connection_limits->unauthenticated--;
    if (visitor)
        visitor->unauthenticated--;
    forget_if_gone(connection_limits, visitor);
    pthread_mutex_unlock(&connection_limits->mutex);
}
