/* subscribe_request.h - what a client asks for that wants to receive.
 *
 * The URL of every transport's endpoint says the same: whose stream, after which cursor, with
 * which channels, for which device. Worker's thread only. */
#ifndef SESSION_SUBSCRIBE_REQUEST_H
#define SESSION_SUBSCRIBE_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/catch_up.h"

struct identity;
struct reactor;
struct request;

struct subscribe_request {
    struct catch_up_start start; /* its names lie in `names` */
    struct topic *channels;      /* owned */
    char *names;                 /* owned: the URL's */
    char *more_names;            /* owned: those that came as JSON */
    uint32_t max;                /* bytes of a message its reader takes at once; 0: any number */
};

/* Reads `:id`, ?after= (over which a Last-Event-ID header wins), ?channels=a,b, each ?channel=,
 * ?device= and ?max= of a request, and "channels" of a POST's body, as a URL has no room for
 * many. False: a problem was answered, and there is nothing to finish. */
bool subscribe_request_read(struct request *request, struct subscribe_request *ret_request);

#define SUBSCRIBE_REQUEST_CHANNELS "channels is a list of names."

/* Adds the names of a JSON array, once; NULL: none. Else ERR_BAD_FIELD, ERR_TOO_MANY_CHANNELS or
 * ERR_OUT_OF_MEMORY, and nothing is added. */
int subscribe_request_add(struct subscribe_request *subscribe_request, const json_t *names);
void subscribe_request_finish(struct subscribe_request *subscribe_request);

#define SUBSCRIBE_REQUEST_LATE (-2)

/* Asks the broker where the device goes on, if there is one, which fills in `after`; for who has
 * been admitted. go_on() is called once, now or later, until when it stays where it is:
 * with 0, with an error, or with SUBSCRIBE_REQUEST_LATE: the request is over. request may be NULL,
 * for a session that is open already. */
void subscribe_request_locate(struct reactor *reactor, struct request *request,
                              struct subscribe_request *subscribe_request,
                              void (*go_on)(void *context, int err), void *context);

/* Whose credentials came with the request, and may they receive this? 0: request_take_who has the
 * identity. Else an error, and a few words in *ret_why. */
int subscribe_request_admit(struct request *request,
                            const struct subscribe_request *subscribe_request,
                            const char **ret_why);
/* The second half of it: may they? */
int subscribe_request_check(const struct subscribe_request *subscribe_request,
                            const struct identity *who, const char **ret_why);

/* An id, or 0 for all that is kept. */
bool subscribe_request_parse_cursor(const char *text, uint64_t *ret_cursor);

#endif
