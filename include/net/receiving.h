/* receiving.h - what a client asks for that wants to receive.
 *
 * The address of every transport's endpoint says the same: whose stream, after which cursor, with
 * which channels, for which device. Worker's thread only. */
#ifndef NET_RECEIVING_H
#define NET_RECEIVING_H

#include <stdbool.h>

#include "engine/catch_up.h"

struct exchange;

struct receiving {
    struct catch_up_start start; /* its names lie in `names` */
    struct address *channels;    /* owned */
    char *names;                 /* owned */
};

/* Reads `:id`, ?after= (over which a Last-Event-ID header wins), ?channels=a,b and ?device= of a
 * request, asks the broker where the device stands, and goes on: now or later, with a receiving
 * that is go_on's to finish. Or a problem was answered, and go_on is not called. */
void receiving_start(struct exchange *exchange,
                     void (*go_on)(struct exchange *exchange, struct receiving *receiving));
void receiving_finish(struct receiving *receiving);

/* An id, or 0 for all that is kept. */
bool receiving_parse_cursor(const char *text, uint64_t *ret_cursor);

#endif
