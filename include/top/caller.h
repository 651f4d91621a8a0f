/* caller.h - asks a running server, over HTTP, for the commands that do.
 *
 * libcurl does the work. Where the server is: --url, else the first address of `listen`, on this
 * machine. Blocks; belongs to one thread. */
#ifndef TOP_CALLER_H
#define TOP_CALLER_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct caller;
struct config;

/* `name` begins each line that is told on standard error. NULL: the URL is no good, which was told.
 */
struct caller *caller_create(const struct config *config, const char *name);
/* NULL is fine. */
void caller_destroy(struct caller *caller);

/* Whom requests are from: a key or a token, copied; NULL: nobody. */
void caller_set_credentials(struct caller *caller, const char *text);

/* A request; body NULL: GET, else POST of that type. Returns the status, and appends the answer's
 * body; 0: there was no answer, and caller_reason says why. */
long caller_ask(struct caller *caller, const char *path, const char *type, const struct buf *body,
                struct buf *ret_body);
/* The same, tried again while that may help: with no answer, or 408, 429 or 503. Only for what may
 * be said twice. */
long caller_insist(struct caller *caller, const char *path, const char *type,
                   const struct buf *body, struct buf *ret_body);

/* GET of a body that does not end: what comes is handed on, until take says false or it ends. Of an
 * answer other than 200 the body goes to ret_refusal. Otherwise as caller_ask. */
long caller_follow(struct caller *caller, const char *path, const char *last_id,
                   bool (*take)(void *context, const char *bytes, size_t size), void *context,
                   struct buf *ret_refusal);

const char *caller_url(const struct caller *caller);
const char *caller_reason(const struct caller *caller);
/* Tells that there was no answer, or what the answer, a problem, says. */
void caller_complain(const struct caller *caller, long status, const struct buf *body);

/* Text as part of a path or a query, appended. */
void caller_escape(const struct caller *caller, const char *text, struct buf *ret_text);
/* The pause before another try, the first of which is number 0. */
void caller_pause(unsigned tries);

#endif
