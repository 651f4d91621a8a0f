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
};

struct budget {
    struct budget_limits limits;
    atomic_size_t sockets; /* sessions count here too */
    atomic_size_t sessions;
    atomic_size_t unauthenticated;
    pthread_mutex_t mutex; /* guards visitors */
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

bool budget_take_unauthenticated(struct budget *budget)
{
    return take(&budget->unauthenticated, budget->limits.max_unauthenticated);
}

void budget_give_unauthenticated(struct budget *budget)
{
    give(&budget->unauthenticated);
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
    memset(visitor, 0, sizeof *visitor);
    if (address->sa_family == AF_INET6) {
        memcpy(visitor->ip, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    } else { /* in its v6 form, RFC 4291 section 2.5.5.2 */
        memset(visitor->ip + 10, 0xff, 2);
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

bool budget_take_address(struct budget *budget, const struct sockaddr *address)
{
    struct visitor key;
    if (!budget_counts_addresses(budget))
        return true;
    set_ip(&key, address);
    pthread_mutex_lock(&budget->mutex);
    struct visitor *visitor = map_find(&budget->visitors, key.hash, is_visitor, &key);
    if (!visitor)
        visitor = add_visitor(budget, &key);
    bool taken = visitor && visitor->sessions < budget->limits.max_sessions_per_ip;
    if (taken)
        visitor->sessions++;
    pthread_mutex_unlock(&budget->mutex);
    return taken;
}

void budget_give_address(struct budget *budget, const struct sockaddr *address)
{
    struct visitor key;
    if (!budget_counts_addresses(budget))
        return;
    set_ip(&key, address);
    pthread_mutex_lock(&budget->mutex);
    struct visitor *visitor = map_find(&budget->visitors, key.hash, is_visitor, &key);
    if (visitor && --visitor->sessions == 0) {
        map_remove(&budget->visitors, visitor->hash, visitor);
        free(visitor);
    }
    pthread_mutex_unlock(&budget->mutex);
}
