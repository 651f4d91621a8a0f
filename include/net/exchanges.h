/* exchanges.h - the exchanges of a worker: what they share, and the record of each.
 *
 * For those who move them on: reception.h, which libmicrohttpd calls, and exchange.h, by which
 * routes answer. Routes see the latter only. The listener owns a struct exchanges. Worker's thread
 * only. */
#ifndef NET_EXCHANGES_H
#define NET_EXCHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/network.h"
#include "net/answer.h"
#include "net/deadlines.h"
#include "net/head.h"
#include "net/parser.h"
#include "net/target.h"

struct MHD_Connection;
struct access;
struct exchange;
struct identity;
struct quota;
struct route;
struct worker;

/* A body that is refused and not longer is read all the same. */
#define EXCHANGES_SHORT_BODY ((size_t)64 * 1024)

struct exchange_limits {
    size_t max_head;
    size_t max_body;
};

struct exchanges {
    struct worker *worker;
    const struct route *routes;
    size_t route_count;
    struct access *access; /* borrowed; another after a reload */
    struct quota *quota;   /* borrowed */
    struct exchange_limits limits;
    struct parser parser;
    struct deadlines deadlines;
    uint64_t next_id;       /* makes request ids */
    struct exchange *spare; /* a few that ended, to begin anew */
    size_t spare_count;
    size_t late;    /* answers that are still out, though their requests were answered */
    uint64_t steps; /* counts what libmicrohttpd tells us: it got on with something */
    bool run_again; /* libmicrohttpd has work that its epoll set does not show */
    bool stopping;  /* answers close their connections */
    bool ended;     /* nothing is asked any more */
    bool access_log;
};

enum exchange_stage { EXCHANGE_HEAD, EXCHANGE_BODY, EXCHANGE_SERVED };

struct exchange {
    struct exchange *next_spare;
    struct exchanges *all;
    struct MHD_Connection *connection;

    /* What was asked, by whom; the reception's to fill in. */
    const struct route *route;    /* NULL: none was found */
    struct identity *who;         /* owned; NULL: nobody asked yet */
    union network_address client; /* named by a trusted proxy, if `forwarded` */
    bool forwarded;
    struct head_body announced;
    struct buf body;
    size_t body_held; /* of the quota, by the body */
    int64_t began_us;

    /* How far the reception has got. */
    enum exchange_stage stage;
    uint64_t calls; /* of libmicrohttpd's for it */
    bool settled;   /* libmicrohttpd has seen that nothing is left to read */
    void *taker;    /* the intake's, while it is open */
    size_t taken;

    /* How it is answered. */
    struct answer answer;
    size_t answer_held; /* of the quota, by its body */
    bool waits;         /* the answer comes later */
    bool suspended;     /* libmicrohttpd knows */
    bool held;          /* who asked the broker still has it: its request was answered without it */
    bool over;          /* its request has come to its end: connection and response are gone */
    bool close;         /* the connection cannot be used again */
    bool lingers; /* it was answered before its body came, of which the rest is read for nothing */
    void (*adopted)(void *context, int fd, const char *extra, size_t size);
    void *adopted_context;

    struct head head; /* its table of fields, and what follows, is not cleared beforehand */
    struct target target;
};

/* A new one for a connection and what it asks for. NULL: out of memory. */
struct exchange *exchanges_take(struct exchanges *exchanges, struct MHD_Connection *connection,
                                const char *target);
void exchanges_give_back(struct exchange *exchange);

/* Is an answer made, or none to come? */
bool exchanges_is_answered(const struct exchange *exchange);

/* If it waits, it does so no longer: libmicrohttpd asks again at its next run. */
void exchanges_resume(struct exchange *exchange);
/* libmicrohttpd has work that it does not know of. */
void exchanges_run_again(struct exchanges *exchanges);
/* Its connection has come further, and has that phase's time from now on. */
void exchanges_move_deadline(struct exchange *exchange, enum deadline_phase phase);

/* Until exchange_release it stays, though its request ends: somebody still owes it an answer. */
void exchanges_hold(struct exchange *exchange);

/* Frees what is kept to be used again; no exchange is open. */
void exchanges_finish(struct exchanges *exchanges);

#endif
