/* budget.h - how many sockets there may be, over all workers.
 *
 * Descriptors are shared by HTTP connections and sessions; sessions have a limit of their own and
 * one for each address they come from. Any thread. */
#ifndef NET_BUDGET_H
#define NET_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct budget;
struct sockaddr;

struct budget_limits {
    size_t max_sockets; /* HTTP connections and sessions */
    size_t max_sessions;
    size_t max_sessions_per_ip; /* 0: no limit. Of IPv6, a /64 counts as one address */
    size_t max_unauthenticated; /* sessions whose token is still to come */
};

struct budget *budget_create(const struct budget_limits *limits);
void budget_destroy(struct budget *budget);

/* An HTTP connection; false: no descriptor is left for one. */
bool budget_take_socket(struct budget *budget);
void budget_give_socket(struct budget *budget);

/* A session. */
bool budget_take_session(struct budget *budget);
void budget_give_session(struct budget *budget);

/* A session whose token is still to come; it is one of the sessions, too. False: there are
 * max_unauthenticated, or this address has as many as are left for all others: alone it comes to
 * half of them (or memory is out). */
bool budget_take_unauthenticated(struct budget *budget, const struct sockaddr *address);
void budget_give_unauthenticated(struct budget *budget, const struct sockaddr *address);

/* One more session from this address; false: it has its share (or memory is out). What is taken is
 * given back by the same address. */
bool budget_take_address(struct budget *budget, const struct sockaddr *address);
void budget_give_address(struct budget *budget, const struct sockaddr *address);
/* Are addresses counted at all? */
bool budget_counts_addresses(const struct budget *budget);

#endif
