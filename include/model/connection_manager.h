/* connection_manager.h - who listens at this worker, and delivery to them.
 *
 * The hash map of the project's founding idea: address -> sessions. Lives on its worker's thread.
 * Sessions are borrowed: each is attached when it opens and detached before it is freed. Knows no
 * broker and no transport. */
#ifndef MODEL_CONNECTION_MANAGER_H
#define MODEL_CONNECTION_MANAGER_H

#include <stdbool.h>
#include <stddef.h>

#include "model/address.h"

struct connection_manager;
struct message;
struct session;

struct connection_manager *connection_manager_create(void);
/* By then every session has detached. */
void connection_manager_destroy(struct connection_manager *manager);

/* Puts the session under its user, where delivery finds it. False: out of memory, and it stays
 * detached. Detaching twice is fine. */
bool connection_manager_attach(struct connection_manager *manager, struct session *session,
                               const struct address *user);
void connection_manager_detach(struct connection_manager *manager, struct session *session);

/* The user of an attached session; the name is borrowed until it is detached. */
struct address connection_manager_user(const struct session *session);

struct delivery_count {
    size_t delivered;
    size_t fell_behind;
};

/* Offers the message to every session at its addresses; the caller keeps its reference. */
struct delivery_count connection_manager_deliver(struct connection_manager *manager,
                                                 struct message *message);

size_t connection_manager_count(const struct connection_manager *manager);

/* Calls visit for each session at the address; visit may close the session, not detach others. */
void connection_manager_each(struct connection_manager *manager, const struct address *address,
                             void (*visit)(struct session *session, void *context), void *context);

/* Calls visit for each user with a session here, in no order. */
void connection_manager_each_user(struct connection_manager *manager,
                                  void (*visit)(const char *name, size_t length, void *context),
                                  void *context);

#endif
