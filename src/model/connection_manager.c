#include "model/connection_manager.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "model/message.h"
#include "model/session.h"

struct listeners { /* of one address; exists while it has a session */
    struct list sessions;
    uint64_t hash;
    uint8_t kind;
    uint8_t length;
    char name[];
};

struct connection_manager {
    struct map by_address;
    struct list all; /* session::link */
    size_t count;
};

struct connection_manager *connection_manager_create(void)
{
    struct connection_manager *manager = mem_alloc(sizeof *manager);
    map_init(&manager->by_address);
    list_init(&manager->all);
    return manager;
}

void connection_manager_destroy(struct connection_manager *manager)
{
    if (!manager)
        return;
    assert(list_empty(&manager->all));
    map_finish(&manager->by_address);
    free(manager);
}

static bool is_at(const void *value, const void *key)
{
    const struct listeners *here = value;
    const struct address *address = key;
    return here->kind == address->kind && here->length == address->length &&
           memcmp(here->name, address->name, address->length) == 0;
}

static struct listeners *find(const struct connection_manager *manager,
                              const struct address *address)
{
    return map_find(&manager->by_address, address->hash, is_at, address);
}

static struct listeners *add_listeners(struct connection_manager *manager,
                                       const struct address *address)
{
    struct listeners *here = malloc(sizeof *here + address->length);
    if (!here)
        return NULL;
    list_init(&here->sessions);
    here->hash = address->hash;
    here->kind = (uint8_t)address->kind;
    here->length = (uint8_t)address->length;
    memcpy(here->name, address->name, address->length);
    if (!map_add(&manager->by_address, here->hash, here)) {
        free(here);
        return NULL;
    }
    return here;
}

bool connection_manager_attach(struct connection_manager *manager, struct session *session,
                               const struct address *user)
{
    assert(!session->user);
    struct listeners *here = find(manager, user);
    if (!here)
        here = add_listeners(manager, user);
    if (!here)
        return false;
    session->user = here;
    list_append(&here->sessions, &session->user_link);
    list_append(&manager->all, &session->link);
    manager->count++;
    return true;
}

void connection_manager_detach(struct connection_manager *manager, struct session *session)
{
    struct listeners *here = session->user;
    if (!here)
        return;
    session->user = NULL;
    list_remove(&session->user_link);
    list_remove(&session->link);
    manager->count--;
    if (list_empty(&here->sessions)) {
        map_remove(&manager->by_address, here->hash, here);
        free(here);
    }
}

struct address connection_manager_user(const struct session *session)
{
    const struct listeners *here = session->user;
    return (struct address){here->hash, here->name, here->length, here->kind};
}

static void count_offer(struct delivery_count *count, enum session_offer offer)
{
    count->delivered += offer >= SESSION_DELIVERED;
    count->fell_behind += offer == SESSION_FELL_BEHIND;
}

/* Delivering only queues: a session that fails closes on a later turn of the loop, so these lists
 * stay still while we walk them. */
static void deliver_at(struct connection_manager *manager, const struct address *address,
                       struct message *message, struct delivery_count *count)
{
    if (address->kind == ADDRESS_ALL) {
        list_for_each(session, &manager->all, struct session, link)
            count_offer(count, session_offer(session, message));
        return;
    }
    struct listeners *here = find(manager, address);
    if (!here)
        return;
    list_for_each(session, &here->sessions, struct session, user_link)
        count_offer(count, session_offer(session, message));
}

struct delivery_count connection_manager_deliver(struct connection_manager *manager,
                                                 struct message *message)
{
    struct delivery_count count = {0};
    for (size_t i = 0; i < message->address_count; i++)
        deliver_at(manager, &message->addresses[i], message, &count);
    return count;
}

size_t connection_manager_count(const struct connection_manager *manager)
{
    return manager->count;
}

void connection_manager_each(struct connection_manager *manager, const struct address *address,
                             void (*visit)(struct session *session, void *context), void *context)
{
    if (address->kind == ADDRESS_ALL) {
        list_for_each_safe(session, &manager->all, struct session, link)
            visit(session, context);
        return;
    }
    struct listeners *here = find(manager, address);
    if (!here)
        return;
    /* Closing detaches, and the last one to go takes `here` with it. */
    struct list *link = here->sessions.next;
    for (bool last = false; !last;) {
        struct list *next = link->next;
        last = next == &here->sessions;
        visit(list_entry(link, struct session, user_link), context);
        link = next;
    }
}

void connection_manager_each_user(struct connection_manager *manager,
                                  void (*visit)(const char *name, size_t length, void *context),
                                  void *context)
{
    size_t cursor = 0;
    for (struct listeners *here; (here = map_next(&manager->by_address, &cursor));) {
        if (here->kind == ADDRESS_USER)
            visit(here->name, here->length, context);
    }
}
