#include "model/identity.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "model/api_keys.h"
#include "model/token.h"
#include "model/topic.h"

struct identity identity_anyone;

static struct identity *create(struct api_keys *keys, const struct api_key *key,
                               struct claims *claims)
{
    struct identity *identity = malloc(sizeof *identity);
    if (identity) {
        *identity = (struct identity){keys, key, claims};
        return identity;
    }
    keys_unref(keys);
    claims_destroy(claims);
    return NULL;
}

struct identity *identity_of_key(struct api_keys *keys, const struct api_key *key)
{
    return create(keys, key, NULL);
}

struct identity *identity_of_claims(struct claims *claims)
{
    return create(NULL, NULL, claims);
}

void identity_destroy(struct identity *identity)
{
    if (!identity || identity == &identity_anyone)
        return;
    keys_unref(identity->keys);
    claims_destroy(identity->claims);
    free(identity);
}

static bool is_anyone(const struct identity *identity)
{
    return !identity->key && !identity->claims;
}

const char *identity_user(const struct identity *identity)
{
    return identity->claims ? claims_user(identity->claims) : NULL;
}

const char *identity_key_id(const struct identity *identity)
{
    return identity->key ? identity->key->id : NULL;
}

const char *identity_sender(const struct identity *identity)
{
    return identity->key ? identity->key->sender : identity_user(identity);
}

const char *identity_prefix(const struct identity *identity)
{
    if (identity->key)
        return identity->key->prefix;
    return identity->claims ? claims_prefix(identity->claims) : NULL;
}

int64_t identity_end_ms(const struct identity *identity)
{
    return identity->claims ? claims_end_ms(identity->claims) : INT64_MAX;
}

/* ---- rights ---- */

static bool is_own(const struct identity *identity, const struct topic *topic)
{
    const char *user = identity_user(identity);
    return strlen(user) == topic->length && memcmp(user, topic->name, topic->length) == 0;
}

static bool is_within(const struct identity *identity, const struct topic *topic)
{
    const char *prefix = identity_prefix(identity);
    size_t length = prefix ? strlen(prefix) : 0;
    return length <= topic->length && memcmp(prefix ? prefix : "", topic->name, length) == 0;
}

static bool is_heard(const struct identity *identity, const struct topic *topic)
{
    return claims_cover_channel(identity->claims, topic->name, topic->length) &&
           is_within(identity, topic);
}

static bool speaks(const struct identity *identity, const struct topic *topic)
{
    (void)topic;
    return claims_publish_some(identity->claims);
}

struct rule {
    unsigned scope; /* 0: no publisher has it */
    bool (*receiver)(const struct identity *identity, const struct topic *topic);
    bool everything; /* a prefix would not do */
    const char *need;
    bool later; /* what the path names is no topic: who finds the topic judges it */
};

static const struct rule rules[] = {
    [RIGHT_NOT_SAID] = {0, NULL, false, "more than anybody has"},
    [RIGHT_RECEIVE] = {0, is_own, false, "the user's own token"},
    [RIGHT_SEND] = {SCOPE_SEND, speaks, false, "the scope send, or a token with publish"},
    [RIGHT_READ] = {SCOPE_READ, NULL, false, "the scope read"},
    [RIGHT_READ_MESSAGE] = {SCOPE_READ, NULL, false, "the scope read", .later = true},
    [RIGHT_READ_USER] = {SCOPE_READ, is_own, false, "the scope read, or the user's own token"},
    [RIGHT_READ_CHANNEL] = {SCOPE_READ, is_heard, false,
                            "the scope read, or a token with this channel"},
    [RIGHT_OWN] = {0, is_own, false, "the user's own token"},
    [RIGHT_MANAGE] = {SCOPE_MANAGE, NULL, false, "the scope manage"},
    [RIGHT_MANAGE_ALL] = {SCOPE_MANAGE, NULL, true, "the scope manage, and a key without prefix"},
    [RIGHT_TOKEN] = {SCOPE_TOKEN, NULL, false, "the scope token"},
};

const char *identity_need(enum right right)
{
    return rules[right].need;
}

int identity_may(const struct identity *identity, enum right right, const struct topic *topic)
{
    const struct rule *rule = &rules[right];
    assert(right != RIGHT_NOT_SAID);
    if (right == RIGHT_OPEN || is_anyone(identity))
        return 0;
    if (identity->claims && !rule->receiver)
        return ERR_MISSING_SCOPE;
    if (identity->claims)
        return rule->receiver(identity, topic) ? 0
               : rule->receiver == speaks      ? ERR_MISSING_SCOPE
                                               : ERR_FORBIDDEN;
    if (!(identity->key->scopes & rule->scope))
        return ERR_MISSING_SCOPE;
    if (rule->everything && identity->key->prefix)
        return ERR_FORBIDDEN;
    return !topic || rule->later || is_within(identity, topic) ? 0 : ERR_FORBIDDEN;
}

static bool may_speak_to(const struct claims *claims, const struct topic *topic)
{
    return claims_may_publish_anywhere(claims) ||
           (topic->kind == TOPIC_CHANNEL && claims_may_publish(claims, topic->name, topic->length));
}

int identity_may_send(const struct identity *identity, const struct topic *topic)
{
    if (is_anyone(identity))
        return 0;
    if (topic->kind == TOPIC_ALL)
        return identity_may(identity, RIGHT_MANAGE_ALL, NULL);
    if (identity->key && !(identity->key->scopes & SCOPE_SEND))
        return ERR_MISSING_SCOPE;
    if (identity->claims && !may_speak_to(identity->claims, topic))
        return claims_publish_some(identity->claims) ? ERR_FORBIDDEN : ERR_MISSING_SCOPE;
    return is_within(identity, topic) ? 0 : ERR_FORBIDDEN;
}

int identity_may_hear(const struct identity *identity, const struct topic *channel)
{
    if (is_anyone(identity))
        return 0;
    return identity->claims && is_heard(identity, channel) ? 0 : ERR_FORBIDDEN;
}
