/* history.h - what is kept for one address, page by page.
 *
 * Serves GET /users/:id/messages and /channels/:id/messages. Worker's thread only. The wire is in
 * docs/wire.md. */
#ifndef NET_API_HISTORY_H
#define NET_API_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "model/address.h"

struct exchange;

#define HISTORY_MAX_LIMIT 1000

/* `limit`, 1 to HISTORY_MAX_LIMIT. False: a problem was answered. */
bool history_read_limit(struct exchange *exchange, size_t *ret_limit);

/* Answers a page of the address that `:id` names; after ascends, before (or neither) descends. */
void history_serve(struct exchange *exchange, enum address_kind kind);

#endif
