/* connection_manager.h - who listens at this worker, and delivery to them.
 *
 * The hash map of the project's founding idea: topic -> sessions. Lives on its worker's thread.
 * Sessions are borrowed: each is attached when it opens and detached before it is freed. Knows no
 * broker and no transport. */
#ifndef MODEL_CONNECTION_MANAGER_H
#define MODEL_CONNECTION_MANAGER_H

#include <stdbool.h>
#include <stddef.h>

#include "model/topic.h"

struct connection_manager;
struct message;
struct metrics;
struct session;
struct subscription;

/* Counts what it delivers in metrics. */
struct connection_manager *connection_manager_create(struct metrics *metrics);
/* By then every session has detached. */
void connection_manager_destroy(struct connection_manager *manager);

/* Puts the session under its user, where delivery finds it. False: out of memory, and it stays
 * detached. Detaching twice is fine. */
bool connection_manager_attach(struct connection_manager *manager, struct session *session,
                               const struct topic *user);
void connection_manager_detach(struct connection_manager *manager, struct session *session);

/* Puts an attached session under a channel as well, for what comes after `from`. The subscription
 * there was already, or a new one; NULL: out of memory. Detaching ends all subscriptions. */
struct subscription *connection_manager_subscribe(struct connection_manager *manager,
                                                  struct session *session,
                                                  const struct topic *channel, uint64_t from);
/* False: it was not subscribed. */
bool connection_manager_unsubscribe(struct connection_manager *manager, struct session *session,
                                    const struct topic *channel);
/* The session's subscription to this channel, or NULL. */
struct subscription *connection_manager_subscription(const struct session *session,
                                                     const struct topic *channel);
/* Its channel; the name is borrowed while it lasts. */
struct topic connection_manager_channel(const struct subscription *subscription);
/* Channels with a subscription here. */
size_t connection_manager_channels(const struct connection_manager *manager);

/* The user of an attached session; the name is borrowed until it is detached. */
struct topic connection_manager_user(const struct session *session);

/* Offers the message to every session at its topics; the caller keeps its reference. */
void connection_manager_deliver(struct connection_manager *manager, struct message *message);

size_t connection_manager_count(const struct connection_manager *manager);

/* Calls visit for each session at the topic (a user or all); visit may close the session, not
 * detach others. */
void connection_manager_each(struct connection_manager *manager, const struct topic *topic,
                             void (*visit)(struct session *session, void *context), void *context);

/* Calls visit for each user with a session here, in no order. */
void connection_manager_each_user(struct connection_manager *manager,
                                  void (*visit)(const char *name, size_t length, void *context),
                                  void *context);

#endif
