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
    uint32_t number; /* the message under way; 0: none */
    uint64_t last_id;
    size_t input_size;
    char input[2048];
};

struct senders {
    struct sender *all;
    uint32_t count;
    uint32_t turn; /* where the search for a free one begins, so that all get work */
    bool channel;  /* all goes to CHANNEL, not to users */
    int loop;
    uint16_t port;
    struct faults *faults; /* borrowed */
    void *owner;
    /* The message's answer came, with its id (0: refused); s is free again. */
    void (*on_answer)(void *owner, struct sender *s, uint32_t number, uint64_t id,
                      uint64_t delivered);
    size_t request_size, user_at, message_at; /* user_at 0: the request has none */
    char request[1024];
};

/* The caller sets channel, loop, port, faults, owner and on_answer first. */
void senders_open(struct senders *pool, uint32_t count);
void senders_close(struct senders *pool);

/* A sender that is open and has nothing under way; NULL when there is none. */
struct sender *senders_find_free(struct senders *pool);

/* Posts message "number" to the user, or to the channel as user 0. The sender must be free. */
void sender_post(struct sender *s, uint32_t number, uint32_t user);

#endif
