/* head.h - judges the head of an HTTP request before anything in it is believed.
 *
 * libmicrohttpd 0.9.75 parses loosely: it lets requests be smuggled behind ambiguous lengths, bare
 * CR and folded lines. What it parsed is checked here against RFC 9110 and 9112; whoever fails gets
 * 400 or 501 and a closed connection. No I/O, no state. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;

#define HEAD_MAX_FIELDS 100

struct head_field {
    const char *name;
    const char *value;
    size_t name_length;
    size_t value_length;
};

struct head {
    const char *method;
    const char *target;
    size_t target_length;
    const char *version;
    /* Where the target was received, when all strings lie where they were received, so that line
     * ends can be checked; else NULL. */
    const char *target_place;
    size_t size; /* how many bytes were received as this head; read with target_place only */
    size_t count;
    struct head_field fields[HEAD_MAX_FIELDS]; /* last: only the first `count` are set */
};

/* What the body is, according to a head that was found proper. */
struct head_body {
    uint64_t length; /* by Content-Length; 0 without one */
    bool chunked;
    bool any; /* is there one? A Content-Length of 0 announces none (RFC 9110 section 8.6) */
};

/* ERR_NONE, or the error and a sentence for the client in *ret_detail. */
enum err head_check(const struct head *head, size_t max_size, struct head_body *ret_body,
                    const char **ret_detail);

/* The only field of this name, or NULL: none, or several. Ends in NUL as it came from the parser.
 */
const char *head_find(const struct head *head, const char *name);

bool head_is_http_1_1(const struct head *head);

/* Several fields of a list header count as one, joined by commas (RFC 9110 section 5.3): all of
 * them, and a NUL, are added to the list; is the token in any of them? */
void head_join(const struct head *head, const char *name, struct buf *list);
bool head_list_has(const struct head *head, const char *name, const char *token);

/* The first of its words that begins so (in this case), and what follows there; or NULL. */
const char *head_list_find(const struct head *head, const char *name, const char *beginning,
                           size_t *ret_length);

#endif
