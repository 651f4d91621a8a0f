/* connection_limits.h - how many sockets there may be, over all workers.
 *
 * Descriptors are shared by HTTP connections and sessions; sessions have a limit of their own and
 * one for each address they come from. Any thread. */
#ifndef MODEL_CONNECTION_LIMITS_H
#define MODEL_CONNECTION_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

struct connection_limits;
struct sockaddr;

struct connection_limits_options {
    size_t max_sockets; /* HTTP connections and sessions */
    size_t max_sessions;
    size_t max_sessions_per_ip; /* 0: no limit. Of IPv6, a /64 counts as one address */
    size_t max_unauthenticated; /* sessions whose token is still to come */
};

struct connection_limits *connection_limits_create(const struct connection_limits_options *limits);
void connection_limits_destroy(struct connection_limits *connection_limits);

/* An HTTP connection; false: no descriptor is left for one. */
bool connection_limits_take_socket(struct connection_limits *connection_limits);
void connection_limits_give_socket(struct connection_limits *connection_limits);

/* A session. */
bool connection_limits_take_session(struct connection_limits *connection_limits);
void connection_limits_give_session(struct connection_limits *connection_limits);

/* A session whose token is still to come; it is one of the sessions, too. False: there are
 * max_unauthenticated, or this address has as many as are left for all others: alone it comes to
 * half of them (or memory is out). */
bool connection_limits_take_unauthenticated(struct connection_limits *connection_limits,
                                            const struct sockaddr *address);
void connection_limits_give_unauthenticated(struct connection_limits *connection_limits,
                                            const struct sockaddr *address);

/* One more session from this address; false: it has its share (or memory is out). What is taken is
 * given back by the same address. */
bool connection_limits_take_address(struct connection_limits *connection_limits,
                                    const struct sockaddr *address);
void connection_limits_give_address(struct connection_limits *connection_limits,
                                    const struct sockaddr *address);
/* Are addresses counted at all? */
bool connection_limits_counts_addresses(const struct connection_limits *connection_limits);

#endif
