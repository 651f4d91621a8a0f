/* identity.h - who asks, and what they may do.
 *
 * A publisher by its key, a receiver by its token, or anyone, where nobody needs credentials. The
 * rights of all routes are one table here. Any thread; an identity belongs to who asked for it. */
#ifndef MODEL_IDENTITY_H
#define MODEL_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct api_key;
struct api_keys;
struct claims;
struct topic;

struct identity {
    struct api_keys *keys;     /* counted; a publisher's */
    const struct api_key *key; /* one of them; NULL: no publisher */
    struct claims *claims;     /* owned; a receiver's; NULL: no receiver */
};

/* Open mode: may do everything. Not to be changed. */
extern struct identity identity_anyone;

/* NULL, if there is no memory. What is handed in changes hands either way. */
struct identity *identity_of_key(struct api_keys *keys, const struct api_key *key);
struct identity *identity_of_claims(struct claims *claims);
/* NULL and identity_anyone are fine. */
void identity_destroy(struct identity *identity);

/* What a route asks for. `own`: a receiver's own user; `heard`: a channel its token covers. */
enum right {
    RIGHT_NOT_SAID, /* an oversight; nobody has it */
    RIGHT_OPEN,
    RIGHT_RECEIVE,      /* the user's own token; told in each transport's own way */
    RIGHT_SEND,         /* scope send, or a token with `publish` */
    RIGHT_READ,         /* scope read */
    RIGHT_READ_MESSAGE, /* scope read; the path has no topic: the message found has, RIGHT_READ */
    RIGHT_READ_USER,    /* scope read, or own */
    RIGHT_READ_CHANNEL, /* scope read, or heard */
    RIGHT_OWN,          /* own */
    RIGHT_MANAGE,       /* scope manage */
    RIGHT_MANAGE_ALL,   /* scope manage, and a key without prefix */
    RIGHT_TOKEN,        /* scope token */
};

/* 0, ERR_MISSING_SCOPE, or ERR_FORBIDDEN where the right does not reach this topic (NULL: it is
 * about none). */
int identity_may(const struct identity *identity, enum right right, const struct topic *topic);
/* What must be there, for people: "the scope read". */
const char *identity_need(enum right right);

/* May this message go there, may this channel be heard? Likewise. */
int identity_may_send(const struct identity *identity, const struct topic *topic);
int identity_may_hear(const struct identity *identity, const struct topic *channel);

/* All its messages are from; NULL: each says. */
const char *identity_sender(const struct identity *identity);
/* What all names it uses must begin with, or NULL. */
const char *identity_prefix(const struct identity *identity);
/* A receiver's user, or NULL. */
const char *identity_user(const struct identity *identity);
/* A key's id, or NULL. */
const char *identity_key_id(const struct identity *identity);
/* The last moment at which it counts; INT64_MAX: for ever. */
int64_t identity_end_ms(const struct identity *identity);

#endif
