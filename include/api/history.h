/* history.h - what is kept for one topic, page by page.
 *
 * Serves GET /users/:id/messages and /channels/:id/messages. Worker's thread only. The wire is in
 * docs/wire.md. */
#ifndef API_HISTORY_H
#define API_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "model/topic.h"

struct request;

#define HISTORY_MAX_LIMIT 1000

/* `limit`, 1 to HISTORY_MAX_LIMIT. False: a problem was answered. */
bool history_read_limit(struct request *request, size_t *ret_limit);

/* Answers a page of the topic that `:id` names; after ascends, before (or neither) descends. */
void history_serve(struct request *request, enum topic_kind kind);

#endif
