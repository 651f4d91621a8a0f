#include "model/connection_manager.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "model/message.h"
#include "model/session.h"

struct listeners {        /* of one topic; exists while it has a session */
    struct list sessions; /* of a user: session::user_link; of a channel: subscription::link */
    uint64_t hash;
    uint8_t kind;
    uint8_t length;
    char name[];
};

struct connection_manager {
    struct map by_topic;
    struct list all; /* session::link */
    size_t count;
    size_t channels;
    struct metrics *metrics;
};

struct connection_manager *connection_manager_create(struct metrics *metrics)
{
    struct connection_manager *manager = mem_alloc(sizeof *manager);
    manager->metrics = metrics;
    map_init(&manager->by_topic);
    list_init(&manager->all);
    return manager;
}

void connection_manager_destroy(struct connection_manager *manager)
{
    if (!manager)
        return;
    assert(list_empty(&manager->all));
    map_finish(&manager->by_topic);
    free(manager);
}

static bool is_at(const void *value, const void *key)
{
    const struct listeners *here = value;
    const struct topic *topic = key;
    return here->kind == topic->kind && here->length == topic->length &&
           memcmp(here->name, topic->name, topic->length) == 0;
}

static struct listeners *find(const struct connection_manager *manager, const struct topic *topic)
{
    return map_find(&manager->by_topic, topic->hash, is_at, topic);
}

static struct listeners *add_listeners(struct connection_manager *manager,
                                       const struct topic *topic)
{
    struct listeners *here = malloc(sizeof *here + topic->length);
    if (!here)
        return NULL;
    list_init(&here->sessions);
    here->hash = topic->hash;
    here->kind = (uint8_t)topic->kind;
    here->length = (uint8_t)topic->length;
    memcpy(here->name, topic->name, topic->length);
    if (!map_add(&manager->by_topic, here->hash, here)) {
        free(here);
        return NULL;
    }
    return here;
}

static struct listeners *get_listeners(struct connection_manager *manager,
                                       const struct topic *topic)
{
    struct listeners *here = find(manager, topic);
    return here ? here : add_listeners(manager, topic);
}

static void settle(struct connection_manager *manager, struct listeners *here)
{
    if (!list_empty(&here->sessions))
        return;
    manager->channels -= here->kind == TOPIC_CHANNEL;
    map_remove(&manager->by_topic, here->hash, here);
    free(here);
}

bool connection_manager_attach(struct connection_manager *manager, struct session *session,
                               const struct topic *user)
{
    assert(!session->user);
    struct listeners *here = get_listeners(manager, user);
    if (!here)
        return false;
    session->user = here;
    list_append(&here->sessions, &session->user_link);
    list_append(&manager->all, &session->link);
    manager->count++;
    return true;
}

static void end_subscription(struct connection_manager *manager, struct subscription **at)
{
    struct subscription *subscription = *at;
    *at = subscription->next;
    list_remove(&subscription->link);
    settle(manager, subscription->listeners);
    free(subscription);
}

void connection_manager_detach(struct connection_manager *manager, struct session *session)
{
    struct listeners *here = session->user;
    if (!here)
        return;
    while (session->channels)
        end_subscription(manager, &session->channels);
    session->user = NULL;
    list_remove(&session->user_link);
    list_remove(&session->link);
    manager->count--;
    settle(manager, here);
}

static struct topic topic_of(const struct listeners *here)
{
    return (struct topic){here->hash, here->name, here->length, here->kind};
}

struct topic connection_manager_user(const struct session *session)
{
    return topic_of(session->user);
}

struct topic connection_manager_channel(const struct subscription *subscription)
{
    return topic_of(subscription->listeners);
}

struct subscription *connection_manager_subscription(const struct session *session,
                                                     const struct topic *channel)
{
    struct subscription *at = session->channels;
    while (at && !is_at(at->listeners, channel))
        at = at->next;
    return at;
}

struct subscription *connection_manager_subscribe(struct connection_manager *manager,
                                                  struct session *session,
                                                  const struct topic *channel, uint64_t from)
{
    assert(session->user && channel->kind == TOPIC_CHANNEL);
    struct subscription *subscription = connection_manager_subscription(session, channel);
    if (subscription)
        return subscription;
    bool fresh = !find(manager, channel);
    struct listeners *here = get_listeners(manager, channel);
    subscription = here ? malloc(sizeof *subscription) : NULL;
    if (here && fresh)
        manager->channels++;
    if (!subscription) {
        if (here)
            settle(manager, here);
        return NULL;
    }
    *subscription = (struct subscription){
        .listeners = here, .session = session, .next = session->channels, .from = from};
    list_append(&here->sessions, &subscription->link);
    session->channels = subscription;
    return subscription;
}

bool connection_manager_unsubscribe(struct connection_manager *manager, struct session *session,
                                    const struct topic *channel)
{
    struct subscription **at = &session->channels;
    while (*at && !is_at((*at)->listeners, channel))
        at = &(*at)->next;
    if (!*at)
        return false;
    end_subscription(manager, at);
    return true;
}

size_t connection_manager_channels(const struct connection_manager *manager)
{
    return manager->channels;
}

static void offer(struct connection_manager *manager, struct session *session,
                  struct message *message)
{
    struct metrics *metrics = manager->metrics;
    size_t protocol = session->ops->protocol;
    enum session_offer outcome = session_offer(session, message);
    if (outcome >= SESSION_DELIVERED)
        metrics_add(&metrics->delivered[protocol], 1);
    if (outcome != SESSION_FELL_BEHIND)
        return;
    metrics_add(&metrics->live[protocol], -1);
    metrics_add(&metrics->behind[protocol], 1);
}

/* Delivering only queues: a session that fails closes on a later turn of the loop, so these lists
 * stay still while we walk them. */
static void deliver_at(struct connection_manager *manager, const struct topic *topic,
                       struct message *message)
{
    if (topic->kind == TOPIC_ALL) {
        list_for_each(session, &manager->all, struct session, link)
            offer(manager, session, message);
        return;
    }
    struct listeners *here = find(manager, topic);
    if (here && here->kind == TOPIC_CHANNEL) {
        list_for_each(subscription, &here->sessions, struct subscription, link) {
            if (message->id > subscription->from)
                offer(manager, subscription->session, message);
        }
    } else if (here) {
        list_for_each(session, &here->sessions, struct session, user_link)
            offer(manager, session, message);
    }
}

void connection_manager_deliver(struct connection_manager *manager, struct message *message)
{
    for (size_t i = 0; i < message->topic_count; i++)
        deliver_at(manager, &message->topics[i], message);
}

size_t connection_manager_count(const struct connection_manager *manager)
{
    return manager->count;
}

void connection_manager_each(struct connection_manager *manager, const struct topic *topic,
                             void (*visit)(struct session *session, void *context), void *context)
{
    if (topic->kind == TOPIC_ALL) {
        list_for_each_safe(session, &manager->all, struct session, link)
            visit(session, context);
        return;
    }
    struct listeners *here = find(manager, topic);
    if (!here)
        return;
    assert(here->kind != TOPIC_CHANNEL);
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
    for (struct listeners *here; (here = map_next(&manager->by_topic, &cursor));) {
        if (here->kind == TOPIC_USER)
            visit(here->name, here->length, context);
    }
}
