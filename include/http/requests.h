/* requests.h - the requests of a worker: what they share, and the record of each.
 *
 * For those who move them on: request_in.h, which libmicrohttpd calls, and request.h, by which
 * routes answer. Routes see the latter only. The listener owns a struct requests. Worker's thread
 * only. */
#ifndef HTTP_REQUESTS_H
#define HTTP_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/network.h"
#include "http/deadlines.h"
#include "http/head.h"
#include "http/parser.h"
#include "http/response.h"
#include "http/target.h"

struct MHD_Connection;
struct access;
struct byte_quota;
struct identity;
struct reactor;
struct request;
struct route;

/* A body that is refused and not longer is read all the same. */
#define REQUESTS_SHORT_BODY ((size_t)64 * 1024)

struct request_limits {
    size_t max_head;
    size_t max_body;
};

struct requests {
    struct reactor *reactor;
    const struct route *routes;
    size_t route_count;
    struct access *access;    /* borrowed; another after a reload */
    struct byte_quota *quota; /* borrowed */
    struct request_limits limits;
    struct parser parser;
    struct deadlines deadlines;
    uint64_t next_id;      /* makes request ids: hash_draw_number */
    struct request *spare; /* a few that ended, to begin anew */
    size_t spare_count;
    size_t late;    /* answers that are still out, though their requests were answered */
    uint64_t steps; /* counts what libmicrohttpd tells us: it got on with something */
    bool run_again; /* libmicrohttpd has work that its epoll set does not show */
    bool stopping;  /* answers close their connections */
    bool ended;     /* nothing is asked any more */
    bool access_log;
};

/* How far a request has come. What may follow what is a table in requests.c. */
enum request_state {
    REQUEST_HEAD,      /* it has a target; its head is on its way */
    REQUEST_BODY,      /* its head is judged; its body comes */
    REQUEST_PAUSED,    /* its body reader takes no more for now */
    REQUEST_REFUSED,   /* answered before its body's end, which is read for nothing */
    REQUEST_LINGERING, /* the same, but the answer is out already, and the connection ends */
    REQUEST_SERVING,   /* it is whole, and its route's to answer */
    REQUEST_WAITING,   /* the answer comes later */
    REQUEST_ANSWERED,  /* libmicrohttpd's to send */
    REQUEST_UPGRADING, /* the same, and then its socket is to be handed over */
    REQUEST_CUT,       /* its connection ends without an answer: no memory, or another has it */
    REQUEST_ABANDONED, /* answered without the broker, which still has it */
    REQUEST_LATE,      /* its connection and response are gone; the broker still has it */
    REQUEST_OVER,      /* all are gone */
    REQUEST_STATES
};

struct request {
    struct request *next_spare;
    struct requests *all;
    struct MHD_Connection *connection;

    /* What was asked, by whom; request_in's to fill in. */
    const struct route *route;    /* NULL: none was found */
    struct identity *who;         /* owned; NULL: nobody asked yet */
    union network_address client; /* named by a trusted proxy, if `forwarded` */
    bool forwarded;
    struct head_body announced;
    struct buf body;
    size_t body_held; /* of the quota, by the body */
    int64_t began_us;

    enum request_state state; /* changed by request_enter only */
    bool suspended;           /* PAUSED or WAITING, and libmicrohttpd knows */
    uint64_t calls;           /* of libmicrohttpd's for it */
    void *body_reader;        /* the body handler's, while it is open */
    size_t taken;

    /* How it is answered. */
    struct response response;
    size_t answer_held; /* of the quota, by its body */
    bool close;         /* the connection cannot be used again after it */
    void (*adopted)(void *context, int fd, const char *extra, size_t size);
    void *adopted_context;

    struct head head; /* its table of fields, and what follows, is not cleared beforehand */
    struct target target;
};

/* A new one for a connection and what it asks for. NULL: out of memory. */
struct request *requests_take(struct requests *requests, struct MHD_Connection *connection,
                              const char *target);
void requests_give_back(struct request *request);

/* Is an answer made, or none to come? */
bool requests_is_answered(const struct request *request);

/* Goes over to another state, which must be one that may follow; out of a wait libmicrohttpd asks
 * again at its next run. */
void request_enter(struct request *request, enum request_state state);
/* What waits is not asked for until it does so no longer. Within libmicrohttpd's call only. */
void request_suspend(struct request *request);
/* libmicrohttpd has work that it does not know of. */
void requests_run_again(struct requests *requests);
/* Its connection has come further, and has that phase's time from now on. */
void requests_move_deadline(struct request *request, enum deadline_phase phase);

/* Until request_release it stays, though its connection ends: somebody still owes it an answer. In
 * the state ABANDONED or LATE. */
void requests_hold(struct request *request, enum request_state state);
/* Is it so? */
bool requests_is_held(const struct request *request);

/* Frees what is kept to be used again; no request is open. */
void requests_finish(struct requests *requests);

#endif
