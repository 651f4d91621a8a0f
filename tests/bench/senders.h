/* senders.h - the keep-alive connections that post. One thread; each has at most one request
 * under way. */
#ifndef SENDERS_H
#define SENDERS_H

#include "bench.h"
#include "posts.h"

struct senders;

struct sender {
    struct watch watch;
    struct senders *pool;
    uint32_t number; /* the message under way, or the first of them; 0: none */
    uint64_t last_id;
    size_t input_size;
    char *input;
};

struct senders {
    struct sender *all;
    uint32_t count;
    uint32_t turn;  /* where the search for a free one begins, so that all get work */
    bool channel;   /* all goes to CHANNEL, not to users */
    bool keys;      /* each message has one of its own */
    bool reads;     /* nothing is posted: each request asks for a user's first page */
    uint32_t lines; /* messages a request, as NDJSON; 0: one, as JSON */
    int loop;
    uint16_t port;
    struct faults *faults; /* borrowed */
    void *owner;
    /* The message's answer came, with its id (0: refused). s is free again, if it was the last. */
    void (*on_answer)(void *owner, struct sender *s, uint32_t number, uint64_t id,
                      uint64_t delivered);
    size_t input_room; /* of each sender */
    /* Where the variable parts of the request stand, or of its first line; 0: it has none. */
    size_t user_at, message_at, key_at;
    size_t line_size; /* each line's distance from the next */
    size_t request_size;
    char *request;
};

/* The caller sets what stands before input_room first, without count. */
void senders_open(struct senders *pool, uint32_t count);
void senders_close(struct senders *pool);

/* A sender that is open and has nothing under way; NULL when there is none. */
struct sender *senders_find_free(struct senders *pool);

/* Posts message "number" to the user, or to the channel as user 0; with lines as many messages,
 * numbered from there on, each to the next of users. The sender must be free. */
void sender_post(struct sender *s, uint32_t number, const uint32_t *users);

#endif
