#include "net/budget.h"

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

struct budget {
    struct budget_limits limits;
    atomic_size_t sockets; /* sessions count here too */
    atomic_size_t sessions;
    pthread_mutex_t mutex; /* guards what follows */
    size_t unauthenticated;
    struct map visitors;
};

struct budget *budget_create(const struct budget_limits *limits)
{
    struct budget *budget = mem_alloc(sizeof *budget);
    budget->limits = *limits;
    pthread_mutex_init(&budget->mutex, NULL);
    map_init(&budget->visitors);
    return budget;
}

void budget_destroy(struct budget *budget)
{
    if (!budget)
        return;
    map_finish(&budget->visitors);
    pthread_mutex_destroy(&budget->mutex);
    free(budget);
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

bool budget_take_socket(struct budget *budget)
{
    return take(&budget->sockets, budget->limits.max_sockets);
}

void budget_give_socket(struct budget *budget)
{
    give(&budget->sockets);
}

bool budget_take_session(struct budget *budget)
{
    if (!take(&budget->sessions, budget->limits.max_sessions))
        return false;
    if (take(&budget->sockets, budget->limits.max_sockets))
        return true;
    give(&budget->sessions);
    return false;
}

void budget_give_session(struct budget *budget)
{
    give(&budget->sessions);
    give(&budget->sockets);
}

bool budget_counts_addresses(const struct budget *budget)
{
    return budget->limits.max_sessions_per_ip > 0;
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

static struct visitor *add_visitor(struct budget *budget, const struct visitor *key)
{
    struct visitor *visitor = malloc(sizeof *visitor);
    if (!visitor)
        return NULL;
    *visitor = *key;
    if (map_add(&budget->visitors, visitor->hash, visitor))
        return visitor;
    free(visitor);
    return NULL;
}

/* Under the lock. NULL: nobody yet, and, where one is to be made, no memory. */
static struct visitor *find_visitor(struct budget *budget, const struct sockaddr *address,
                                    bool make)
{
    struct visitor key;
    set_ip(&key, address);
    struct visitor *visitor = map_find(&budget->visitors, key.hash, is_visitor, &key);
    return visitor || !make ? visitor : add_visitor(budget, &key);
}

/* Under the lock. */
static void forget_if_gone(struct budget *budget, struct visitor *visitor)
{
    if (!visitor || visitor->sessions || visitor->unauthenticated)
        return;
    map_remove(&budget->visitors, visitor->hash, visitor);
    free(visitor);
}

bool budget_take_address(struct budget *budget, const struct sockaddr *address)
{
    if (!budget_counts_addresses(budget))
        return true;
    pthread_mutex_lock(&budget->mutex);
    struct visitor *visitor = find_visitor(budget, address, true);
    bool taken = visitor && visitor->sessions < budget->limits.max_sessions_per_ip;
    if (taken)
        visitor->sessions++;
    pthread_mutex_unlock(&budget->mutex);
    return taken;
}

void budget_give_address(struct budget *budget, const struct sockaddr *address)
{
    if (!budget_counts_addresses(budget))
        return;
    pthread_mutex_lock(&budget->mutex);
    struct visitor *visitor = find_visitor(budget, address, false);
    if (visitor)
        visitor->sessions--;
    forget_if_gone(budget, visitor);
    pthread_mutex_unlock(&budget->mutex);
}

bool budget_take_unauthenticated(struct budget *budget, const struct sockaddr *address)
{
    pthread_mutex_lock(&budget->mutex);
    size_t left = budget->limits.max_unauthenticated - budget->unauthenticated;
    struct visitor *visitor = left ? find_visitor(budget, address, true) : NULL;
    bool taken = visitor && visitor->unauthenticated <= left;
    if (taken) {
        visitor->unauthenticated++;
        budget->unauthenticated++;
    }
    forget_if_gone(budget, visitor);
    pthread_mutex_unlock(&budget->mutex);
    return taken;
}

void budget_give_unauthenticated(struct budget *budget, const struct sockaddr *address)
{
    pthread_mutex_lock(&budget->mutex);
    struct visitor *visitor = find_visitor(budget, address, false);
    budget->unauthenticated--;
    if (visitor)
        visitor->unauthenticated--;
    forget_if_gone(budget, visitor);
    pthread_mutex_unlock(&budget->mutex);
}
